"""The loudness difference against pyloudnorm and against gains."""

import numpy as np
import pyloudnorm
import pytest

from evalsuite.metrics.loudness import loudness_diff_lu
from evalsuite.metrics.outcome import Missing, Reason
from tests.evalsuite.metrics.conftest import Array

RATES = (8_000, 16_000, 44_100, 48_000)


def noise(rate: int, channels: int, seed: int) -> Array:
    """Make 3 s of noise whose last second is 30 dB below the rest: the relative gate drops it."""
    samples = 0.1 * np.random.default_rng(seed).standard_normal((channels, 3 * rate))
    samples[:, 2 * rate :] *= 10 ** (-30 / 20)
    return samples


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", RATES)
def test_equals_the_difference_of_pyloudnorm(rate: int, channels: int) -> None:
    reference, estimate = (
        noise(rate, channels, 0),
        0.3 * np.cumsum(noise(rate, channels, 1), axis=1),
    )
    meter = pyloudnorm.Meter(rate)
    expected = meter.integrated_loudness(estimate.T) - meter.integrated_loudness(reference.T)
    found = loudness_diff_lu(reference=reference, estimate=estimate, sample_rate=rate)
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("gain", [1.0, -0.5, 2.0, 100.0, 1e160])
def test_a_gain_is_its_decibels(gain: float) -> None:
    reference = noise(16_000, 2, 0)
    found = loudness_diff_lu(reference=reference, estimate=gain * reference, sample_rate=16_000)
    assert found == pytest.approx(20 * np.log10(abs(gain)), abs=1e-9)


def test_a_sine_in_two_channels_is_3_lu_louder_than_in_one() -> None:
    sine = 0.1 * np.sin(2 * np.pi * 1000 * np.arange(48_000) / 48_000)
    one, two = np.stack([sine, np.zeros_like(sine)]), np.stack([sine, sine])
    found = loudness_diff_lu(reference=one, estimate=two, sample_rate=48_000)
    assert found == pytest.approx(10 * np.log10(2.0), abs=1e-9)


@pytest.mark.parametrize("level", [0.0, 1e-5, 1e-160])
def test_what_the_absolute_gate_drops_is_silent(level: float) -> None:
    loud = noise(8_000, 1, 0)
    faint = loudness_diff_lu(reference=loud, estimate=level * loud, sample_rate=8_000)
    assert isinstance(faint, Missing)
    assert faint.reason is Reason.SILENT_ESTIMATE
    absent = loudness_diff_lu(reference=level * loud, estimate=loud, sample_rate=8_000)
    assert isinstance(absent, Missing)
    assert absent.reason is Reason.SILENT_REFERENCE


def test_less_than_a_block_is_too_short() -> None:
    samples = noise(8_000, 1, 0)[:, :3199]
    found = loudness_diff_lu(reference=samples, estimate=samples, sample_rate=8_000)
    assert str(found) == "too_short: less than one block of 0.4 s"
