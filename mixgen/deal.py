"""Which files serve which source of which mixture."""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

from mixgen.choose import CHOICES, Choice, EnrolmentChoice, TalkerChoice
from mixgen.counts import Count
from mixgen.errors import InputError
from mixgen.manifest import Kind
from mixgen.recipe import Recipe, SourceGroup
from mixgen.salience import salient_starts
from mixgen.scene import sample
from mixgen.songs import SongChoice
from mixgen.sources import SourceRow

_LARGEST_SEED = 2**32


@dataclass(frozen=True, slots=True)
class Part:
    """One source of the mixture being drawn: its name, its group in the recipe, its files.

    There is one file, but several for a stem that a song has in parts, and for the talkers of a
    conversation, who have one per utterance and, once turns are laid, a start for each. Talkers
    may have another utterance to enrol with.
    """

    name: str
    group: SourceGroup
    rows: list[SourceRow]
    starts_s: list[float] = field(default_factory=list)
    enrolment: SourceRow | None = None

    @property
    def row(self) -> SourceRow:
        """The first file, which tells the label and kind of all."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Deal:
    """The files of one mixture: those of its sources, and responses for the sources in a room."""

    index: int
    parts: list[Part]
    responses: list[SourceRow]


class Dealer:
    """Gives every mixture of one split its files.

    Raises:
        InputError: the recipe has no such split, or no source fits a group of it.
    """

    def __init__(self, recipe: Recipe, rows: Sequence[SourceRow], split: str, seed: int) -> None:
        if split not in recipe.splits:
            known = ", ".join(recipe.splits)
            raise InputError(f"The recipe has no split {split!r}: choose one of {known}.")
        self._recipe = recipe
        self._counts = recipe.splits[split].counts
        self._base = f"{recipe.scene_sha256}/{seed}/{split}"
        self._stems = [g for g in recipe.sources if g.kind == "music"]
        pools = {g.name: _candidates(recipe, g, rows, split) for g in recipe.sources}
        self._choices = {
            g.name: _choice(g, pools[g.name], f"{self._base}/{g.name}")
            for g in recipe.sources
            if g.kind != "music"
        }
        self._enrolments = {
            g.name: EnrolmentChoice(pools[g.name]) for g in recipe.sources if g.enrolment
        }
        if self._stems:
            rows_of_stems = {row.source_id: row for g in self._stems for row in pools[g.name]}
            self._songs = SongChoice(
                recipe, self._stems, list(rows_of_stems.values()), f"{self._base}/songs"
            )
        self._rooms = _room_choice(recipe, rows, split, f"{self._base}/rooms")

    def seed(self, index: int, purpose: str = "scene") -> int:
        """Return a seed of mixture `index`, one per purpose."""
        return int(_digest(f"{self._base}/{index}/{purpose}"), 16) % _LARGEST_SEED

    def coherent(self, index: int) -> bool:
        """Tell whether the stems of mixture `index` come from one song."""
        return self.seed(index, "coherent") / _LARGEST_SEED < self._recipe.songs.coherent

    def parts(self, index: int) -> list[Part]:
        """Return the sources of mixture `index` in the order of the recipe."""
        rows = self._files(index)
        if self._stems:
            seed = f"{self._base}/{index}/songs"
            rows.update(self._songs.take(seed, coherent=self.coherent(index)))
        parts = [
            Part(name, group, files)
            for group in self._recipe.sources
            for name, files in zip(
                self._recipe.source_names(group, len(rows[group.name])),
                rows[group.name],
                strict=True,
            )
        ]
        heard = {row.source_id for part in parts for row in part.rows}
        return [self._enrolled(part, heard, index) for part in parts]

    def _enrolled(self, part: Part, heard: Collection[str], index: int) -> Part:
        """Give a talker an utterance that is not among those heard, where the group enrols."""
        if part.group.enrolment is None:
            return part
        seed = f"{self._base}/{index}/{part.name}/enrolment"
        choice = self._enrolments[part.group.name]
        return replace(part, enrolment=choice.take(part.row.owner, heard, seed))

    def _files(self, index: int) -> dict[str, list[list[SourceRow]]]:
        """Return the files of each source by group, but for music; talkers differ in all groups."""
        rows: dict[str, list[list[SourceRow]]] = {}
        talkers: list[SourceRow] = []
        for group in self._recipe.sources:
            if group.kind == "music":
                continue
            speech = group.kind == "speech"
            others = talkers if speech and group.distinct_labels else []
            rows[group.name] = self._take(group, index, others)
            talkers += [files[0] for files in rows[group.name] if speech]
        return rows

    def responses(self, index: int, count: int) -> list[SourceRow]:
        """Return different response files of one room for `count` sources, if it takes files.

        Raises:
            InputError: the room has fewer.
        """
        if self._rooms is None or count == 0:
            return []
        (files,) = self._rooms.take([count], f"{self._base}/{index}/rooms")
        if len(files) < count:
            raise InputError(
                f"The room {files[0].label!r} has {len(files)} response(s) for {count} sources: "
                "leave it out, or index rooms with more."
            )
        return files

    def count(self, group: SourceGroup, index: int) -> int:
        """Return how many sources a group gives in mixture `index`."""
        count = self._counts.get(group.name, group.count)
        return self._whole(count, index, f"count/{group.name}")

    def _whole(self, count: Count, index: int, purpose: str) -> int:
        """Return a number, or draw it from its distribution."""
        return count if isinstance(count, int) else int(sample(count, self.seed(index, purpose)))

    def _take(
        self, group: SourceGroup, index: int, others: Sequence[SourceRow]
    ) -> list[list[SourceRow]]:
        """Return the files of each source of a group in mixture `index`, unlike `others`."""
        choice, count = self._choices[group.name], self.count(group, index)
        seed = f"{self._base}/{index}/{group.name}"
        if isinstance(choice, TalkerChoice):
            return choice.take(self._utterances(group, index, count), seed, others)
        return [[row] for row in choice.take(count, seed, others)]

    def _utterances(self, group: SourceGroup, index: int, talkers: int) -> list[int]:
        """Return how many utterances each talker of a conversation has."""
        many = group.turns.utterances if group.turns else 1
        purposes = (f"utterances/{group.name}/{talker}" for talker in range(talkers))
        return [self._whole(many, index, purpose) for purpose in purposes]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _candidates(
    recipe: Recipe, group: SourceGroup, rows: Sequence[SourceRow], split: str
) -> list[SourceRow]:
    """Return the files that may serve a group in a split.

    Raises:
        InputError: there is none; what left none is told.
    """
    found = _of_split(recipe, group.kind, rows, split)
    found = _some(found, recipe, group.kind, rows, split, repr(group.name))
    for what, keep in _FILTERS.items():
        left = keep(recipe, group, found)
        if not left:
            raise InputError(
                f"None of {len(found)} {group.kind} source(s) of split {split!r} is left for "
                f"{group.name!r} by {what}: index more, or change the recipe."
            )
        found = left
    return found


Rows = list[SourceRow]


def _of_labels(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    labels = [group.stem] if group.kind == "music" else group.labels
    return [row for row in rows if labels is None or row.label in labels]


def _of_share(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if group.holds_label(row.label)]


def _of_corpora(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if group.corpora is None or row.corpus in group.corpora]


def _long_enough(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    return [row for row in rows if row.duration_s >= group.shortest_s]


def _short_enough(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out the utterances that can be no turn, because no mixture is so long."""
    limit_s = recipe.duration.seconds or recipe.duration.limit_s
    if group.turns is None or limit_s is None:
        return rows
    return [row for row in rows if row.duration_s <= limit_s]


def _with_another(_: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out talkers who have no other utterance to enrol with."""
    utterances = Counter(row.owner for row in rows)
    return [row for row in rows if group.enrolment is None or utterances[row.owner] > 1]


def _salient(recipe: Recipe, group: SourceGroup, rows: Rows) -> Rows:
    """Leave out files without a salient excerpt; of songs all stems have to be looked at."""
    share, seconds = group.salient, recipe.duration.seconds or 0.0
    if share is None or group.kind == "music":
        return rows
    return [row for row in rows if salient_starts([row], share, seconds)]


_FILTERS: dict[str, Callable[[Recipe, SourceGroup, Rows], Rows]] = {
    "its labels": _of_labels,
    "`label_share`": _of_share,
    "`corpora`": _of_corpora,
    "`shortest_s`": _long_enough,
    "the length of the mixtures": _short_enough,
    "`enrolment`, for which talkers need two utterances": _with_another,
    "`salient`": _salient,
}


def _room_choice(
    recipe: Recipe, rows: Sequence[SourceRow], split: str, seed: str
) -> TalkerChoice | None:
    """Return what chooses rooms and responses in them; None for a recipe that has no such files.

    Raises:
        InputError: there is no response for the split.
    """
    if recipe.rooms is None or recipe.rooms.simulate is not None:
        return None
    found = _some(_of_split(recipe, "rir", rows, split), recipe, "rir", rows, split, "the rooms")
    return TalkerChoice(found, seed, CHOICES[recipe.rooms.use])


def _of_split(recipe: Recipe, kind: Kind, rows: Sequence[SourceRow], split: str) -> list[SourceRow]:
    rule = recipe.splits[split]
    allowed = rule.source_splits(kind)
    return [
        row
        for row in rows
        if row.kind == kind
        and (allowed is None or row.split in allowed)
        and rule.holds_label(kind, row.label)
    ]


def _some(
    found: list[SourceRow],
    recipe: Recipe,
    kind: Kind,
    rows: Sequence[SourceRow],
    split: str,
    user: str,
) -> list[SourceRow]:
    """Return what was found; raise InputError, with what there is, where that is nothing."""
    if found:
        return found
    wanted = recipe.splits[split].source_splits(kind) or "any split"
    splits = sorted({row.split or "(none)" for row in rows if row.kind == kind})
    have = f"their splits are {', '.join(splits)}" if splits else "there are none of that kind"
    raise InputError(
        f"No {kind} source fits {user} in split {split!r} "
        f"(wanted from {wanted}; {have}): index more, or change the recipe."
    )


def _choice(group: SourceGroup, rows: Sequence[SourceRow], seed: str) -> Choice | TalkerChoice:
    choose = CHOICES[group.use]
    if group.turns is not None:
        return TalkerChoice(rows, seed, choose, spare=1 if group.enrolment else 0)
    return choose(rows, seed, distinct_labels=group.distinct_labels)
