"""Noise recordings at 16 kHz: several kinds each of stationary, babble, impulsive and ambient."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter1d

from mixgen.starter.items import SPEECH_RATE, Noise
from mixgen.starter.seeding import generator_for
from mixgen.starter.tones import (
    Samples,
    add_at,
    envelope,
    filtered,
    partials,
    reverberated,
    seconds,
    shaped_noise,
)

LEVEL_DB = -26.0
_PEAK = 0.9
_FLOOR_DB = -30.0
_CONTROL_RATE = 100.0
_TALKERS = {"crowd": 12, "cafe": 5}


def make_noise(noise: Noise, voices: Sequence[Samples]) -> Samples:
    """Return one recording (time,) at -26 dBFS, or at a peak of 0.9 if that is quieter.

    `voices` are the utterances (time,) that babble is made of.
    """
    generator = generator_for("noise", *noise.paths)
    count = round(noise.duration_s * SPEECH_RATE)
    if noise.label == "babble":
        sound = babble(_TALKERS[noise.kind], count, voices, generator)
    else:
        sound = KINDS[noise.kind](count, generator)
    gain = 10 ** (LEVEL_DB / 20) / _rms(sound)
    return sound * min(gain, _PEAK / float(np.abs(sound).max()))


def _rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(samples**2)))


def babble(
    talkers: int, count: int, voices: Sequence[Samples], generator: np.random.Generator
) -> Samples:
    """Return several talkers at different distances, each with one utterance after the other."""
    total = np.zeros(count)
    for _ in range(talkers):
        talker = np.zeros(count)
        start = -int(generator.integers(3 * SPEECH_RATE))
        while start < count:
            voice = voices[int(generator.integers(len(voices)))]
            add_at(talker, max(start, 0), voice[max(-start, 0) :])
            start += voice.size + int(generator.integers(SPEECH_RATE // 2))
        total += talker * generator.uniform(0.5, 1.0)
    stereo = reverberated(np.stack([total, total]), generator, SPEECH_RATE, decay_s=0.6, wet=0.7)
    return np.asarray(stereo[0])


def _slope(
    generator: np.random.Generator, count: int, db_per_octave: float, peaks: int = 0
) -> Samples:
    """Return noise with a slope of `db_per_octave` above 50 Hz and broad peaks in its spectrum."""
    centres_hz = generator.uniform(200, 5000, peaks)
    heights_db = generator.uniform(4, 12, peaks)

    def gain_of(frequency_hz: Samples) -> Samples:
        """Return the gain at each frequency."""
        octaves = np.log2(np.maximum(frequency_hz, 50.0) / 50.0)
        gain_db = db_per_octave * octaves
        for centre_hz, height_db in zip(centres_hz, heights_db, strict=True):
            distance = np.log2(np.maximum(frequency_hz, 20.0) / centre_hz)
            gain_db = gain_db + height_db * np.exp(-((distance / 0.4) ** 2))
        return np.asarray(10 ** (gain_db / 20))

    return shaped_noise(generator, count, SPEECH_RATE, gain_of)


def _swell(count: int, slowness_s: float, generator: np.random.Generator) -> Samples:
    """Return a slow random curve between about 0 and 1."""
    points = generator.standard_normal(int(count / SPEECH_RATE * _CONTROL_RATE) + 2)
    curve = gaussian_filter1d(points, slowness_s * _CONTROL_RATE, mode="reflect")
    curve = 0.5 + 0.25 * curve / np.std(curve)
    at = np.arange(count) / SPEECH_RATE * _CONTROL_RATE
    return np.asarray(np.clip(np.interp(at, np.arange(curve.size), curve), 0.1, None))


def hiss(count: int, generator: np.random.Generator) -> Samples:
    return _slope(generator, count, float(generator.uniform(-2, 3)), peaks=1)


def rumble(count: int, generator: np.random.Generator) -> Samples:
    return _slope(generator, count, float(generator.uniform(-9, -5)), peaks=2)


def fan(count: int, generator: np.random.Generator) -> Samples:
    """Return air noise with the tones of turning blades."""
    blades_hz = generator.uniform(70, 160)
    number = np.arange(1, 9)
    tones = partials(blades_hz * number, 1 / number, 1e6, seconds(count / SPEECH_RATE, SPEECH_RATE))
    return _slope(generator, count, -4.0, peaks=3) + generator.uniform(0.2, 0.6) * tones


def _scatter(
    count: int,
    per_second: float,
    sound: Callable[[np.random.Generator], Samples],
    generator: np.random.Generator,
) -> Samples:
    """Return sounds at random times, over the noise of a quiet room."""
    track = np.zeros(count)
    waits_s = generator.exponential(1 / per_second, round(2 * per_second * count / SPEECH_RATE) + 8)
    for start_s in np.cumsum(waits_s):
        add_at(track, round(start_s * SPEECH_RATE), generator.uniform(0.4, 1.0) * sound(generator))
    room_level = _rms(track) * 10 ** (_FLOOR_DB / 20)
    return track + room_level * _slope(generator, count, -5.0)


def _struck(
    generator: np.random.Generator, modes_hz: Samples, ring_s: float, click: float
) -> Samples:
    """Return the sound of a struck object: ringing modes and a click."""
    time = seconds(6 * ring_s, SPEECH_RATE)
    levels = generator.uniform(0.3, 1.0, modes_hz.size)
    ring = partials(modes_hz, levels, ring_s * generator.uniform(0.4, 1.0, modes_hz.size), time)
    tick = click * generator.standard_normal(time.size) * np.exp(-time / 0.002)
    return (ring + tick) * envelope(time, 0.0005, 0.005)


def knocks(count: int, generator: np.random.Generator) -> Samples:
    """Return groups of knocks on one wooden door."""
    modes_hz = generator.uniform(90, 900, 6)

    def group(generator: np.random.Generator) -> Samples:
        """Return two to four knocks."""
        track = np.zeros(SPEECH_RATE)
        gap_s = generator.uniform(0.14, 0.24)
        for number in range(int(generator.integers(2, 5))):
            knock = _struck(generator, modes_hz, 0.035, 0.8)
            add_at(track, round(number * gap_s * SPEECH_RATE), knock)
        return track

    return _scatter(count, 1.6, group, generator)


def clatter(count: int, generator: np.random.Generator) -> Samples:
    """Return struck dishes."""

    def dish(generator: np.random.Generator) -> Samples:
        return _struck(generator, generator.uniform(900, 7000, 7), 0.06, 0.4)

    return _scatter(count, float(generator.uniform(4, 9)), dish, generator)


def keyboard(count: int, generator: np.random.Generator) -> Samples:
    """Return typing: every key gives a press and, shortly after, a softer release."""
    case_hz = generator.uniform(400, 3500, 5)

    def key(generator: np.random.Generator) -> Samples:
        track = np.zeros(SPEECH_RATE // 4)
        add_at(track, 0, _struck(generator, case_hz * generator.uniform(0.9, 1.1), 0.008, 1.5))
        release = round(generator.uniform(0.06, 0.12) * SPEECH_RATE)
        add_at(track, release, 0.4 * _struck(generator, case_hz * 1.3, 0.006, 1.0))
        return track

    return _scatter(count, float(generator.uniform(5, 8)), key, generator)


def wind(count: int, generator: np.random.Generator) -> Samples:
    """Return gusts: low noise that swells, with a whistle in the strong ones."""
    gusts = _swell(count, 0.8, generator)
    whistle_hz = float(generator.uniform(350, 900))
    whistle = filtered(
        generator.standard_normal(count), SPEECH_RATE, "bandpass", (whistle_hz, 1.15 * whistle_hz)
    )
    return gusts * _slope(generator, count, -8.0) + 1.5 * gusts**3 * whistle


def rain(count: int, generator: np.random.Generator) -> Samples:
    """Return a steady shower with single drops close by."""

    def drop(generator: np.random.Generator) -> Samples:
        return _struck(generator, generator.uniform(1200, 5000, 2), 0.004, 0.5)

    drops = _scatter(count, float(generator.uniform(20, 60)), drop, generator)
    shower = _slope(generator, count, 1.0, peaks=2) * (0.7 + 0.3 * _swell(count, 2.0, generator))
    return shower + 1.5 * drops / _rms(drops)


def hum(count: int, generator: np.random.Generator) -> Samples:
    """Return mains hum, 50 or 60 Hz and its harmonics, over the noise of ventilation."""
    mains_hz = float(generator.choice([50.0, 60.0]))
    number = np.arange(1, 16)
    levels = generator.uniform(0.2, 1.0, number.size) / number**0.8
    time = seconds(count / SPEECH_RATE, SPEECH_RATE)
    return partials(mains_hz * number, levels, 1e6, time) + 0.5 * _slope(generator, count, -6.0)


def traffic(count: int, generator: np.random.Generator) -> Samples:
    """Return passing cars: tyre noise and engines that rise and fall, over a distant road."""
    time = seconds(count / SPEECH_RATE, SPEECH_RATE)
    track = 0.3 * _slope(generator, count, -6.0)
    for passing_s in np.arange(generator.uniform(0, 3), time[-1], generator.uniform(3, 6)):
        nearness = 1 / (1 + ((time - passing_s) / generator.uniform(0.5, 1.2)) ** 2)
        shift = 1 - 0.04 * np.tanh(time - passing_s)
        phase = 2 * np.pi * np.cumsum(generator.uniform(60, 110) * shift) / SPEECH_RATE
        engine = sum(np.sin(number * phase) / number for number in range(1, 7))
        track += nearness * (_slope(generator, count, -3.0) + 0.4 * engine)
    return track


KINDS: dict[str, Callable[[int, np.random.Generator], Samples]] = {
    "hiss": hiss,
    "rumble": rumble,
    "fan": fan,
    "knocks": knocks,
    "clatter": clatter,
    "keyboard": keyboard,
    "wind": wind,
    "rain": rain,
    "hum": hum,
    "traffic": traffic,
}
