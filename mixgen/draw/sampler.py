"""Which files serve which source of which mixture."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow
from mixgen.draw.candidates import candidates, found_or_error, of_split
from mixgen.draw.choice import CHOICES, Choice, EnrolmentChoice, TalkerChoice
from mixgen.draw.songs import SongChoice
from mixgen.recipe.schema import Recipe, SourceGroup
from mixgen.scenes.distributions import Count
from mixgen.scenes.draws import LARGEST_SEED
from mixgen.scenes.scene import sample


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
        pools = {g.name: candidates(recipe, g, rows, split) for g in recipe.sources}
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
        return int(_digest(f"{self._base}/{index}/{purpose}"), 16) % LARGEST_SEED

    def coherent(self, index: int) -> bool:
        """Tell whether the stems of mixture `index` come from one song."""
        return self.seed(index, "coherent") / LARGEST_SEED < self._recipe.songs.coherent

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


def _room_choice(
    recipe: Recipe, rows: Sequence[SourceRow], split: str, seed: str
) -> TalkerChoice | None:
    """Return what chooses rooms and responses in them; None for a recipe that has no such files.

    Raises:
        InputError: there is no response for the split.
    """
    if recipe.rooms is None or recipe.rooms.simulate is not None:
        return None
    found = found_or_error(
        of_split(recipe, "rir", rows, split), recipe, "rir", rows, split, "the rooms"
    )
    return TalkerChoice(found, seed, CHOICES[recipe.rooms.use])


def _choice(group: SourceGroup, rows: Sequence[SourceRow], seed: str) -> Choice | TalkerChoice:
    choose = CHOICES[group.use]
    if group.turns is not None:
        return TalkerChoice(rows, seed, choose, spare=1 if group.enrolment else 0)
    return choose(rows, seed, distinct_labels=group.distinct_labels)
