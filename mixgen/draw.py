"""Draw a manifest: recipe and sources in, one fully decided record per mixture out."""

import hashlib
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mixgen.choose import EqualChoice, IndependentChoice, songs_with
from mixgen.errors import InputError
from mixgen.manifest import Event, Gain, Header, Level, Mixture, Source
from mixgen.recipe import Recipe, SourceGroup
from mixgen.scene import DrawnEvent, EventPlan, instantiate, sample
from mixgen.sources import Roots, SourceRow, locate_file, sources_sha256
from mixgen.versions import created_by

_LARGEST_SEED = 2**32


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
        if split not in recipe.splits:
            known = ", ".join(recipe.splits)
            raise InputError(f"The recipe has no split {split!r}: choose one of {known}.")
        dealer = _Dealer(recipe, rows, split, chosen_seed)
        for index in range(recipe.splits[split].mixtures):
            yield _draw_one(recipe, dealer, roots, split, index)


@dataclass(frozen=True)
class _Part:
    """One source of the mixture being drawn: its name, its group in the recipe, its file."""

    name: str
    group: SourceGroup
    row: SourceRow


class _Dealer:
    """Gives every mixture of one split its files."""

    def __init__(self, recipe: Recipe, rows: Sequence[SourceRow], split: str, seed: int) -> None:
        self._recipe = recipe
        self._base = f"{recipe.scene_sha256}/{seed}/{split}"
        self._stems = [g for g in recipe.sources if g.kind == "music"]
        pools = {g.name: _candidates(recipe, g, rows, split) for g in recipe.sources}
        self._choices = {
            g.name: _choice(g, pools[g.name], f"{self._base}/{g.name}")
            for g in recipe.sources
            if g.kind != "music"
        }
        if self._stems:
            self._songs = _songs(self._stems, pools, split)
            leads = [parts[_stem(self._stems[0])] for parts in self._songs.values()]
            self._song_choice = EqualChoice(leads, f"{self._base}/songs", distinct_labels=False)

    def seed(self, index: int, purpose: str = "scene") -> int:
        """Return a seed of mixture `index`, one per purpose."""
        return int(_digest(f"{self._base}/{index}/{purpose}"), 16) % _LARGEST_SEED

    def coherent(self, index: int) -> bool:
        """Tell whether the stems of mixture `index` come from one song."""
        return self.seed(index, "coherent") / _LARGEST_SEED < self._recipe.songs.coherent

    def parts(self, index: int) -> list[_Part]:
        """Return the sources of mixture `index` in the order of the recipe."""
        rows = {g.name: self._take(g, index) for g in self._recipe.sources if g.kind != "music"}
        if self._stems:
            rows.update(self._take_songs(index))
        return [
            _Part(name, group, row)
            for group in self._recipe.sources
            for name, row in zip(group.source_names, rows[group.name], strict=True)
        ]

    def _take(self, group: SourceGroup, index: int) -> list[SourceRow]:
        choice = self._choices[group.name]
        if isinstance(choice, EqualChoice):
            return choice.take(group.count)
        return choice.take(group.count, f"{self._base}/{index}/{group.name}")

    def _take_songs(self, index: int) -> dict[str, list[SourceRow]]:
        # Where there are fewer songs than stems, the songs go round.
        wanted = 1 if self.coherent(index) else min(len(self._stems), len(self._songs))
        leads = self._song_choice.take(wanted)
        songs = itertools.cycle(self._songs[f"{lead.corpus}/{lead.group}"] for lead in leads)
        return {g.name: [song[_stem(g)]] for g, song in zip(self._stems, songs, strict=False)}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _stem(group: SourceGroup) -> str:
    return group.labels[0] if group.labels else group.name


def _candidates(
    recipe: Recipe, group: SourceGroup, rows: Sequence[SourceRow], split: str
) -> list[SourceRow]:
    """Return the files that may serve a group in a split.

    Raises:
        InputError: there is none.
    """
    rule = recipe.splits[split]
    allowed = rule.source_splits(group.kind)
    labels = [_stem(group)] if group.kind == "music" else group.labels
    found = [
        row
        for row in rows
        if row.kind == group.kind
        and (allowed is None or row.split in allowed)
        and rule.holds_label(group.kind, row.label)
        and (labels is None or row.label in labels)
        and (group.corpora is None or row.corpus in group.corpora)
        and row.duration_s >= group.shortest_s
    ]
    if not found:
        splits = sorted({row.split or "(none)" for row in rows if row.kind == group.kind})
        have = f"their splits are {', '.join(splits)}" if splits else "there are none of that kind"
        raise InputError(
            f"No {group.kind} source fits {group.name!r} in split {split!r} "
            f"(wanted from {allowed or 'any split'}; {have}): index more, or change the recipe."
        )
    return found


def _choice(
    group: SourceGroup, rows: Sequence[SourceRow], seed: str
) -> EqualChoice | IndependentChoice:
    if group.use == "equally":
        return EqualChoice(rows, seed, distinct_labels=group.distinct_labels)
    return IndependentChoice(rows, distinct_labels=group.distinct_labels)


def _songs(
    stems: Sequence[SourceGroup], pools: dict[str, list[SourceRow]], split: str
) -> dict[str, dict[str, SourceRow]]:
    rows = {row.source_id: row for group in stems for row in pools[group.name]}
    names = [_stem(group) for group in stems]
    songs = songs_with(list(rows.values()), names)
    if not songs:
        raise InputError(f"No song of split {split!r} has all of the stems {', '.join(names)}.")
    return songs


def _draw_one(recipe: Recipe, dealer: _Dealer, roots: Roots, split: str, index: int) -> Mixture:
    parts = dealer.parts(index)
    frames = _frames(recipe, parts)
    duration_s = seconds_of(frames, recipe.sample_rate)
    plans = [_plan(part, roots) for part in parts]
    drawn = instantiate(plans, duration_s, dealer.seed(index))
    if dealer.coherent(index):
        drawn = _same_excerpt(parts, drawn)
    return Mixture(
        id=f"{split}-{index:06d}",
        split=split,
        sample_rate=recipe.sample_rate,
        channels=recipe.channels,
        frames=frames,
        seed=dealer.seed(index),
        sources=[_source(recipe, p, e) for p, e in zip(parts, drawn, strict=True)],
        level=Level(reference_db=sample(recipe.reference_db, dealer.seed(index, "level"))),
        fade_s=recipe.fade_s,
        clip=recipe.clip,
        targets=[part.name for part in parts if part.group.role == "target"],
    )


def _frames(recipe: Recipe, parts: Sequence[_Part]) -> int:
    """Return the length of the mixture: fixed, or that of its shortest or longest source."""
    rule = recipe.duration
    if rule.seconds is not None:
        return max(1, round(rule.seconds * recipe.sample_rate))
    lengths = [part.row.duration_s for part in parts if part.group.role != "background"]
    duration_s = min(lengths) if rule.mode == "min" else max(lengths)
    return max(1, int(min(duration_s, rule.limit_s or math.inf) * recipe.sample_rate))


def seconds_of(frames: int, sample_rate: int) -> float:
    """Return the duration for which Scaper's int(duration * sample_rate) gives `frames`."""
    duration_s = frames / sample_rate
    while int(duration_s * sample_rate) < frames:
        duration_s = math.nextafter(duration_s, math.inf)
    return duration_s


def _plan(part: _Part, roots: Roots) -> EventPlan:
    group = part.group
    return EventPlan(
        path=locate_file(roots, part.row.corpus, part.row.path),
        background=group.role == "background",
        source_time=tuple(group.source_time),
        event_time=tuple(group.event_time),
        snr=tuple(group.snr),
        pitch_shift=tuple(group.pitch_shift) if group.pitch_shift else None,
        time_stretch=tuple(group.time_stretch) if group.time_stretch else None,
    )


def _same_excerpt(parts: Sequence[_Part], drawn: list[DrawnEvent]) -> list[DrawnEvent]:
    """Give the stems of one song the excerpt, pitch and tempo that were drawn for the first."""
    lead = next((e for p, e in zip(parts, drawn, strict=True) if p.group.kind == "music"), None)
    return [
        DrawnEvent(
            lead.source_time,
            lead.event_time,
            lead.event_duration,
            event.snr,
            lead.pitch_shift,
            lead.time_stretch,
        )
        if lead is not None and part.group.kind == "music"
        else event
        for part, event in zip(parts, drawn, strict=True)
    ]


def _source(recipe: Recipe, part: _Part, drawn: DrawnEvent) -> Source:
    row = part.row
    event = Event(
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
    )
    return Source(
        name=part.name,
        role=part.group.role,
        label=row.label,
        kind=row.kind,
        events=[event],
        gain=Gain(rule=part.group.level_rule or recipe.level_rule),
    )
