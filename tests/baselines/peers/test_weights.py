"""Weights of other implementations: read without running code, refused in one sentence."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from baselines.checkpoint import load, read_meta
from baselines.model import renamed
from baselines.models.conv_tasnet import CONV_TASNET
from baselines.peers.weights import import_weights, read_arguments, separator_from
from baselines.registry import build, model_spec
from baselines.separator import Separator
from mixgen.core.errors import InputError, SuiteError, UsageError
from mixgen.core.files import sha256_file

ARGUMENTS = {
    "enc_num_feats": 32,
    "msk_num_feats": 16,
    "msk_num_hidden_feats": 32,
    "msk_num_layers": 3,
    "msk_num_stacks": 1,
}


def tiny() -> Separator:
    """The size of ARGUMENTS, in which skips are as wide as the bottleneck."""
    return CONV_TASNET.separator.from_config({**build("conv_tasnet:tiny").config, "Sc": 16})


def as_torchaudio(separator: Separator) -> dict[str, Tensor]:
    """Our weights under torchaudio's names."""
    block = r"^separation\.blocks\.(\d+)\."
    into = r"mask_generator.conv_layers.\1.conv_layers."
    names = {
        r"^basis\.": "",
        block + r"expand\.": into + "0.",
        block + r"expand_prelu\.": into + "1.",
        block + r"expand_norm\.": into + "2.",
        block + r"depthwise\.": into + "3.",
        block + r"depthwise_prelu\.": into + "4.",
        block + r"depthwise_norm\.": into + "5.",
        block + r"residual\.": r"mask_generator.conv_layers.\1.res_out.",
        block + r"skip\.": r"mask_generator.conv_layers.\1.skip_out.",
        r"^separation\.norm\.": "mask_generator.input_norm.",
        r"^separation\.bottleneck\.": "mask_generator.input_conv.",
        r"^separation\.output_prelu\.": "mask_generator.output_prelu.",
        r"^separation\.output\.": "mask_generator.output_conv.",
    }
    state = separator.state_dict()
    kept = {k: v for k, v in state.items() if k not in separator.idle_parameters}
    return renamed(kept, names)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.save(as_torchaudio(tiny()), tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


def test_imported_weights_separate_as_before(tmp_path: Path) -> None:
    ours = tiny().eval()
    torch.save(as_torchaudio(ours), tmp_path / "weights.pt")
    meta = import_weights(
        "torchaudio", tmp_path / "weights.pt", tmp_path / "out", arguments=ARGUMENTS
    )
    mixture = torch.randn(1, 1, 500)
    assert torch.equal(load(tmp_path / "out")(mixture), ours(mixture))
    assert read_meta(tmp_path / "out") == meta
    assert meta.training["imported_from"] == "torchaudio"
    assert meta.training["sha256"] == {"weights.pt": sha256_file(tmp_path / "weights.pt")}
    assert meta.model == "conv_tasnet"


def test_weights_under_a_key_are_found(file: Path, tmp_path: Path) -> None:
    torch.save({"state_dict": torch.load(file), "epoch": 3}, tmp_path / "nested.pt")
    import_weights("torchaudio", tmp_path / "nested.pt", tmp_path / "out", arguments=ARGUMENTS)
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_arguments_that_the_weights_contradict_are_refused(file: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not fit conv_tasnet as torchaudio"):
        import_weights("torchaudio", file, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_argument_far_too_large_is_refused_at_once(file: Path) -> None:
    with pytest.raises(SuiteError):
        separator_from(
            CONV_TASNET, "torchaudio", torch.load(file), {**ARGUMENTS, "msk_num_stacks": 10**7}
        )


@pytest.mark.parametrize(
    ("model", "peer", "arguments", "words"),
    [
        ("conv_tasnet", "asteroid", {"norm_type": "cLN"}, "norm_type is 'cLN'; it can be"),
        ("sudormrf", "asteroid", {"mask_act": "relu"}, "only weights with 'softmax'"),
        ("sudormrf_improved", "asteroid", {"stride": 5}, "only weights with 10"),
        ("skim", "espnet", {"nonlinear": "sigmoid"}, "only weights with 'relu'"),
        ("tf_gridnet", "espnet", {"window": "hamming"}, "only weights with 'hann'"),
        ("bs_roformer", "bs_roformer", {"stft_normalized": True}, "only weights with False"),
        ("bs_roformer", "bs_roformer", {"stft_n_fft": 1024}, "stft_win_length is 2048; only"),
    ],
)
def test_a_network_that_weights_cannot_tell_apart_is_refused(
    model: str, peer: str, arguments: dict[str, object], words: str
) -> None:
    """Without these checks the weights would fit, and the estimates would be others."""
    with pytest.raises(UsageError, match=words):
        separator_from(model_spec(model), peer, {}, arguments)


class Dangerous:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('ran')",)


def test_no_code_in_a_file_is_run(tmp_path: Path) -> None:
    torch.save({"weight": Dangerous()}, tmp_path / "trap.pt")
    with pytest.raises(InputError, match="never run"):
        import_weights("torchaudio", tmp_path / "trap.pt", tmp_path / "out")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 truncated", b"not a model"])
def test_damaged_files_are_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.pt").write_bytes(content)
    with pytest.raises(InputError, match="is damaged, or holds"):
        import_weights("torchaudio", tmp_path / "broken.pt", tmp_path / "out")


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    torch.save({"epoch": 3}, tmp_path / "epoch.pt")
    with pytest.raises(InputError, match="holds no state dict"):
        import_weights("torchaudio", tmp_path / "epoch.pt", tmp_path / "out")


def test_an_unknown_peer_or_model_is_named(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="asteroid"):
        import_weights("asteroide", file, tmp_path / "out")
    with pytest.raises(UsageError, match="conv_tasnet"):
        import_weights("torchaudio", file, tmp_path / "out", model="open_umnix")


def test_a_checkpoint_is_not_overwritten(file: Path, tmp_path: Path) -> None:
    import_weights("torchaudio", file, tmp_path / "out", arguments=ARGUMENTS)
    with pytest.raises(UsageError, match="--overwrite"):
        import_weights("torchaudio", file, tmp_path / "out", arguments=ARGUMENTS)
    import_weights("torchaudio", file, tmp_path / "out", arguments=ARGUMENTS, overwrite=True)


def test_arguments_are_an_object_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "arguments.json"
    path.write_text(json.dumps(ARGUMENTS))
    assert read_arguments(path) == ARGUMENTS
    path.write_text("[1]")
    with pytest.raises(InputError, match="give an object"):
        read_arguments(path)
