"""Play the score of a song with its instruments, as stereo stems whose sum is the mixture."""

from collections.abc import Callable

import numpy as np

from mixgen.starter.composition import (
    Note,
    accompaniment_notes,
    bar_count,
    bass_notes,
    drum_hits,
    melody_notes,
)
from mixgen.starter.drums import DRUMS, PANS, choose_kit
from mixgen.starter.instruments import ACCOMPANIMENTS, BASSES, Instrument
from mixgen.starter.items import SONG_RATE, STEMS, Song
from mixgen.starter.seeding import generator_for
from mixgen.starter.singing import sing
from mixgen.starter.tones import Samples, add_at, hertz, panned, reverberated

_LEVELS_DB = {"vocals": -19.0, "drums": -20.0, "bass": -22.0, "other": -22.0}
_LEVEL_SPREAD_DB = 2.0
_TAIL_S = 1.0
_PEAK = 0.8
_SHORTEST_S = 0.05


def play(song: Song) -> dict[str, Samples]:
    """Return the stems by name, each (2, time) at 44.1 kHz; their sum peaks at 0.8."""
    parts = {stem: PARTS[stem](song, generator_for(stem, song.name)) for stem in STEMS}
    return _balanced(parts, generator_for("balance", song.name))


def _balanced(parts: dict[str, Samples], generator: np.random.Generator) -> dict[str, Samples]:
    """Set the level of each stem, then scale all by one gain so that their sum peaks at 0.8."""
    levelled = {}
    for stem, part in parts.items():
        level_db = _LEVELS_DB[stem] + generator.uniform(-_LEVEL_SPREAD_DB, _LEVEL_SPREAD_DB)
        levelled[stem] = part * 10 ** (level_db / 20) / np.sqrt(np.mean(part**2))
    peak = np.abs(sum(levelled.values())).max()
    return {stem: part * _PEAK / peak for stem, part in levelled.items()}


def frame_count(song: Song) -> int:
    """Return the length of the song in samples: its bars, and a second for the tails."""
    return round((bar_count(song) * song.beats_per_bar * _beat_s(song) + _TAIL_S) * SONG_RATE)


def _beat_s(song: Song) -> float:
    return 60 / song.tempo_bpm


def _silence(song: Song) -> Samples:
    return np.zeros((2, frame_count(song)))


def _vocals(song: Song, generator: np.random.Generator) -> Samples:
    """Return the voice in the middle, with a softer take on either side."""
    melody = melody_notes(song)
    takes = [
        gain * panned(_take(song, melody, generator), position)
        for gain, position in ((1.0, 0.0), (0.3, -0.6), (0.3, 0.6))
    ]
    return reverberated(np.sum(takes, axis=0), generator, SONG_RATE, decay_s=0.9, wet=0.3)


def _take(song: Song, melody: list[Note], generator: np.random.Generator) -> Samples:
    return sing(
        melody,
        beat_s=_beat_s(song),
        frames=frame_count(song),
        voice=song.voice,
        generator=generator,
    )


def _drums(song: Song, generator: np.random.Generator) -> Samples:
    kit, track = choose_kit(generator), _silence(song)
    for hit in drum_hits(song):
        level = hit.level * generator.uniform(0.85, 1.0)
        stroke = level * DRUMS[hit.drum](kit, generator)
        start = _start(song, hit.start, 0.003, generator)
        add_at(track, start, panned(stroke, PANS.get(hit.drum, 0.0)))
    return reverberated(track, generator, SONG_RATE, decay_s=0.35, wet=0.15)


def _bass(song: Song, generator: np.random.Generator) -> Samples:
    track = _silence(song)
    for note in bass_notes(song):
        sound = _played(song, note, BASSES[song.bass], generator)
        add_at(track, _start(song, note.start, 0.004, generator), panned(sound, 0.0))
    return track


def _other(song: Song, generator: np.random.Generator) -> Samples:
    """Return the accompaniment spread from low on the left to high on the right."""
    track = _silence(song)
    for note in accompaniment_notes(song):
        sound = _played(song, note, ACCOMPANIMENTS[song.accompaniment], generator)
        position = float(np.clip((note.pitch - 62) / 10, -0.8, 0.8))
        add_at(track, _start(song, note.start, 0.008, generator), panned(sound, position))
    return reverberated(track, generator, SONG_RATE, decay_s=0.7, wet=0.25)


def _played(
    song: Song, note: Note, instrument: Instrument, generator: np.random.Generator
) -> Samples:
    duration_s = max(note.length * _beat_s(song), _SHORTEST_S)
    return note.level * instrument(hertz(note.pitch), duration_s, generator)


def _start(song: Song, beat: float, looseness_s: float, generator: np.random.Generator) -> int:
    """Return the sample at which a note starts, at most `looseness_s` after its beat."""
    return round((beat * _beat_s(song) + generator.uniform(0, looseness_s)) * SONG_RATE)


PARTS: dict[str, Callable[[Song, np.random.Generator], Samples]] = {
    "vocals": _vocals,
    "drums": _drums,
    "bass": _bass,
    "other": _other,
}
