"""Pitched instruments: each makes a note (time,) at 44.1 kHz of a frequency and a duration."""

from collections.abc import Callable

import numpy as np

from mixgen.starter.items import SONG_RATE
from mixgen.starter.tones import Samples, envelope, filtered, partials, sawtooth, seconds

Instrument = Callable[[float, float, np.random.Generator], Samples]

_HIGHEST_HZ = 12_000.0
_MOST_HARMONICS = 16


def _plucked(
    frequency_hz: float, duration_s: float, *, pluck_at: float, brightness: float, ring_s: float
) -> Samples:
    """Return a slightly inharmonic string, plucked at the fraction `pluck_at` of its length."""
    time = seconds(duration_s + 0.08, SONG_RATE)
    number = np.arange(1.0, max(2, min(_MOST_HARMONICS + 1, int(_HIGHEST_HZ / frequency_hz))))
    levels = np.abs(np.sin(np.pi * number * pluck_at)) / number**brightness
    frequencies = frequency_hz * number * np.sqrt(1 + 2e-4 * number**2)
    return partials(frequencies, levels, ring_s / number**0.7, time) * envelope(time, 0.003, 0.06)


def _ensemble(
    frequency_hz: float,
    duration_s: float,
    generator: np.random.Generator,
    *,
    attack_s: float,
    cutoff_hz: float,
) -> Samples:
    """Return three detuned sawtooth voices, low-passed at `cutoff_hz`."""
    time = seconds(duration_s + 0.25, SONG_RATE)
    detunes = 1 + np.array([-0.004, 0.0, 0.0045]) + generator.normal(0, 5e-4, 3)
    wave = sum(sawtooth(frequency_hz * d, time, generator.random()) for d in detunes)
    dull = filtered(np.asarray(wave), SONG_RATE, "lowpass", cutoff_hz)
    return dull * envelope(time, attack_s, 0.25) / 3


def strings(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    return _ensemble(frequency_hz, duration_s, generator, attack_s=0.12, cutoff_hz=3500.0)


def pad(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    return _ensemble(frequency_hz, duration_s, generator, attack_s=0.03, cutoff_hz=1400.0)


def guitar(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    pluck_at = float(generator.uniform(0.12, 0.2))
    return _plucked(frequency_hz, duration_s + 0.2, pluck_at=pluck_at, brightness=0.9, ring_s=0.7)


def organ(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    """Return drawbar sines with a key click and a slow rotating tremolo."""
    time = seconds(duration_s + 0.03, SONG_RATE)
    bars = np.array([0.5, 1.0, 1.5, 2.0, 3.0, 4.0])
    steady = partials(frequency_hz * bars, [0.7, 1.0, 0.5, 0.6, 0.35, 0.25], 1e6, time)
    turn = 1 + 0.12 * np.sin(2 * np.pi * (6.1 * time + generator.random()))
    return steady * turn * envelope(time, 0.006, 0.03) / 3


def epiano(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    """Return a tine: frequency modulation whose index decays (Chowning 1973)."""
    time = seconds(duration_s + 0.15, SONG_RATE)
    hardness = generator.uniform(0.8, 1.2)
    body = np.sin(2 * np.pi * frequency_hz * time) * hardness * np.exp(-time / 0.35)
    tine = 0.25 * np.sin(2 * np.pi * 14 * frequency_hz * time) * np.exp(-time / 0.06)
    wave = np.sin(2 * np.pi * frequency_hz * time + body + (tine if frequency_hz < 900 else 0.0))
    return wave * np.exp(-time / 1.2) * envelope(time, 0.004, 0.12)


def bells(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    """Return a struck bar: partials near 1, 2.76 and 5.4 (free bar, Fletcher and Rossing 1998)."""
    time = seconds(duration_s + 0.4, SONG_RATE)
    ratios = np.array([1.0, 2.756, 5.404]) * (1 + generator.normal(0, 1e-3, 3))
    ring = partials(frequency_hz * ratios, [1.0, 0.4, 0.2], [0.6, 0.25, 0.1], time)
    return ring * envelope(time, 0.002, 0.2)


def finger(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    pluck_at = float(generator.uniform(0.25, 0.3))
    return _plucked(frequency_hz, duration_s, pluck_at=pluck_at, brightness=1.5, ring_s=0.9)


def pick(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    pluck_at = float(generator.uniform(0.08, 0.12))
    return _plucked(frequency_hz, duration_s, pluck_at=pluck_at, brightness=0.9, ring_s=0.7)


def upright(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    pluck_at = float(generator.uniform(0.32, 0.38))
    return _plucked(frequency_hz, duration_s, pluck_at=pluck_at, brightness=1.9, ring_s=0.5)


def synth(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    """Return a sawtooth under a closing filter: a bright wave that fades into a dull one."""
    time = seconds(duration_s + 0.02, SONG_RATE)
    wave = sawtooth(frequency_hz, time, generator.random())
    dull = filtered(wave, SONG_RATE, "lowpass", 250.0)
    bright = filtered(wave, SONG_RATE, "lowpass", 1800.0)
    openness = np.exp(-time / 0.09)
    return (dull + openness * (bright - dull)) * envelope(time, 0.004, 0.02)


def sub(frequency_hz: float, duration_s: float, generator: np.random.Generator) -> Samples:
    """Return an overdriven sine with a short glide into its pitch."""
    time = seconds(duration_s + 0.05, SONG_RATE)
    glide = 0.02 * generator.uniform(0.5, 1.0) * np.exp(-time / 0.03)
    wave = np.sin(2 * np.pi * frequency_hz * (time + glide))
    return np.tanh(2.2 * wave) * envelope(time, 0.01, 0.05)


ACCOMPANIMENTS: dict[str, Instrument] = {
    "strings": strings,
    "pad": pad,
    "guitar": guitar,
    "organ": organ,
    "epiano": epiano,
    "bells": bells,
}
BASSES: dict[str, Instrument] = {
    "finger": finger,
    "pick": pick,
    "upright": upright,
    "synth": synth,
    "sub": sub,
}
