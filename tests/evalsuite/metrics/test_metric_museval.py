"""SDR of BSS Eval v4 against museval, and the effect of the strict rule."""

from collections.abc import Mapping

import numpy as np
import pytest

from evalsuite.metrics import evaluate
from tests.evalsuite.metrics.conftest import Array, Pair

RATE = 4000
COMPAT, STRICT = "sdr_v4_med", "sdr_v4_strict_med"


@pytest.fixture
def song() -> Pair:
    """References and estimates (2, 2, time), 6.5 s: two stereo stems and a poor separation."""
    rng = np.random.default_rng(11)
    references = rng.standard_normal((2, 2, int(6.5 * RATE))) * np.array([0.1, 0.05])[:, None, None]
    estimates = (
        references + 0.3 * references.sum(axis=0) + 0.02 * rng.standard_normal(references.shape)
    )
    return references, estimates


def score(references: Array, estimates: Array) -> list[Mapping[str, float | None]]:
    scores = evaluate(
        references=references,
        estimates=list(estimates),
        mixture=references.sum(axis=0),
        sample_rate=RATE,
        names=["vocals", "drums"],
        metrics=["sdr_v4"],
    )
    return [reference.values for reference in scores.references]


def museval_frames(references: Array, estimates: Array) -> Array:
    """Return the SDR of museval, (n_src, n_frames); its arrays are (n_src, time, channels)."""
    oracle = pytest.importorskip("museval", reason="museval is the oracle here")
    swapped = [np.moveaxis(samples, 1, 2) for samples in (references, estimates)]
    return np.asarray(oracle.evaluate(*swapped, win=RATE, hop=RATE)[0])


def test_equals_museval(song: Pair) -> None:
    frames = museval_frames(*song)
    assert frames.shape == (2, 6)  # the last half second is dropped
    ours = score(*song)
    np.testing.assert_allclose([s[COMPAT] for s in ours], np.nanmedian(frames, axis=1), atol=1e-9)
    np.testing.assert_allclose([s[STRICT] for s in ours], np.nanmedian(frames, axis=1), atol=1e-9)


def test_equals_museval_on_silent_perfect_and_cancelling_frames(song: Pair) -> None:
    references, estimates = song
    references[0, :, :RATE] = 0.0  # a silent reference
    references[1, 0, RATE : 2 * RATE] = -references[1, 1, RATE : 2 * RATE]  # left = -right
    estimates[0, :, 2 * RATE : 3 * RATE] = 0.0  # a silent estimate
    estimates[1, :, 3 * RATE : 4 * RATE] = references[1, :, 3 * RATE : 4 * RATE]  # perfect
    frames = museval_frames(references, estimates)
    ours = score(references, estimates)
    np.testing.assert_allclose([s[COMPAT] for s in ours], np.nanmedian(frames, axis=1), atol=1e-9)
    n_nan = np.isnan(frames).sum(axis=1)
    assert [s["sdr_v4_n_nan"] for s in ours] == n_nan.tolist() == [3, 3]
    assert [s["sdr_v4_n_frames"] for s in ours] == [6, 6]
    assert [s["sdr_v4_n_active"] for s in ours] == [5, 6]


def test_less_than_a_window_is_one_frame(song: Pair) -> None:
    short = [samples[..., : RATE // 2] for samples in song]
    np.testing.assert_allclose(
        [s[COMPAT] for s in score(*short)], np.nanmedian(museval_frames(*short), axis=1), atol=1e-9
    )


def test_silencing_bad_frames_raises_the_museval_score_only(song: Pair) -> None:
    references, estimates = song
    estimates[:, :, : 4 * RATE] += 1.0  # four bad frames of six
    plain = score(references, estimates)
    estimates[1, :, : 4 * RATE] = 0.0
    silenced = score(references, estimates)
    assert silenced[0][COMPAT] > plain[0][COMPAT] + 10.0
    assert [s[STRICT] for s in silenced] == [s[STRICT] for s in plain] == [0.0, 0.0]


def test_a_silent_stem_has_reasons_and_a_leakage(song: Pair) -> None:
    references, estimates = song
    references[0] = 0.0
    estimates[0] = 0.1 * references[1]
    scores = evaluate(
        references=references,
        estimates=list(estimates),
        mixture=references.sum(axis=0),
        sample_rate=RATE,
        names=["vocals", "drums"],
        task="music_separation",
    )
    assert scores.references[0].reasons[STRICT] == "silent_reference"
    assert scores.references[0].values["leak_db"] == pytest.approx(-20.0)
    assert scores.references[0].reasons[COMPAT] == "silent_reference"
    frames = museval_frames(references[1:], estimates[1:])
    assert scores.references[1].values[COMPAT] == pytest.approx(np.nanmedian(frames), abs=1e-9)
    assert scores.references[1].values[STRICT] is not None
    assert not scores.references[1].failures


def test_frames_far_below_the_loudest_are_silent_for_the_strict_score(song: Pair) -> None:
    references, estimates = song
    references[0, :, : 4 * RATE] *= 1e-4  # 80 dB down in four frames of six
    ours = score(references, estimates)
    assert ours[0]["sdr_v4_n_active"] == 2
    frames = museval_frames(references, estimates)
    assert ours[0][STRICT] == pytest.approx(np.median(frames[0, 4:]), abs=1e-9)


def test_the_strict_score_counts_no_frame_as_worse_than_silence(song: Pair) -> None:
    references, estimates = song
    estimates[0, :, : 2 * RATE] += 1.0
    plain = score(references, estimates)[0][STRICT]
    estimates[0, :, : 2 * RATE] = 0.0
    assert score(references, estimates)[0][STRICT] == plain


def test_a_hopeless_estimate_is_not_perfect(song: Pair) -> None:
    references, estimates = song
    estimates[0] *= 1e200
    scores = score(references, estimates)
    assert scores[0][COMPAT] is None
    assert scores[0][STRICT] == 0.0
