"""Draw a manifest: recipe and sources in, one fully decided record per mixture out."""

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.core.progress import track
from mixgen.core.records import explain
from mixgen.core.versions import created_by
from mixgen.corpora.roots import Roots, locate_file, write_roots
from mixgen.corpora.sources import SourceRow, open_sources, sources_sha256
from mixgen.degradations import Degradation
from mixgen.draw.conversation import Turn, lay_turns
from mixgen.draw.excerpts import aligned, prepared
from mixgen.draw.room import (
    RoomOfMixture,
    in_room,
    place,
    reference_of,
    room_of_files,
    room_to_simulate,
)
from mixgen.draw.sampler import Deal, Dealer, Part
from mixgen.manifest.file import Header, ManifestFile, open_manifest, write_manifest
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from mixgen.recipe.read import open_recipe
from mixgen.recipe.schema import Recipe, Turns
from mixgen.scenes.draws import seconds_of
from mixgen.scenes.scene import DrawnEvent, EventPlan, instantiate, sample


def draw_manifest(
    recipe: str | Path | Recipe,
    sources: Iterable[str | Path | SourceRow],
    out: str | Path,
    *,
    roots: Mapping[str, Path | str] | None = None,
    seed: int | None = None,
    splits: Sequence[str] | None = None,
) -> ManifestFile:
    """Decide every mixture of a recipe and write the manifest.

    Args:
        recipe: a recipe.yaml, the name of a shipped set, or a recipe that was read.
        sources: sources.csv files to draw from, or their rows.
        out: the manifest.jsonl to write.
        roots: folder of each corpus, where `roots.json` beside the sources does not have it.
        seed: another seed than the recipe's.
        splits: only these; all by default.

    Raises:
        InputError: a file cannot be read, the sources cannot fill the recipe, or a corpus root is
            not known.
        MachineError: the manifest cannot be written.
    """
    plan, out = open_recipe(recipe), Path(out)
    rows, known_roots = open_sources(sources, roots)
    rules = plan.splits.items()
    total = sum(rule.mixtures for name, rule in rules if name in (splits or plan.splits))
    mixtures = draw_mixtures(plan, rows, known_roots, seed=seed, splits=splits)
    write_manifest(out, draw_header(plan, rows, seed), track(mixtures, "drawing", total))
    write_roots(out.parent, known_roots)
    return open_manifest(out)


def draw_header(recipe: Recipe, rows: Sequence[SourceRow], seed: int | None = None) -> Header:
    """Return the header of the manifest that `draw_mixtures` yields the records of."""
    return Header(
        name=recipe.name,
        task=recipe.task,
        format=recipe.format,
        recipe_sha256=recipe.sha256,
        sources_sha256=sources_sha256(rows),
        seed=recipe.seed if seed is None else seed,
        created_by=created_by(),
        layouts={row.corpus: row.layout for row in rows if row.layout},
    )


def draw_mixtures(
    recipe: Recipe,
    rows: Sequence[SourceRow],
    roots: Roots,
    *,
    seed: int | None = None,
    splits: Sequence[str] | None = None,
) -> Iterator[Mixture]:
    """Yield the mixtures of the recipe's splits (all by default), in order.

    The random numbers of a mixture depend on the recipe, `seed`, split and index alone.

    Raises:
        InputError: the sources cannot fill the recipe, or a corpus root is not known.
    """
    chosen_seed = recipe.seed if seed is None else seed
    for split in dict.fromkeys(splits or recipe.splits):
        dealer = Dealer(recipe, rows, split, chosen_seed)
        for index in range(recipe.splits[split].mixtures):
            yield draw_mixture(recipe, dealer, roots, split, deal_files(recipe, dealer, index))


def deal_files(recipe: Recipe, dealer: Dealer, index: int) -> Deal:
    """Return the files of mixture `index`; to be asked for one mixture after the other, from 0."""
    parts = _with_turns(recipe, dealer, index)
    return Deal(index, parts, dealer.responses(index, _sources_in_room(recipe, parts)))


def _sources_in_room(recipe: Recipe, parts: Sequence[Part]) -> int:
    return sum(in_room(recipe.rooms, part.group) for part in parts)


def draw_mixture(recipe: Recipe, dealer: Dealer, roots: Roots, split: str, deal: Deal) -> Mixture:
    """Return the record of the mixture with these files, in any order of the mixtures.

    Raises:
        InputError: Scaper refuses what the recipe asks for, what was drawn is out of all bounds, or
            a corpus root is not known.
    """
    name = f"{split}-{deal.index:06d}"
    try:
        return _mixture(recipe, dealer, roots, split, name, deal)
    except ValidationError as error:
        raise InputError(f"Mixture {name} cannot be as drawn: {explain(error)}.") from None


def _mixture(
    recipe: Recipe, dealer: Dealer, roots: Roots, split: str, name: str, deal: Deal
) -> Mixture:
    index = deal.index
    frames = _frames(recipe, deal.parts)
    duration_s = seconds_of(frames, recipe.sample_rate)
    coherent = dealer.coherent(index)
    parts = prepared(recipe, deal.parts, coherent=coherent)
    drawn = _instantiate(parts, roots, duration_s, dealer.seed(index))
    drawn = aligned(recipe, parts, drawn, coherent=coherent)
    reference_db = sample(recipe.reference_db, dealer.seed(index, "level"))
    sources = [
        _source(
            recipe,
            part,
            _above(reference_db, part, events),
            dealer.seed(index, f"{part.name}/echo"),
        )
        for part, events in zip(parts, drawn, strict=True)
    ]
    around = _room(recipe, deal, name, dealer.seed(index, "room"))
    return Mixture(
        id=name,
        split=split,
        sample_rate=recipe.sample_rate,
        channels=recipe.channels,
        frames=frames,
        seed=dealer.seed(index),
        sources=place(recipe.rooms, sources, around),
        level=Level(reference_db=reference_db),
        fade_s=recipe.fade_s,
        room=around.room if around else None,
        degradations=_degradations(recipe, dealer, index),
        clip=recipe.clip,
        targets=[reference_of(recipe.rooms, s) for s in sources if s.role == "target"],
    )


def _above(reference_db: float, part: Part, drawn: Sequence[DrawnEvent]) -> Sequence[DrawnEvent]:
    """Let snr be above the reference level also where the level itself was drawn."""
    if part.group.level_db is None:
        return drawn
    return [replace(event, snr=event.snr - reference_db) for event in drawn]


def _room(recipe: Recipe, deal: Deal, name: str, seed: int) -> RoomOfMixture | None:
    """Return the room of a mixture: that of the response files dealt, or one drawn for it."""
    sources = _sources_in_room(recipe, deal.parts)
    if recipe.rooms is None or sources == 0:
        return None
    if deal.responses:
        return room_of_files(recipe.rooms, deal.responses, microphones=recipe.channels)
    return room_to_simulate(recipe.rooms, name, seed, microphones=recipe.channels, sources=sources)


def _degradations(recipe: Recipe, dealer: Dealer, index: int) -> list[Degradation]:
    """Return what is done to a mixture after its sources are summed, in the recipe's order."""
    drawn = [
        rule.draw(dealer.seed(index, f"degradation/{place}"))
        for place, rule in enumerate(recipe.degradations)
    ]
    return [degradation for degradation in drawn if degradation is not None]


def _with_turns(recipe: Recipe, dealer: Dealer, index: int) -> list[Part]:
    """Return the sources of a mixture; in a conversation, with the start of every utterance.

    Utterances that would end after the mixture are left out, and talkers who then have none.
    """
    parts = dealer.parts(index)
    talkers = [part for part in parts if part.group.turns is not None]
    if not talkers:
        return parts
    turns = _turns(talkers, dealer, index)
    limit_s = recipe.duration.seconds or recipe.duration.limit_s or math.inf
    spoken: list[Part] = []
    for number, part in enumerate(talkers):
        mine = [turn for turn in turns if turn.talker == number and turn.stop_s <= limit_s]
        if mine:
            rows = [part.rows[turn.utterance] for turn in mine]
            spoken.append(replace(part, rows=rows, starts_s=[turn.start_s for turn in mine]))
    names = recipe.source_names(talkers[0].group, len(spoken))
    named = iter([replace(part, name=name) for part, name in zip(spoken, names, strict=True)])
    before = parts.index(talkers[0])
    return [*parts[:before], *named, *parts[before + len(talkers) :]]


def _turns(talkers: Sequence[Part], dealer: Dealer, index: int) -> list[Turn]:
    """Lay the turns of the talkers of one group."""
    group = talkers[0].group
    rule = group.turns or Turns(utterances=1)
    lengths = [[row.duration_s for row in part.rows] for part in talkers]

    def drawn(distribution: Sequence[Any], purpose: str) -> float:
        return max(0.0, sample(distribution, dealer.seed(index, f"{group.name}/{purpose}")))

    turns = lay_turns(
        lengths,
        overlap=min(drawn(rule.overlap, "overlap"), 1.0),
        overlapping_turns=rule.overlapping_turns,
        silences_s=[drawn(rule.silence, f"silence/{n}") for n in range(sum(map(len, lengths)) - 1)],
        random=np.random.RandomState(dealer.seed(index, f"{group.name}/turns")),
    )
    begin_s = drawn(group.event_time, "begin")
    return [replace(turn, start_s=turn.start_s + begin_s) for turn in turns]


def _frames(recipe: Recipe, parts: Sequence[Part]) -> int:
    """Return the length of the mixture by the rule of the recipe."""
    rule = recipe.duration
    if rule.seconds is not None:
        return max(1, round(rule.seconds * recipe.sample_rate))
    lengths = [_stop_s(part) for part in parts if part.group.role != "background"]
    limit_s = rule.limit_s or math.inf
    if not lengths and math.isinf(limit_s):
        raise InputError(
            "A mixture without sources has no length of its own: add limit_s to the duration."
        )
    pick = min if rule.mode == "min" else max
    duration_s = min(pick(lengths, default=limit_s), limit_s)
    return max(1, int(duration_s * recipe.sample_rate))


def _stop_s(part: Part) -> float:
    """Return when the last utterance of a conversation ends; the length of any other source."""
    stops = [start + row.duration_s for start, row in zip(part.starts_s, part.rows, strict=False)]
    return max(stops, default=part.row.duration_s)


def _instantiate(
    parts: Sequence[Part], roots: Roots, duration_s: float, seed: int
) -> list[list[DrawnEvent]]:
    """Return the events of every source.

    A talker is as loud in all utterances as in the first, and the parts of a stem are one excerpt.
    """
    plans = [_plans(part, roots) for part in parts]
    drawn = iter(instantiate(list(itertools.chain(*plans)), duration_s, seed))
    events = [list(itertools.islice(drawn, len(some))) for some in plans]
    return [
        [replace(event, snr=some[0].snr) for event in some]
        if part.starts_s
        else some * len(part.rows)
        for part, some in zip(parts, events, strict=True)
    ]


def _plans(part: Part, roots: Roots) -> list[EventPlan]:
    group = part.group
    plan = EventPlan(
        path=locate_file(roots, part.row.corpus, part.row.path),
        background=group.role == "background",
        source_time=tuple(group.source_time),
        event_time=tuple(group.event_time),
        snr=tuple(group.level_db or group.snr),
        pitch_shift=tuple(group.pitch_shift) if group.pitch_shift else None,
        time_stretch=tuple(group.time_stretch) if group.time_stretch else None,
    )
    if not part.starts_s:
        return [plan]
    return [
        replace(
            plan,
            path=locate_file(roots, row.corpus, row.path),
            source_time=("const", 0.0),
            event_time=("const", start_s),
            duration_s=row.duration_s,
        )
        for row, start_s in zip(part.rows, part.starts_s, strict=True)
    ]


def _source(recipe: Recipe, part: Part, drawn: Sequence[DrawnEvent], seed: int) -> Source:
    return Source(
        name=part.name,
        role=part.group.role,
        label=part.row.label,
        kind=part.row.kind,
        events=[_event(row, event) for row, event in zip(part.rows, drawn, strict=True)],
        gain=Gain(
            rule=part.group.level_rule or recipe.level_rule,
            shared=len(part.rows) > 1 and not part.starts_s,
        ),
        echo=part.group.echo.draw(seed) if part.group.echo else None,
        enrolment=_enrolment(part),
    )


def _enrolment(part: Part) -> Event | None:
    """Return the enrolment utterance of a talker, from its start, at the reference level."""
    row, rule = part.enrolment, part.group.enrolment
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
