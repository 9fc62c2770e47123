"""Which excerpts of their files the sources of a mixture are: salient, of one song, on one beat."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mixgen.corpora.song_tags import SongTags, tags_of
from mixgen.draw.sampler import DrawnSource
from mixgen.draw.songs import common_starts
from mixgen.recipe.schema import Recipe
from mixgen.recipe.song_match import MatchRule, match_song, on_the_beat
from mixgen.scenes.distributions import constant
from mixgen.scenes.scene import DrawnEvent


def prepared(
    recipe: Recipe, sources: Sequence[DrawnSource], *, coherent: bool
) -> list[DrawnSource]:
    """Restrict sources to salient excerpts, and fit stems of other songs to the first one's song.

    Raises:
        InputError: the recipe asks for salient excerpts, and it is not known when there is sound in
            a file.
    """
    if recipe.songs.match is not None and not coherent:
        sources = _matched(recipe.songs.match, sources)
    stems = [source for source in sources if _is_stem(source)]
    groups = [[source] for source in sources if not (coherent and _is_stem(source))]
    if coherent and stems:
        groups.append(stems)
    starts: dict[str, list[float] | None] = {}
    for one_excerpt in groups:
        found = _starts(one_excerpt, recipe.duration.seconds or 0.0)
        starts |= {source.name: found for source in one_excerpt}
    return [
        source
        if (choices := starts[source.name]) is None
        else _with_keys(source, source_time=["choose", choices])
        for source in sources
    ]


def _is_stem(source: DrawnSource) -> bool:
    return source.group.kind == "music"


def _starts(sources: Sequence[DrawnSource], seconds: float) -> list[float] | None:
    """Return where one excerpt of all these sources may begin; None for anywhere."""
    if all(source.group.salient is None for source in sources):
        return None
    # Salient sources have no stretch from the recipe, but may be stretched to match a song.
    _, stretch = sources[0].group.time_stretch or constant(1.0)
    return common_starts([(s.rows, s.group.salient) for s in sources], seconds / stretch)


def _matched(rule: MatchRule, sources: Sequence[DrawnSource]) -> list[DrawnSource]:
    """Return the sources with the stems shifted and stretched to the song of the first stem."""
    lead = next((tags_of(source.row.text) for source in sources if _is_stem(source)), SongTags())
    return [_fitted(rule, source, lead) if _is_stem(source) else source for source in sources]


def _fitted(rule: MatchRule, source: DrawnSource, lead: SongTags) -> DrawnSource:
    match = match_song(rule, source.group.name, tags_of(source.row.text), lead)
    if match is None:
        return source
    return _with_keys(
        source,
        pitch_shift=None if match.pitch_shift == 0 else constant(match.pitch_shift),
        time_stretch=None if match.time_stretch == 1 else constant(match.time_stretch),
    )


def _with_keys(source: DrawnSource, **keys: Any) -> DrawnSource:
    """Return the source with other keys in its group."""
    return replace(source, group=source.group.model_copy(update=keys))


def aligned(
    recipe: Recipe,
    sources: Sequence[DrawnSource],
    drawn: list[list[DrawnEvent]],
    *,
    coherent: bool,
) -> list[list[DrawnEvent]]:
    """Give the stems of one song one excerpt, and put those of matched songs on one beat."""
    lead = next((index for index, source in enumerate(sources) if _is_stem(source)), None)
    if lead is None:
        return drawn
    events = list(drawn)
    for index, source in enumerate(sources):
        if not _is_stem(source):
            continue
        if coherent:
            events[index] = [replace(drawn[lead][0], snr=event.snr) for event in drawn[index]]
        elif recipe.songs.match is not None and index != lead:
            events[index] = _on_the_beat(source, drawn[index], sources[lead], drawn[lead][0])
    return events


def _on_the_beat(
    source: DrawnSource, drawn: Sequence[DrawnEvent], lead: DrawnSource, leading: DrawnEvent
) -> list[DrawnEvent]:
    source_time = on_the_beat(
        drawn[0].source_time,
        tags_of(source.row.text),
        leading.source_time,
        tags_of(lead.row.text),
        source.row.duration_s - drawn[0].event_duration,
    )
    return [replace(event, source_time=source_time) for event in drawn]
