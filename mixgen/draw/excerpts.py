"""Which excerpts of their files the parts of a mixture are: salient, of one song, on one beat."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mixgen.corpora.song_tags import SongTags, tags_of
from mixgen.draw.sampler import Part
from mixgen.draw.songs import common_starts
from mixgen.recipe.schema import Recipe
from mixgen.recipe.song_match import Match, fit, on_the_beat
from mixgen.scenes.distributions import constant
from mixgen.scenes.scene import DrawnEvent


def prepared(recipe: Recipe, parts: Sequence[Part], *, coherent: bool) -> list[Part]:
    """Let parts begin where they are salient, and bring stems that match to the first one's song.

    Raises:
        InputError: when there is sound in a file is not known, and the recipe asks for it.
    """
    if recipe.songs.match is not None and not coherent:
        parts = _matched(recipe.songs.match, parts)
    stems = [part for part in parts if _is_stem(part)]
    alone = [[part] for part in parts if not (coherent and _is_stem(part))]
    starts: dict[str, list[float] | None] = {}
    for together in (*alone, *([stems] if coherent and stems else [])):
        found = _starts(together, recipe.duration.seconds or 0.0)
        starts |= {part.name: found for part in together}
    return [_beginning_at(part, starts[part.name]) for part in parts]


def _is_stem(part: Part) -> bool:
    return part.group.kind == "music"


def _starts(parts: Sequence[Part], seconds: float) -> list[float] | None:
    """Return where one excerpt of all these parts may begin; None for anywhere."""
    if all(part.group.salient is None for part in parts):
        return None
    # What is to be salient has no stretch of its own, but may have to match.
    _, stretch = parts[0].group.time_stretch or constant(1.0)
    return common_starts([(part.rows, part.group.salient) for part in parts], seconds / stretch)


def _beginning_at(part: Part, starts: list[float] | None) -> Part:
    return part if starts is None else _with(part, source_time=["choose", starts])


def _matched(rule: Match, parts: Sequence[Part]) -> list[Part]:
    lead = next((tags_of(part.row.text) for part in parts if _is_stem(part)), SongTags())
    return [_fitted(rule, part, lead) if _is_stem(part) else part for part in parts]


def _fitted(rule: Match, part: Part, lead: SongTags) -> Part:
    found = fit(rule, part.group.name, tags_of(part.row.text), lead)
    if found is None:
        return part
    return _with(
        part,
        pitch_shift=None if found.pitch_shift == 0 else constant(found.pitch_shift),
        time_stretch=None if found.time_stretch == 1 else constant(found.time_stretch),
    )


def _with(part: Part, **keys: Any) -> Part:
    """Return the part with other keys in its group."""
    return replace(part, group=part.group.model_copy(update=keys))


def aligned(
    recipe: Recipe, parts: Sequence[Part], drawn: list[list[DrawnEvent]], *, coherent: bool
) -> list[list[DrawnEvent]]:
    """Give the stems of one song one excerpt, and put those of songs that match on one beat."""
    lead = next((place for place, part in enumerate(parts) if _is_stem(part)), None)
    if lead is None:
        return drawn
    aligned = list(drawn)
    for place, part in enumerate(parts):
        if not _is_stem(part):
            continue
        if coherent:
            aligned[place] = [replace(drawn[lead][0], snr=event.snr) for event in drawn[place]]
        elif recipe.songs.match is not None and place != lead:
            aligned[place] = _on_the_beat(part, drawn[place], parts[lead], drawn[lead][0])
    return aligned


def _on_the_beat(
    part: Part, drawn: Sequence[DrawnEvent], lead: Part, leading: DrawnEvent
) -> list[DrawnEvent]:
    source_time = on_the_beat(
        drawn[0].source_time,
        tags_of(part.row.text),
        leading.source_time,
        tags_of(lead.row.text),
        part.row.duration_s - drawn[0].event_duration,
    )
    return [replace(event, source_time=source_time) for event in drawn]
