"""Distances between the short-time spectra of an estimate and its reference: LSD and MFCC.

A. H. Gray and J. D. Markel, "Distance measures for speech processing", IEEE Trans. ASSP 24(5),
1976 (log-spectral distance). E. A. P. Habets, "Single- and multi-microphone speech dereverberation
using spectral enhancement", PhD thesis, TU Eindhoven, 2007 (a dynamic range of 50 dB).
S. B. Davis and P. Mermelstein, IEEE Trans. ASSP 28(4), 1980 (MFCC). R. F. Kubichek, "Mel-cepstral
distance measure for objective speech quality assessment", IEEE Pacific Rim Conference, 1993.
Frames of 32 ms every 8 ms, Hann window, DFT of the frame's length; a last part of a frame is
dropped.
"""

import math
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, signal

from evalsuite.metrics.item import Array, full_scale, peak_exponent
from evalsuite.metrics.metric import ReferenceMetric, each_channel
from evalsuite.metrics.outcome import Missing, Reason, Score

FRAME_S, HOP_S = 0.032, 0.008
DYNAMIC_RANGE_DB = 50.0
N_BANDS, N_COEFFICIENTS = 40, 13

# The largest distance of silence, whose spectrum is flat at the lower end of the range.
FLOOR_DB = DYNAMIC_RANGE_DB


def lsd_db(*, reference: Array, estimate: Array, sample_rate: int) -> Score:
    """Return the log-spectral distance of one channel in dB: 0 for equal spectra.

    The root of the mean square over bins of the difference of both power spectra in dB, averaged
    over frames. Bins more than 50 dB below the largest of the reference count as 50 dB below it.

    Args:
        reference: shape (time,).
        estimate: shape (time,).
        sample_rate: in Hz.
    """
    pair = _spectra_db(reference, estimate, sample_rate)
    if isinstance(pair, Missing):
        return pair
    lowest = pair[0].max() - DYNAMIC_RANGE_DB
    s, e = (np.maximum(spectrum, lowest) for spectrum in pair)  # (n_frames, bins)
    return float(np.sqrt(np.square(s - e).mean(axis=-1)).mean())


def mfcc_distance(*, reference: Array, estimate: Array, sample_rate: int) -> Score:
    """Return the mel-cepstral distortion of one channel in dB, from MFCC 1 to 13.

    10 / ln 10 · sqrt(2 sum of (c_d - c'_d)²), averaged over frames, with c_d = 1/M sum over M bands
    of ln E_m cos(pi d (m + 1/2) / M): the root of the mean square over bands of the difference of
    both smoothed spectra in dB. Level is in c_0, which is left out. Bands more than 50 dB below the
    largest of their own signal count as 50 dB below it.

    Args:
        reference: shape (time,).
        estimate: shape (time,).
        sample_rate: in Hz.
    """
    pair = _spectra_db(reference, estimate, sample_rate, mel_bands(sample_rate))
    if isinstance(pair, Missing):
        return pair
    s, e = (mel_cepstra(spectrum) for spectrum in pair)  # (n_frames, N_COEFFICIENTS)
    return float(np.sqrt(np.square(s - e).sum(axis=-1) / N_BANDS).mean())


def mel_cepstra(bands_db: Array) -> Array:
    """Return MFCC 1 to 13: (n_frames, N_BANDS) in dB to (n_frames, N_COEFFICIENTS).

    The cosine transform is orthonormal, so a coefficient is sqrt(2 N_BANDS) times Kubichek's.
    """
    limited = np.maximum(bands_db, bands_db.max() - DYNAMIC_RANGE_DB)
    cepstra: Array = fft.dct(limited, type=2, norm="ortho", axis=-1)
    return cepstra[:, 1 : N_COEFFICIENTS + 1]


@cache
def mel_bands(sample_rate: int) -> Array:
    """Return triangles between 0 Hz and half the rate, evenly spaced in mel, (N_BANDS, bins).

    m = 2595 log10(1 + f / 700); each triangle is 1 at its centre and ends at its neighbours'.
    """
    mels = np.linspace(0.0, 2595.0 * math.log10(1.0 + sample_rate / 1400.0), N_BANDS + 2)
    edges_hz = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)
    bins_hz = fft.rfftfreq(_samples(FRAME_S, sample_rate), 1.0 / sample_rate)
    slopes = (bins_hz - edges_hz[:, None]) / np.diff(edges_hz, append=np.inf)[:, None]
    return np.asarray(np.clip(np.minimum(slopes[:-2], 1.0 - slopes[1:-1]), 0.0, None))


def _spectra_db(
    reference: Array, estimate: Array, sample_rate: int, bands: Array | None = None
) -> tuple[Array, Array] | Missing:
    """Return both power spectra in dB, each (n_frames, bins or bands), or why there are none."""
    if len(reference) < _samples(FRAME_S, sample_rate):
        return Missing(Reason.TOO_SHORT, f"less than one frame of {FRAME_S:g} s")
    s, e = (_spectrum_db(samples, sample_rate, bands) for samples in (reference, estimate))
    if s.max() == -math.inf:
        return Missing(Reason.SILENT_REFERENCE)
    if e.max() == -math.inf:
        return Missing(Reason.SILENT_ESTIMATE)
    return s, e


def _spectrum_db(samples: Array, sample_rate: int, bands: Array | None) -> Array:
    frame, hop = _samples(FRAME_S, sample_rate), _samples(HOP_S, sample_rate)
    (scaled,) = full_scale(samples)
    framed = sliding_window_view(scaled, frame)[::hop] * signal.get_window("hann", frame)
    spectrum = fft.rfft(framed)  # (n_frames, bins)
    power = spectrum.real**2 + spectrum.imag**2
    if bands is not None:
        power = power @ bands.T
    with np.errstate(divide="ignore"):  # no power is -inf dB
        level_db = 10.0 * np.log10(power)
    return np.asarray(level_db + 20.0 * math.log10(2.0) * peak_exponent(samples))


def _samples(duration_s: float, sample_rate: int) -> int:
    return round(duration_s * sample_rate)


_FRAMES: dict[str, str | float] = {
    "frame_s": FRAME_S,
    "hop_s": HOP_S,
    "window": "Hann, periodic",
    "n_fft": "frame",
    "dynamic_range_db": DYNAMIC_RANGE_DB,
    "channels": "mean of mono values",
}

METRICS = (
    ReferenceMetric(
        name="lsd",
        columns=("lsd_db",),
        score=each_channel("lsd_db", lsd_db),
        unit="dB",
        tasks=frozenset({"dereverberation"}),
        parameters={**_FRAMES, "range_of": "reference"},
        source="Gray and Markel, IEEE TASSP 24(5), 1976; Habets, PhD thesis, 2007",
        floor=FLOOR_DB,
        higher_is_better=False,
        lowest_rate=8000,
    ),
    ReferenceMetric(
        name="mfcc",
        columns=("mfcc_distance",),
        score=each_channel("mfcc_distance", mfcc_distance),
        unit="dB",
        tasks=frozenset({"dereverberation"}),
        parameters={
            **_FRAMES,
            "range_of": "each signal",
            "bands": N_BANDS,
            "mel": "2595 log10(1 + f / 700), 0 Hz to half the rate",
            "coefficients": f"1 to {N_COEFFICIENTS}",
        },
        source="Kubichek, IEEE Pacific Rim Conference, 1993",
        floor=FLOOR_DB,
        higher_is_better=False,
        lowest_rate=8000,
    ),
)
