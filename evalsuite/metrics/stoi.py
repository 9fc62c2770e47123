"""Short-time objective intelligibility, STOI and ESTOI, from one shared front end.

C. H. Taal, R. C. Hendriks, R. Heusdens, J. Jensen, "An algorithm for intelligibility prediction
of time-frequency weighted noisy speech", IEEE Trans. ASLP 19(7), 2011 (STOI).
J. Jensen, C. H. Taal, "An algorithm for predicting the intelligibility of speech masked by
modulated noise maskers", IEEE/ACM Trans. ASLP 24(11), 2016 (ESTOI).
Both: 10 kHz, frames of 256 samples every 128, without the frames more than 40 dB below the loudest
of the reference, 15 third-octave bands from 150 Hz, segments of 30 frames. Rounding guards are
those of pystoi; its random dither in ESTOI is omitted, so equal input gives equal output.
"""

from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft, signal

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from mixgen.core.vocabulary import SPEECH_TASKS

SAMPLE_RATE = 10_000
FRAME, HOP, N_FFT = 256, 128, 512
N_BANDS, LOWEST_BAND_HZ = 15, 150.0
SEGMENT_FRAMES = 30
DYNAMIC_RANGE_DB = 40.0
LOWEST_SDR_DB = -15.0
COLUMNS = ("stoi", "estoi")

# Beyond this product of the terms of a ratio of rates, polyphase weights take too much memory.
LARGEST_RATIO = 1_000_000

_EPS = np.finfo(np.float64).eps
_WINDOW = np.hanning(FRAME + 2)[1:-1]


def stoi(*, reference: Array, estimate: Array, sample_rate: int) -> Scores:
    """Return STOI and ESTOI of one channel, both at most 1; `too_short` below 31 frames of speech.

    Args:
        reference: clean speech, shape (time,).
        estimate: shape (time,).
        sample_rate: in Hz; rates other than 10 kHz are resampled as Octave does.
    """
    if not reference.any():
        return dict.fromkeys(COLUMNS, Missing(Reason.SILENT_REFERENCE))
    if not estimate.any():
        return dict.fromkeys(COLUMNS, Missing(Reason.SILENT_ESTIMATE))
    scaled = [*full_scale(reference), *full_scale(estimate)]
    pair = to_10_khz(np.stack(scaled), sample_rate)  # (2, time)
    framed = _overlapping_frames(pair) * _WINDOW  # (2, n_frames, FRAME)
    bands = band_envelopes(_without_silence(framed))  # (2, N_BANDS, n_frames)
    n_frames = bands.shape[-1]
    if n_frames < SEGMENT_FRAMES:
        needed_s = ((SEGMENT_FRAMES + 1) * HOP + FRAME - HOP) / SAMPLE_RATE
        detail = f"{n_frames} of {SEGMENT_FRAMES} frames; {needed_s:.2f} s of speech are needed"
        return dict.fromkeys(COLUMNS, Missing(Reason.TOO_SHORT, detail))
    x, y = sliding_window_view(bands, SEGMENT_FRAMES, axis=-1)  # (N_BANDS, n_segments, 30) each
    x_unit, y_unit = _unit(x, -1), _unit(y, -1)
    return {"stoi": _stoi(x, y, x_unit), "estoi": _estoi(x_unit, y_unit)}


def to_10_khz(samples: Array, sample_rate: int) -> Array:
    """Resample (..., time) with the Kaiser-windowed sinc of Octave's `resample` (60 dB)."""
    divisor = int(np.gcd(SAMPLE_RATE, sample_rate))
    up, down = SAMPLE_RATE // divisor, sample_rate // divisor
    if up == down:
        return samples
    if up * down > LARGEST_RATIO:
        return np.asarray(
            signal.resample_poly(samples, up, down, axis=-1, window=octave_lowpass(up, down))
        )
    kernel = _polyphase(up, down)
    n_samples, (n_rows, _, _) = samples.shape[-1], kernel.shape
    n_groups = -(-n_samples // down)
    before = n_rows // 2 * down
    padding = [(0, 0)] * (samples.ndim - 1) + [(before, (n_groups + n_rows) * down - n_samples)]
    rows = np.pad(samples, padding).reshape(*samples.shape[:-1], -1, down)
    groups = sum(rows[..., k : k + n_groups, :] @ kernel[k] for k in range(n_rows))
    resampled = np.reshape(groups, (*samples.shape[:-1], -1))
    return np.asarray(resampled[..., : -(-n_samples * up // down)])


@cache
def _polyphase(up: int, down: int) -> Array:
    """Return the weights of polyphase filtering, (n_rows, down, up).

    Output number k up + p is the sum over r and q of weight [r, q, p] times input number
    (k + r - n_rows // 2) down + q.
    """
    kernel = up * octave_lowpass(up, down)
    reach = len(kernel) // 2
    rows_beside = -(-(reach // up + 1) // down) + 1
    first = -rows_beside * down
    sample = np.arange(first, first + (2 * rows_beside + 1) * down)[:, None]
    tap = np.arange(up) * down - sample * up + reach
    weights = np.where((tap >= 0) & (tap < len(kernel)), kernel.take(tap, mode="clip"), 0.0)
    return np.asarray(weights.reshape(-1, down, up))


def octave_lowpass(up: int, down: int) -> Array:
    """Low-pass filter: cut-off 1 / (2 max(up, down)), transition a tenth of it, 60 dB down."""
    rejection_db = 60.0
    cutoff = 1.0 / (2 * max(up, down))
    half_length = int(np.ceil((rejection_db - 8.0) / (28.714 * cutoff / 10)))
    taps = np.arange(-half_length, half_length + 1)
    beta = 0.1102 * (rejection_db - 8.7)
    kernel = np.sinc(2 * cutoff * taps) * np.kaiser(len(taps), beta)
    return np.asarray(kernel / kernel.sum())


def _overlapping_frames(samples: Array) -> Array:
    """Cut (..., time) into (..., n_frames, FRAME); a frame that ends with the signal is dropped."""
    n_frames = max(0, -(-(samples.shape[-1] - FRAME) // HOP))
    if n_frames == 0:
        return np.zeros((*samples.shape[:-1], 0, FRAME))
    return sliding_window_view(samples, FRAME, axis=-1)[..., ::HOP, :][..., :n_frames, :]


def _without_silence(framed: Array) -> Array:
    """Overlap-add the frames with a loud reference: (2, n_frames, FRAME) to (2, time)."""
    if framed.shape[1] == 0:
        return np.zeros((len(framed), 0))
    level_db = 20.0 * np.log10(np.linalg.norm(framed[0], axis=-1) + _EPS)
    loud = framed[:, level_db > level_db.max() - DYNAMIC_RANGE_DB]
    halves = np.zeros((len(framed), loud.shape[1] + 1, HOP))
    halves[:, :-1] += loud[..., :HOP]
    halves[:, 1:] += loud[..., HOP:]
    joined: Array = halves.reshape(len(framed), -1)
    return joined


def band_envelopes(samples: Array) -> Array:
    """Return third-octave magnitudes: (..., time) to (..., N_BANDS, n_frames)."""
    spectra = fft.rfft(_overlapping_frames(samples) * _WINDOW, N_FFT)  # (..., n_frames, bins)
    power = spectra.real**2 + spectra.imag**2
    return np.asarray(np.sqrt(_THIRD_OCTAVES @ np.moveaxis(power, -1, -2)))


def _third_octaves() -> Array:
    """Return the DFT bins that each band sums, (N_BANDS, bins); edges at the nearest bin."""
    bins_hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    edges_hz = LOWEST_BAND_HZ * 2.0 ** ((2 * np.arange(N_BANDS + 1) - 1) / 6)
    edges = np.abs(bins_hz - edges_hz[:, None]).argmin(axis=1)
    index = np.arange(len(bins_hz))
    inside = (edges[:-1, None] <= index) & (index < edges[1:, None])
    return np.asarray(inside, dtype=np.float64)


_THIRD_OCTAVES = _third_octaves()


def _stoi(reference: Array, estimate: Array, reference_unit: Array) -> Score:
    """Return the mean correlation of bands over segments; the estimate is clipped at -15 dB SDR."""
    gain = _norm(reference, -1) / (_norm(estimate, -1) + _EPS)
    clip = 1.0 + 10.0 ** (-LOWEST_SDR_DB / 20.0)
    clipped = np.minimum(estimate * gain, reference * clip)
    return float(np.vdot(_unit(clipped, -1), reference_unit) / gain.size)


def _estoi(reference_unit: Array, estimate_unit: Array) -> Score:
    """Return the mean correlation of spectra, normalised over rows (time), then columns (bands)."""
    x, y = _unit(reference_unit, 0), _unit(estimate_unit, 0)
    return float(np.vdot(x, y) / x[0].size)


def _unit(samples: Array, axis: int) -> Array:
    """Remove the mean along `axis` and scale to unit norm; a constant becomes almost zero."""
    centred: Array = samples - samples.mean(axis=axis, keepdims=True)
    centred /= _norm(centred, axis) + _EPS
    return centred


def _norm(samples: Array, axis: int) -> Array:
    """Return Euclidean norms along the first or the last axis of (bands, segments, frames)."""
    energy = np.einsum("bst,bst->st" if axis == 0 else "bst,bst->bs", samples, samples)
    return np.expand_dims(np.sqrt(energy), axis)


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    reference = item.references[index, channel]
    return stoi(reference=reference, estimate=estimate, sample_rate=item.sample_rate)


METRICS = (
    ReferenceMetric(
        name="stoi",
        columns=COLUMNS,
        score=mean_over_channels(_score_channel),
        unit="1",
        tasks=SPEECH_TASKS,
        kinds=frozenset({"speech"}),
        lowest_rate=8000,
        parameters={
            "sample_rate": SAMPLE_RATE,
            "resampler": "Octave resample, Kaiser 60 dB",
            "frame": FRAME,
            "hop": HOP,
            "n_fft": N_FFT,
            "bands": N_BANDS,
            "lowest_band_hz": LOWEST_BAND_HZ,
            "segment_frames": SEGMENT_FRAMES,
            "dynamic_range_db": DYNAMIC_RANGE_DB,
            "lowest_sdr_db": LOWEST_SDR_DB,
            "dither": "none",
            "channels": "mean of mono values",
        },
        source="Taal et al., IEEE TASLP 19(7), 2011; Jensen and Taal, IEEE/ACM TASLP 24(11), 2016",
        floor=0.0,
    ),
)
