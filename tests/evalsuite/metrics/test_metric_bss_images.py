"""BSS Eval images against MATLAB's stored scores and museval."""

import json
from pathlib import Path

import numpy as np
import pytest

from evalsuite.metrics import ItemScores
from evalsuite.metrics.bss_images import COLUMNS
from evalsuite.metrics.projection import DelaySpans
from tests.evalsuite.metrics.conftest import Array, Pair, read_folder, score_song

KEYS = ("Source to Distortion", "Image to Spatial", "Source to Interference", "Source to Artifact")


def columns(scores: ItemScores, names: tuple[str, ...]) -> Array:
    """Return columns as (n_columns, n_src), NaN for a missing value."""
    return np.array([[r.values[name] for r in scores.references] for name in names], float)


def stacked(mono: Array, n_channels: int, gain: float = 1.0, *, reverse: bool = False) -> Array:
    """Make (n_src, channels, time) of (n_src, time) as the authors of the vectors did."""
    channels = [mono] + [gain * mono] * (n_channels - 1)
    return np.stack(channels[::-1] if reverse else channels, axis=1)


@pytest.mark.parametrize("number", ["01", "02", "03"])
def test_equals_matlab(real_data: Path, number: str) -> None:
    """The whole signals through the metric, the frames through its projections."""
    folder = real_data / "metrics" / "mir_eval-separation"
    stored = json.loads((folder / f"output{number}.json").read_text())
    mono, mono_estimates = (read_folder(folder / f"{name}{number}") for name in ("ref", "est"))
    whole = stored["Images"]
    references = stacked(mono, whole["nchan"])
    estimates = stacked(mono_estimates, whole["nchan"], whole["gain"], reverse=whole["reverse"])
    found = columns(
        score_song(references, estimates[whole["Source permutation"]], "images"), COLUMNS
    )
    np.testing.assert_allclose(found, [whole[key] for key in KEYS], atol=1e-6)

    framewise = stored["Images Framewise"]
    expected = np.array([framewise[key] for key in KEYS])  # (ratio, n_src, n_frames)
    for frame in range(expected.shape[-1]):
        start = frame * framewise["hop"]
        window = slice(start, start + framewise["win"])
        order = [int(row[frame]) for row in framewise["Source permutation"]]
        here = dict(enumerate(estimates[order][..., window]))
        energies = DelaySpans(references[..., window]).energies(here).values()
        ratios = [
            [e.reference / e.estimate_minus_reference for e in energies],
            [e.reference / e.own_minus_reference for e in energies],
            [e.own / e.every_minus_own for e in energies],
            [e.every / e.estimate_minus_every for e in energies],
        ]
        # The frames of set 02 have little more samples than taps, and equal channels.
        np.testing.assert_allclose(10 * np.log10(ratios), expected[..., frame], atol=3e-6)


def test_whole_item_equals_museval(stereo_song: Pair) -> None:
    oracle = pytest.importorskip("museval.metrics", reason="museval is the oracle here")
    swapped = [np.moveaxis(samples, 1, 2) for samples in stereo_song]
    theirs = oracle.bss_eval(*swapped, window=np.inf, hop=np.inf)[:4]
    found = columns(score_song(*stereo_song, "images"), COLUMNS)
    np.testing.assert_allclose(found, np.array(theirs)[..., 0], atol=1e-6)


def test_silent_and_short_references_have_reasons(stereo_song: Pair) -> None:
    references, estimates = stereo_song
    references[0] = 0.0
    silent = score_song(references, estimates, "images").references
    assert silent[0].reasons["isr_img"] == "silent_reference"
    assert silent[1].reasons["sir_img"] == "one_reference"
    short = score_song(references[1:, :, :500], estimates[1:, :, :500], "images").references[0]
    assert short.reasons["sdr_img"].startswith("too_short")


def test_a_perfect_estimate_is_perfect(stereo_song: Pair) -> None:
    references, _ = stereo_song
    reasons = score_song(references, references, "images").references[0].reasons
    assert {reasons[column] for column in COLUMNS} == {"perfect"}
