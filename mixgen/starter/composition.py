"""Compose a song from its description: chords, melody, bass, accompaniment and drum hits."""

import dataclasses
from collections.abc import Iterator

import numpy as np

from mixgen.starter.items import Song
from mixgen.starter.seeding import generator_for

SCALES = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
}

# A pattern is one bar in equal steps. Drums: x loud, o soft, . silent.
_STROKE_LEVELS = {"x": 1.0, "o": 0.45}
GROOVES = {
    "rock": {"kick": "x.....o.x.x.....", "snare": "....x.......x...", "hat": "x.o.x.o.x.o.x.o."},
    "four_floor": {
        "kick": "x...x...x...x...",
        "clap": "....x.......x...",
        "hat": "..x...x...x...xo",
        "shaker": "oooooooooooooooo",
    },
    "waltz": {"kick": "x...........", "rim": "....o...o...", "ride": "x...x.o.x..."},
    "funk": {"kick": "x..x..o...x.....", "snare": "....x..o.o..x..o", "hat": "xoxoxoxoxoxoxoxo"},
    "ballad": {"kick": "x.........x.....", "rim": "....x.......x...", "ride": "x...x...x...x..."},
    "bossa": {"kick": "x..ox..ox..ox..o", "rim": "x..x..x...x..x..", "shaker": "xoxoxoxoxoxoxoxo"},
    "breakbeat": {
        "kick": "x.x.......xx....",
        "snare": "....x..o.o..x..o",
        "ride": "x.o.x.o.x.o.x.o.",
    },
    "shuffle": {"kick": "x.....x..o..", "snare": "...x.....x..", "hat": "x.ox.ox.ox.o"},
    "half_time": {
        "kick": "x......x..o.....",
        "snare": "........x.......",
        "hat": "x.ooo.oox.ooo.xo",
    },
}
FILL = {"tom": "........xoxoxxxx", "kick": "x.......x......."}

# Pitched patterns: a digit is a step of the scale above the root of the chord, c the whole chord,
# - holds the note, . is silent.
BASS_PATTERNS = {
    "eighths": "0-0-0-0-0-0-0-4-",
    "offbeat": "..0-..0-..0-..7-",
    "waltz": "0---4-..4-..",
    "syncopated": "0-.0..7-..0-4-..",
    "roots": "0-----0-0-----..",
    "roots_fifths": "0--.0-4-4--.4-0-",
    "walking": "0-.2-.4-.5-.",
    "gallop": "0-000-000-000-44",
    "long": "0-----------4---",
    "octaves": "0.7.0.7.0.7.0.7.",
}
ACCOMPANIMENT_PATTERNS = {
    "held": "c---------------",
    "stabs": "..c...c-..c...c-",
    "waltz": "....c-..c-..",
    "broken": "0---2---4---7---",
    "bossa": "c--c..c-..c--c..",
    "rolling": "0-2-4-7-4-2-4-2-",
    "shuffle": "c-.c-cc-.c-c",
    "strum": "c---c-c-.-c-c-c-",
    "arpeggio_waltz": "0-2-4-7-4-2-",
}

VOICE_CENTRES = {"soprano": 72, "alto": 66, "tenor": 60, "baritone": 53}
_RHYTHMS = {
    4: ((1, 1, 1, 1), (1.5, 0.5, 2), (0.5, 0.5, 1, 1, 1), (1, 0.5, 0.5, 1.5, 0.5), (2, 1, 1)),
    3: ((1, 1, 1), (2, 1), (1.5, 0.5, 1), (1, 0.5, 0.5, 1)),
}
_CONSONANTS = ("", "l", "m", "n", "s", "t", "k", "d", "sh", "h")
_VOWELS = ("a", "e", "i", "o", "u", "ae")
_PHRASE_FORM = "ABAC"
_BARS_PER_PHRASE = 2


@dataclasses.dataclass(frozen=True)
class Note:
    """One note: start and length in beats, MIDI pitch, level from 0 to 1, and syllable if sung."""

    start: float
    length: float
    pitch: float
    level: float
    consonant: str = ""
    vowel: str = "a"


@dataclasses.dataclass(frozen=True)
class Hit:
    """One stroke: start in beats, drum, and level from 0 to 1."""

    start: float
    drum: str
    level: float


def bar_count(song: Song) -> int:
    """Return the number of bars nearest to the requested length, a multiple of four."""
    bar_s = song.beats_per_bar * 60 / song.tempo_bpm
    return max(1, round(song.length_s / bar_s / 4)) * 4


def chords(song: Song) -> list[int]:
    """Return the scale degree of every bar's chord: the verse, then the chorus from the middle."""
    bars = bar_count(song)
    half = bars // 8 * 4
    return [
        (song.verse if bar < half else song.chorus)[bar % len(song.verse)] for bar in range(bars)
    ]


def scale_pitch(song: Song, degree: int) -> int:
    """Return the MIDI pitch of a scale degree; degree 0 is the tonic from C3 upwards."""
    octave, step = divmod(degree, 7)
    return 48 + song.key + 12 * octave + SCALES[song.mode][step]


def into_range(pitch: int, lowest: int) -> int:
    """Move a pitch by octaves into [lowest, lowest + 12)."""
    return lowest + (pitch - lowest) % 12


def bass_notes(song: Song) -> list[Note]:
    """Return the bass line: the pattern on the root of every bar's chord, from E1 upwards."""
    notes = []
    for bar, root in enumerate(chords(song)):
        low = into_range(scale_pitch(song, root), 28)
        for start, length, symbol in _steps(BASS_PATTERNS[song.bass_pattern], song.beats_per_bar):
            rise = scale_pitch(song, root + int(symbol)) - scale_pitch(song, root)
            accent = 1.0 if start == 0 else 0.8
            notes.append(Note(bar * song.beats_per_bar + start, length, low + rise, accent))
    return notes


def accompaniment_notes(song: Song) -> list[Note]:
    """Return the accompaniment: chords or broken chords in close voicings around middle C."""
    pattern = ACCOMPANIMENT_PATTERNS[song.accompaniment_pattern]
    notes = []
    for bar, root in enumerate(chords(song)):
        voicing = sorted(into_range(scale_pitch(song, root + third), 55) for third in (0, 2, 4))
        broken = {"0": voicing[0], "2": voicing[1], "4": voicing[2], "7": voicing[0] + 12}
        for start, length, symbol in _steps(pattern, song.beats_per_bar):
            level = 1.0 if start == 0 else 0.75
            for pitch in voicing if symbol == "c" else [broken[symbol]]:
                notes.append(Note(bar * song.beats_per_bar + start, length, pitch, level))
    return notes


def _steps(pattern: str, beats_per_bar: int) -> Iterator[tuple[float, float, str]]:
    """Yield the start and the length in beats, and the symbol, of every note in a pattern."""
    beats_per_step = beats_per_bar / len(pattern)
    for step, symbol in enumerate(pattern):
        if symbol in ".-":
            continue
        rest = pattern[step + 1 :]
        held = 1 + len(rest) - len(rest.lstrip("-"))
        yield step * beats_per_step, held * beats_per_step, symbol


def drum_hits(song: Song) -> list[Hit]:
    """Return the drum part: the groove, with a fill in every eighth bar of songs in four."""
    hits = []
    for bar in range(bar_count(song)):
        fills = song.beats_per_bar == 4 and bar % 8 == 7
        for drum, pattern in (FILL if fills else GROOVES[song.groove]).items():
            beats_per_step = song.beats_per_bar / len(pattern)
            hits += [
                Hit(bar * song.beats_per_bar + step * beats_per_step, drum, _STROKE_LEVELS[symbol])
                for step, symbol in enumerate(pattern)
                if symbol in _STROKE_LEVELS
            ]
    return hits


def melody_notes(song: Song) -> list[Note]:
    """Return the sung melody: phrases of two bars in the form ABAC, chord notes on the beats."""
    roots = chords(song)
    half = len(roots) // 8 * 4
    notes = []
    for first_bar in range(0, len(roots), _BARS_PER_PHRASE):
        section = "verse" if first_bar < half else "chorus"
        letter = _PHRASE_FORM[first_bar // _BARS_PER_PHRASE % len(_PHRASE_FORM)]
        generator = generator_for("melody", song.name, section, letter)
        notes += _phrase(
            song, first_bar, roots[first_bar : first_bar + _BARS_PER_PHRASE], generator
        )
    # The voice enters in the second bar.
    return [note for note in notes if note.start >= song.beats_per_bar]


def _phrase(
    song: Song, first_bar: int, roots: list[int], generator: np.random.Generator
) -> list[Note]:
    """Return two bars of melody that begin near the centre of the voice and end with a breath."""
    rhythms = _RHYTHMS[song.beats_per_bar]
    tonic = scale_pitch(song, 0)
    sung_tonic = into_range(tonic, VOICE_CENTRES[song.voice] - 7)
    degree = int(generator.integers(-1, 4))
    notes = []
    for bar, root in enumerate(roots):
        beat = 0.0
        for length in rhythms[generator.integers(len(rhythms))]:
            degree = int(np.clip(degree + generator.integers(-2, 3), -3, 7))
            if beat.is_integer():
                degree = _nearest_chord_tone(degree, root)
            ends_phrase = bar == len(roots) - 1 and beat + length == song.beats_per_bar
            notes.append(
                Note(
                    start=(first_bar + bar) * song.beats_per_bar + beat,
                    length=length * (0.7 if ends_phrase else 1.0),
                    pitch=sung_tonic + scale_pitch(song, degree) - tonic,
                    level=float(generator.uniform(0.7, 1.0)),
                    consonant=str(generator.choice(_CONSONANTS)),
                    vowel=str(generator.choice(_VOWELS)),
                )
            )
            beat += length
    return notes


def _nearest_chord_tone(degree: int, root: int) -> int:
    """Return the scale degree nearest to `degree` that belongs to the triad on `root`."""
    tones = [root + third + 7 * octave for octave in (-2, -1, 0, 1) for third in (0, 2, 4)]
    return min(tones, key=lambda tone: abs(tone - degree))
