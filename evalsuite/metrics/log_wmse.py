"""logWMSE: the logarithm of an error that is weighted like the ear, for silent references too.

I. Jordal, https://github.com/nomonosound/log-wmse-audio-quality (2023); its weighting follows
S. Fenton and H. Lee, "A Perceptual Model of 'Punch' in Musical Signals", AES 2017. The filter is
computed here from the parameters that are published there: shelf and peak are those of
R. Bristow-Johnson's cookbook, the high-pass and low-pass are Butterworth filters.
"""

import math
from functools import cache

import numpy as np
from scipy import fft, signal

from evalsuite.metrics.item import Array, ScoringItem, full_scale, peak_exponent
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.si_sdr import energy
from mixgen.audio.read import resample

SAMPLE_RATE = 44_100
N_FFT, TAPS = 8192, 4000
SHELF_HZ, SHELF_DB, SHELF_Q = 1500.0, 5.0, 1.0 / math.sqrt(2.0)
PEAK_HZ, PEAK_DB, PEAK_Q = 500.0, 2.5, 1.5 / math.sqrt(2.0)
HIGH_PASS_HZ, HIGH_PASS_ORDER = 120.0, 2
LOW_PASS_HZ, LOW_PASS_ORDER = 10_000.0, 1  # forwards and backwards

# Of the weighted error, against a weighted mixture of 0 dB: what nobody hears.
TOLERANCE_DB = -68.0
EPSILON = 1e-8
FACTOR = -4.0


def log_wmse(*, reference: Array, estimate: Array, mixture: Array, sample_rate: int) -> Score:
    """Return the logWMSE of one channel: -4 ln(mean of d² + 1e-8), at most 73.68.

    d is the weighted error over the rms of the weighted mixture, and 0 below -68 dB. A perfect
    estimate has a value, and so has an estimate of a silent reference.

    Args:
        reference: shape (time,).
        estimate: shape (time,).
        mixture: shape (time,).
        sample_rate: in Hz; rates other than 44.1 kHz are resampled to it.
    """
    if reference.any() and not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    error = estimate - reference
    x, d = (weighted(full_scale(samples)[0], sample_rate) for samples in (mixture, error))
    if not x.any():
        return Missing(Reason.NOT_APPLICABLE, "the mixture is silent")
    mixture_rms = math.sqrt(energy(x) / x.size)
    doublings = peak_exponent(error) - peak_exponent(mixture)
    lowest = np.ldexp(mixture_rms * 10.0 ** (TOLERANCE_DB / 20.0), -doublings)
    audible = energy(d[np.abs(d) >= lowest]) / d.size
    if audible == 0.0:
        return FACTOR * math.log(EPSILON)
    log_error = math.log(audible) + 2.0 * (doublings * math.log(2.0) - math.log(mixture_rms))
    return FACTOR * float(np.logaddexp(log_error, math.log(EPSILON)))


def weighted(samples: Array, sample_rate: int) -> Array:
    """Filter (time,) samples of any rate with the weighting; returns (time at 44.1 kHz,)."""
    (resampled,) = resample(samples[None], sample_rate, SAMPLE_RATE)
    filtered: Array = signal.oaconvolve(resampled, impulse_response(), "same")
    return filtered


@cache
def impulse_response() -> Array:
    """Return the taps of the weighting, (TAPS,): its magnitudes without phase, peak at TAPS / 2."""
    # The original samples the response at pi k / 4097 and takes it for that at 2 pi k / 8192.
    angles = np.pi * np.arange(N_FFT // 2 + 1) / (N_FFT // 2 + 1)
    low = signal.butter(LOW_PASS_ORDER, LOW_PASS_HZ, "lowpass", fs=SAMPLE_RATE)
    high = signal.butter(HIGH_PASS_ORDER, HIGH_PASS_HZ, "highpass", fs=SAMPLE_RATE)
    response = np.ones(len(angles))
    for b, a in (_high_shelf(), _peak(), high, low, low):
        response *= np.abs(signal.freqz(b, a, worN=angles)[1])
    taps = fft.fftshift(fft.irfft(response, N_FFT))
    first = N_FFT // 2 + 1 - TAPS // 2
    return np.asarray(taps[first : first + TAPS])


def _high_shelf() -> tuple[Array, Array]:
    gain, cosine, alpha = _cookbook(SHELF_HZ, SHELF_DB, SHELF_Q)
    plus, minus, slope = gain + 1.0, gain - 1.0, 2.0 * math.sqrt(gain) * alpha
    b = gain * np.array(
        [
            plus + minus * cosine + slope,
            -2.0 * (minus + plus * cosine),
            plus + minus * cosine - slope,
        ]
    )
    a = np.array(
        [
            plus - minus * cosine + slope,
            2.0 * (minus - plus * cosine),
            plus - minus * cosine - slope,
        ]
    )
    return b, a


def _peak() -> tuple[Array, Array]:
    gain, cosine, alpha = _cookbook(PEAK_HZ, PEAK_DB, PEAK_Q)
    b = np.array([1.0 + alpha * gain, -2.0 * cosine, 1.0 - alpha * gain])
    a = np.array([1.0 + alpha / gain, -2.0 * cosine, 1.0 - alpha / gain])
    return b, a


def _cookbook(frequency_hz: float, gain_db: float, q: float) -> tuple[float, float, float]:
    """Return A, cos w and alpha of the cookbook's formulas."""
    angle = 2.0 * math.pi * frequency_hz / SAMPLE_RATE
    return 10.0 ** (gain_db / 40.0), math.cos(angle), math.sin(angle) / (2.0 * q)


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    if not item.has_mixture:
        return {"log_wmse": Missing(Reason.NOT_APPLICABLE, "no mixture")}
    value = log_wmse(
        reference=item.references[index, channel],
        estimate=estimate,
        mixture=item.mixture[channel],
        sample_rate=item.sample_rate,
    )
    return {"log_wmse": value}


METRICS = (
    ReferenceMetric(
        name="log_wmse",
        columns=("log_wmse",),
        score=mean_over_channels(_score_channel),
        unit="1",
        tasks=frozenset(),
        parameters={
            "sample_rate": SAMPLE_RATE,
            "resampler": "soxr HQ",
            "taps": TAPS,
            "high_shelf": f"{SHELF_HZ:g} Hz, {SHELF_DB:g} dB, Q {SHELF_Q:.4f}",
            "peak": f"{PEAK_HZ:g} Hz, {PEAK_DB:g} dB, Q {PEAK_Q:.4f}",
            "high_pass": f"{HIGH_PASS_HZ:g} Hz, Butterworth of order {HIGH_PASS_ORDER}",
            "low_pass": f"{LOW_PASS_HZ:g} Hz, Butterworth of order {LOW_PASS_ORDER}, twice",
            "tolerance_db": TOLERANCE_DB,
            "epsilon": EPSILON,
            "factor": FACTOR,
            "channels": "mean of mono values",
        },
        source="Jordal, github.com/nomonosound/log-wmse-audio-quality, 2023",
        floor=0.0,
        improvements=("log_wmse",),
    ),
)
