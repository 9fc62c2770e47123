"""Draw mixtures: recipe and sources in, one fully decided record per mixture out."""

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.core.progress import print_status
from mixgen.core.records import explain
from mixgen.corpora.roots import Roots, locate_file
from mixgen.corpora.sources import SourceRow
from mixgen.degradations import Degradation
from mixgen.draw.conversation import Turn, schedule_turns
from mixgen.draw.excerpts import aligned, prepared
from mixgen.draw.room import (
    RoomOfMixture,
    assign_responses,
    in_room,
    reference_of,
    room_of_files,
    room_to_simulate,
    slow_simulation,
)
from mixgen.draw.sampler import DrawnSource, Selection, SourceSampler
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from mixgen.recipe.schema import Recipe
from mixgen.recipe.source_group import Turns
from mixgen.scenes.draws import seconds_of
from mixgen.scenes.scene import DrawnEvent, EventPlan, instantiate, sample


def draw_mixtures(
    recipe: Recipe,
    rows: Sequence[SourceRow],
    roots: Roots,
    *,
    seed: int | None = None,
    splits: Sequence[str] | None = None,
) -> Iterator[Mixture]:
    """Yield the mixtures of the recipe's splits (all by default), in order.

    The random numbers of a mixture depend on the recipe, `seed`, split and index alone. Notices
    on stderr name what is skipped, and rooms that take long to simulate.

    Raises:
        InputError: the sources cannot fill the recipe, or a corpus root is not known.
    """
    for split in dict.fromkeys(splits or recipe.splits):
        drawer = MixtureDrawer(recipe, rows, roots, split, seed=seed)
        print_notices(drawer)
        drawn = map(drawer.draw, map(drawer.select, range(recipe.splits[split].mixtures)))
        yield from with_slow_warning(drawn)


def print_notices(drawer: "MixtureDrawer") -> None:
    """Print what a drawer skips, and odd rooms."""
    for sentence in drawer.notices:
        print_status(sentence)


def with_slow_warning(mixtures: Iterable[Mixture]) -> Iterator[Mixture]:
    """Yield mixtures; warn of the first of each split that takes long or much memory to render."""
    warned: set[str] = set()
    for mixture in mixtures:
        yield mixture
        if mixture.split not in warned and (sentence := slow_simulation(mixture)):
            warned.add(mixture.split)
            print_status(sentence)


class MixtureDrawer:
    """Draws the mixtures of one split of a recipe in two steps.

    `select` gives a mixture its files; it has to be called for one mixture after the other, from 0.
    `draw` decides everything else and may be called in any order and in any process.

    Raises:
        InputError: the recipe has no such split, or no source fits a group of it.
    """

    def __init__(
        self,
        recipe: Recipe,
        rows: Sequence[SourceRow],
        roots: Roots,
        split: str,
        *,
        seed: int | None = None,
    ) -> None:
        self._recipe = recipe
        self._roots = roots
        self._split = split
        self._sampler = SourceSampler(recipe, rows, split, recipe.seed if seed is None else seed)

    @property
    def notices(self) -> list[str]:
        """Sentences on songs and responses that are skipped, and on odd rooms."""
        return self._sampler.notices

    def select(self, index: int) -> Selection:
        """Return the files of mixture `index`.

        Raises:
            InputError: the sources cannot fill the mixture.
        """
        sources = self._with_turns(self._sampler.sources(index), index)
        return Selection(index, sources, self._sampler.responses(index, self._in_room(sources)))

    def draw(self, selection: Selection) -> Mixture:
        """Return the record of the mixture with these files.

        Raises:
            InputError: Scaper refuses what the recipe asks for, a drawn value is out of all bounds,
                or a corpus root is not known.
        """
        name = f"{self._split}-{selection.index:06d}"
        try:
            return self._mixture(name, selection)
        except ValidationError as error:
            raise InputError(f"Mixture {name} cannot be as drawn: {explain(error)}.") from None

    def _mixture(self, name: str, selection: Selection) -> Mixture:
        recipe, index = self._recipe, selection.index
        frames = self._frames(selection.sources)
        duration_s = seconds_of(frames, recipe.sample_rate)
        coherent = self._sampler.coherent(index)
        drawn_sources = prepared(recipe, selection.sources, coherent=coherent)
        events = self._events(drawn_sources, duration_s, self._sampler.seed(index))
        events = aligned(recipe, drawn_sources, events, coherent=coherent)
        reference_db = sample(recipe.reference_db, self._sampler.seed(index, "level"))
        sources = [
            self._source(drawn, _relative_to(reference_db, drawn, of_source), index)
            for drawn, of_source in zip(drawn_sources, events, strict=True)
        ]
        room = self._room(name, selection)
        return Mixture(
            id=name,
            split=self._split,
            sample_rate=recipe.sample_rate,
            channels=recipe.channels,
            frames=frames,
            seed=self._sampler.seed(index),
            sources=assign_responses(recipe.rooms, sources, room),
            level=Level(reference_db=reference_db),
            fade_s=recipe.fade_s,
            room=room.room if room else None,
            degradations=self._degradations(index),
            clip=recipe.clip,
            targets=[reference_of(recipe.rooms, s) for s in sources if s.role == "target"],
        )

    def _in_room(self, sources: Sequence[DrawnSource]) -> int:
        """Return how many sources go through a response."""
        return sum(in_room(self._recipe.rooms, source.group) for source in sources)

    def _room(self, name: str, selection: Selection) -> RoomOfMixture | None:
        """Return the room of a mixture: that of its response files, or one drawn for it."""
        rule, sources = self._recipe.rooms, self._in_room(selection.sources)
        if rule is None or sources == 0:
            return None
        microphones = self._recipe.channels
        if selection.responses:
            return room_of_files(rule, selection.responses)
        seed = self._sampler.seed(selection.index, "room")
        return room_to_simulate(rule, name, seed, microphones=microphones, sources=sources)

    def _degradations(self, index: int) -> list[Degradation]:
        """Return how a mixture is degraded after its sources are summed, in the recipe's order."""
        drawn = [
            rule.draw(self._sampler.seed(index, f"degradation/{number}"))
            for number, rule in enumerate(self._recipe.degradations)
        ]
        return [degradation for degradation in drawn if degradation is not None]

    def _with_turns(self, sources: list[DrawnSource], index: int) -> list[DrawnSource]:
        """Return the sources of a mixture; in a conversation, with the start of every utterance.

        Utterances that would end after the mixture are skipped, as are talkers who then have none.
        """
        talkers = [source for source in sources if source.group.turns is not None]
        if not talkers:
            return sources
        turns = self._turns(talkers, index)
        limit_s = self._recipe.duration.seconds or self._recipe.duration.limit_s or math.inf
        speaking: list[DrawnSource] = []
        for number, talker in enumerate(talkers):
            own = [turn for turn in turns if turn.talker == number and turn.stop_s <= limit_s]
            if own:
                rows = [talker.rows[turn.utterance] for turn in own]
                speaking.append(replace(talker, rows=rows, starts_s=[turn.start_s for turn in own]))
        names = self._recipe.source_names(talkers[0].group, len(speaking))
        named = [replace(t, name=name) for t, name in zip(speaking, names, strict=True)]
        before = sources.index(talkers[0])
        return [*sources[:before], *named, *sources[before + len(talkers) :]]

    def _turns(self, talkers: Sequence[DrawnSource], index: int) -> list[Turn]:
        """Schedule the turns of the talkers of one group."""
        group = talkers[0].group
        rule = group.turns or Turns(utterances=1)
        lengths = [[row.duration_s for row in talker.rows] for talker in talkers]

        def seed(purpose: str) -> int:
            return self._sampler.seed(index, f"{group.name}/{purpose}")

        def drawn(distribution: Sequence[Any], purpose: str) -> float:
            return max(0.0, sample(distribution, seed(purpose)))

        changes = sum(map(len, lengths)) - 1
        turns = schedule_turns(
            lengths,
            overlap=min(drawn(rule.overlap, "overlap"), 1.0),
            overlapping_turns=rule.overlapping_turns,
            silences_s=[drawn(rule.silence, f"silence/{number}") for number in range(changes)],
            random=np.random.RandomState(seed("turns")),
        )
        begin_s = drawn(group.event_time, "begin")
        return [replace(turn, start_s=turn.start_s + begin_s) for turn in turns]

    def _frames(self, sources: Sequence[DrawnSource]) -> int:
        """Return the length of the mixture by the rule of the recipe."""
        rule = self._recipe.duration
        if rule.seconds is not None:
            return max(1, round(rule.seconds * self._recipe.sample_rate))
        # A source lasts until the end of its file, or of its last utterance in a conversation.
        stops_s = [
            max(
                (start + row.duration_s for start, row in zip(s.starts_s, s.rows, strict=False)),
                default=s.row.duration_s,
            )
            for s in sources
            if s.group.role != "background"
        ]
        limit_s = rule.limit_s or math.inf
        if not stops_s and math.isinf(limit_s):
            raise InputError(
                "A mixture without sources has no length: add limit_s to the duration."
            )
        pick = min if rule.mode == "min" else max
        duration_s = min(pick(stops_s, default=limit_s), limit_s)
        return max(1, int(duration_s * self._recipe.sample_rate))

    def _events(
        self, sources: Sequence[DrawnSource], duration_s: float, seed: int
    ) -> list[list[DrawnEvent]]:
        """Let Scaper draw the events of every source.

        A talker is as loud in all utterances as in the first, and the files of a stem are one
        excerpt.
        """
        plans = [self._plans(source) for source in sources]
        drawn = iter(instantiate(list(itertools.chain(*plans)), duration_s, seed))
        events = [list(itertools.islice(drawn, len(of_source))) for of_source in plans]
        return [
            [replace(event, snr=of_source[0].snr) for event in of_source]
            if source.starts_s
            else of_source * len(source.rows)
            for source, of_source in zip(sources, events, strict=True)
        ]

    def _plans(self, source: DrawnSource) -> list[EventPlan]:
        """Return what Scaper has to draw for a source: one event, or one for each utterance."""
        group = source.group
        plan = EventPlan(
            path=locate_file(self._roots, source.row.corpus, source.row.path),
            background=group.role == "background",
            source_time=tuple(group.source_time),
            event_time=tuple(group.event_time),
            snr=tuple(group.level_db or group.snr),
            pitch_shift=tuple(group.pitch_shift) if group.pitch_shift else None,
            time_stretch=tuple(group.time_stretch) if group.time_stretch else None,
            length_s=source.row.length_s,
        )
        if not source.starts_s:
            return [plan]
        return [
            replace(
                plan,
                path=locate_file(self._roots, row.corpus, row.path),
                source_time=("const", 0.0),
                event_time=("const", start_s),
                duration_s=row.duration_s,
                length_s=row.length_s,
            )
            for row, start_s in zip(source.rows, source.starts_s, strict=True)
        ]

    def _source(self, drawn: DrawnSource, events: Sequence[DrawnEvent], index: int) -> Source:
        group = drawn.group
        echo_seed = self._sampler.seed(index, f"{drawn.name}/echo")
        return Source(
            name=drawn.name,
            role=group.role,
            label=drawn.row.label,
            kind=drawn.row.kind,
            events=[_event(row, event) for row, event in zip(drawn.rows, events, strict=True)],
            gain=Gain(
                rule=group.level_rule or self._recipe.level_rule,
                shared=len(drawn.rows) > 1 and not drawn.starts_s,
            ),
            echo=group.echo.draw(echo_seed) if group.echo else None,
            enrolment=_enrolment(drawn),
        )


def _relative_to(
    reference_db: float, source: DrawnSource, events: Sequence[DrawnEvent]
) -> Sequence[DrawnEvent]:
    """Return events with snr relative to the reference level, also where the level was drawn."""
    if source.group.level_db is None:
        return events
    return [replace(event, snr=event.snr - reference_db) for event in events]


def _enrolment(source: DrawnSource) -> Event | None:
    """Return the enrolment utterance of a talker, from its start, at the reference level."""
    row, rule = source.enrolment, source.group.enrolment
    if row is None or rule is None:
        return None
    whole = DrawnEvent(
        source_time=0.0,
        event_time=0.0,
        event_duration=min(row.duration_s, rule.limit_s or math.inf),
        snr=0.0,
    )
    return _event(row, whole)


def _event(row: SourceRow, drawn: DrawnEvent) -> Event:
    return Event(
        corpus=row.corpus,
        path=row.path,
        sha256=row.sha256,
        source_time=drawn.source_time,
        event_time=drawn.event_time,
        event_duration=drawn.event_duration,
        snr=drawn.snr,
        pitch_shift=drawn.pitch_shift,
        time_stretch=drawn.time_stretch,
        licence=row.licence,
        text=row.text if row.kind == "speech" else "",
    )
