"""STOI and ESTOI against pystoi and its values for a public pair."""

from fractions import Fraction

import numpy as np
import pytest
from scipy import signal

from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.stoi import octave_lowpass, stoi, to_10_khz
from tests.evalsuite.metrics.conftest import Array, Pair

RATES = (8_000, 10_000, 16_000, 44_100, 48_000)


def test_published_pair(noisy_speech: Pair) -> None:
    """The test of torchmetrics expects 0.6739177 for this pair."""
    clean, noisy = noisy_speech
    scores = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert scores["stoi"] == pytest.approx(0.6739177, abs=1e-7)
    assert scores["estoi"] == pytest.approx(0.3904499910, abs=1e-9)


@pytest.mark.parametrize("sample_rate", RATES)
def test_equals_pystoi(sample_rate: int, noisy_speech: Pair, talkers: Array) -> None:
    oracle = pytest.importorskip("pystoi", reason="pystoi is the oracle here")
    longer = np.tile(talkers, 4)  # enough frames at the highest rate
    for clean, noisy in (noisy_speech, (longer[0, 0], longer.sum(axis=0)[0])):
        ours = stoi(reference=clean, estimate=noisy, sample_rate=sample_rate)
        assert ours["stoi"] == pytest.approx(oracle.stoi(clean, noisy, sample_rate), abs=1e-9)
        theirs = oracle.stoi(clean, noisy, sample_rate, extended=True)
        assert ours["estoi"] == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("sample_rate", [8_000, 16_000, 44_100, 48_000, 9_973])
def test_resampling_equals_that_of_scipy(sample_rate: int) -> None:
    samples = np.random.default_rng(0).standard_normal((2, 1_234))
    ratio = Fraction(10_000, sample_rate)
    up, down = ratio.numerator, ratio.denominator
    kernel = octave_lowpass(up, down)
    theirs = signal.resample_poly(samples, up, down, axis=-1, window=kernel)
    np.testing.assert_allclose(to_10_khz(samples, sample_rate), theirs, atol=1e-13)


def test_pauses_are_excluded_as_in_pystoi(noisy_speech: Pair) -> None:
    oracle = pytest.importorskip("pystoi", reason="pystoi is the oracle here")
    clean, noisy = (samples.copy() for samples in noisy_speech)
    clean[8_000:24_000] = 0.0
    ours = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert ours["stoi"] == pytest.approx(oracle.stoi(clean, noisy, 16_000), abs=1e-9)
    theirs = oracle.stoi(clean, noisy, 16_000, extended=True)
    assert ours["estoi"] == pytest.approx(theirs, abs=1e-9)


def test_the_random_state_of_numpy_stays_the_same(noisy_speech: Pair) -> None:
    clean, noisy = noisy_speech
    state = np.random.get_state()[1].copy()
    first = stoi(reference=clean, estimate=noisy, sample_rate=16_000)
    assert stoi(reference=clean, estimate=noisy, sample_rate=16_000) == first
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_identity_is_one_at_any_level(talkers: Array) -> None:
    speech = talkers[0, 0]
    for gain in (1.0, 0.01):
        scores = stoi(reference=speech, estimate=gain * speech, sample_rate=16_000)
        assert scores["stoi"] == pytest.approx(1.0, abs=1e-6)
        assert scores["estoi"] == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize(
    ("length", "enough"), [(4097, True), (4096, False), (100, False), (1, False)]
)
def test_thirty_frames_are_needed(length: int, enough: bool) -> None:
    """31 frames of 256 samples every 128, and one sample; pystoi returns 1e-5 for less."""
    rng = np.random.default_rng(0)
    speech = rng.standard_normal(length)
    scores = stoi(reference=speech, estimate=speech, sample_rate=10_000)
    for value in scores.values():
        if enough:
            assert value == pytest.approx(1.0)
        else:
            assert isinstance(value, Missing)
            assert value.reason is Reason.TOO_SHORT


def test_silence_is_a_reason(talkers: Array) -> None:
    speech, silence = talkers[0, 0], np.zeros(talkers.shape[-1])
    missing = stoi(reference=silence, estimate=speech, sample_rate=16_000)
    assert set(missing.values()) == {Missing(Reason.SILENT_REFERENCE)}
    missing = stoi(reference=speech, estimate=silence, sample_rate=16_000)
    assert set(missing.values()) == {Missing(Reason.SILENT_ESTIMATE)}
