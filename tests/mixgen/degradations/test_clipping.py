"""Clipping: thresholds by the samples that they keep, shapes against their series."""

import numpy as np
import pytest

from mixgen.audio.read import Samples
from mixgen.degradations.clipping import Clipping
from tests.mixgen.degradations.conftest import Sine

RATE = 16000


@pytest.fixture
def noise() -> Samples:
    """Gaussian noise, its second channel a tenth of the first."""
    loud = np.random.RandomState(1).standard_normal(20000)
    return np.stack([loud, 0.1 * loud[::-1]])


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.99])
def test_a_quantile_keeps_that_share_of_the_samples(noise: Samples, quantile: float) -> None:
    clipped = Clipping(name="clipping", quantile=quantile).apply(noise, RATE)
    assert np.mean(clipped == noise) == pytest.approx(quantile, abs=1e-4)
    changed = clipped != noise
    np.testing.assert_allclose(np.abs(clipped[changed]), np.abs(clipped).max())


def test_all_channels_share_a_threshold(noise: Samples) -> None:
    clipped = Clipping(name="clipping", below_peak_db=12).apply(noise, RATE)
    assert np.any(clipped[0] != noise[0])
    np.testing.assert_array_equal(clipped[1], noise[1])


def test_pauses_do_not_lower_the_threshold() -> None:
    burst = np.random.RandomState(2).standard_normal((1, 1000))
    sparse = np.concatenate([np.zeros((1, 9000)), burst], axis=1)
    clipping = Clipping(name="clipping", quantile=0.8)
    clipped = clipping.apply(sparse, RATE)
    np.testing.assert_array_equal(clipped[:, 9000:], clipping.apply(burst, RATE))


def test_decibels_below_the_peak(noise: Samples) -> None:
    clipped = Clipping(name="clipping", below_peak_db=20).apply(noise, RATE)
    assert np.abs(clipped).max() == pytest.approx(0.1 * np.abs(noise).max(), rel=1e-12)


def test_nothing_is_clipped_at_the_peak(noise: Samples) -> None:
    for threshold in ({"quantile": 1.0}, {"below_peak_db": 0.0}):
        clipped = Clipping(name="clipping", **threshold).apply(noise, RATE)
        np.testing.assert_array_equal(clipped, noise)


@pytest.mark.parametrize("below_peak_db", [3.0, 6.0, 20.0])
def test_fundamental_of_a_clipped_sine(below_peak_db: float, sine: Sine) -> None:
    clipping = Clipping(name="clipping", below_peak_db=below_peak_db)
    clipped = clipping.apply(sine(10, RATE, amplitude=1.0), RATE)[0]
    fundamental = 2 * np.abs(np.fft.rfft(clipped)[10]) / RATE
    # The describing function of a saturation, from any textbook on nonlinear control.
    level = 10 ** (-below_peak_db / 20)
    expected = 2 / np.pi * (np.arcsin(level) + level * np.sqrt(1 - level**2))
    assert fundamental == pytest.approx(expected, rel=1e-4)


def test_soft_clipping_follows_the_series_of_tanh() -> None:
    samples = np.linspace(-1, 1, 20001)[np.newaxis]
    clipped = Clipping(name="clipping", below_peak_db=6, shape="soft").apply(samples, RATE)
    threshold = 10 ** (-6 / 20)
    assert np.all(np.diff(clipped) > 0)
    assert np.abs(clipped).max() < threshold
    quiet = np.abs(samples) < 0.05
    cubic = samples - samples**3 / (3 * threshold**2)
    np.testing.assert_allclose(clipped[quiet], cubic[quiet], atol=1e-6)
    # tanh(1) = 0.761594, where the sample is the threshold.
    at_threshold = np.interp(threshold, samples[0], clipped[0])
    assert at_threshold == pytest.approx(0.761594 * threshold, abs=1e-6)
