"""The records of the plan: one per voice, utterance, song and noise, with the files it fills."""

import dataclasses

SPEECH_RATE = 16_000
SONG_RATE = 44_100
STEMS = ("vocals", "drums", "bass", "other")


@dataclasses.dataclass(frozen=True)
class Speaker:
    """One voice: an espeak-ng accent and variant, and how it is bent."""

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
        """Return the one file, relative to the corpus."""
        return (f"speech/{self.speaker.split}/{self.speaker.name}/{self.name}.flac",)


@dataclasses.dataclass(frozen=True)
class Song:
    """One song: what makes it sound like itself and not like its neighbours."""

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
        """Return the mixture's and the stems' files, relative to the corpus."""
        return tuple(f"{self.folder}/{stem}.flac" for stem in ("mixture", *STEMS))


@dataclasses.dataclass(frozen=True)
class Noise:
    """One noise recording of a class (`label`) and a kind within it."""

    split: str
    label: str
    kind: str
    number: int
    duration_s: float = 20.0

    @property
    def paths(self) -> tuple[str, ...]:
        """Return the one file, relative to the corpus."""
        return (f"noise/{self.split}/{self.label}/{self.kind}-{self.number:02d}.flac",)


Item = Utterance | Song | Noise


@dataclasses.dataclass(frozen=True)
class Plan:
    """Everything that the corpus holds, in the order of its listing."""

    utterances: tuple[Utterance, ...]
    songs: tuple[Song, ...]
    noises: tuple[Noise, ...]

    @property
    def items(self) -> tuple[Item, ...]:
        return (*self.utterances, *self.songs, *self.noises)

    @property
    def speakers(self) -> tuple[Speaker, ...]:
        return tuple(dict.fromkeys(utterance.speaker for utterance in self.utterances))
