"""Folders that other programs wrote: their layouts, what is paired, what is listed."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evalsuite.boards.leaderboard import rank
from evalsuite.scoring.pairing import pair_folders
from evalsuite.scoring.score import score_plan
from mixgen.core.errors import InputError, UsageError
from mixgen.sets.trees import read_tree
from tests.evalsuite.conftest import RATE

IDS = ("utt_1", "utt_2", "utt_3")
SAME = {"s1": "s1", "s2": "s2"}
FAST = ("si_sdr",)

LAYOUTS: dict[str, Callable[[str, str], str]] = {
    "id/source": lambda i, source: f"{i}/{source}.wav",
    "source/id": lambda i, source: f"{source}/{i}.flac",
    "id_source": lambda i, source: f"{i}_{source}.wav",
}


def write(path: Path, samples: NDArray[Any], rate: int = RATE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    subtype = "FLOAT" if path.suffix == ".wav" else "PCM_24"
    soundfile.write(path, samples.T, rate, subtype=subtype)


def source(mixture_id: str, name: str, channels: int = 1) -> NDArray[Any]:
    rng = np.random.default_rng([*mixture_id.encode(), *name.encode()])
    return 0.1 * rng.standard_normal((channels, RATE))


def write_references(
    folder: Path, layout: str, names: tuple[str, ...] = ("s1", "s2"), channels: int = 1
) -> Path:
    for i in IDS:
        for name in names:
            write(folder / LAYOUTS[layout](i, name), source(i, name, channels))
    return folder


def write_estimates(
    folder: Path, layout: str, name_of: dict[str, str], channels: int = 1, noise: float = 0.1
) -> Path:
    """Write noisy references, each under the name of its key."""
    for i in IDS:
        for name, own in name_of.items():
            noisy = source(i, own, channels) + noise * source(i, "noise", channels)
            write(folder / LAYOUTS[layout](i, name), noisy)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("layout_of_estimates", LAYOUTS)
def test_every_layout_is_understood(tmp_path: Path, layout: str, layout_of_estimates: str) -> None:
    """Estimates in another order than the references."""
    references = write_references(tmp_path / "refs", layout)
    name_of = {"est1": "s2", "est2": "s1"}
    estimates = write_estimates(tmp_path / "model", layout_of_estimates, name_of)
    pairing = pair_folders(references, estimates, metrics=FAST)
    assert read_tree(references).layout == layout
    assert pairing.unmatched == []
    assert pairing.summary.startswith("3 mixtures: references s1, s2")
    run = score_plan(pairing.plan, tmp_path / "scores")
    assert (run.model, run.set, run.counts.n, run.counts.n_failed) == ("model", "refs", 3, 0)
    (row,) = rank([tmp_path / "scores"])
    assert row["si_sdr_mean"] == pytest.approx(20.0, abs=0.5)
    assert row["si_sdri_mean"] is None


@pytest.mark.parametrize("flat", [True, False])
def test_mixtures_give_improvements(tmp_path: Path, flat: bool) -> None:
    references = write_references(tmp_path / "refs", "source/id")
    estimates = write_estimates(tmp_path / "model", "id/source", SAME)
    for i in IDS:
        path = tmp_path / "mixes" / (f"{i}.wav" if flat else f"{i}/mixture.wav")
        write(path, source(i, "s1") + source(i, "s2"))
    pairing = pair_folders(references, estimates, mixtures=tmp_path / "mixes", metrics=FAST)
    score_plan(pairing.plan, tmp_path / "scores")
    (row,) = rank([tmp_path / "scores"])
    assert row["si_sdri_mean"] == pytest.approx(20.0, abs=0.5)


def test_mixtures_among_the_references_are_found(tmp_path: Path) -> None:
    """As in LibriMix; they are no references."""
    references = write_references(tmp_path / "refs", "source/id", ("s1", "s2", "mix_clean"))
    estimates = write_estimates(tmp_path / "model", "source/id", SAME)
    pairing = pair_folders(references, estimates)
    assert "references s1, s2 (source/id)" in pairing.summary
    assert pairing.summary.endswith("with mixtures")


def test_stems_are_scored_by_their_names(tmp_path: Path) -> None:
    """Even if another order scored better; the metrics are those of music, in stereo."""
    references = write_references(tmp_path / "refs", "id/source", ("vocals", "drums"), 2)
    name_of = {"vocals": "drums", "drums": "vocals"}
    estimates = write_estimates(tmp_path / "model", "id/source", name_of, 2)
    pairing = pair_folders(references, estimates)
    assert pairing.plan.task == "music_separation"
    assert "by name" in pairing.summary
    score_plan(pairing.plan, tmp_path / "scores")
    (row,) = rank([tmp_path / "scores"])
    assert row["headline"] == "sdr_v4_med_median"
    assert row["si_sdr_mean"] < 0


def test_what_has_no_counterpart_is_listed(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", "id/source")
    estimates = write_estimates(tmp_path / "model", "id/source", SAME)
    shutil.rmtree(estimates / "utt_3")
    write(estimates / "utt_9" / "s1.wav", source("utt_9", "s1"))
    write(references / "stray.wav", source("stray", "s1"))
    pairing = pair_folders(references, estimates, metrics=FAST)
    assert pairing.unmatched == [
        f"{references / 'stray.wav'} fits no layout",
        "utt_3 has no estimate, and counts as failed",
        "utt_9 has estimates and no reference",
    ]
    assert score_plan(pairing.plan, tmp_path / "scores").counts.n_failed == 1


def test_two_folders_of_estimates_rank_together(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", "id/source")
    for name, noise in (("good", 0.1), ("bad", 0.5)):
        estimates = write_estimates(tmp_path / name, "source/id", SAME, noise=noise)
        pairing = pair_folders(references, estimates, metrics=FAST)
        score_plan(pairing.plan, tmp_path / f"{name}_scores")
    rows = rank([tmp_path / "bad_scores", tmp_path / "good_scores"])
    assert [(row["rank"], row["model"]) for row in rows] == [(1, "good"), (2, "bad")]


def test_bad_folders_are_sentences(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", "id/source")
    other = tmp_path / "other"
    write(other / "x" / "s1.wav", source("x", "s1"))
    write(other / "y" / "s1.wav", source("y", "s1"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no audio"):
        pair_folders(references, tmp_path / "empty")
    with pytest.raises(InputError, match=r"No estimate fits a reference.*utt_1.*x"):
        pair_folders(references, other)
    with pytest.raises(InputError, match="lacks 3 of 3 mixtures, such as utt_1"):
        pair_folders(references, references, mixtures=other)
    with pytest.raises(UsageError, match="no source 's3'; there are s1, s2"):
        pair_folders(references, references, sources=["s3"])
    with pytest.raises(UsageError, match="layout"):
        pair_folders(references, references, layout="ids")
    with pytest.raises(InputError, match="is not a folder"):
        pair_folders(tmp_path / "nowhere", references)
    for a, b in ("ac", "ad", "bc", "bd"):
        write(tmp_path / "square" / a / f"{b}.wav", source(a, b))
    with pytest.raises(InputError, match="--layout"):
        pair_folders(tmp_path / "square", references)


def test_files_of_two_sizes_or_rates_are_a_sentence(tmp_path: Path) -> None:
    references = write_references(tmp_path / "refs", "id/source")
    write(references / "utt_2" / "s2.wav", source("utt_2", "s2")[:, :-1])
    with pytest.raises(InputError, match=r"utt_2/s2.wav has 1 channels of 7999 samples"):
        score_plan(pair_folders(references, references).plan, tmp_path / "scores")
    write(references / "utt_2" / "s2.wav", source("utt_2", "s2"), 2 * RATE)
    with pytest.raises(InputError, match="16000 Hz"):
        score_plan(pair_folders(references, references).plan, tmp_path / "scores")
