"""What a classifier of emotion hears: the encoder of a recogniser, acoustics, or words.

Encoder: the output of Whisper's encoder every 40 ms (Radford et al., ICML 2023).

Acoustics, 36 numbers every 10 ms: pitch, jitter, shimmer, harmonics-to-noise ratio, loudness and 13
mel-cepstral coefficients, and the differences of these 18 in time. Pitch and harmonicity are those
of P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise
ratio of a sampled sound", IFA Proceedings 17, 1993. Jitter and shimmer are differences of period
and of amplitude from frame to frame.

Words: a number for each, by a hash.
"""

import math
import zlib
from functools import cache

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy import fft, signal

from evalsuite.metrics.item import Array
from evalsuite.metrics.spectral_distance import mel_bands, mel_cepstra
from evalsuite.probes._recognisers import whisper_model
from evalsuite.probes._signals import JUDGE_RATE, Signal
from evalsuite.probes.recogniser import words_of

Features = NDArray[np.float32]

KINDS = ("encoder", "acoustic", "text")
DIMENSIONS = {"encoder": 384, "acoustic": 36, "text": 1}

N_WORDS = 4096
HOP = JUDGE_RATE // 100
SPECTRUM, PITCH = 512, 1024  # samples of a frame
LOWEST_HZ, HIGHEST_HZ = 75.0, 500.0
VOICED, OCTAVE_COST = 0.45, 0.01
SILENT_DB, FLOOR_DB = 40.0, 50.0
LEVEL = 0.05
_MOST_ENCODED = 3000  # frames of Whisper's spectrogram, 30 s


def prepared(samples: Signal) -> Signal:
    """Return speech with silence cut from its ends, at one level, over a floor of noise.

    Without the floor a classifier learns whose recordings end in digital silence. The noise lies 50
    dB below the speech and is the same for every signal.

    Args:
        samples: at 16 kHz, shape (time,).
    """
    power = np.square(np.pad(samples.astype(np.float64), (0, HOP)))
    frames = np.add.reduceat(power, np.arange(0, len(power), HOP))
    sounding = np.flatnonzero(frames > frames.max() * 10.0 ** (-SILENT_DB / 10.0))
    if not sounding.size:
        return np.zeros(PITCH, np.float32)
    cut = samples[sounding[0] * HOP : (sounding[-1] + 1) * HOP].astype(np.float64)
    cut = np.pad(cut, (0, max(0, PITCH - len(cut))))
    cut *= LEVEL / math.sqrt(np.mean(np.square(cut)))
    floor = LEVEL * 10.0 ** (-FLOOR_DB / 20.0)
    return np.asarray(cut + floor * _noise(len(cut)), dtype=np.float32)


def _noise(length: int) -> Array:
    return np.random.default_rng(0).standard_normal(length)


def features(kind: str, samples: Signal, text: str = "") -> Features:
    """Return the features of one kind, (frames, DIMENSIONS[kind]).

    Args:
        kind: one of `KINDS`.
        samples: at 16 kHz, shape (time,).
        text: that is spoken.
    """
    if kind == "text":
        return word_numbers(text)
    heard = prepared(samples)
    return encoder_features(heard) if kind == "encoder" else acoustic_features(heard)


def word_numbers(text: str) -> Features:
    """Return a number from 1 to 4096 for each word, (words, 1); 0 for no words at all."""
    numbers = [1 + zlib.crc32(word.encode()) % N_WORDS for word in words_of(text)]
    return np.array(numbers or [0], dtype=np.float32)[:, None]


def encoder_features(samples: Signal) -> Features:
    """Return the output of Whisper's encoder, (frames, 384), the mean of two frames every 40 ms."""
    model = whisper_model()
    spectrum = model.feature_extractor(samples)  # (bands, frames)
    frames = spectrum.shape[-1] // 4 * 4
    blocks = np.split(spectrum[:, :frames], range(_MOST_ENCODED, frames, _MOST_ENCODED), axis=1)
    encoded = np.concatenate(
        [np.array(model.encode(np.ascontiguousarray(block)))[0] for block in blocks]
    )  # (frames / 2, 384)
    return np.asarray(encoded.reshape(-1, 2, encoded.shape[-1]).mean(axis=1), dtype=np.float32)


def acoustic_features(samples: Signal) -> Features:
    """Return 36 acoustic features every 10 ms, (frames, 36)."""
    signal_ = samples.astype(np.float64)
    period, harmonicity, amplitude = _voice(signal_)  # (frames,) each
    spectra = fft.rfft(_frames(signal_, SPECTRUM) * signal.get_window("hann", SPECTRUM))
    bands = np.square(np.abs(spectra)) @ mel_bands(JUDGE_RATE).T  # (frames, bands)
    loudness = np.mean(bands**0.3, axis=-1)
    static = [
        np.where(period > 0, np.log(JUDGE_RATE / np.maximum(period, 1.0)), 0.0),
        _changes(period, period > 0),
        _changes(amplitude, period > 0),
        10.0 * np.log10(harmonicity / (1.0 - harmonicity)),
        loudness,
        *mel_cepstra(10.0 * np.log10(bands + np.finfo(float).tiny)).T,
    ]
    stacked = np.stack(static, axis=-1)  # (frames, 18)
    return np.concatenate([stacked, _slopes(stacked)], axis=-1).astype(np.float32)


def _frames(samples: Array, length: int) -> Array:
    """Return frames of a length around every 10 ms, (frames, length)."""
    padded = np.pad(samples, (length // 2, length - length // 2 - 1))
    return sliding_window_view(padded, length)[::HOP]


def _voice(samples: Array) -> tuple[Array, Array, Array]:
    """Return the period in samples, 0 where there is no voice, harmonicity from 0 to 1, amplitude.

    The autocorrelation of each frame is divided by that of its window.
    """
    window = signal.get_window("hann", PITCH)
    framed = _frames(samples, PITCH)
    centred = framed - framed.mean(axis=-1, keepdims=True)
    correlation, own = _autocorrelation(centred * window), _autocorrelation(window[None])
    energy = np.maximum(correlation[:, :1], np.finfo(float).tiny)
    first, last = int(JUDGE_RATE / HIGHEST_HZ), int(JUDGE_RATE / LOWEST_HZ)
    lags = np.arange(first, last + 1)
    peaks = (correlation / energy)[:, lags] / (own / own[:, :1])[:, lags]
    # Multiples of a period fit as well as the period; the shortest one is meant.
    best = (peaks - OCTAVE_COST * np.log2(lags)).argmax(axis=-1)
    found = np.take_along_axis(peaks, best[:, None], axis=-1)[:, 0]
    harmonicity = np.clip(found, 1e-3, 1.0 - 1e-3)
    period = np.where(harmonicity > VOICED, lags[best], 0).astype(np.float64)
    return period, harmonicity, np.abs(framed).max(axis=-1)


def _autocorrelation(framed: Array) -> Array:
    """Return the autocorrelation of frames, (frames, length)."""
    spectra = fft.rfft(framed, 2 * framed.shape[-1])
    return np.asarray(fft.irfft(np.square(np.abs(spectra)))[:, : framed.shape[-1]])


def _changes(values: Array, voiced: NDArray[np.bool_]) -> Array:
    """Return the change from the frame before in proportion to both, where both are voiced."""
    before = np.concatenate([values[:1], values[:-1]])
    both = voiced & np.concatenate([voiced[:1], voiced[:-1]])
    mean = np.maximum((values + before) / 2.0, np.finfo(float).tiny)
    return np.where(both, np.abs(values - before) / mean, 0.0)


@cache
def _slope_weights() -> Array:
    steps = np.arange(-2.0, 3.0)
    return np.asarray(steps / np.square(steps).sum())


def _slopes(values: Array) -> Array:
    """Return the slope of a line through five frames, (frames, n) to the same."""
    padded = np.pad(values, ((2, 2), (0, 0)), mode="edge")
    return np.asarray(sliding_window_view(padded, 5, axis=0) @ _slope_weights())
