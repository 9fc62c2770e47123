"""Log-spectral and cepstral distances against closed forms and slow sums of their definitions."""

import math

import numpy as np
import pytest
from scipy import signal

from evalsuite.metrics.metric import ChannelPairFunction
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.spectral_distance import lsd_db, mel_bands, mfcc_distance
from tests.evalsuite.metrics.conftest import Array

RATES = (8_000, 16_000, 44_100)


def click(rate: int, level: float = 1.0) -> Array:
    """Make one frame that holds a click: its spectrum is flat."""
    samples = np.zeros(round(0.032 * rate))
    samples[len(samples) // 2] = level
    return samples


def pair(rate: int) -> tuple[Array, Array]:
    """Make 0.2 s of red noise with a pause, and the same with white noise."""
    random = np.random.default_rng(rate)
    samples = signal.lfilter([1.0], [1.0, -0.95], random.standard_normal(rate // 5))
    samples[rate // 20 : rate // 10] *= 1e-6
    return samples, samples + 0.3 * random.standard_normal(len(samples))


def frames_of(samples: Array, rate: int) -> list[Array]:
    """Cut into frames of 32 ms every 8 ms, times a periodic Hann window."""
    frame, hop = round(0.032 * rate), round(0.008 * rate)
    window = np.array([math.sin(math.pi * n / frame) ** 2 for n in range(frame)])
    return [samples[i : i + frame] * window for i in range(0, len(samples) - frame + 1, hop)]


@pytest.mark.parametrize(
    ("gain", "expected"), [(1.0, 0.0), (0.5, 6.0206), (10.0, 20.0), (1e-3, 50.0), (1e4, 80.0)]
)
@pytest.mark.parametrize("rate", RATES)
def test_lsd_of_a_gain_is_its_decibels_down_to_the_range(
    rate: int, gain: float, expected: float
) -> None:
    found = lsd_db(reference=click(rate), estimate=click(rate, gain), sample_rate=rate)
    assert found == pytest.approx(expected, abs=1e-5)


def test_lsd_is_a_mean_over_frames_of_roots_over_bins() -> None:
    """A click 30 dB down in one frame, and an equal one in another that does not overlap."""
    quiet = click(8_000, 10 ** (-30 / 20))
    loud, pause = click(8_000), np.zeros(256)
    reference = np.concatenate([loud, pause, loud])
    estimate = np.concatenate([quiet, pause, loud])
    # Frames begin every 64 samples: 0, 64 and -64 around the first click see it, at half height.
    found = lsd_db(reference=reference, estimate=estimate, sample_rate=8_000)
    seen = 2  # frames 0 and 64, whose window at the click is 1 and 1/2, both within 50 dB
    n_frames = 1 + (768 - 256) // 64
    assert found == pytest.approx(30.0 * seen / n_frames, abs=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_lsd_equals_its_definition(rate: int) -> None:
    reference, estimate = pair(rate)
    s, e = (
        [np.abs(np.fft.fft(frame)[: len(frame) // 2 + 1]) ** 2 for frame in frames_of(x, rate)]
        for x in (reference, estimate)
    )
    least = max(frame.max() for frame in s) / 1e5
    distances = []
    for own, other in zip(s, e, strict=True):
        squares = [
            (10 * math.log10(max(a, least) / max(b, least))) ** 2
            for a, b in zip(own, other, strict=True)
        ]
        distances.append(math.sqrt(sum(squares) / len(squares)))
    found = lsd_db(reference=reference, estimate=estimate, sample_rate=rate)
    assert found == pytest.approx(sum(distances) / len(distances), rel=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_mfcc_distance_equals_kubichek(rate: int) -> None:
    """10 / ln 10 sqrt(2 sum of squares) of cepstra that are sums of ln E, one after the other."""
    cepstra = []
    for samples in pair(rate):
        bands = [
            mel_bands(rate) @ np.abs(np.fft.rfft(frame)) ** 2 for frame in frames_of(samples, rate)
        ]
        least = max(frame.max() for frame in bands) / 1e5
        cepstra.append(
            [
                [
                    sum(
                        math.log(max(energy, least)) * math.cos(math.pi * d * (m + 0.5) / 40)
                        for m, energy in enumerate(frame)
                    )
                    / 40
                    for d in range(1, 14)
                ]
                for frame in bands
            ]
        )
    squares = np.square(np.subtract(*cepstra)).sum(axis=1)  # (n_frames,)
    expected = np.mean(10 / math.log(10) * np.sqrt(2 * squares))
    reference, estimate = pair(rate)
    found = mfcc_distance(reference=reference, estimate=estimate, sample_rate=rate)
    assert found == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rate", RATES)
def test_mel_bands_are_triangles_that_add_up_to_one(rate: int) -> None:
    bands = mel_bands(rate)
    bins_hz = np.arange(bands.shape[1]) * rate / round(0.032 * rate)
    mels = 2595 * np.log10(1 + np.array([0, rate / 2]) / 700)
    centres = 700 * (10 ** (np.linspace(*mels, 42)[1:-1] / 2595) - 1)
    between = (bins_hz >= centres[0]) & (bins_hz <= centres[-1])
    np.testing.assert_allclose(bands[:, between].sum(axis=0), 1.0, rtol=1e-12)
    assert (bands.sum(axis=1) > 0).all()  # no band falls between two bins
    np.testing.assert_allclose(bands[:, bins_hz == centres[5]], 0.0)  # no bin is at a centre


@pytest.mark.parametrize("gain", [-1.0, 0.1, 1e-160, 1e160])
def test_level_matters_to_lsd_alone(gain: float) -> None:
    reference, estimate = pair(16_000)
    signals = {"reference": reference, "sample_rate": 16_000}
    plain = mfcc_distance(**signals, estimate=estimate)
    assert mfcc_distance(**signals, estimate=gain * estimate) == pytest.approx(plain, rel=1e-9)
    if abs(gain) == 1:
        assert lsd_db(**signals, estimate=-reference) == 0.0
    else:
        assert lsd_db(**signals, estimate=gain * reference) > 5.0


@pytest.mark.parametrize("distance", [lsd_db, mfcc_distance])
def test_equal_signals_have_no_distance_at_any_level(distance: ChannelPairFunction) -> None:
    reference, _ = pair(16_000)
    for level in (1.0, 1e-160, 1e160):
        found = distance(
            reference=level * reference, estimate=level * reference, sample_rate=16_000
        )
        assert found == 0.0


@pytest.mark.parametrize("distance", [lsd_db, mfcc_distance])
def test_no_frame_and_silence_have_reasons(distance: ChannelPairFunction) -> None:
    samples = pair(8_000)[0][:1590]
    silent = np.zeros_like(samples)
    late = np.r_[silent[:-1], 1.0]  # sounds after the last whole frame

    def reason(reference: Array, estimate: Array) -> Reason:
        found = distance(reference=reference, estimate=estimate, sample_rate=8_000)
        assert isinstance(found, Missing)
        return found.reason

    assert reason(samples[:255], samples[:255]) is Reason.TOO_SHORT
    assert reason(silent, samples) is Reason.SILENT_REFERENCE
    assert reason(samples, silent) is Reason.SILENT_ESTIMATE
    assert reason(late, samples) is Reason.SILENT_REFERENCE
    assert reason(samples, late) is Reason.SILENT_ESTIMATE


@pytest.mark.parametrize("distance", [lsd_db, mfcc_distance])
def test_almost_silence_is_at_most_the_floor(distance: ChannelPairFunction) -> None:
    reference, _ = pair(16_000)
    found = distance(reference=reference, estimate=1e-12 * click_track(16_000), sample_rate=16_000)
    assert 5.0 < found <= 50.0


def click_track(rate: int) -> Array:
    samples = np.zeros(rate // 5)
    samples[:: rate // 100] = 1.0
    return samples
