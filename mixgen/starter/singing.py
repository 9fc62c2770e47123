"""A sung voice: harmonics of a wavering pitch, shaped by moving formants, and consonant noises."""

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from mixgen.starter.composition import Note
from mixgen.starter.items import SONG_RATE
from mixgen.starter.tones import Samples, add_at, envelope, filtered, hertz, seconds

_HOP = 128
_FRAME_RATE = SONG_RATE / _HOP
_VOICED_RATE = SONG_RATE // 2  # enough for harmonics below 9 kHz, at half the work
_HIGHEST_HZ = 9000.0
_MOST_HARMONICS = 60
_TILT_DB_PER_OCTAVE = -9.0

# The first five formants of a male voice in hertz; other voices scale them.
FORMANTS = {
    "a": (730, 1090, 2440, 3300, 4200),
    "e": (530, 1840, 2480, 3400, 4300),
    "i": (270, 2290, 3010, 3600, 4500),
    "o": (500, 880, 2450, 3200, 4100),
    "u": (310, 850, 2240, 3100, 4000),
    "ae": (660, 1720, 2410, 3350, 4250),
}
_BANDWIDTHS = np.array([80.0, 100.0, 140.0, 220.0, 280.0])
_SCALES = {"soprano": 1.18, "alto": 1.12, "tenor": 1.0, "baritone": 0.95}

# Band in hertz, duration in seconds and level of the noise at the start of a syllable.
_NOISES = {
    "s": ((5000.0, 11_000.0), 0.10, 0.30),
    "sh": ((2200.0, 7000.0), 0.10, 0.30),
    "t": ((3500.0, 9000.0), 0.03, 0.45),
    "k": ((1400.0, 4000.0), 0.03, 0.45),
    "d": ((2500.0, 7000.0), 0.02, 0.25),
    "h": ((700.0, 5000.0), 0.07, 0.12),
}


def sing(
    notes: list[Note], *, beat_s: float, frames: int, voice: str, generator: np.random.Generator
) -> Samples:
    """Return the melody as a mono voice of `frames` samples at 44.1 kHz."""
    count = frames // _HOP + 2
    pitch, loudness, formants = _targets(notes, beat_s, count)
    frequency_hz = _wavering(pitch, loudness, generator)
    formants_hz = gaussian_filter1d(formants * _SCALES[voice], 0.02 * _FRAME_RATE, axis=0)
    loudness = gaussian_filter1d(loudness, 0.018 * _FRAME_RATE)
    track = _voiced(frequency_hz, loudness, formants_hz, frames)
    track += 0.02 * _breath(loudness, frames, generator)
    for note in notes:
        _add_consonant(track, note, beat_s, generator)
    return track


def _targets(
    notes: list[Note], beat_s: float, count: int
) -> tuple[Samples, Samples, NDArray[np.float64]]:
    """Return MIDI pitch and loudness (frames,) and formants (frames, 5), not yet smoothed."""
    pitch, loudness = np.full(count, np.nan), np.zeros(count)
    formants = np.tile(np.array(FORMANTS["a"], float), (count, 1))
    for note in notes:
        first = round(note.start * beat_s * _FRAME_RATE)
        last = round((note.start + note.length) * beat_s * _FRAME_RATE)
        dip = round((0.05 if note.consonant else 0.015) * _FRAME_RATE)
        pitch[first:last] = note.pitch
        loudness[first:last] = note.level
        loudness[max(last - dip, first) : last] *= 0.25
        formants[first:] = FORMANTS[note.vowel]
    return _filled_rests(pitch), loudness, formants


def _filled_rests(pitch: Samples) -> Samples:
    """Return the pitch with that of the previous note in rests, and of the first at the start."""
    known = np.flatnonzero(~np.isnan(pitch))
    if known.size == 0:
        return np.full_like(pitch, 60.0)
    latest = np.searchsorted(known, np.arange(pitch.size), side="right") - 1
    return np.asarray(pitch[known[np.maximum(latest, 0)]])


def _wavering(pitch: Samples, loudness: Samples, generator: np.random.Generator) -> Samples:
    """Return the frequency of each frame, with glides between notes, growing vibrato, and drift."""
    time = np.arange(pitch.size) / _FRAME_RATE
    glided = gaussian_filter1d(pitch, 0.03 * _FRAME_RATE)
    steady = gaussian_filter1d(
        (np.abs(np.gradient(glided)) < 1e-3).astype(float), 0.08 * _FRAME_RATE
    )
    rate = generator.uniform(5.0, 6.2)
    vibrato = 0.35 * steady * (loudness > 0) * np.sin(2 * np.pi * rate * time)
    drift = gaussian_filter1d(generator.standard_normal(pitch.size), 0.1 * _FRAME_RATE) * 0.5
    return np.asarray(hertz(0) * 2 ** ((glided + vibrato + drift) / 12))


def _voiced(
    frequency_hz: Samples, loudness: Samples, formants_hz: NDArray[np.float64], frames: int
) -> Samples:
    """Return the sum of harmonics, each weighted by the glottal tilt and the vocal tract."""
    frame_at = np.arange(frequency_hz.size) / _FRAME_RATE
    sample_at = seconds(frames / SONG_RATE + 0.01, _VOICED_RATE)
    phase = 2 * np.pi * np.cumsum(np.interp(sample_at, frame_at, frequency_hz)) / _VOICED_RATE
    rotor = np.exp(1j * phase)
    tone = np.ones_like(rotor)
    track = np.zeros_like(phase)
    highest = int(_HIGHEST_HZ / frequency_hz.min())
    for number in range(1, min(highest, _MOST_HARMONICS) + 1):
        harmonic_hz = number * frequency_hz
        level = loudness * number ** (_TILT_DB_PER_OCTAVE / 6.02) * _tract(harmonic_hz, formants_hz)
        level *= harmonic_hz < _HIGHEST_HZ
        tone *= rotor
        track += np.interp(sample_at, frame_at, level) * tone.imag
    return np.asarray(soxr.resample(track, _VOICED_RATE, SONG_RATE)[:frames])


def _tract(frequency_hz: Samples, formants_hz: NDArray[np.float64]) -> Samples:
    """Return the magnitude of five parallel resonances (frames,) at one frequency per frame."""
    offset = (frequency_hz[:, None] - formants_hz) / _BANDWIDTHS  # (frames, 5)
    return np.asarray(np.sum(1 / np.sqrt(1 + offset**2), axis=1))


def _breath(loudness: Samples, frames: int, generator: np.random.Generator) -> Samples:
    noise = filtered(generator.standard_normal(frames), SONG_RATE, "bandpass", (1500.0, 7000.0))
    return noise * np.interp(np.arange(frames), np.arange(loudness.size) * _HOP, loudness)


def _add_consonant(
    track: Samples, note: Note, beat_s: float, generator: np.random.Generator
) -> None:
    """Add the noise of the note's consonant: it begins before the note and fades into the vowel."""
    if note.consonant not in _NOISES:
        return
    edges_hz, duration_s, level = _NOISES[note.consonant]
    time = seconds(duration_s, SONG_RATE)
    noise = filtered(generator.standard_normal(time.size), SONG_RATE, "bandpass", edges_hz)
    burst = level * note.level * noise * envelope(time, 0.2 * duration_s, 0.4 * duration_s)
    start = round((note.start * beat_s - 0.6 * duration_s) * SONG_RATE)
    add_at(track, max(start, 0), burst)
