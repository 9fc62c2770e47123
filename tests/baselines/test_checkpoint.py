"""Checkpoints: saved weights are restored; altered, truncated and pickled files are refused."""

import builtins
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from baselines.checkpoint import (
    check_destination,
    checkpoint_sha256,
    is_checkpoint,
    load,
    load_state,
    read_meta,
)
from baselines.registry import build
from mixgen.core.errors import InputError, MachineError, SuiteError, UsageError
from mixgen.core.files import sha256_file
from tests.checkpoints import save

SMALL = "conv_tasnet:small"


def update_sums(folder: Path) -> None:
    """Rewrite SHA256SUMS, so that the hashes do not reveal an altered file."""
    names = [line.split("  ")[1] for line in (folder / "SHA256SUMS").read_text().splitlines()]
    sums = "".join(f"{sha256_file(folder / name)}  {name}\n" for name in names)
    (folder / "SHA256SUMS").write_text(sums)


def edit_meta(folder: Path, **changes: object) -> None:
    meta = json.loads((folder / "meta.json").read_text())
    (folder / "meta.json").write_text(json.dumps(meta | changes))
    update_sums(folder)


def edit_weights(folder: Path, change: Callable[[dict[str, Tensor]], object]) -> None:
    weights = load_file(folder / "model.safetensors")
    change(weights)
    save_file(weights, folder / "model.safetensors")
    update_sums(folder)


def test_a_loaded_separator_is_bit_equal_to_the_saved_one(tmp_path: Path) -> None:
    separator = build("conv_tasnet:small", n_src=3, sample_rate=16000).eval()
    save(tmp_path / "checkpoint", separator, SMALL)
    loaded = load(tmp_path / "checkpoint")
    assert loaded.config == separator.config
    assert not loaded.training
    mixture = torch.randn(1, 1, 800)
    with torch.no_grad():
        assert torch.equal(loaded(mixture), separator(mixture))


def test_the_hash_of_a_checkpoint_is_that_of_its_weights(checkpoint: Path) -> None:
    assert checkpoint_sha256(checkpoint) == sha256_file(checkpoint / "model.safetensors")
    meta = read_meta(checkpoint)
    assert meta.model == "conv_tasnet:tiny"
    assert meta.parameters == sum(p.numel() for p in load(checkpoint).parameters())


def test_a_replaced_checkpoint_leaves_no_other_folder(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint"
    first, second = build("conv_tasnet:small"), build("conv_tasnet:small")
    save(folder, first, SMALL)
    before = checkpoint_sha256(folder)
    save(folder, second, SMALL)
    assert checkpoint_sha256(folder) != before
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_an_interrupted_replacement_is_finished(checkpoint: Path) -> None:
    """The old checkpoint was moved aside, and the new one was not yet moved in."""
    checkpoint.rename(checkpoint.with_name(f".old.{checkpoint.name}"))
    assert is_checkpoint(checkpoint)
    load(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "meta.json", "SHA256SUMS"])
def test_a_missing_file_is_named(checkpoint: Path, name: str) -> None:
    (checkpoint / name).unlink()
    with pytest.raises(InputError, match=name):
        load(checkpoint)


@pytest.mark.parametrize("name", ["model.safetensors", "meta.json", "state.safetensors"])
def test_a_flipped_bit_is_found(checkpoint: Path, name: str) -> None:
    content = bytearray((checkpoint / name).read_bytes())
    content[len(content) // 2] ^= 1
    (checkpoint / name).write_bytes(content)
    read = load_state if name.startswith("state") else load
    with pytest.raises(InputError, match=f"{name} was altered"):
        read(checkpoint)


def test_a_truncated_file_is_found_even_with_a_fresh_hash(checkpoint: Path) -> None:
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="altered or truncated"):
        load(checkpoint)
    update_sums(checkpoint)
    with pytest.raises(InputError, match="not a safetensors file"):
        load(checkpoint)


def test_an_oversize_header_is_refused(checkpoint: Path) -> None:
    (checkpoint / "model.safetensors").write_bytes((2**62).to_bytes(8, "little") + b"{}")
    update_sums(checkpoint)
    with pytest.raises(InputError, match="not a safetensors file"):
        load(checkpoint)


def test_a_weight_of_another_shape_is_refused(checkpoint: Path) -> None:
    edit_weights(checkpoint, lambda w: w.update({sorted(w)[0]: torch.zeros(7, 7)}))
    with pytest.raises(InputError, match=r"shape \(7, 7\)|larger model"):
        load(checkpoint)


@pytest.mark.parametrize("size", [{"R": 10**6}, {"X": 10**6}, {"N": 10**9}, {"n_src": 10**12}])
def test_a_configuration_far_larger_than_its_weights_is_refused_at_once(
    checkpoint: Path, size: dict[str, int]
) -> None:
    """A stranger's file cannot take the machine's memory, even if its hashes are right."""
    edit_meta(checkpoint, config={**read_meta(checkpoint).config, **size})
    with pytest.raises(InputError, match="cannot be built"):
        load(checkpoint)


@pytest.mark.parametrize("n_src", [10**9, 1.5])
def test_estimates_that_no_weight_tells_of_are_counted(tmp_path: Path, n_src: float) -> None:
    """One network of OR-PIT splits off any number of talkers."""
    separator = build("or_pit:tiny", n_src=3, fewest=0)
    save(tmp_path, separator, "or_pit:tiny")
    edit_meta(tmp_path, config={**separator.config, "n_src": n_src})
    with pytest.raises(InputError, match=f"n_src is {n_src}, must be a whole number from 1 to"):
        load(tmp_path)


def test_iterations_without_an_end_are_refused(tmp_path: Path) -> None:
    """No weight tells how often resynthesis and analysis alternate."""
    save(tmp_path, build("spectral_mapping:tiny"), "spectral_mapping:tiny")
    edit_meta(tmp_path, config={**read_meta(tmp_path).config, "phase_iterations": 10**9})
    with pytest.raises(InputError, match="phase_iterations is 1000000000; it can be 0 to 1000"):
        load(tmp_path)


def test_integer_weights_are_refused(checkpoint: Path) -> None:
    edit_weights(checkpoint, lambda w: w.update({k: v.to(torch.int32) for k, v in w.items()}))
    with pytest.raises(InputError, match="is int32 of shape"):
        load(checkpoint)


def test_a_missing_weight_is_refused(checkpoint: Path) -> None:
    edit_weights(checkpoint, lambda w: w.pop(sorted(w)[0]))
    with pytest.raises(InputError, match="missing"):
        load(checkpoint)


def test_an_unknown_model_is_refused(checkpoint: Path) -> None:
    edit_meta(checkpoint, model="conv_tasnot")
    with pytest.raises(InputError, match="conv_tasnot"):
        load(checkpoint)


@pytest.mark.parametrize("config", [{"wings": 2}, {"n_src": "two"}, {"n_src": -1}])
def test_a_configuration_that_cannot_be_built_is_refused(
    checkpoint: Path, config: dict[str, Any]
) -> None:
    edit_meta(checkpoint, config=config)
    with pytest.raises(InputError, match="cannot be built"):
        load(checkpoint)


@pytest.mark.parametrize(
    ("text", "problem"),
    [("{", "not valid JSON"), ("[]", "is not valid"), ('{"schema": "checkpoint/1"}', "model")],
)
def test_a_broken_meta_is_refused(checkpoint: Path, text: str, problem: str) -> None:
    (checkpoint / "meta.json").write_text(text)
    update_sums(checkpoint)
    with pytest.raises(InputError, match=problem):
        load(checkpoint)


def test_a_future_schema_is_refused(checkpoint: Path) -> None:
    edit_meta(checkpoint, schema="checkpoint/9")
    with pytest.raises(InputError, match="checkpoint/9"):
        load(checkpoint)


class Bomb:
    """Sets a mark if it is ever unpickled."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return (exec, ("import builtins; builtins.bomb_went_off = True",))


@pytest.mark.parametrize("name", ["model.pt", "model.ckpt", "weights"])
def test_a_pickle_is_never_read(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="never read"):
        load(path)
    assert not hasattr(builtins, "bomb_went_off")


def test_a_pickle_under_another_name_is_never_read(checkpoint: Path) -> None:
    torch.save({"weight": torch.zeros(1)}, checkpoint / "model.safetensors")
    update_sums(checkpoint)
    with pytest.raises(InputError, match="pickle under another name"):
        load(checkpoint)


def test_other_folders_and_files_are_not_checkpoints(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not a checkpoint"):
        load(tmp_path)
    (tmp_path / "song.wav").write_bytes(b"RIFF")
    with pytest.raises(InputError, match="give that folder"):
        load(tmp_path / "song.wav")


def test_a_folder_in_use_is_not_overwritten(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--resume"):
        check_destination(checkpoint, overwrite=False)
    check_destination(checkpoint, overwrite=True)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    with pytest.raises(UsageError, match="in use"):
        check_destination(tmp_path / "photos", overwrite=True)


def test_an_unwritable_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="Cannot write"):
        check_destination(tmp_path / "file" / "checkpoint", overwrite=False)


def test_every_refusal_is_one_sentence(checkpoint: Path) -> None:
    (checkpoint / "meta.json").unlink()
    with pytest.raises(SuiteError) as caught:
        load(checkpoint)
    assert "\n" not in str(caught.value)
