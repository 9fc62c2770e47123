"""The recipe: what kind of mixtures a set holds, in a few lines of YAML."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from mixgen.acoustics.room import SimulatedRoom
from mixgen.audio.levels import LevelRule
from mixgen.core.files import canonical_json, sha256_bytes
from mixgen.core.paths import check_name
from mixgen.core.records import Record, Rule, as_value_error, check_rules
from mixgen.core.vocabulary import FormatName, Kind, Role, Task
from mixgen.degradations import DegradationRule
from mixgen.manifest.mixture import Clip, Part, SourceName, file_name
from mixgen.recipe.song_match import MatchRule
from mixgen.recipe.source_group import Share, SourceGroup, Use, check_length, label_position
from mixgen.scenes.distributions import Count, Distribution, constant, values_of

SplitName = Annotated[
    str, AfterValidator(lambda name: as_value_error(check_name, check_length(name)))
]
SourceSplits = str | Annotated[list[str], Field(min_length=1)]
Reference = Literal["image", "early", "dry"]


class Duration(Record):
    """How long a mixture is.

    `fixed` seconds, as its shortest (min) or longest (max) source, or until the last turn of a
    conversation (content). Turns that would end after `seconds` or `limit_s` are skipped.
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


class Songs(Record):
    """How often the music stems of a mixture are one excerpt of one song.

    In the other mixtures the stems come from different songs; with `match`, from songs that match
    the first one.
    """

    coherent: Share = 1.0
    match: MatchRule | None = None
    use: Use = "equally"


class Rooms(Record):
    """Every mixture is in one room, and each source of these `roles` has a response there.

    Responses are sources of kind rir, whose label is the room; with `simulate`, each mixture gets a
    simulated room instead. `references` are the parts of a target's response that give a reference:
    the whole response (image), its part up to `early_s` after the direct sound (early), or the
    direct sound alone (dry). Separators have to estimate the first.
    """

    roles: list[Role] = Field(default=["target", "interferer", "noise", "far_end"], min_length=1)
    references: list[Reference] = Field(default=["image"], min_length=1)
    early_s: float = Field(default=0.05, gt=0, le=1)
    use: Use = "equally"
    simulate: SimulatedRoom | None = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> "Rooms":
        check_rules(self, _ROOM_RULES)
        return self


_ROOM_RULES: tuple[Rule, ...] = (
    (
        lambda rooms: rooms.references != ["image"] and "target" not in rooms.roles,
        "references other than image need the role target in the room",
    ),
    (
        lambda rooms: len(set(rooms.references)) < len(rooms.references),
        "a reference comes twice",
    ),
    (
        lambda rooms: rooms.simulate is not None and rooms.use != "equally",
        "`use` is for rooms from files: leave it out with `simulate`",
    ),
)


class SplitRule(Record):
    """How many mixtures a split has, and from which sources, by kind.

    `sources` are values of the column `split` of sources.csv. Where two splits use one of these
    values, `label_share` gives each its own talkers (or classes): from 0.9 to 1 is a tenth of them.
    `counts` replace the number of sources of a group in this split.
    """

    mixtures: int = Field(ge=1, le=10_000_000)
    sources: SourceSplits | dict[Kind, SourceSplits]
    label_share: dict[Kind, tuple[Share, Share]] = Field(default_factory=dict)
    counts: dict[SourceName, Count] = Field(default_factory=dict)

    def source_splits(self, kind: Kind) -> list[str] | None:
        """Return the allowed `split` values for `kind`; None allows all."""
        chosen = self.sources.get(kind) if isinstance(self.sources, dict) else self.sources
        return [chosen] if isinstance(chosen, str) else chosen

    def holds_label(self, kind: Kind, label: str) -> bool:
        """Return whether a label is in this split's share; its name alone decides."""
        start, stop = self.label_share.get(kind, (0.0, 1.0))
        return start <= label_position(label) < stop

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
    seed: int = Field(default=0, ge=0, lt=1 << 64)

    @model_validator(mode="after")
    def _keys_go_together(self) -> "Recipe":
        check_rules(self, _RECIPE_RULES)
        return self

    def of_kind(self, kind: Kind) -> list[SourceGroup]:
        """Return the groups of a kind."""
        return [group for group in self.sources if group.kind == kind]

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

    def file_names(self, group: SourceGroup) -> list[str]:
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


def _name_twice(recipe: Recipe) -> bool:
    """Return whether two files of a mixture would have one name.

    Names become files, and on some file systems two that differ in case alone are one.
    """
    files = [name.lower() for group in recipe.sources for name in recipe.file_names(group)]
    groups = {group.name for group in recipe.sources}
    return len(set(files)) < len(files) or len(groups) < len(recipe.sources)


def _counted_without_group(recipe: Recipe) -> str | None:
    """Return a name in `counts` of a split that is no group of several sources."""
    groups = {group.name for group in recipe.sources if group.kind != "music"}
    names = (name for rule in recipe.splits.values() for name in rule.counts)
    return next((repr(name) for name in names if name not in groups), None)


def _unknown_unpitched(recipe: Recipe) -> str | None:
    """Return a name in `unpitched`, as far as the recipe gives it, that is no music group."""
    match = recipe.songs.match
    if match is None or "unpitched" not in match.model_fields_set:
        return None
    unknown = set(match.unpitched) - {group.name for group in recipe.of_kind("music")}
    return repr(min(unknown)) if unknown else None


_RECIPE_RULES: tuple[Rule, ...] = (
    (_name_twice, "two sources have one name, or one has that of a reference"),
    (
        lambda r: len({split.lower() for split in r.splits}) < len(r.splits),
        "two splits have names that differ in case alone",
    ),
    (
        lambda r: all(group.role == "background" for group in r.sources),
        "a mixture needs a source that is not background",
    ),
    (_counted_without_group, "counts of {}: the recipe has no such group of several sources"),
    (
        lambda r: any(g.role == "background" and (r.most(g) > 1 or g.turns) for g in r.sources),
        "a background group has count 1 and no turns",
    ),
    (
        lambda r: r.duration.mode != "fixed" and any(g.salient is not None for g in r.sources),
        "`salient` needs the duration mode fixed",
    ),
    (
        lambda r: r.songs != Songs() and not r.of_kind("music"),
        "`songs` is about groups of kind music, and the recipe has none",
    ),
    (
        lambda r: r.songs.match and r.songs.coherent == 1,
        "`match` is for mixtures of several songs: give `coherent` below 1",
    ),
    (
        lambda r: (
            r.songs.match and any(g.pitch_shift or g.time_stretch for g in r.of_kind("music"))
        ),
        "`match` alone shifts and stretches songs: leave pitch_shift and time_stretch out",
    ),
    (_unknown_unpitched, "`unpitched` names {}, which is no music group"),
    (
        lambda r: r.rooms is None and r.channels > 2,
        "more than 2 channels need `rooms` with as many microphones",
    ),
    (
        lambda r: (
            len([g for g in r.sources if g.turns]) > 1 or any(g.turns for g in r.of_kind("music"))
        ),
        "one group that is not music can take turns",
    ),
    (
        lambda r: (
            r.duration.mode != "fixed"
            and any(g.turns for g in r.sources) != (r.duration.mode == "content")
        ),
        "turns need the duration mode content or fixed, and content needs turns",
    ),
)
