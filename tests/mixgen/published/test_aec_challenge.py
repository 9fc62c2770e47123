"""The AEC Challenges: what is recorded of their files, and that echo cancellers are scored."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from baselines.training.config import training_config
from baselines.training.train import train
from evalsuite.run import run
from mixgen.core.errors import InputError
from mixgen.corpora.roots import find_roots
from mixgen.dataset import item_of_set, rendered_item
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import load_set
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen

RATE = 16000
FRAMES = 3 * RATE
FOLDERS = {
    "nearend_mic_signal": "nearend_mic",
    "nearend_speech": "nearend_speech",
    "echo_signal": "echo",
    "farend_speech": "farend_speech",
}
COLUMNS = ("nearend_speaker", "farend_speaker", "ser", "is_farend_nonlinear", "split", "fileid")


def write(path: Path, samples: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples.astype(np.int16), RATE)


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """Two mixtures, in which the near end talks in the last third."""
    folder = tmp_path / "synthetic"
    rng = np.random.default_rng(2)
    rows = []
    for index, split in enumerate(("test", "train")):
        far = rng.integers(-4000, 4000, FRAMES)
        echo = np.concatenate((np.zeros(80, int), far[:-80] // 2))
        near = np.concatenate((np.zeros(2 * RATE, int), rng.integers(-4000, 4000, RATE)))
        signals = (near + echo, near, echo, far)
        for (parent, name), samples in zip(FOLDERS.items(), signals, strict=True):
            write(folder / parent / f"{name}_fileid_{index}.wav", samples)
        rows.append((f"p{index}", f"q{index}", 1.5, 1, split, index))
    with open(folder / "meta.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])
    return folder


@pytest.fixture
def real(tmp_path: Path) -> Path:
    """Recordings of all scenarios; the far end is longer than what the microphone has."""
    folder = tmp_path / "real"
    rng = np.random.default_rng(4)
    for scenario in ("farend_singletalk", "doubletalk_with_movement", "sweep"):
        write(folder / f"-aB_{scenario}_mic.wav", rng.integers(-900, 900, FRAMES))
        write(folder / f"-aB_{scenario}_lpb.wav", rng.integers(-900, 900, FRAMES + 7))
    write(folder / "-aB_nearend_singletalk_mic.wav", rng.integers(-900, 900, FRAMES))
    return folder


def imported(mixgen: RunMixgen, out: Path, *words: object) -> list[Mixture]:
    answer = mixgen("import", "aecchallenge", *words, "--out", out)
    assert answer.exit_code == 0, answer.err
    assert verify_set(out, deep=True) == []
    return read_manifest(out).mixtures


def test_the_synthetic_set(synthetic: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    mixtures = imported(mixgen, tmp_path / "M.jsonl", "--synthetic", synthetic)
    assert [(m.id, m.split) for m in mixtures] == [("fileid_0", "test"), ("fileid_1", "train")]
    first = mixtures[0]
    assert first.file_names == ["mixture", "near", "echo", "echo_far_end"]
    assert first.targets == ["near"]
    assert [(s.role, s.label) for s in first.sources] == [("target", "p0"), ("far_end", "q0")]
    assert first.sums_on_disk
    header = read_manifest(tmp_path / "M.jsonl").header
    assert header.task == "echo_cancellation"
    assert header.imported is not None
    assert list(header.imported.lists) == ["meta.csv"]


def test_real_pairs(real: Path, tmp_path: Path, mixgen: RunMixgen) -> None:
    """Near-end single talk and sweeps have none."""
    mixtures = imported(mixgen, tmp_path / "M.jsonl", "--real", real)
    names = {mixture.id: mixture.file_names for mixture in mixtures}
    assert names == {
        "-aB_doubletalk_with_movement": ["mixture", "echo_far_end"],
        "-aB_farend_singletalk": ["mixture", "echo", "echo_far_end"],
    }
    assert [mixture.targets for mixture in mixtures] == [[], []]
    assert [mixture.sums_on_disk for mixture in mixtures] == [False, True]
    rows = {(row.id, row.name): row for row in load_set(tmp_path / "M.jsonl").record}
    assert rows["-aB_farend_singletalk", "echo"].frames == FRAMES
    assert rows["-aB_farend_singletalk", "echo_far_end"].frames == FRAMES + 7


def test_rendering_keeps_the_length_of_the_far_end(
    real: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    imported(mixgen, tmp_path / "M.jsonl", "--real", real)
    out = tmp_path / "set"
    answer = mixgen("render", tmp_path / "M.jsonl", "--out", out, "--measure")
    assert answer.exit_code == 0, answer.err
    assert verify_set(out, deep=True) == []
    found = soundfile.info(out / "-aB_doubletalk_with_movement" / "echo_far_end.wav")
    assert found.frames == FRAMES + 7


def test_echo_cancellers_are_scored(
    synthetic: Path, real: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    """The microphone signal as it is has an ERLE of 0 dB; far ends are longer than it in `real`."""
    for word, folder in (("--synthetic", synthetic), ("--real", real)):
        manifest = tmp_path / f"{folder.name}.jsonl"
        imported(mixgen, manifest, word, folder)
        options = {"out": tmp_path / word, "metrics": ("si_sdr", "erle"), "workers": 1}
        result = run(sets=[manifest], systems=["mixture", "nlms"], **options)
        (row,) = (row for row in result.rows if row["model"] == "mixture")
        assert row["erle_db_mean"] == pytest.approx(0.0, abs=0.01)
        assert result.n_failed == 0


@pytest.mark.parametrize("frames", [FRAMES - 7, FRAMES + 7])
def test_far_ends_are_as_long_as_the_microphone(
    frames: int, tmp_path: Path, mixgen: RunMixgen
) -> None:
    """The end of a longer one is cut, and silence follows a shorter one."""
    far_end = np.random.default_rng(5).integers(-900, 900, frames)
    write(tmp_path / "real" / "a_doubletalk_mic.wav", np.ones(FRAMES, int))
    write(tmp_path / "real" / "a_doubletalk_lpb.wav", far_end)
    (mixture,) = imported(mixgen, tmp_path / "M.jsonl", "--real", tmp_path / "real")
    rendered = load_set(tmp_path / "M.jsonl")
    expected = np.zeros((1, FRAMES))
    expected[0, :frames] = far_end[:FRAMES] / 2**15
    assert np.array_equal(rendered.load_far_end(mixture.id), expected)
    in_memory = rendered_item(mixture, find_roots([rendered.path]), rendered.format)
    for item in (item_of_set(rendered, mixture), in_memory):
        assert item.far_end is not None
        assert np.array_equal(item.far_end, expected.astype(np.float32))


def test_what_is_missing_is_named(
    synthetic: Path, real: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    (synthetic / "echo_signal" / "echo_fileid_1.wav").unlink()
    (real / "-aB_farend_singletalk_lpb.wav").unlink()
    words = ("import", "aecchallenge", "--out", tmp_path / "M.jsonl")
    assert "no file of echo of fileid_1: restore it" in mixgen(*words, "--synthetic", synthetic).err
    answer = mixgen(*words, "--real", real, "--allow-missing")
    assert answer.out == f"1 mixtures in {tmp_path / 'M.jsonl'}, 1 left out.\n"
    assert mixgen(*words).exit_code == 2
    assert "has no mixtures" in mixgen(*words, "--real", tmp_path).err


def test_recordings_without_a_near_end_teach_nothing(
    real: Path, tmp_path: Path, mixgen: RunMixgen
) -> None:
    imported(mixgen, tmp_path / "M.jsonl", "--real", real)
    config = training_config(
        model="residual_echo:tiny", manifest=str(tmp_path / "M.jsonl"), split="test", steps=1
    )
    with pytest.raises(InputError, match="No mixture of the split 'test' has a target to learn"):
        train(config, tmp_path / "checkpoint")
