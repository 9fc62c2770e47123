"""The records of a plan: speakers, utterances, songs and noises, each with its files."""

import dataclasses

SPEECH_RATE = 16_000
SONG_RATE = 44_100
STEMS = ("vocals", "drums", "bass", "other")


@dataclasses.dataclass(frozen=True)
class Speaker:
    """One voice: an espeak-ng accent and variant, and how its sound is changed.

    Attributes:
        pitch: espeak-ng's pitch, 0 to 99.
        words_per_minute: speaking rate after all changes.
        formant_scale: factor on formants and pitch; above 1, the vocal tract is shorter.
        tilt: y[t] = x[t] - tilt * x[t - 1]; above 0, the voice is brighter.
    """

    name: str
    split: str
    accent: str
    variant: str
    pitch: int
    words_per_minute: int
    formant_scale: float
    tilt: float


@dataclasses.dataclass(frozen=True)
class Utterance:
    """One sentence by one speaker."""

    speaker: Speaker
    number: int
    text: str

    @property
    def name(self) -> str:
        return f"{self.speaker.name}-{self.number:03d}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the path of the one file, relative to the corpus."""
        return (f"speech/{self.speaker.split}/{self.speaker.name}/{self.name}.flac",)


@dataclasses.dataclass(frozen=True)
class Song:
    """One song: tempo, key, metre, instruments with their patterns, voice and chords.

    Attributes:
        key: tonic in semitones above C.
        verse: chord of each bar, as the scale degree of its root counted from 0; repeated.
        chorus: as `verse`, with the same number of bars.
        length_s: requested length, which is rounded to groups of four bars.
    """

    name: str
    split: str
    tempo_bpm: float
    key: int
    mode: str
    beats_per_bar: int
    groove: str
    bass: str
    bass_pattern: str
    accompaniment: str
    accompaniment_pattern: str
    voice: str
    verse: tuple[int, ...]
    chorus: tuple[int, ...]
    length_s: float = 25.0

    @property
    def folder(self) -> str:
        return f"songs/{self.split}/{self.name}"

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the paths of the mixture and the stems, relative to the corpus."""
        return tuple(f"{self.folder}/{stem}.flac" for stem in ("mixture", *STEMS))


@dataclasses.dataclass(frozen=True)
class Noise:
    """One noise recording: its class (`label`) and its kind within the class."""

    split: str
    label: str
    kind: str
    number: int
    duration_s: float = 20.0

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the path of the one file, relative to the corpus."""
        return (f"noise/{self.split}/{self.label}/{self.kind}-{self.number:02d}.flac",)


Item = Utterance | Song | Noise


@dataclasses.dataclass(frozen=True)
class Plan:
    """Every utterance, song and noise of the corpus."""

    utterances: tuple[Utterance, ...]
    songs: tuple[Song, ...]
    noises: tuple[Noise, ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return (*self.utterances, *self.songs, *self.noises)

    @property
    def speakers(self) -> tuple[Speaker, ...]:
        return tuple(dict.fromkeys(utterance.speaker for utterance in self.utterances))
