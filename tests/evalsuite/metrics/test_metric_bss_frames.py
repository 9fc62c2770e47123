"""BSS Eval by frames against MATLAB's stored scores, mir_eval and museval, and the strict rule."""

import json
import warnings
from pathlib import Path

import numpy as np
import pytest

from evalsuite.metrics import ItemScores
from evalsuite.metrics.projection import DelaySpans
from tests.evalsuite.metrics.conftest import SONG_RATE, Array, Pair, read_folder, score_song

METRICS = {
    "bss512_frames": ("sdr_bss512", "sir_bss512", "sar_bss512"),
    "images_v3": ("isr_v3", "sir_v3", "sar_v3"),
    "images_v4": ("isr_v4", "sir_v4", "sar_v4"),
}
ALL = pytest.mark.parametrize("metric", METRICS)


def medians(scores: ItemScores, metric: str, rule: str = "_med") -> Array:
    """Return the three columns of a rule as (3, n_src), NaN for a missing value."""
    names = [ratio + rule for ratio in METRICS[metric]]
    return np.array([[r.values[name] for r in scores.references] for name in names], float)


@pytest.mark.parametrize("number", ["01", "02", "03"])
def test_sources_in_frames_equal_matlab(real_data: Path, number: str) -> None:
    """Frames of MATLAB's length through the projections that the metric uses."""
    folder = real_data / "metrics" / "mir_eval-separation"
    stored = json.loads((folder / f"output{number}.json").read_text())["Framewise"]
    references, estimates = (read_folder(folder / f"{name}{number}") for name in ("ref", "est"))
    names = ("Distortion", "Interference", "Artifact")
    expected = np.array([stored[f"Source to {name}"] for name in names])  # (3, n_src, n_frames)
    for frame in range(expected.shape[-1]):
        start = frame * stored["hop"]
        window = slice(start, start + stored["win"])
        order = [int(row[frame]) for row in stored["Source permutation"]]
        here = dict(enumerate(estimates[order, None, window]))
        energies = DelaySpans(references[:, None, window]).energies(here).values()
        ratios = [
            [e.own / e.estimate_minus_own for e in energies],
            [e.own / e.every_minus_own for e in energies],
            [e.every / e.estimate_minus_every for e in energies],
        ]
        np.testing.assert_allclose(10 * np.log10(ratios), expected[..., frame], atol=1e-6)


def test_sources_in_frames_equal_mir_eval(stereo_song: Pair) -> None:
    oracle = pytest.importorskip("mir_eval.separation", reason="mir_eval is the oracle here")
    mono = [samples[:, :1] for samples in stereo_song]
    mono[0][1, :, :SONG_RATE] = 0.0  # a silent reference
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = oracle.bss_eval_sources_framewise(
            mono[0][:, 0], mono[1][:, 0], SONG_RATE, SONG_RATE
        )
    found = medians(score_song(*mono, "bss512_frames"), "bss512_frames")
    np.testing.assert_allclose(found, np.nanmedian(theirs[:3], axis=-1), atol=1e-6)


@pytest.mark.parametrize("version", [3, 4])
def test_images_in_frames_equal_museval(stereo_song: Pair, version: int) -> None:
    oracle = pytest.importorskip("museval", reason="museval is the oracle here")
    references, estimates = stereo_song
    references[1, :, :SONG_RATE] = 0.0  # a silent reference
    estimates[0, :, SONG_RATE : 2 * SONG_RATE] = 0.0  # a silent estimate
    swapped = [np.moveaxis(samples, 1, 2) for samples in stereo_song]
    theirs = oracle.evaluate(*swapped, win=SONG_RATE, hop=SONG_RATE, mode=f"v{version}")
    metric = f"images_v{version}"
    found = medians(score_song(references, estimates, metric), metric)
    np.testing.assert_allclose(found, np.nanmedian(theirs[1:4], axis=-1), atol=1e-6)


@ALL
def test_silencing_bad_frames_raises_no_strict_score(stereo_song: Pair, metric: str) -> None:
    references, estimates = stereo_song
    estimates[:, :, : 3 * SONG_RATE] += np.random.default_rng(1).standard_normal(
        (2, 2, 3 * SONG_RATE)
    )
    plain = medians(score_song(references, estimates, metric), metric, "_strict_med")
    estimates[1, :, : 3 * SONG_RATE] = 0.0
    silenced = medians(score_song(references, estimates, metric), metric, "_strict_med")
    assert (silenced[:, 1] < plain[:, 1]).all()


@ALL
def test_one_reference_has_no_interference_and_a_perfect_one_is_perfect(
    stereo_song: Pair, metric: str
) -> None:
    references, estimates = stereo_song
    alone = score_song(references[:1], estimates[:1], metric).references[0]
    assert {c: r for c, r in alone.reasons.items() if "sir" in c} == {
        METRICS[metric][1] + rule: "one_reference" for rule in ("_med", "_strict_med")
    }
    perfect = score_song(references, references, metric).references[0]
    assert set(perfect.reasons.values()) == {"perfect"}
    assert len(perfect.reasons) == 6
