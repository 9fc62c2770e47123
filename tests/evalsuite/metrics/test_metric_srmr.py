"""SRMR against torchmetrics and its gammatone filters, and what reverberation does to it."""

import numpy as np
import pytest
from scipy import signal

from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.srmr import _centres_hz, _gammatone_filters, modulation_energy, srmr
from tests.evalsuite.metrics.conftest import Array

# Centre in Hz of the highest, middle and lowest filter of gammatone 1.0.3 (`centre_freqs`).
GAMMATONE_HZ = {
    8_000: (3567.603041763351, 930.1769983335321, 125.0),
    16_000: (6947.845076303745, 1364.6992753111936, 125.0),
}

# Of its `make_erb_filters`, for the highest and the lowest filter: the zeros, and the two last
# coefficients of the denominator that all four sections have.
GAMMATONE_FILTERS = {
    8_000: {
        0: (
            (0.09990377644450542, 1.258594332726397, 0.5798491194500909, 0.7786489897208114),
            (1.3584981091709023, 0.5189661612234163),
        ),
        22: (
            (-1.194736688113386, -0.7357152199402603, -1.0046037705756672, -0.925848137477979),
            (-1.9304519080536466, 0.9406987739098422),
        ),
    },
    16_000: {
        0: (
            (-0.03925200520126506, 1.3827292225567815, 0.549751904776063, 0.7937253125794536),
            (1.3434772173555167, 0.5379641598804756),
        ),
        22: (
            (-1.1003100213600667, -0.866983664743612, -1.0036630799904298, -0.9636306061132488),
            (-1.9672936861036787, 0.9698962696648762),
        ),
    },
}

# What `speech_reverberation_modulation_energy_ratio` of torchmetrics 1.9.0 (gammatone 1.0.3,
# torchaudio 2.11.0) gives for `modulated(rate, frames, low_hz)` in float64.
TORCHMETRICS = {
    (8_000, 2_048, None): 1.7028998632998664,
    (8_000, 2_048, 300): 4.101564286401469,
    (8_000, 8_000, None): 2.212485687134791,
    (8_000, 8_000, 300): 3.2961918933196337,
    (8_000, 20_001, None): 2.2605611273397344,
    (8_000, 20_001, 150): 4.84141161962071,
    (8_000, 20_001, 500): 3.1063815735692124,
    (16_000, 4_096, None): 2.1515710554838297,
    (16_000, 4_096, 300): 3.6828787020347264,
    (16_000, 16_000, None): 2.5675072946792077,
    (16_000, 16_000, 300): 5.008740034911188,
    (16_000, 40_007, None): 2.814793711519959,
    (16_000, 40_007, 150): 4.497129612016466,
    (16_000, 40_007, 500): 3.1122819617016284,
}


def modulated(rate: int, frames: int, low_hz: float | None = None) -> Array:
    """Make noise with syllables at 4 Hz; below `low_hz` six or seven modulation bands count."""
    noise = np.random.default_rng(frames).standard_normal(frames)
    samples = 0.1 * noise * (1 + np.sin(2 * np.pi * 4 * np.arange(frames) / rate))
    return (
        samples if low_hz is None else signal.lfilter(*signal.butter(4, low_hz, fs=rate), samples)
    )


@pytest.mark.parametrize(("rate", "frames", "low_hz"), TORCHMETRICS)
def test_equals_torchmetrics(rate: int, frames: int, low_hz: float | None) -> None:
    found = srmr(estimate=modulated(rate, frames, low_hz), sample_rate=rate)
    assert found == pytest.approx(TORCHMETRICS[rate, frames, low_hz], rel=1e-9)


@pytest.mark.parametrize("rate", GAMMATONE_HZ)
def test_the_gammatone_filters_are_those_of_the_package(rate: int) -> None:
    assert _centres_hz(rate)[[0, 11, 22]] == pytest.approx(GAMMATONE_HZ[rate], rel=1e-12)
    for number, (zeros, poles) in GAMMATONE_FILTERS[rate].items():
        sections = _gammatone_filters(rate)[number]
        assert sections[:, 1] / sections[:, 0] == pytest.approx(zeros, rel=1e-9)
        for section in sections:
            assert section[4:] == pytest.approx(poles, rel=1e-12)
        _, response = signal.sosfreqz(sections, _centres_hz(rate)[[number]], fs=rate)
        assert np.abs(response) == pytest.approx(1.0)


def test_the_energy_is_at_the_rate_of_the_syllables() -> None:
    """A tone of 1 kHz whose level changes 18 times a second: the fourth band, at 17.7 Hz."""
    time_s = np.arange(32_000) / 16_000
    tone = (1 + np.sin(2 * np.pi * 17.67 * time_s)) * np.sin(2 * np.pi * 1000 * time_s)
    energy = modulation_energy(tone, 16_000)
    assert np.argmax(energy.sum(axis=0)) == 3
    assert abs(_centres_hz(16_000)[np.argmax(energy.sum(axis=1))] - 1000) < 120


def test_reverberation_lowers_it() -> None:
    random = np.random.default_rng(5)
    dry = modulated(16_000, 32_000)
    decay = np.exp(-6.9 * np.arange(8_000) / 8_000) * random.standard_normal(8_000)
    wet = signal.fftconvolve(dry, decay)[:32_000]
    clean, reverberant = (srmr(estimate=samples, sample_rate=16_000) for samples in (dry, wet))
    assert isinstance(clean, float)
    assert isinstance(reverberant, float)
    assert reverberant < 0.7 * clean


@pytest.mark.parametrize(("rate", "low"), [(44_100, 16_000), (11_025, 8_000)])
def test_other_rates_are_resampled_down(rate: int, low: int) -> None:
    samples = signal.resample_poly(modulated(low, 2 * low, 500), rate, low)
    plain = srmr(estimate=modulated(low, 2 * low, 500), sample_rate=low)
    assert srmr(estimate=samples, sample_rate=rate) == pytest.approx(plain, rel=0.01)


def test_silence_and_less_than_a_frame_have_reasons() -> None:
    samples = modulated(8_000, 4_000)

    def reason(estimate: Array) -> Reason:
        found = srmr(estimate=estimate, sample_rate=8_000)
        assert isinstance(found, Missing)
        return found.reason

    assert reason(0.0 * samples) is Reason.SILENT_ESTIMATE
    assert reason(samples[:2047]) is Reason.TOO_SHORT
