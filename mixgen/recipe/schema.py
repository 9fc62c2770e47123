"""The recipe: what kind of mixtures a set holds, in a few lines of YAML."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from mixgen.acoustics.echo_path import EchoRule
from mixgen.acoustics.room import SimulatedRoom
from mixgen.audio.levels import LevelRule
from mixgen.core.files import canonical_json, sha256_bytes
from mixgen.core.paths import check_name
from mixgen.core.records import Record, as_value_error
from mixgen.core.vocabulary import FormatName, Kind, Role, Task
from mixgen.degradations import DegradationRule
from mixgen.manifest.mixture import Clip, Part, SourceName, file_name
from mixgen.recipe.song_match import MatchRule
from mixgen.scenes.distributions import Count, CountOfSome, Distribution, constant, values_of

_LONGEST_NAME = 150

Share = Annotated[float, Field(ge=0, le=1)]


def _not_default(record: Record, keys: Iterable[str]) -> list[str]:
    """Return those of the keys that differ from their defaults; written out, these say nothing."""
    fields = type(record).model_fields
    return [key for key in keys if getattr(record, key) != fields[key].default]


def _place(label: str) -> float:
    """Return a place from 0 to 1 for a label, by its name alone."""
    return int(sha256_bytes(label.encode())[:8], 16) / 2**32


def _check_length(name: str) -> str:
    """Check a name to which a number or the name of a part is added."""
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a name of {len(name)} letters is too long: use at most {_LONGEST_NAME}")
    return name


SplitName = Annotated[
    str, AfterValidator(lambda name: as_value_error(check_name, _check_length(name)))
]
GroupName = Annotated[SourceName, AfterValidator(_check_length)]
Use = Literal["equally", "once", "independently"]
Reference = Literal["image", "early", "dry"]


class Duration(Record):
    """How long a mixture is.

    `fixed` seconds, as its shortest (min) or longest (max) source, or until the last turn of a
    conversation (content). Turns that would end later than `seconds` or `limit_s` are left out.
    """

    mode: Literal["fixed", "min", "max", "content"] = "fixed"
    seconds: float | None = Field(default=None, ge=0.01, le=3600)
    limit_s: float | None = Field(default=None, ge=0.01, le=3600)

    @model_validator(mode="after")
    def _mode_has_what_it_needs(self) -> "Duration":
        if (self.mode == "fixed") != (self.seconds is not None):
            raise ValueError("`seconds` belongs to the mode fixed, and the mode fixed needs it")
        if self.mode == "fixed" and self.limit_s is not None:
            raise ValueError("`limit_s` belongs to the modes min, max and content")
        return self


class Turns(Record):
    """How the sources of a group take turns: a conversation of several utterances of each.

    `overlap` is the share of the time with speech in which two talk; `overlapping_turns` is the
    share of the changes of talker that carry it; at all others there is a `silence` in seconds.
    """

    utterances: CountOfSome
    overlap: Distribution = constant(0.0)
    overlapping_turns: Share = 1.0
    silence: Distribution = constant(0.5)


class Enrolment(Record):
    """Another utterance of each talker, one that is not in the mixture, in a file of its own.

    It is all of the utterance, or its first `limit_s` seconds.
    """

    limit_s: float | None = Field(default=None, gt=0, le=3600)


class SourceGroup(Record):
    """One or more sources of a kind: which files they come from and where and how loud they are.

    A group that never gives more than one source calls it `name`; others give name1, name2, ...
    Groups whose `label_share` do not meet never share a talker. A `salient` excerpt has sound in at
    least this share of it, and begins anywhere where that is so. Sources are at `level_db`, or by
    `snr` above the recipe's reference_db.
    """

    name: GroupName
    role: Role = "target"
    kind: Kind
    count: Count = 1
    turns: Turns | None = None
    echo: EchoRule | None = None
    enrolment: Enrolment | None = None
    labels: list[str] | None = None
    label_share: tuple[Share, Share] = (0.0, 1.0)
    corpora: list[str] | None = None
    shortest_s: float = Field(default=0.0, ge=0)
    distinct_labels: bool = True
    use: Use = "equally"
    level_rule: LevelRule | None = None
    snr: Distribution = constant(0.0)
    level_db: Distribution | None = None
    source_time: Distribution = constant(0.0)
    salient: float | None = Field(default=None, gt=0, le=1)
    event_time: Distribution = constant(0.0)
    pitch_shift: Distribution | None = None
    time_stretch: Distribution | None = None

    @model_validator(mode="after")
    def _music_is_one_stem(self) -> "SourceGroup":
        if self.kind == "music" and (self.count != 1 or len(self.labels or [self.name]) != 1):
            raise ValueError("a music group is one stem: give count 1 and at most one label")
        if self.kind == "music" and self.use != "equally":
            raise ValueError("how often songs come is said by `use` of `songs`: leave it out here")
        return self

    @model_validator(mode="after")
    def _share_is_a_range(self) -> "SourceGroup":
        if self.label_share[0] >= self.label_share[1]:
            raise ValueError("label_share must begin below its end")
        return self

    @model_validator(mode="after")
    def _far_end_is_an_echo(self) -> "SourceGroup":
        if (self.role == "far_end") != (self.echo is not None):
            raise ValueError("`echo` belongs to the role far_end, which needs it (`{}` will do)")
        return self

    @model_validator(mode="after")
    def _turns_are_as_long_as_their_files(self) -> "SourceGroup":
        if self.turns is not None and self.time_stretch is not None:
            raise ValueError("turns are laid by the lengths of their files: leave time_stretch out")
        return self

    @model_validator(mode="after")
    def _enrolled_are_talkers(self) -> "SourceGroup":
        if self.enrolment is not None and (self.role != "target" or self.kind != "speech"):
            raise ValueError("`enrolment` belongs to targets of kind speech")
        return self

    @model_validator(mode="after")
    def _one_of_level_and_snr(self) -> "SourceGroup":
        if self.level_db is not None and _not_default(self, ("snr",)):
            raise ValueError("level_db is the level itself, snr that above reference_db: give one")
        return self

    @model_validator(mode="after")
    def _background_is_all_along(self) -> "SourceGroup":
        fixed = ("snr", "level_db", "event_time", "pitch_shift", "time_stretch")
        ignored = _not_default(self, fixed)
        if self.role == "background" and ignored:
            raise ValueError(
                "a background is at reference_db from start to end: leave "
                f"{ignored[0]} out, or make it the role noise"
            )
        return self

    @model_validator(mode="after")
    def _salient_excerpts_have_one_length(self) -> "SourceGroup":
        fixed = ("source_time", "event_time", "time_stretch", "turns")
        others = _not_default(self, fixed)
        if self.salient is not None and others:
            raise ValueError(f"`salient` decides where the excerpt begins: leave {others[0]} out")
        return self

    @property
    def stem(self) -> str:
        """Name of the stem that a music group takes."""
        return self.labels[0] if self.labels else self.name

    def holds_label(self, label: str) -> bool:
        """Tell whether a label is in this group's share, whatever share the split takes."""
        start, stop = self.label_share
        return start <= _place(f"group/{label}") < stop


class Songs(Record):
    """How often the music stems of a mixture come from one song, at one excerpt.

    In the other mixtures each stem has its own song; with `match`, songs that match the first.
    """

    coherent: Share = 1.0
    match: MatchRule | None = None
    use: Use = "equally"


class Rooms(Record):
    """Every mixture is in one room, and every source of these `roles` has its own response there.

    Responses are sources of kind rir, whose label is the room; or each mixture has a room of its
    own, of the kind that `simulate` says. `references` are what the
    targets are heard through: the whole response (image), its part up to `early_s` after the direct
    sound, or the direct sound alone (dry); the first is what separators are to give.
    """

    roles: list[Role] = Field(default=["target", "interferer", "noise", "far_end"], min_length=1)
    references: list[Reference] = Field(default=["image"], min_length=1)
    early_s: float = Field(default=0.05, gt=0, le=1)
    use: Use = "equally"
    simulate: SimulatedRoom | None = None

    @model_validator(mode="after")
    def _references_are_of_the_room(self) -> "Rooms":
        if self.references != ["image"] and "target" not in self.roles:
            raise ValueError("references other than image need the role target in the room")
        if len(set(self.references)) < len(self.references):
            raise ValueError("a reference comes twice")
        if self.simulate is not None and self.use != "equally":
            raise ValueError("`use` is about rooms from files, and `simulate` makes its own")
        return self


class SplitRule(Record):
    """How many mixtures a split has, and what feeds it, by kind.

    `sources` are `split` values of sources.csv. `label_share` keeps talkers (or classes) apart that
    one of these values holds for two splits: from 0.9 to 1 is a tenth of them. `counts` overrule
    the number of sources of a group in this split.
    """

    mixtures: int = Field(ge=1, le=10_000_000)
    sources: str | dict[Kind, str | list[str]]
    label_share: dict[Kind, tuple[Share, Share]] = Field(default_factory=dict)
    counts: dict[SourceName, Count] = Field(default_factory=dict)

    def source_splits(self, kind: str) -> list[str] | None:
        """Return the allowed `split` values for `kind`; None allows all."""
        chosen = self.sources if isinstance(self.sources, str) else self.sources.get(kind)  # type: ignore[call-overload]
        if chosen is None:
            return None
        return [chosen] if isinstance(chosen, str) else list(chosen)

    def holds_label(self, kind: Kind, label: str) -> bool:
        """Tell whether a label is in this split's share, by its name alone."""
        start, stop = self.label_share.get(kind, (0.0, 1.0))
        return start <= _place(label) < stop

    @model_validator(mode="after")
    def _shares_are_ranges(self) -> "SplitRule":
        for kind, (start, stop) in self.label_share.items():
            if start >= stop:
                raise ValueError(f"label_share of {kind} must begin below its end")
        return self


class Recipe(Record):
    """A whole recipe; see docs/recipe.md for every key."""

    name: str
    task: Task
    description: str = ""
    sample_rate: int = Field(ge=8000, le=48000)
    channels: int = Field(default=1, ge=1, le=8)
    duration: Duration
    reference_db: Distribution = constant(-25.0)
    level_rule: LevelRule = "lufs"
    fade_s: float = Field(default=0.01, ge=0, le=1)
    sources: list[SourceGroup] = Field(min_length=1)
    songs: Songs = Songs()
    rooms: Rooms | None = None
    degradations: list[DegradationRule] = Field(default_factory=list)
    clip: Clip = Clip()
    format: FormatName = "flac16"
    splits: dict[SplitName, SplitRule] = Field(min_length=1)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _names_differ(self) -> "Recipe":
        # Names become files, and on some file systems two that differ in case alone are one.
        names = [name.lower() for group in self.sources for name in self._file_names(group)]
        group_names = {group.name for group in self.sources}
        if len(set(names)) < len(names) or len(group_names) < len(self.sources):
            raise ValueError("two sources have one name, or one has that of a reference")
        if len({split.lower() for split in self.splits}) < len(self.splits):
            raise ValueError("two splits have names that differ in case alone")
        return self

    @model_validator(mode="after")
    def _groups_make_sense(self) -> "Recipe":
        if all(group.role == "background" for group in self.sources):
            raise ValueError("a mixture needs a source that is not background")
        known = {group.name: group for group in self.sources}
        for rule in self.splits.values():
            for name in rule.counts:
                if name not in known or known[name].kind == "music":
                    raise ValueError(f"counts of {name!r}: there is no such group of many sources")
        for group in self.sources:
            if group.role == "background" and (self.most(group) > 1 or group.turns):
                raise ValueError("a background group has count 1 and no turns")
        return self

    @model_validator(mode="after")
    def _excerpts_can_be_found(self) -> "Recipe":
        if self.duration.mode != "fixed" and any(g.salient is not None for g in self.sources):
            raise ValueError("`salient` needs the duration mode fixed")
        return self

    @model_validator(mode="after")
    def _songs_have_stems(self) -> "Recipe":
        stems = [group for group in self.sources if group.kind == "music"]
        match = self.songs.match
        if self.songs != Songs() and not stems:
            raise ValueError("`songs` is about groups of kind music, and there is none")
        if match is None:
            return self
        if self.songs.coherent == 1:
            raise ValueError("`match` is for mixtures of several songs: give `coherent` below 1")
        if any(group.pitch_shift or group.time_stretch for group in stems):
            raise ValueError("songs that match are shifted and stretched by `match` alone")
        unknown = set(match.unpitched) - {group.name for group in stems}
        if "unpitched" in match.model_fields_set and unknown:
            raise ValueError(f"`unpitched` names {sorted(unknown)[0]!r}, which is no music group")
        return self

    @model_validator(mode="after")
    def _channels_have_a_cause(self) -> "Recipe":
        if self.rooms is None and self.channels > 2:
            raise ValueError("more than 2 channels need `rooms` with as many microphones")
        return self

    @model_validator(mode="after")
    def _turns_fit_the_length(self) -> "Recipe":
        conversations = [group for group in self.sources if group.turns is not None]
        if len(conversations) > 1 or any(group.kind == "music" for group in conversations):
            raise ValueError("one group that is not music can take turns")
        if (
            bool(conversations) != (self.duration.mode == "content")
            and self.duration.mode != "fixed"
        ):
            raise ValueError(
                "turns need the duration mode content or fixed, and content needs turns"
            )
        return self

    def most(self, group: SourceGroup) -> int:
        """Return how many sources a group gives at most, in any split."""
        counts = [group.count, *(rule.counts.get(group.name, 0) for rule in self.splits.values())]
        values = [[c] if isinstance(c, int) else values_of(c) for c in counts]
        return int(max(value for some in values for value in some))

    def source_names(self, group: SourceGroup, count: int | None = None) -> list[str]:
        """Return the names of `count` sources of a group (of as many as it gives at most)."""
        most = self.most(group)
        names = [group.name] if most == 1 else [f"{group.name}{n}" for n in range(1, most + 1)]
        return names[:count]

    def _file_names(self, group: SourceGroup) -> list[str]:
        """Return the names of the files that a group gives at most."""
        parts: list[Part] = ["image"]
        if self.rooms and group.role == "target":
            parts += [part for part in self.rooms.references if part != "image"]
        if group.echo:
            parts.append("far_end")
        if group.enrolment:
            parts.append("enrolment")
        return [file_name(name, part) for part in parts for name in self.source_names(group)]

    @property
    def sha256(self) -> str:
        """Hash of the whole recipe."""
        return sha256_bytes(canonical_json(self._written()).encode())

    @property
    def scene_sha256(self) -> str:
        """Hash of what decides on files and random numbers: the sources and songs alone.

        Recipes that differ in sample rate, length, format or splits therefore give the same scenes,
        and a longer split begins with the mixtures of the shorter one.
        """
        written = self._written()
        deciding = {key: written[key] for key in ("sources", "songs") if key in written}
        return sha256_bytes(canonical_json(deciding).encode())

    def _written(self) -> dict[str, Any]:
        """Return what differs from the defaults, so that keys of later versions change no hash."""
        return self.model_dump(mode="json", exclude_defaults=True)
