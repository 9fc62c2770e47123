"""Synthesise every stroke of a drum kit, which is tuned for its song."""

import dataclasses
from collections.abc import Callable

import numpy as np

from mixgen.starter.items import SONG_RATE
from mixgen.starter.tones import Samples, envelope, filtered, partials, seconds


@dataclasses.dataclass(frozen=True)
class Kit:
    """The tuning and damping of the drums of one song."""

    kick_hz: float
    snare_hz: float
    tom_hz: float
    damping: float
    brightness_hz: float


def choose_kit(generator: np.random.Generator) -> Kit:
    """Draw the kit of a song."""
    return Kit(
        kick_hz=float(generator.uniform(44, 62)),
        snare_hz=float(generator.uniform(160, 240)),
        tom_hz=float(generator.uniform(85, 140)),
        damping=float(generator.uniform(0.75, 1.3)),
        brightness_hz=float(generator.uniform(6000, 9000)),
    )


def _burst(
    generator: np.random.Generator, duration_s: float, decay_s: float, edges_hz: tuple[float, float]
) -> Samples:
    """Return band-passed noise that decays."""
    time = seconds(duration_s, SONG_RATE)
    noise = filtered(generator.standard_normal(time.size), SONG_RATE, "bandpass", edges_hz)
    return noise * np.exp(-time / decay_s) * envelope(time, 0.0005, 0.01)


def _skin(frequency_hz: float, drop: float, decay_s: float) -> Samples:
    """Return the sound of a drum skin: a sine that falls in pitch as it decays."""
    time = seconds(6 * decay_s, SONG_RATE)
    phase = frequency_hz * (time + drop * 0.03 * (1 - np.exp(-time / 0.03)))
    return np.sin(2 * np.pi * phase) * np.exp(-time / decay_s) * envelope(time, 0.001, 0.01)


def _layered(*layers: Samples) -> Samples:
    """Return the sum of sounds that start together, as long as the longest."""
    total = np.zeros(max(layer.size for layer in layers))
    for layer in layers:
        total[: layer.size] += layer
    return total


def kick(kit: Kit, generator: np.random.Generator) -> Samples:
    click = 0.15 * _burst(generator, 0.02, 0.004, (1500.0, 6000.0))
    return _layered(_skin(kit.kick_hz, 3.5, 0.13 * kit.damping), click)


def snare(kit: Kit, generator: np.random.Generator) -> Samples:
    wires = 0.8 * _burst(generator, 0.3, 0.07 * kit.damping, (1200.0, kit.brightness_hz))
    return _layered(0.5 * _skin(kit.snare_hz, 0.6, 0.05 * kit.damping), wires)


def clap(kit: Kit, generator: np.random.Generator) -> Samples:
    hands = [_burst(generator, 0.25, 0.008, (900.0, 4500.0)) for _ in range(3)]
    late = [np.pad(hand, (round(n * 0.011 * SONG_RATE), 0)) for n, hand in enumerate(hands)]
    return _layered(*late, 0.6 * _burst(generator, 0.3, 0.06 * kit.damping, (900.0, 4500.0)))


def hat(kit: Kit, generator: np.random.Generator) -> Samples:
    return 0.5 * _burst(generator, 0.12, 0.022 * kit.damping, (kit.brightness_hz, 16_000.0))


def ride(kit: Kit, generator: np.random.Generator) -> Samples:
    """Return inharmonic ringing metal with a little noise."""
    time = seconds(0.7, SONG_RATE)
    ratios = np.array([1.0, 1.47, 1.93, 2.54, 3.16, 4.05])
    ring = 0.08 * partials(0.35 * kit.brightness_hz * ratios, 1.0, 0.25 * kit.damping, time)
    return _layered(ring * envelope(time, 0.001, 0.1), 0.6 * hat(kit, generator))


def rim(kit: Kit, generator: np.random.Generator) -> Samples:
    time = seconds(0.08, SONG_RATE)
    wood = partials(kit.snare_hz * np.array([4.1, 7.3, 9.8]), [0.7, 0.5, 0.3], 0.012, time)
    return _layered(wood, 0.2 * _burst(generator, 0.03, 0.005, (2000.0, 8000.0)))


def tom(kit: Kit, generator: np.random.Generator) -> Samples:
    skin = _skin(kit.tom_hz * generator.uniform(0.97, 1.03), 0.8, 0.12 * kit.damping)
    return _layered(skin, 0.15 * _burst(generator, 0.05, 0.01, (800.0, 5000.0)))


def shaker(kit: Kit, generator: np.random.Generator) -> Samples:
    time = seconds(0.07, SONG_RATE)
    grains = filtered(generator.standard_normal(time.size), SONG_RATE, "highpass", 5500.0)
    swing = np.sin(np.pi * time / time[-1]) ** 2
    return np.asarray(0.3 * kit.damping * swing * grains)


DRUMS: dict[str, Callable[[Kit, np.random.Generator], Samples]] = {
    "kick": kick,
    "snare": snare,
    "clap": clap,
    "hat": hat,
    "ride": ride,
    "rim": rim,
    "tom": tom,
    "shaker": shaker,
}
PANS = {"hat": 0.35, "ride": -0.4, "tom": -0.25, "rim": 0.15, "shaker": 0.5}
