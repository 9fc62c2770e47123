"""The speech-to-reverberation modulation energy ratio, SRMR, of an estimate alone.

T. H. Falk, C. Zheng, W.-Y. Chan, "A non-intrusive quality and intelligibility measure of
reverberant and dereverberated speech", IEEE Trans. ASLP 18(7), 2010: reverberation smears the
envelope of speech, which moves its energy to modulation frequencies above those of syllables. The
gammatone filters are those of M. Slaney, Apple technical report 35, 1993.
Constants and framing are those of SRMRpy and torchmetrics, without the energy normalisation.
"""

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import signal

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from mixgen.audio.read import resample

NARROW_RATE, WIDE_RATE = 8000, 16000
N_COCHLEAR, LOWEST_HZ = 23, 125.0
EAR_Q, LEAST_BANDWIDTH_HZ = 9.26449, 24.7  # Glasberg and Moore
N_MODULATION, MODULATION_HZ, MODULATION_Q = 8, (4.0, 128.0), 2.0
N_SPEECH = 4  # the lower modulation bands, up to 18 Hz
FRAME_S, HOP_S = 0.256, 0.064
SHARE = 0.9


def srmr(*, estimate: Array, sample_rate: int) -> Score:
    """Return the energy of the lower four modulation bands over that of the higher ones.

    The highest band that counts depends on the bandwidth of the signal. Rates above 16 kHz are
    resampled to 16 kHz, rates between 8 and 16 kHz to 8 kHz; the value does not depend on level.

    Args:
        estimate: shape (time,).
        sample_rate: in Hz, at least 8000.
    """
    if not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    rate = WIDE_RATE if sample_rate >= WIDE_RATE else NARROW_RATE
    (samples,) = resample(full_scale(estimate)[0][None], sample_rate, rate)
    if len(samples) < math.ceil(FRAME_S * rate):
        return Missing(Reason.TOO_SHORT, f"less than one frame of {FRAME_S:g} s")
    energy = modulation_energy(samples, rate)  # (N_COCHLEAR, N_MODULATION)
    if not energy.any():
        return Missing(Reason.SILENT_ESTIMATE, "silent in all whole frames")
    highest = _highest_band(energy, rate)
    return float(energy[:, :N_SPEECH].sum() / energy[:, N_SPEECH:highest].sum())


def modulation_energy(samples: Array, sample_rate: int) -> Array:
    """Return the mean energy over frames, (time,) to (N_COCHLEAR, N_MODULATION), highest first."""
    frame, hop = (math.ceil(s * sample_rate) for s in (FRAME_S, HOP_S))
    # The period is a sample longer than the frame, as in torchmetrics.
    window = np.square(signal.get_window("hamming", frame + 1)[:-1])
    energy = np.zeros((N_COCHLEAR, N_MODULATION))
    for band, sections in enumerate(_gammatone_filters(sample_rate)):
        envelope = _envelope(signal.sosfilt(sections, samples))
        for number, (b, a) in enumerate(_modulation_filters(sample_rate)):
            modulation = np.square(signal.lfilter(b, a, envelope))
            energy[band, number] = (sliding_window_view(modulation, frame)[::hop] @ window).mean()
    return energy


def _envelope(samples: Array) -> Array:
    """Return the magnitude of the analytic signal, padded to a multiple of 16 as torchmetrics."""
    padded = 16 * math.ceil(len(samples) / 16)
    return np.asarray(np.abs(signal.hilbert(samples, padded)[: len(samples)]))


@cache
def _centres_hz(sample_rate: int) -> Array:
    """Return the centres of the gammatone filters, evenly spaced in ERB, the highest first."""
    offset, nyquist = EAR_Q * LEAST_BANDWIDTH_HZ, sample_rate / 2
    steps = np.arange(1, N_COCHLEAR + 1) / N_COCHLEAR
    ratio = (LOWEST_HZ + offset) / (nyquist + offset)
    return np.asarray((nyquist + offset) * ratio**steps - offset)


def _bandwidths_hz(sample_rate: int) -> Array:
    return _centres_hz(sample_rate) / EAR_Q + LEAST_BANDWIDTH_HZ


@cache
def _gammatone_filters(sample_rate: int) -> Array:
    """Return four second-order sections for each filter, (N_COCHLEAR, 4, 6), 0 dB at its centre.

    All four have the poles exp(-2 pi 1.019 ERB / fs +- i w). Their zeros are real, at
    exp(-2 pi 1.019 ERB / fs) (cos w +- sqrt(3 +- 2^1.5) sin w).
    """
    angle = 2.0 * np.pi * _centres_hz(sample_rate) / sample_rate
    radius = np.exp(-2.0 * np.pi * 1.019 * _bandwidths_hz(sample_rate) / sample_rate)
    sections = np.zeros((N_COCHLEAR, 4, 6))
    sections[:, :, 0] = sections[:, :, 3] = 1.0
    sections[:, :, 4] = -2.0 * (radius * np.cos(angle))[:, None]
    sections[:, :, 5] = np.square(radius)[:, None]
    for number, (outer, inner) in enumerate(((1, 1), (-1, 1), (1, -1), (-1, -1))):
        slope = outer * math.sqrt(3.0 + inner * 2.0**1.5)
        sections[:, number, 1] = -radius * (np.cos(angle) + slope * np.sin(angle))
    for own, centre in zip(sections, angle, strict=True):
        own[0, :3] /= np.abs(signal.sosfreqz(own, [centre])[1])
    return sections


def _modulation_centres_hz() -> Array:
    return np.geomspace(*MODULATION_HZ, N_MODULATION)


@cache
def _modulation_filters(sample_rate: int) -> list[tuple[Array, Array]]:
    """Return (b, a) of band-passes of second order with a Q of 2, by the bilinear transform."""
    filters = []
    for warped in np.tan(np.pi * _modulation_centres_hz() / sample_rate):
        width = warped / MODULATION_Q
        b = np.array([width, 0.0, -width])
        a = np.array([1.0 + width + warped**2, 2.0 * warped**2 - 2.0, 1.0 - width + warped**2])
        filters.append((b, a))
    return filters


def _highest_band(energy: Array, sample_rate: int) -> int:
    """Return how many modulation bands count: those whose lower cut-off is within the bandwidth.

    The bandwidth is that of the gammatone filter below which nine tenths of the energy lie.
    """
    below = np.cumsum(energy.sum(axis=1)[::-1])  # from the lowest filter on
    bandwidth_hz = _bandwidths_hz(sample_rate)[::-1][np.argmax(below > SHARE * below[-1])]
    centres_hz = _modulation_centres_hz()
    warped = np.tan(np.pi * centres_hz / sample_rate) / MODULATION_Q
    cutoffs_hz = centres_hz - warped * sample_rate / (2.0 * np.pi)
    return int((cutoffs_hz <= bandwidth_hz).sum())


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    if not item.references[index, channel].any():
        return {"srmr": Missing(Reason.SILENT_REFERENCE)}
    return {"srmr": srmr(estimate=estimate, sample_rate=item.sample_rate)}


METRICS = (
    ReferenceMetric(
        name="srmr",
        columns=("srmr",),
        score=mean_over_channels(_score_channel),
        unit="1",
        tasks=frozenset({"dereverberation"}),
        kinds=frozenset({"speech"}),
        lowest_rate=NARROW_RATE,
        parameters={
            "sample_rates": f"{NARROW_RATE}, {WIDE_RATE}",
            "resampler": "soxr HQ",
            "cochlear_filters": N_COCHLEAR,
            "lowest_hz": LOWEST_HZ,
            "modulation_filters": N_MODULATION,
            "modulation_hz": "4 to 128",
            "modulation_q": MODULATION_Q,
            "frame_s": FRAME_S,
            "hop_s": HOP_S,
            "window": "Hamming, period of frame + 1",
            "normalised": "no",
            "channels": "mean of mono values",
        },
        source="Falk, Zheng, Chan, IEEE TASLP 18(7), 2010",
        floor=0.0,
        improvements=("srmr",),
    ),
)
