"""Songs that match in tempo, key and beat; stems that sound where they are cut out."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mixgen.audio.activity import Activity
from mixgen.core.errors import InputError
from mixgen.corpora.song_tags import SongTags
from mixgen.corpora.sources import SourceRow
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import write_manifest
from mixgen.manifest.mixture import Event, Mixture, Source
from mixgen.recipe.schema import Recipe
from mixgen.recipe.song_match import MatchRule, SongMatch, match_song, on_the_beat
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, MakeRecipe

STEMS = ("vocals", "drums", "bass")
TEXTS = {
    "song0": "tempo_bpm=120.0 key=C_major beat_s=0.1",
    "song1": "tempo_bpm=132.0 key=D_major beat_s=0.0",
    "song2": "tempo_bpm=110.0 key=F#_major beat_s=0.25",
}
needs_sox = pytest.mark.skipif(
    shutil.which("sox") is None, reason="pitch shift and time stretch need the program sox"
)


def stem(name: str, **keys: Any) -> dict[str, Any]:
    return {"name": name, "kind": "music", "snr": ["uniform", -2, 2], **keys}


@pytest.fixture
def rows(corpus: Corpus) -> list[SourceRow]:
    """The tiny songs with tags; their vocals pause for the second half of each file."""
    songs = [row for row in corpus.rows if row.kind == "music"]
    return [
        row.model_copy(
            update={
                "text": TEXTS[row.group],
                "active": "0.0-1.0" if row.label == "vocals" else "0.0-2.0",
            }
        )
        for row in songs
    ]


def matched(music_recipe: MakeRecipe, **changes: Any) -> Recipe:
    return music_recipe(
        sources=[stem(name) for name in STEMS],
        songs={"coherent": 0, "match": {"tempo": 0.15, "key": 3}},
        **changes,
    )


def song_of(source: Source) -> str:
    return Path(source.events[0].path).parts[0]


def test_stems_fit_the_first_song(corpus: Corpus, rows: Any, music_recipe: MakeRecipe) -> None:
    shifts = {("song1", "song0"): -2, ("song0", "song1"): 2}
    tempo = {"song0": 120, "song1": 132, "song2": 110}
    met = set()
    for mixture in draw_mixtures(matched(music_recipe), rows, corpus.roots):
        lead, drums, bass = mixture.sources
        first = song_of(lead)
        assert (lead.events[0].pitch_shift, lead.events[0].time_stretch) == (None, None)
        # Between these keys no shift of up to three semitones leads to or from F# but from none.
        assert song_of(bass) == {"song0": "song1", "song1": "song0", "song2": "song2"}[first]
        assert song_of(drums) != first or first == "song1"
        assert bass.events[0].pitch_shift == shifts.get((song_of(bass), first))
        assert drums.events[0].pitch_shift is None
        for source in (drums, bass):
            stretch = source.events[0].time_stretch or 1.0
            assert stretch == pytest.approx(tempo[song_of(source)] / tempo[first])
        met.add(first)
    assert met == set(tempo)


@pytest.mark.parametrize(
    ("song", "lead", "expected"),
    [
        (SongTags(tempo_bpm=100, key="A minor"), SongTags(tempo_bpm=100, key="C major"), (1.0, 0)),
        (SongTags(tempo_bpm=110, key="B major"), SongTags(tempo_bpm=100, key="C major"), (1.1, 1)),
        (SongTags(tempo_bpm=120, key="C major"), SongTags(tempo_bpm=100, key="C major"), None),
        (SongTags(tempo_bpm=100, key="F major"), SongTags(tempo_bpm=100, key="C major"), None),
        (SongTags(tempo_bpm=100), SongTags(tempo_bpm=100, key="C major"), None),
        (SongTags(key="C major"), SongTags(tempo_bpm=100, key="C major"), None),
    ],
)
def test_limits_of_a_fit(
    song: SongTags, lead: SongTags, expected: tuple[float, float] | None
) -> None:
    rule = MatchRule(tempo=0.1001, key=3)
    assert match_song(rule, "bass", song, lead) == (expected and SongMatch(*expected))
    if song.tempo_bpm == 100:
        assert match_song(rule, "drums", song, lead) == SongMatch(1.0, 0.0)


@given(
    start_s=st.floats(0, 10),
    beat_s=st.floats(0, 3),
    lead_start_s=st.floats(0, 10),
    lead_beat_s=st.floats(0, 3),
    tempo=st.floats(60, 180),
    lead_tempo=st.floats(60, 180),
)
def test_beats_fall_on_beats(
    start_s: float,
    beat_s: float,
    lead_start_s: float,
    lead_beat_s: float,
    tempo: float,
    lead_tempo: float,
) -> None:
    song = SongTags(tempo_bpm=tempo, beat_s=beat_s)
    lead = SongTags(tempo_bpm=lead_tempo, beat_s=lead_beat_s)
    moved_s = on_the_beat(start_s, song, lead_start_s, lead, last_s=100.0)
    assert start_s <= moved_s <= start_s + 60 / tempo + 1e-9
    phases = [
        ((tags.beat_s - begin_s) * tags.tempo_bpm / 60) % 1  # type: ignore[operator]
        for tags, begin_s in ((song, moved_s), (lead, lead_start_s))
    ]
    apart = abs(phases[0] - phases[1])
    assert min(apart, 1 - apart) < 1e-6


def test_beats_where_there_is_no_space_or_nothing_is_known() -> None:
    song, lead = SongTags(tempo_bpm=60, beat_s=0.5), SongTags(tempo_bpm=60, beat_s=0.0)
    assert on_the_beat(3.0, song, 0.0, lead, last_s=9.0) == 3.5
    assert on_the_beat(3.0, song, 0.0, lead, last_s=3.2) == 2.5
    assert on_the_beat(0.1, song, 0.0, lead, last_s=0.2) == 0.1
    assert on_the_beat(3.0, SongTags(tempo_bpm=60), 0.0, lead, last_s=9.0) == 3.0


@needs_sox
def test_a_matched_set_is_whole(
    corpus: Corpus, rows: Any, music_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = matched(music_recipe)
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, draw_header(recipe, rows), draw_mixtures(recipe, rows, corpus.roots))
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    done = RenderedSet(tmp_path / "set")
    for mixture in done.mixtures():
        # Stretched or not, every stem fills the mixture.
        assert (np.abs(done.load_references(mixture.id)[..., -800:-400]).max(axis=2) > 0).all()


def test_songs_without_tags_do_not_match(
    corpus: Corpus, rows: Any, music_recipe: MakeRecipe
) -> None:
    bare = [row.model_copy(update={"text": ""}) for row in rows]
    with pytest.raises(InputError, match=r"no tempo to match: list .* in tags\.csv"):
        list(draw_mixtures(matched(music_recipe), bare, corpus.roots))
    only = [row if row.group == "song0" else row.model_copy(update={"text": ""}) for row in rows]
    for mixture in draw_mixtures(matched(music_recipe), only, corpus.roots):
        assert {song_of(source) for source in mixture.sources} == {"song0"}


def sounding(event: Event, rows: list[SourceRow]) -> float:
    row = next(row for row in rows if row.path == event.path)
    return Activity(row.active, row.duration_s).share(event.source_time, event.event_duration)


@pytest.mark.parametrize("coherent", [0.0, 1.0])
def test_salient_excerpts_sound(
    corpus: Corpus, rows: Any, music_recipe: MakeRecipe, coherent: float
) -> None:
    recipe = music_recipe(
        sources=[stem("drums", source_time=["uniform", 0, 2]), stem("vocals", salient=0.8)],
        songs={"coherent": coherent},
        splits={"test": {"mixtures": 40, "sources": {}}},
    )
    mixtures: list[Mixture] = list(draw_mixtures(recipe, rows, corpus.roots))
    starts = {mixture.sources[1].events[0].source_time for mixture in mixtures}
    assert starts <= {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    assert len(starts) > 3
    for mixture in mixtures:
        drums, vocals = (source.events[0] for source in mixture.sources)
        assert sounding(vocals, rows) >= 0.8 - 1e-6
        assert (drums.source_time == vocals.source_time) == (coherent == 1)


def test_salient_speech_leaves_files_out_that_are_too_quiet(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "salient": 0.9}
    recipe = speech_recipe(sources=[group], duration={"mode": "fixed", "seconds": 0.4})
    quiet = [
        row.model_copy(update={"active": "0.0-0.3"}) if row.path.endswith("utt0.wav") else row
        for row in corpus.rows
    ]
    used = {m.sources[0].events[0].path for m in draw_mixtures(recipe, quiet, corpus.roots)}
    assert used
    assert not any(path.endswith("utt0.wav") for path in used)


def test_what_salient_cannot_have(corpus: Corpus, rows: Any, music_recipe: MakeRecipe) -> None:
    salient = [stem("vocals", salient=0.9)]
    unknown = [row.model_copy(update={"active": ""}) for row in rows]
    with pytest.raises(InputError, match="there is sound in 'songs/song0/vocals'"):
        list(draw_mixtures(music_recipe(sources=salient), unknown, corpus.roots))
    long = {"mode": "fixed", "seconds": 1.5}
    with pytest.raises(InputError, match="No song has an excerpt in which all of vocals sound"):
        list(draw_mixtures(music_recipe(sources=salient, duration=long), rows, corpus.roots))


@pytest.mark.parametrize(
    ("keys", "changes", "words"),
    [
        ({"source_time": ["const", 1]}, {}, "leave source_time out"),
        ({"time_stretch": ["const", 1.1]}, {}, "leave time_stretch out"),
        ({}, {"duration": {"mode": "max"}}, "`salient` needs the duration mode fixed"),
    ],
)
def test_recipes_that_contradict_themselves(
    music_recipe: MakeRecipe, keys: dict[str, Any], changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        music_recipe(sources=[stem("vocals", salient=0.5, **keys)], **changes)


def test_match_leaves_no_room_for_another_stretch(music_recipe: MakeRecipe) -> None:
    with pytest.raises(ValidationError, match="`match` alone shifts and stretches songs"):
        music_recipe(
            sources=[stem("vocals", pitch_shift=["const", 1])], songs={"coherent": 0, "match": {}}
        )


def test_index_measures_what_salient_needs(corpus: Corpus) -> None:
    for row in corpus.rows:
        samples, rate = soundfile.read(corpus.roots[row.corpus] / row.path, always_2d=True)
        loud = np.abs(samples).max(axis=1) > 1e-3 * np.abs(samples).max()
        assert (
            Activity(row.active, row.duration_s).share(0, len(samples) / rate) > 0.5 * loud.mean()
        )
