"""The manifest: one header line, then one record per mixture with nothing random left in it."""

import functools
from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, field_validator, model_validator

from mixgen.degradations import Degradation
from mixgen.echo import Echo
from mixgen.errors import InputError
from mixgen.files import read_lines, sha256_file, write_jsonl
from mixgen.formats import FormatName
from mixgen.levels import LevelRule
from mixgen.paths import check_name, check_relative
from mixgen.record_files import read_header, read_records
from mixgen.records import Record, as_value_error
from mixgen.rooms.geometry import LONGEST_T60_S, Point

SCHEMA = "manifest/1"
UNDEGRADED = "undegraded"  # the sum of the sources, where the mixture is degraded after it
FAR_END = "far_end"  # the part of an echo that a canceller is given
ENROLMENT = "enrolment"  # another utterance of a talker, which an extractor is given

_SET_FILES = ("manifest.jsonl", "rendered.jsonl")
_LONGEST_FRAMES = 48000 * 24 * 3600

Seconds = Annotated[float, Field(ge=0, le=1e7)]
Decibels = Annotated[float, Field(ge=-300, le=300)]

Role = Literal["target", "interferer", "noise", "background", "far_end"]
Kind = Literal["speech", "music", "noise", "rir"]


def _check_source_name(name: str) -> str:
    if name.lower() in ("mixture", UNDEGRADED):
        raise ValueError(f"a source cannot be called {name!r}, which is another file")
    return as_value_error(check_name, name)


SourceName = Annotated[str, AfterValidator(_check_source_name)]
RelativePath = Annotated[str, AfterValidator(lambda path: as_value_error(check_relative, path))]


class Event(Record):
    """One excerpt of one file, placed in a mixture; times in seconds, as in Scaper's EventSpec.

    `text` is what is said in all of the file, where the corpus tells it.
    """

    corpus: str
    path: RelativePath
    sha256: str
    source_time: Seconds
    event_time: Seconds
    event_duration: Seconds = Field(gt=0)
    snr: Decibels
    pitch_shift: float | None = None
    time_stretch: float | None = Field(default=None, gt=0)
    licence: str = ""
    text: str = ""


class Gain(Record):
    """How an event gets its level: measured by `rule`, set to reference_db + the event's snr.

    Events that are levelled `together` are parts of one stem and keep their balance.
    """

    rule: LevelRule
    together: bool = False


class Response(Record):
    """The file of a response from a source to the microphones; `t60_s` is what it was made for."""

    corpus: str
    path: RelativePath
    sha256: str
    t60_s: float | None = None
    licence: str = ""


class Place(Record):
    """Where a source stands in a simulated room, in metres.

    With `to_m` it walks from there to here, straight and at one speed, while the mixture lasts.
    """

    position_m: Point
    to_m: Point | None = None


class Source(Record):
    """One signal of a mixture: the sum of its events, through its response where it has one.

    `references` are parts of it that are written to files of their own and not summed. A source
    with an `echo` is heard as the echo of its events, and the far-end signal is such a file too, as
    is an `enrolment`: an utterance of the talker that is not in the mixture.
    """

    name: SourceName
    role: Role
    label: str
    kind: Kind
    events: list[Event]
    gain: Gain
    room: Response | Place | None = None
    references: list[Literal["early", "dry"]] = Field(default_factory=list)
    echo: Echo | None = None
    enrolment: Event | None = None

    @model_validator(mode="after")
    def _parts_have_a_cause(self) -> "Source":
        if self.references and self.room is None:
            raise ValueError("`references` are parts of what is heard in a room: give a `room`")
        if self.echo is not None and (self.role != "far_end" or self.references):
            raise ValueError("an `echo` belongs to the role far_end, which has no `references`")
        return self

    @property
    def file_names(self) -> list[str]:
        """Names of the files of the source: itself, its references, what is apart from both."""
        return [*self.heard_names, *self.apart_names]

    @property
    def heard_names(self) -> list[str]:
        """Names of the source and of its references, which are parts of it."""
        return [self.name, *(f"{self.name}_{part}" for part in self.references)]

    @property
    def apart_names(self) -> list[str]:
        """Names of the files with signals that the microphones do not hear."""
        return [name for name in (self.far_end_name, self.enrolment_name) if name is not None]

    @property
    def far_end_name(self) -> str | None:
        """Name of the file of the far-end signal, which an echo has."""
        return None if self.echo is None else f"{self.name}_{FAR_END}"

    @property
    def enrolment_name(self) -> str | None:
        """Name of the file of the enrolment utterance, where there is one."""
        return None if self.enrolment is None else f"{self.name}_{ENROLMENT}"


class Simulation(Record):
    """A room whose responses are computed when the mixture is rendered; lengths in metres."""

    engine: Literal["pyroomacoustics"]
    version: str
    size_m: Point
    t60_s: float = Field(gt=0, le=LONGEST_T60_S)
    microphones_m: list[Point] = Field(min_length=1, max_length=8)


class Room(Record):
    """The room of a mixture, and how long after the direct sound its early part lasts.

    Its responses are files, or those of a `simulation`, in which every source has its place.
    """

    name: str
    early_s: float = Field(default=0.05, gt=0, le=1)
    simulation: Simulation | None = None


class Level(Record):
    """The reference level of a mixture in dB (LUFS or dB full scale, by each source's rule)."""

    reference_db: Decibels


class Clip(Record):
    """The joint clip rule: all files share one gain that keeps every peak at or below `peak`."""

    peak: float = Field(default=0.9, ge=0.01, lt=1)


class Mixture(Record):
    """All that is needed to render one mixture from its source files."""

    id: str
    split: str
    sample_rate: int = Field(ge=8000, le=48000)
    channels: int = Field(ge=1, le=8)
    frames: int = Field(ge=1, le=_LONGEST_FRAMES)
    seed: int
    sources: list[Source]
    level: Level
    fade_s: float = Field(default=0.0, ge=0)
    room: Room | None = None
    effects: list[Degradation] = Field(default_factory=list)
    clip: Clip = Clip()
    targets: list[str]

    @field_validator("id")
    @classmethod
    def _id_is_a_folder_name(cls, name: str) -> str:
        if name.lower() in _SET_FILES:
            raise ValueError(f"a mixture cannot be called {name!r}, which is a file of every set")
        return as_value_error(check_name, name)

    @model_validator(mode="after")
    def _places_are_in_a_simulated_room(self) -> "Mixture":
        simulation = self.room.simulation if self.room else None
        if any(isinstance(s.room, Place) for s in self.sources) != (simulation is not None):
            raise ValueError("sources with a place and the `simulation` of a room need each other")
        if simulation and len(simulation.microphones_m) < self.channels:
            raise ValueError("the simulated room has fewer microphones than the mixture channels")
        return self

    @property
    def duration_s(self) -> float:
        """Length of the mixture in seconds."""
        return self.frames / self.sample_rate

    @property
    def file_names(self) -> list[str]:
        """Names of the files that the mixture is rendered to, without extension."""
        sources = (name for source in self.sources for name in source.file_names)
        return ["mixture", *([UNDEGRADED] if self.effects else []), *sources]

    @property
    def enrolment_names(self) -> list[str]:
        """Names of the files of enrolment utterances, in the order of the sources."""
        return [source.enrolment_name for source in self.sources if source.enrolment_name]

    @property
    def sum_name(self) -> str:
        """Name of the file that is exactly the sum of the sources."""
        return UNDEGRADED if self.effects else "mixture"


class Header(Record):
    """The first line of a manifest: where the records come from."""

    schema_: str = Field(alias="schema", default=SCHEMA)
    name: str
    task: str
    format: FormatName
    recipe_sha256: str
    sources_sha256: str
    seed: int
    created_by: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data under the names used in the file."""
        return self.model_dump(mode="json", by_alias=True)


@dataclass(frozen=True)
class ManifestFile:
    """A manifest on disk: its header, its hash, and its mixtures, read and checked one at a time.

    Every iteration reads the file again. It raises InputError where a record is not valid or an id
    comes back; the line or the mixture is named.
    """

    path: Path
    header: Header
    sha256: str

    def __iter__(self) -> Iterator[Mixture]:
        """Yield the mixtures in the order of the file."""
        hashes = array("q")  # 8 bytes for an id: there may be millions
        for mixture in read_records(self.path, Mixture):
            hashes.append(hash(mixture.id.lower()))
            _check_mixture(self.path, mixture)
            yield mixture
        ordered = np.sort(hashes)
        if (ordered[1:] == ordered[:-1]).any():
            self._check_ids()

    def _check_ids(self) -> None:
        seen: set[str] = set()
        for mixture in read_records(self.path, Mixture):
            # Two ids that differ in case alone are one folder on some file systems.
            if mixture.id.lower() in seen:
                raise InputError(f"{self.path} holds the mixture id {mixture.id!r} twice.")
            seen.add(mixture.id.lower())

    def count(self) -> int:
        """Return how many mixtures there are, without reading what they are."""
        return sum(1 for _ in read_lines(self.path)) - 1


@dataclass(frozen=True)
class Manifest:
    """A header and its mixtures, and the hash of the file that they stand in."""

    header: Header
    mixtures: list[Mixture]
    sha256: str

    @functools.cached_property
    def by_id(self) -> dict[str, Mixture]:
        """The mixtures under their ids."""
        return {mixture.id: mixture for mixture in self.mixtures}

    def of_split(self, split: str | None) -> list[Mixture]:
        """Return the mixtures of one split, or all of them.

        Raises:
            InputError: the manifest has no such split.
        """
        if split is None:
            return self.mixtures
        chosen = [mixture for mixture in self.mixtures if mixture.split == split]
        if not chosen:
            known = ", ".join(dict.fromkeys(mixture.split for mixture in self.mixtures))
            raise InputError(f"The manifest has no split {split!r}: choose one of {known}.")
        return chosen


def write_manifest(path: Path, header: Header, mixtures: Iterable[Mixture]) -> None:
    """Write a manifest atomically, one line of strict JSON per record."""

    def rows() -> Iterator[dict[str, Any]]:
        yield header.as_dict()
        for mixture in mixtures:
            yield mixture.as_dict()

    write_jsonl(path, rows())


def open_manifest(path: Path) -> ManifestFile:
    """Open a manifest of any length: its header is read now, its mixtures as they are asked for.

    Raises:
        InputError: the file is missing, of another schema, or its header is not valid.
    """
    header = read_header(path, Header)
    if header.schema_ != SCHEMA:
        raise InputError(f"{path} has schema {header.schema_!r}; this version reads {SCHEMA!r}.")
    return ManifestFile(path, header, sha256_file(path))


def read_manifest(path: Path) -> Manifest:
    """Read and check a whole manifest.

    Raises:
        InputError: the file is missing, of another schema, or a record is not valid; the line is
            named.
    """
    manifest = open_manifest(path)
    return Manifest(manifest.header, list(manifest), manifest.sha256)


def _check_mixture(path: Path, mixture: Mixture) -> None:
    if mixture.room is None and any(source.room for source in mixture.sources):
        raise InputError(f"{path}: mixture {mixture.id} has sources in a room, and no room.")
    names = [name.lower() for name in mixture.file_names]
    if len(set(names)) < len(names):
        raise InputError(f"{path}: mixture {mixture.id} has two sources or references of one name.")
    heard = {name for source in mixture.sources for name in source.heard_names}
    unknown = set(mixture.targets) - heard
    if unknown:
        raise InputError(f"{path}: mixture {mixture.id} has no source {sorted(unknown)[0]!r}.")
    longest_s = mixture.duration_s + 1 / mixture.sample_rate
    for source in mixture.sources:
        # A background is repeated to its event_duration, so this bounds the memory it takes.
        if source.role == "background" and any(e.event_duration > longest_s for e in source.events):
            raise InputError(
                f"{path}: the event_duration of background {source.name!r} of mixture {mixture.id} "
                "is longer than the mixture."
            )
