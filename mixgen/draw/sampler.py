"""Which files serve which source of which mixture."""

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow
from mixgen.draw.candidates import Candidates
from mixgen.draw.choice import (
    SAMPLERS,
    EnrolmentSampler,
    FileSampler,
    LabelSampler,
    TalkerSampler,
)
from mixgen.draw.room import rooms_of_many_decays
from mixgen.draw.songs import SongSampler
from mixgen.recipe.schema import Recipe
from mixgen.recipe.source_group import SourceGroup
from mixgen.scenes.distributions import Count
from mixgen.scenes.draws import LARGEST_SEED
from mixgen.scenes.scene import sample


@dataclass(frozen=True, slots=True)
class DrawnSource:
    """One source of the mixture being drawn.

    Attributes:
        name: of the source.
        group: of the recipe.
        rows: its files: one; several for a stem that a song has in several files; one per utterance
            for a talker of a conversation.
        starts_s: when each utterance of a conversation begins, once the turns are scheduled.
        enrolment: another utterance of the talker.
    """

    name: str
    group: SourceGroup
    rows: list[SourceRow]
    starts_s: list[float] = field(default_factory=list)
    enrolment: SourceRow | None = None

    @property
    def row(self) -> SourceRow:
        """The first file; all have its label and kind."""
        return self.rows[0]


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of one mixture: those of its sources, and responses for the sources in a room."""

    index: int
    sources: list[DrawnSource]
    responses: list[SourceRow]


class SourceSampler:
    """Gives every mixture of one split its files.

    `notices` are sentences on songs and responses that are skipped, and on odd rooms.

    Raises:
        InputError: the recipe has no such split, or no source fits a group of it.
    """

    def __init__(self, recipe: Recipe, rows: Sequence[SourceRow], split: str, seed: int) -> None:
        if split not in recipe.splits:
            known = ", ".join(recipe.splits)
            raise InputError(f"The recipe has no split {split!r}: choose one of {known}.")
        self._recipe = recipe
        self._split = split
        self._counts = recipe.splits[split].counts
        self.notices: list[str] = []
        self._base = f"{recipe.scene_sha256}/{seed}/{split}"
        self._stems = [group for group in recipe.sources if group.kind == "music"]
        candidates = Candidates(recipe, rows, split)
        pools = {group.name: candidates.of_group(group) for group in recipe.sources}
        self._samplers = {
            group.name: self._sampler(group, pools[group.name])
            for group in recipe.sources
            if group.kind != "music"
        }
        self._enrolments = {
            group.name: EnrolmentSampler(pools[group.name])
            for group in recipe.sources
            if group.enrolment
        }
        if self._stems:
            rows_of_stems = {row.source_id: row for g in self._stems for row in pools[g.name]}
            self._songs = SongSampler(
                recipe, self._stems, list(rows_of_stems.values()), f"{self._base}/songs", split
            )
            self.notices += self._songs.notices
        self._rooms: TalkerSampler | None = None
        if recipe.rooms is not None and recipe.rooms.simulate is None:
            responses = self._wide_enough(candidates.of_kind("rir", "the rooms"))
            self.notices += rooms_of_many_decays(responses)
            sampler = SAMPLERS[recipe.rooms.use]
            user = f" for the rooms of split {split!r}"
            self._rooms = TalkerSampler(responses, f"{self._base}/rooms", sampler, user=user)

    def _sampler(
        self, group: SourceGroup, rows: Sequence[SourceRow]
    ) -> FileSampler | LabelSampler | TalkerSampler:
        seed = f"{self._base}/{group.name}"
        user = f" for {group.name!r} in split {self._split!r}"
        by_label = group.use == "labels_equally"
        if group.turns is not None:
            # Talkers take turns equally often anyway.
            sampler = SAMPLERS["equally" if by_label else group.use]
            spare = 1 if group.enrolment else 0
            return TalkerSampler(rows, seed, sampler, spare=spare, user=user)
        new_sampler = LabelSampler if by_label else SAMPLERS[group.use]
        return new_sampler(rows, seed, distinct_labels=group.distinct_labels, user=user)

    def _wide_enough(self, responses: Sequence[SourceRow]) -> list[SourceRow]:
        """Return the responses to as many microphones as the mixtures have channels.

        Raises:
            InputError: there is none.
        """
        channels = self._recipe.channels
        wide = [row for row in responses if row.channels >= channels]
        if not wide:
            most = max(responses, key=lambda row: row.channels)
            raise InputError(
                f"The mixtures of split {self._split!r} have {channels} channels, and no response "
                f"is to more than {most.channels} microphone(s) ({most.source_id!r}): choose other "
                "rooms, or fewer channels."
            )
        if len(wide) < len(responses):
            self.notices.append(
                f"Skipped {len(responses) - len(wide)} of {len(responses)} response(s) of split "
                f"{self._split!r}: they are to fewer than {channels} microphones."
            )
        return wide

    def seed(self, index: int, purpose: str = "scene") -> int:
        """Return a seed of mixture `index`, one per purpose."""
        digest = hashlib.sha256(f"{self._base}/{index}/{purpose}".encode()).hexdigest()
        return int(digest[:16], 16) % LARGEST_SEED

    def coherent(self, index: int) -> bool:
        """Return whether the stems of mixture `index` come from one song."""
        return self.seed(index, "coherent") / LARGEST_SEED < self._recipe.songs.coherent

    def sources(self, index: int) -> list[DrawnSource]:
        """Return the sources of mixture `index` in the order of the recipe."""
        rows = self._files(index)
        if self._stems:
            seed = f"{self._base}/{index}/songs"
            rows.update(self._songs.take(seed, coherent=self.coherent(index)))
        sources = [
            DrawnSource(name, group, files)
            for group in self._recipe.sources
            for name, files in zip(
                self._recipe.source_names(group, len(rows[group.name])),
                rows[group.name],
                strict=True,
            )
        ]
        in_mixture = {row.source_id for source in sources for row in source.rows}
        return [self._enrolled(source, in_mixture, index) for source in sources]

    def _enrolled(
        self, source: DrawnSource, in_mixture: Collection[str], index: int
    ) -> DrawnSource:
        """Give a talker an utterance that is not in the mixture, where the group enrols."""
        if source.group.enrolment is None:
            return source
        seed = f"{self._base}/{index}/{source.name}/enrolment"
        utterance = self._enrolments[source.group.name].take(source.row.owner, in_mixture, seed)
        return replace(source, enrolment=utterance)

    def _files(self, index: int) -> dict[str, list[list[SourceRow]]]:
        """Return the files of each source by group, without music; talkers differ in all groups."""
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

        Rooms with fewer files serve other mixtures.

        Raises:
            InputError: every room has fewer.
        """
        if self._rooms is None or count == 0:
            return []
        most = self._rooms.most_files()
        if most < count:
            raise InputError(
                f"A mixture of split {self._split!r} has {count} sources in its room, and no room "
                f"has more than {most} response(s): index rooms with more, or use fewer sources."
            )
        (files,) = self._rooms.take([count], f"{self._base}/{index}/rooms", least_files=count)
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
        sampler, count = self._samplers[group.name], self.count(group, index)
        seed = f"{self._base}/{index}/{group.name}"
        if not isinstance(sampler, TalkerSampler):
            return [[row] for row in sampler.take(count, seed, others)]
        utterances = group.turns.utterances if group.turns else 1
        numbers = [
            self._whole(utterances, index, f"utterances/{group.name}/{talker}")
            for talker in range(count)
        ]
        return sampler.take(numbers, seed, others)
