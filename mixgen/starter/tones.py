"""Building blocks of synthesis: oscillators, envelopes, shaped noise, mixing, reverberation."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.signal import butter, lfilter, oaconvolve, sosfilt

Samples = NDArray[np.float64]


def hertz(pitch: float) -> float:
    """Return the frequency of a MIDI pitch (69 is A4, 440 Hz)."""
    return float(440.0 * 2 ** ((pitch - 69) / 12))


def seconds(duration_s: float, sample_rate: int) -> Samples:
    """Return the time of every sample in `duration_s`."""
    return np.arange(round(duration_s * sample_rate)) / sample_rate


def sawtooth(frequency_hz: float, time: Samples, phase: float = 0.0) -> Samples:
    """Return a sawtooth whose steps are smoothed against aliasing.

    The smoothing is PolyBLEP (Valimaki and Huovilainen 2007, "Antialiasing oscillators in
    subtractive synthesis"): two parabolas replace the two samples beside each step.
    """
    step = frequency_hz * (time[1] - time[0])
    position = (frequency_hz * time + phase) % 1.0
    after, before = position / step, (position - 1.0) / step
    wave = 2.0 * position - 1.0
    wave -= np.where(position < step, 2 * after - after**2 - 1.0, 0.0)
    wave -= np.where(position > 1.0 - step, before**2 + 2 * before + 1.0, 0.0)
    return wave


def partials(
    frequencies_hz: ArrayLike, levels: ArrayLike, decays_s: ArrayLike, time: Samples
) -> Samples:
    """Return a sum of decaying sines; a decay is the time in which a sine falls to 1/e.

    Each sine is the impulse response of a two-pole resonator, which is cheaper than the product of
    a sine and an exponential.
    """
    step = time[1] - time[0]
    angles = 2 * np.pi * step * np.asarray(frequencies_hz, float)
    radii = np.exp(-step / np.asarray(decays_s, float))
    total = np.zeros_like(time)
    for angle, radius, level in np.nditer([angles, radii, np.asarray(levels, float)]):
        struck = np.zeros_like(time)
        struck[0] = level
        numerator = [0.0, radius * np.sin(angle)]
        denominator = [1.0, -2 * radius * np.cos(angle), radius**2]
        total += lfilter(numerator, denominator, struck)
    return total


def envelope(time: Samples, attack_s: float, release_s: float) -> Samples:
    """Return a linear rise from 0 to 1 at the start and a linear fall to 0 at the end of `time`."""
    remaining = time[-1] - time
    return np.asarray(np.minimum(1.0, np.minimum(time / attack_s, remaining / release_s)))


def filtered(
    samples: Samples, sample_rate: int, band: str, edge_hz: float | tuple[float, float]
) -> Samples:
    """Return `samples` (..., time) through a second-order Butterworth filter."""
    sections = butter(2, edge_hz, band, fs=sample_rate, output="sos")
    return np.asarray(sosfilt(sections, samples))


def shaped_noise(
    generator: np.random.Generator,
    count: int,
    sample_rate: int,
    gain_of: Callable[[Samples], Samples],
) -> Samples:
    """Return `count` samples of Gaussian noise at RMS 1, its spectrum weighted by `gain_of`.

    `gain_of` takes frequencies in hertz and returns factors.
    """
    frequency_hz = np.asarray(np.fft.rfftfreq(count, 1 / sample_rate), np.float64)
    spectrum = np.fft.rfft(generator.standard_normal(count))
    shaped = np.fft.irfft(spectrum * gain_of(frequency_hz), count)
    return np.asarray(shaped / np.sqrt(np.mean(shaped**2)))


def add_at(track: Samples, start: int, sound: Samples) -> None:
    """Add `sound` (..., time) to `track` (..., time) at sample `start`; what exceeds it is cut."""
    end = min(start + sound.shape[-1], track.shape[-1])
    if start < end:
        track[..., start:end] += sound[..., : end - start]


def panned(samples: Samples, position: float) -> Samples:
    """Return `samples` (time,) as stereo (2, time), panned from -1 (left) to 1 at equal power."""
    angle = (position + 1) * np.pi / 4
    return np.stack([np.cos(angle) * samples, np.sin(angle) * samples])


def reverberated(
    stereo: Samples, generator: np.random.Generator, sample_rate: int, decay_s: float, wet: float
) -> Samples:
    """Return `stereo` (2, time) with the tail of a simple room: decaying, low-passed noise.

    `decay_s` is the time in which the tail falls by 60 dB, `wet` the square root of its energy
    relative to the direct sound.
    """
    time = seconds(decay_s, sample_rate)
    tail = generator.standard_normal((2, time.size)) * np.exp(-6.9 * time / decay_s)
    tail = filtered(tail, sample_rate, "lowpass", 5000.0)
    tail[:, : round(0.012 * sample_rate)] = 0.0
    tail *= wet / np.sqrt(np.sum(tail**2, axis=-1, keepdims=True))
    wet_sound = oaconvolve(stereo, tail, axes=-1)[:, : stereo.shape[-1]]
    return np.asarray(stereo + wet_sound)
