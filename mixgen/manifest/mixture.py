"""The records of a manifest: everything that is needed to render a mixture, nothing random."""

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from mixgen.acoustics.echo_path import Echo
from mixgen.acoustics.room import LONGEST_T60_S, Point
from mixgen.audio.levels import LevelRule
from mixgen.audio.sox import HIGHEST_SHIFT, LEAST_STRETCH, LOWEST_SHIFT, MOST_STRETCH
from mixgen.core.errors import InputError
from mixgen.core.paths import check_name
from mixgen.core.records import ExactRecord, Record, RelativePath, as_value_error
from mixgen.core.vocabulary import Kind, Role
from mixgen.degradations import Degradation
from mixgen.manifest.finished import Finished
from mixgen.manifest.published import Arithmetic, Published, Step, WhiteNoise

MIXTURE = "mixture"
UNDEGRADED = "undegraded"  # the sum of the sources, where the mixture is degraded after it

Part = Literal["image", "early", "tail", "dry", "far_end", "enrolment"]
"""What a file of a source holds.

- image: the source as it is in the mixture;
- early, tail, dry: parts of the image, cut from its room response;
- far_end: the signal that an echo is of, which an echo canceller gets;
- enrolment: another utterance of the talker, which an extractor gets.
"""

_UNMIXED: tuple[Part, ...] = ("far_end", "enrolment")

_SET_FILES = ("manifest.jsonl", "rendered.jsonl")
_LONGEST_FRAMES = 48000 * 24 * 3600

Seconds = Annotated[float, Field(ge=0, le=1e7)]
Decibels = Annotated[float, Field(ge=-300, le=300)]


def _check_source_name(name: str) -> str:
    if name.lower() in (MIXTURE, UNDEGRADED):
        raise ValueError(f"a source cannot be called {name!r}, which is another file")
    return as_value_error(check_name, name)


SourceName = Annotated[str, AfterValidator(_check_source_name)]


class Event(ExactRecord):
    """One excerpt of one file, placed in a mixture; times in seconds, as in Scaper's EventSpec.

    `text` is the transcript of the whole file, where the corpus has one. `steps` are what a
    published set does to the excerpt, in this order; `snr` is then the change of its level by them.
    Events of one `submix` are added up before those of the next one.
    """

    corpus: str
    path: RelativePath
    sha256: str
    source_time: Seconds
    event_time: Seconds
    event_duration: Seconds = Field(gt=0)
    snr: Decibels
    pitch_shift: float | None = Field(default=None, ge=LOWEST_SHIFT, le=HIGHEST_SHIFT)
    time_stretch: float | None = Field(default=None, ge=LEAST_STRETCH, le=MOST_STRETCH)
    licence: str = ""
    text: str = ""
    steps: list[Step] = Field(default_factory=list)
    submix: int = Field(default=0, ge=0)

    @property
    def sounding_s(self) -> float:
        """Seconds that the event sounds in the mixture, after stretching."""
        return self.event_duration * (self.time_stretch or 1.0)


class Gain(ExactRecord):
    """How an event gets its level: measured by `rule`, set to reference_db + the event's snr.

    Events with a `shared` gain are parts of one stem and keep their balance.
    """

    rule: LevelRule
    shared: bool = False


class Response(ExactRecord):
    """The file of a response from a source to the microphones; `t60_s` is what it was made for."""

    corpus: str
    path: RelativePath
    sha256: str
    t60_s: float | None = None
    licence: str = ""


class Position(ExactRecord):
    """The position of a source in a simulated room, in metres.

    With `to_m` the source moves there from `position_m`, straight and at one speed, while the
    mixture lasts.
    """

    position_m: Point
    to_m: Point | None = None


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that a source is rendered to: its name without extension, and what it holds.

    The dry reference of a talker who comes to several microphones `is_mono`.
    """

    name: str
    part: Part
    is_mono: bool = False

    @property
    def is_in_sum(self) -> bool:
        """Whether the mixture is the sum of such files."""
        return self.part == "image"

    @property
    def is_mixed(self) -> bool:
        """Whether the microphones pick it up: the image, and parts of it."""
        return self.part not in _UNMIXED


def file_name(source: str, part: Part) -> str:
    """Return the name of a source's file: the source's, followed by the part if not the image."""
    return source if part == "image" else f"{source}_{part}"


class Source(ExactRecord):
    """One signal of a mixture: the sum of its events, through its room response if it has one.

    `references` are parts of it that get separate files and are not summed. The image of a source
    with an `echo` is the echo of its events, and the far-end signal gets a separate file, as does
    an `enrolment`: an utterance of the talker that is not in the mixture. Of a far end whose files
    exist already, `parts` are those that there are.

    A published set has its rooms in the steps of events. `early`, `tail` and `dry` are then the
    events of these references, and `generated` is noise that no file has.
    """

    name: SourceName
    role: Role
    label: str
    kind: Kind
    events: list[Event]
    gain: Gain
    room: Response | Position | None = None
    references: list[Literal["early", "dry"]] = Field(default_factory=list)
    echo: Echo | None = None
    enrolment: Event | None = None
    dry: list[Event] = Field(default_factory=list)
    early: list[Event] = Field(default_factory=list)
    tail: list[Event] = Field(default_factory=list)
    generated: WhiteNoise | None = None
    parts: list[Literal["image", "far_end"]] = Field(default_factory=list)

    @model_validator(mode="after")
    def _parts_have_a_cause(self) -> "Source":
        if self.references and self.room is None:
            raise ValueError("`references` are parts of a room response: give a `room`")
        if self.room is not None and (self.dry or self.early or self.tail):
            raise ValueError("events of references belong to a source without a `room`")
        if self.generated is not None and self.events:
            raise ValueError("a `generated` source has no `events`")
        if self.echo is not None and (self.role != "far_end" or self.references):
            raise ValueError("an `echo` belongs to the role far_end, which has no `references`")
        return self

    @property
    def files(self) -> list[SourceFile]:
        """The files that the source is rendered to, the image first."""
        parts: list[Part] = [*self.parts] or ["image", *self.references]
        parts += [part for part, events in self.references_of_events.items() if events]
        if self.echo is not None:
            parts.append("far_end")
        if self.enrolment is not None:
            parts.append("enrolment")
        return [
            SourceFile(file_name(self.name, part), part, part == "dry" and self._dry_is_mono)
            for part in parts
        ]

    @property
    def references_of_events(self) -> dict[Part, list[Event]]:
        """The events of each reference that a published set may have."""
        return {"early": self.early, "tail": self.tail, "dry": self.dry}

    @property
    def _dry_is_mono(self) -> bool:
        """Whether only the image has the channels of the microphones."""
        of_both = self.events, self.dry
        return [any(s.spatialise for e in x for s in e.steps) for x in of_both] == [True, False]


class Simulation(ExactRecord):
    """A room whose responses are computed when the mixture is rendered; lengths in metres."""

    engine: Literal["pyroomacoustics"]
    version: str
    size_m: Point
    t60_s: float = Field(gt=0, le=LONGEST_T60_S)
    microphones_m: list[Point] = Field(min_length=1, max_length=8)


class Room(ExactRecord):
    """The room of a mixture, and how long after the direct sound its early part lasts.

    The responses come from files, or from a `simulation` in which every source has a position.
    """

    name: str
    early_s: float = Field(default=0.05, gt=0, le=1)
    simulation: Simulation | None = None


class Level(ExactRecord):
    """The reference level of a mixture in dB (LUFS or dB full scale, by each source's rule)."""

    reference_db: Decibels


class Clip(Record):
    """What keeps peaks in range.

    - `joint`: all files share one gain that keeps every peak at or below `peak`.
    - `headroom`: all files are divided by max(1, highest peak) / `peak`, also where none is loud.
    - `none`: nothing does; samples beyond full scale are cut off.
    """

    rule: Literal["joint", "headroom", "none"] = "joint"
    peak: float = Field(default=0.9, ge=0.01, lt=1)


class Mixture(ExactRecord):
    """All that is needed to render one mixture from its source files.

    With `arithmetic` it is computed as the scripts of a published set do. Where the mixture of such
    a set is no sum, `recorded` is what it is read from. With `finished` nothing is computed: there
    are no events, and every file exists already.
    """

    id: str
    split: str
    sample_rate: int = Field(ge=8000, le=48000)
    channels: int = Field(ge=1, le=8)
    frames: int = Field(ge=1, le=_LONGEST_FRAMES)
    seed: int
    sources: list[Source]
    level: Level
    fade_s: float = Field(default=0.0, ge=0, le=1)
    room: Room | None = None
    degradations: list[Degradation] = Field(default_factory=list)
    clip: Clip = Clip()
    targets: list[str]
    arithmetic: Arithmetic | None = None
    recorded: Event | None = None
    published: Published | None = None
    finished: Finished | None = None

    @field_validator("id")
    @classmethod
    def _id_is_a_folder_name(cls, name: str) -> str:
        if name.lower() in _SET_FILES:
            raise ValueError(f"a mixture cannot be called {name!r}, which is a file of every set")
        return as_value_error(check_name, name)

    @model_validator(mode="after")
    def _positions_are_in_a_simulated_room(self) -> "Mixture":
        simulation = self.room.simulation if self.room else None
        if any(isinstance(s.room, Position) for s in self.sources) != (simulation is not None):
            raise ValueError(
                "sources with a position need the `simulation` of a room, and vice versa"
            )
        if simulation and len(simulation.microphones_m) < self.channels:
            raise ValueError("the simulated room has fewer microphones than the mixture channels")
        return self

    @model_validator(mode="after")
    def _arithmetic_has_all_it_needs(self) -> "Mixture":
        if self.arithmetic is None:
            events = [event for source in self.sources for event in source.events]
            exact = any(event.steps or event.submix for event in events)
            exact |= any(s.generated or any(s.references_of_events.values()) for s in self.sources)
            if exact or self.recorded or self.clip.rule != "joint":
                raise ValueError(
                    "`steps`, `submix`, `generated`, events of references, `recorded` and other "
                    "clip rules need `arithmetic`"
                )
            return self
        if self.clip.rule == "joint":
            raise ValueError("`arithmetic` needs the clip rule `headroom` or `none`")
        if self.room or self.degradations or any(s.echo or s.enrolment for s in self.sources):
            raise ValueError("`arithmetic` has no room, echo, enrolment or degradations")
        names = sorted(source.name for source in self.sources)
        if self.arithmetic.order and sorted(self.arithmetic.order) != names:
            raise ValueError("the `order` of `arithmetic` has to name every source once")
        return self

    @model_validator(mode="after")
    def _finished_files_are_all_there_is(self) -> "Mixture":
        if self.finished is None:
            if any(source.parts for source in self.sources):
                raise ValueError("`parts` of a source are those of `finished` files")
            return self
        made = self.room or self.degradations or self.arithmetic
        if made or any(s.events or s.echo or s.enrolment for s in self.sources):
            raise ValueError(
                "`finished` files are not made: there are no events, and no room, echo, enrolment, "
                "degradations or `arithmetic`"
            )
        if self.finished.files.keys() != set(self.file_names):
            raise ValueError("`finished` has to have the mixture and every source")
        return self

    @property
    def is_exact(self) -> bool:
        """Whether its samples are those of others: computed as they do, or read from their files.

        Nothing brings such sources to a level, so there is none in the record.
        """
        return self.arithmetic is not None or self.finished is not None

    @property
    def sums_on_disk(self) -> bool:
        """Whether the record says that the files of the sources sum to the mixture exactly."""
        if self.finished is not None:
            return self.finished.sums
        return self.arithmetic is None or self.arithmetic.sum_of == "files"

    @property
    def duration_s(self) -> float:
        """Length of the mixture in seconds."""
        return self.frames / self.sample_rate

    @property
    def common_name(self) -> str:
        """What all variants of a mixture share: the official name of a published one, or the id."""
        return self.published.name if self.published else self.id

    @property
    def source_files(self) -> list[SourceFile]:
        """The files of all sources, in the order of the sources."""
        return [file for source in self.sources for file in source.files]

    @property
    def source_of(self) -> dict[str, Source]:
        """The source that each file is of, by the file's name."""
        return {file.name: source for source in self.sources for file in source.files}

    @property
    def far_end_files(self) -> list[str]:
        """Names of the files with the signals that the echoes are of."""
        return [file.name for file in self.source_files if file.part == "far_end"]

    @property
    def file_names(self) -> list[str]:
        """Names of the files that the mixture is rendered to, without extension."""
        sums = [MIXTURE, UNDEGRADED] if self.degradations else [MIXTURE]
        return [*sums, *(file.name for file in self.source_files)]

    def frames_of(self, name: str) -> int | None:
        """Return the length of a file; None for a rendered enrolment, which is as long as it is."""
        if self.finished is not None:
            return self.finished.files[name].frames or self.frames
        enrolments = [file.name for file in self.source_files if file.part == "enrolment"]
        return None if name in enrolments else self.frames

    @property
    def sum_name(self) -> str:
        """Name of the file that is exactly the sum of the sources."""
        return UNDEGRADED if self.degradations else MIXTURE

    def span_of(self, event: Event, *, delay: int = 0, tail: int = 0) -> slice:
        """Return the samples in which an event sounds, `delay` samples late.

        They end `tail` samples after the event, and may lie beyond the end of the mixture.
        """
        start = int(event.event_time * self.sample_rate) + delay
        return slice(start, start + math.ceil(event.sounding_s * self.sample_rate) + tail)

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data without what equals its default.

        Keys that later versions add therefore change neither the line nor the manifest's hash.
        """
        return self.model_dump(mode="json", exclude_defaults=True)


def published_of(mixture: Mixture) -> Published:
    """Return the place of a mixture in the tree of its published set.

    Raises:
        InputError: it is of none.
    """
    if mixture.published is None:
        raise InputError(
            f"Mixture {mixture.id} is of no published set: render it without --layout."
        )
    return mixture.published
