"""One group of sources in a recipe: their files, their times, their levels, their turns."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from mixgen.acoustics.echo_path import EchoRule
from mixgen.audio.levels import LevelRule
from mixgen.audio.sox import HIGHEST_SHIFT, LEAST_STRETCH, LOWEST_SHIFT, MOST_STRETCH
from mixgen.core.files import sha256_bytes
from mixgen.core.records import Record, Rule, check_rules
from mixgen.core.vocabulary import Kind, Role
from mixgen.manifest.mixture import SourceName
from mixgen.scenes.distributions import Count, CountOfSome, Distribution, constant, within

_LONGEST_NAME = 150

PitchShift = Annotated[
    Distribution, AfterValidator(within(LOWEST_SHIFT, HIGHEST_SHIFT, "sox, in semitones,"))
]
TimeStretch = Annotated[Distribution, AfterValidator(within(LEAST_STRETCH, MOST_STRETCH, "sox"))]
Share = Annotated[float, Field(ge=0, le=1)]
Use = Literal["equally", "once", "independently"]
"""How often files come: see `mixgen.draw.choice`."""
GroupUse = Literal[Use, "labels_equally"]


def _first_set(record: Record, *keys: str) -> str | None:
    """Return the first of the keys whose value is not the default."""
    fields = type(record).model_fields
    return next((key for key in keys if getattr(record, key) != fields[key].default), None)


def label_position(label: str) -> float:
    """Return a number from 0 to 1 that depends on a label alone."""
    return int(sha256_bytes(label.encode())[:8], 16) / 2**32


def check_length(name: str) -> str:
    """Check the length of a name to which a number or the name of a part is added."""
    if len(name) > _LONGEST_NAME:
        raise ValueError(f"a name of {len(name)} letters is too long: use at most {_LONGEST_NAME}")
    return name


GroupName = Annotated[SourceName, AfterValidator(check_length)]


class Turns(Record):
    """How the sources of a group take turns: a conversation of several utterances of each.

    `overlap` is the share of the time with speech in which two talk; `overlapping_turns` is the
    share of the changes of talker with overlap; all others have a `silence` in seconds.
    """

    utterances: CountOfSome
    overlap: Distribution = constant(0.0)
    overlapping_turns: Share = 1.0
    silence: Distribution = constant(0.5)


class Enrolment(Record):
    """Another utterance of each talker, which is not in the mixture, in a separate file.

    The file has the whole utterance, or its first `limit_s` seconds.
    """

    limit_s: float | None = Field(default=None, gt=0, le=3600)


class SourceGroup(Record):
    """One or more sources of a kind: their files, their times and their levels.

    A group that never gives more than one source calls it `name`; others give name1, name2, ...
    Groups with disjoint `label_share` never share a talker. A `salient` excerpt has sound for at
    least this share of its length. Sources are at `level_db`, or `snr` above the recipe's
    reference_db.
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
    use: GroupUse = "equally"
    level_rule: LevelRule | None = None
    snr: Distribution = constant(0.0)
    level_db: Distribution | None = None
    source_time: Distribution = constant(0.0)
    salient: float | None = Field(default=None, gt=0, le=1)
    event_time: Distribution = constant(0.0)
    pitch_shift: PitchShift | None = None
    time_stretch: TimeStretch | None = None

    @model_validator(mode="after")
    def _keys_go_together(self) -> "SourceGroup":
        check_rules(self, _GROUP_RULES)
        return self

    @property
    def stem(self) -> str:
        """Name of the stem that a music group uses."""
        return self.labels[0] if self.labels else self.name

    def holds_label(self, label: str) -> bool:
        """Return whether a label is in this group's share, whatever the share of the split."""
        start, stop = self.label_share
        return start <= label_position(f"group/{label}") < stop


_GROUP_RULES: tuple[Rule, ...] = (
    (
        lambda g: g.kind == "music" and (g.count != 1 or len(g.labels or [g.name]) != 1),
        "a music group is one stem: give count 1 and at most one label",
    ),
    (
        lambda g: g.kind == "music" and g.use != "equally",
        "`use` of `songs` decides how often songs come: leave it out here",
    ),
    (
        lambda g: g.label_share[0] >= g.label_share[1],
        "label_share must begin below its end",
    ),
    (
        lambda g: (g.role == "far_end") != (g.echo is not None),
        "`echo` belongs to the role far_end, which needs it (`{{}}` will do)",
    ),
    (
        lambda g: g.turns and g.time_stretch,
        "the lengths of their files decide when turns begin: leave time_stretch out",
    ),
    (
        lambda g: g.enrolment and (g.role != "target" or g.kind != "speech"),
        "`enrolment` belongs to targets of kind speech",
    ),
    (
        lambda g: g.level_db is not None and _first_set(g, "snr"),
        "level_db is the level, and snr is relative to reference_db: give one of them",
    ),
    (
        lambda g: (
            g.role == "background"
            and _first_set(g, "snr", "level_db", "event_time", "pitch_shift", "time_stretch")
        ),
        "a background is at reference_db all the time: leave {} out, or make it the role noise",
    ),
    (
        lambda g: (
            g.salient is not None
            and _first_set(g, "source_time", "event_time", "time_stretch", "turns")
        ),
        "`salient` decides where the excerpt begins: leave {} out",
    ),
)
