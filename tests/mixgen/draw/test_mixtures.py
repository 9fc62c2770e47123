"""Drawing: a mixture is its recipe, seed and index, whatever else there is."""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow, read_sources
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.scenes.draws import seconds_of
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe


def _draw(recipe: Recipe, corpus: Corpus, **options: Any) -> list[Mixture]:
    return list(draw_mixtures(recipe, corpus.rows, corpus.roots, **options))


def _splits(train: int, test: int = 2) -> dict[str, object]:
    return {
        "train": {"mixtures": train, "sources": {"speech": "train"}},
        "test": {"mixtures": test, "sources": {"speech": "test"}},
    }


def test_again_is_the_same(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    recipe = speech_recipe()
    assert _draw(recipe, corpus) == _draw(recipe, corpus)


def test_a_longer_split_begins_with_the_shorter(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    short = _draw(speech_recipe(), corpus, splits=["train"])
    long = _draw(speech_recipe(splits=_splits(9)), corpus, splits=["train"])
    assert len(long) == 9
    assert long[: len(short)] == short


def test_a_split_does_not_depend_on_the_others(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    whole = _draw(speech_recipe(), corpus)
    assert _draw(speech_recipe(), corpus, splits=["test"]) == whole[-2:]
    assert _draw(speech_recipe(), corpus, splits=["test", "test"]) == whole[-2:]


def test_other_rates_and_formats_have_the_same_scenes(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    def chosen(recipe: Recipe) -> list[list[object]]:
        drawn = _draw(recipe, corpus)
        return [[m.level, *(s.events[0].as_dict() for s in m.sources)] for m in drawn]

    assert chosen(speech_recipe()) == chosen(speech_recipe(sample_rate=16000, format="wav24"))


def test_shares_of_one_subset_have_no_talker_in_common(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    row = next(row for row in corpus.rows if row.kind == "speech" and row.split == "train")
    talkers = [f"talker{number}" for number in range(40)]
    rows = [row.model_copy(update={"label": t, "source_id": f"made/{t}"}) for t in talkers]

    def split(start: float, stop: float) -> dict[str, object]:
        return {"mixtures": 40, "sources": "train", "label_share": {"speech": [start, stop]}}

    splits = {"train": split(0, 0.8), "valid": split(0.8, 1)}
    recipe = speech_recipe(sources=[{"name": "s", "kind": "speech"}], splits=splits)
    drawn: dict[str, set[str]] = {name: set() for name in splits}
    for mixture in draw_mixtures(recipe, rows, corpus.roots):
        drawn[mixture.split].add(mixture.sources[0].label)
    assert drawn["train"].isdisjoint(drawn["valid"])
    assert drawn["train"] | drawn["valid"] == set(talkers)
    assert 3 <= len(drawn["valid"]) <= 14


def test_share_that_ends_before_it_begins(speech_recipe: MakeRecipe) -> None:
    rule = {"mixtures": 2, "sources": "train", "label_share": {"speech": [0.5, 0.2]}}
    with pytest.raises(ValueError, match="label_share of speech must begin below its end"):
        speech_recipe(splits={"train": rule})


def test_another_seed_differs_everywhere(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    first, second = (_draw(speech_recipe(seed=seed), corpus) for seed in (0, 1))
    assert all(a != b for a, b in zip(first, second, strict=True))
    assert _draw(speech_recipe(), corpus, seed=1) == second


def test_seeds_differ_between_mixtures(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    drawn = _draw(speech_recipe(), corpus)
    assert len({mixture.seed for mixture in drawn}) == len(drawn)


def test_order_of_rows_does_not_matter(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    shuffled = []
    for path in corpus.sources:
        head, *lines = path.read_text().splitlines(keepends=True)
        random.Random(3).shuffle(lines)
        shuffled.append(tmp_path / path.name)
        shuffled[-1].write_text("".join([head, *lines]))
    rows = read_sources(shuffled[::-1])
    recipe = speech_recipe()
    assert draw_header(recipe, rows) == draw_header(recipe, corpus.rows)
    assert list(draw_mixtures(recipe, rows, corpus.roots)) == _draw(recipe, corpus)


def test_a_list_without_exact_lengths_draws_the_same(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    recipe = speech_recipe(duration={"mode": "min"})
    older = [row.model_copy(update={"frames": 0}) for row in corpus.rows]
    assert list(draw_mixtures(recipe, older, corpus.roots)) == _draw(recipe, corpus)
    assert draw_header(recipe, older) == draw_header(recipe, corpus.rows)


def test_known_lengths_need_no_file_to_be_opened(
    corpus: Corpus, speech_recipe: MakeRecipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = _draw(speech_recipe(), corpus)
    monkeypatch.setattr(soundfile, "SoundFile", None)
    monkeypatch.setattr(soundfile, "info", None)
    assert _draw(speech_recipe(), corpus) == expected


def test_a_new_file_changes_only_mixtures_that_use_it(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "count": 2, "use": "independently"}
    recipe = speech_recipe(sources=[group], splits=_splits(60, 1))
    held_back, *others = (row for row in corpus.rows if row.kind == "speech")
    before = list(draw_mixtures(recipe, others, corpus.roots))
    after = list(draw_mixtures(recipe, [*others, held_back], corpus.roots))
    changed = [b for a, b in zip(before, after, strict=True) if a != b]
    used = [m for m in after if held_back.path in {s.events[0].path for s in m.sources}]
    assert changed == used
    assert 0 < len(used) < len(after) / 2


def test_talkers_are_distinct_and_used_equally(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    files = [row.path for row in corpus.rows if row.kind == "speech" and row.split == "train"]
    drawn = _draw(speech_recipe(splits=_splits(len(files))), corpus, splits=["train"])
    assert all(m.sources[0].label != m.sources[1].label for m in drawn)
    used = Counter(s.events[0].path for m in drawn for s in m.sources[:2])
    counts = [used[path] for path in files]
    # A file whose talker has no partner left waits for the next round.
    assert max(counts) - min(counts) <= 2


@pytest.mark.parametrize("use", ["equally", "independently"])
def test_talkers_differ_between_groups(corpus: Corpus, speech_recipe: MakeRecipe, use: str) -> None:
    groups = [
        {"name": "target", "kind": "speech", "count": 2, "use": use},
        {"name": "other", "role": "interferer", "kind": "speech", "count": 2, "use": use},
    ]
    recipe = speech_recipe(sources=groups, splits=_splits(40))
    for mixture in _draw(recipe, corpus, splits=["train"]):
        assert len({source.label for source in mixture.sources}) == 4  # of four talkers


def test_more_talkers_than_there_are_in_all_groups(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    groups = [
        {"name": name, "kind": "speech", "count": count} for name, count in (("a", 3), ("b", 2))
    ]
    words = "2 different labels for 'b' in split 'train', and the sources have 1 more: index"
    with pytest.raises(InputError, match=words):
        _draw(speech_recipe(sources=groups), corpus, splits=["train"])


def test_splits_share_no_talker(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    talkers: dict[str, set[str]] = {}
    for mixture in _draw(speech_recipe(splits=_splits(12, 12)), corpus):
        talkers.setdefault(mixture.split, set()).update(s.label for s in mixture.sources[:2])
    assert {len(labels) for labels in talkers.values()} == {2, 4}
    assert talkers["train"].isdisjoint(talkers["test"])


def test_records_quote_the_sources(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    rows = {row.path: row for row in corpus.rows}
    for mixture in _draw(speech_recipe(), corpus):
        for source in mixture.sources:
            row = rows[source.events[0].path]
            event = source.events[0]
            assert (event.sha256, event.licence) == (row.sha256, row.licence)
            assert event.text == (row.text if row.kind == "speech" else "")
            assert (source.label, source.kind) == (row.label, row.kind)


@pytest.mark.parametrize(("mode", "pick"), [("min", min), ("max", max)])
def test_length_of_the_shortest_or_longest(
    corpus: Corpus, speech_recipe: MakeRecipe, mode: str, pick: Callable[[list[float]], float]
) -> None:
    duration = {row.path: row.duration_s for row in corpus.rows}
    group = {"name": "s", "kind": "speech", "count": 3}
    for mixture in _draw(
        speech_recipe(sources=[group], duration={"mode": mode}), corpus, splits=["train"]
    ):
        wanted = pick([duration[s.events[0].path] for s in mixture.sources])
        assert abs(mixture.frames - wanted * 8000) <= 1


def test_limit_of_the_length(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    duration = {"mode": "max", "limit_s": 0.4}
    assert {m.frames for m in _draw(speech_recipe(duration=duration), corpus)} == {3200}


@pytest.mark.parametrize("seconds", [0.3, 1.1, 2.3, 4.1])
def test_fixed_length_is_not_a_sample_short(
    corpus: Corpus, speech_recipe: MakeRecipe, seconds: float
) -> None:
    recipe = speech_recipe(duration={"mode": "fixed", "seconds": seconds}, splits=_splits(1, 1))
    assert {m.frames for m in _draw(recipe, corpus)} == {round(seconds * 8000)}


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_seconds_come_back_as_the_same_frames(rate: int) -> None:
    assert all(int(seconds_of(frames, rate) * rate) == frames for frames in range(1, 3000))


def _excerpts(mixture: Mixture) -> set[tuple[str, float]]:
    return {(Path(s.events[0].path).parts[0], s.events[0].source_time) for s in mixture.sources}


def test_coherent_stems_share_song_and_excerpt(corpus: Corpus, music_recipe: MakeRecipe) -> None:
    drawn = _draw(music_recipe(), corpus)
    assert all(len(_excerpts(mixture)) == 1 for mixture in drawn)
    assert len({song for m in drawn for song, _ in _excerpts(m)}) == 3


def test_incoherent_stems_come_from_different_songs(
    corpus: Corpus, music_recipe: MakeRecipe
) -> None:
    drawn = _draw(music_recipe(songs={"coherent": 0}), corpus)
    assert all(len({song for song, _ in _excerpts(mixture)}) == 3 for mixture in drawn)
    assert all(len({time for _, time in _excerpts(mixture)}) == 4 for mixture in drawn)


def test_share_of_coherent_mixtures(corpus: Corpus, music_recipe: MakeRecipe) -> None:
    recipe = music_recipe(songs={"coherent": 0.5}, splits={"test": {"mixtures": 40, "sources": {}}})
    coherent = sum(len(_excerpts(mixture)) == 1 for mixture in _draw(recipe, corpus))
    assert 10 <= coherent <= 30


def _song(row: SourceRow) -> str:
    return Path(row.path).parts[0]


def _songs(mixture: Mixture) -> set[str]:
    return {song for song, _ in _excerpts(mixture)}


def test_stem_labels_are_the_group_names(corpus: Corpus, music_recipe: MakeRecipe) -> None:
    for mixture in _draw(music_recipe(), corpus):
        assert [s.label for s in mixture.sources] == ["vocals", "drums", "bass", "other"]
        assert mixture.channels == 2


def test_nothing_fits(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    splits = {"dev": {"mixtures": 1, "sources": "dev"}}
    with pytest.raises(InputError, match=r"No speech source fits 's' in split 'dev'.*test, train"):
        _draw(speech_recipe(splits=splits), corpus)


def test_too_few_talkers(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "count": 5}
    words = "needs 5 different labels for 's' in split 'train', and the sources have 4: index"
    with pytest.raises(InputError, match=words):
        _draw(speech_recipe(sources=[group]), corpus)


def test_unknown_split(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    with pytest.raises(InputError, match="no split 'dev': choose one of train, test"):
        _draw(speech_recipe(), corpus, splits=["dev"])


def test_stems_that_no_song_has(corpus: Corpus, music_recipe: MakeRecipe) -> None:
    group = {"name": "banjo", "kind": "music"}
    with pytest.raises(InputError, match=r"music source.* is left for 'banjo' by its labels"):
        _draw(music_recipe(sources=[group]), corpus)


def _without(corpus: Corpus, *stems: str) -> list[SourceRow]:
    """Return the rows without these stems of the first song, whose files were all silent."""
    song = next(row.group for row in corpus.rows if row.kind == "music")
    return [row for row in corpus.rows if row.group != song or row.label not in stems]


def test_a_song_without_a_stem_is_skipped(
    corpus: Corpus, music_recipe: MakeRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = _without(corpus, "vocals", "bass")
    songs = {song for m in draw_mixtures(music_recipe(), rows, corpus.roots) for song in _songs(m)}
    assert len(songs) == 2
    left = next(row for row in rows if row.kind == "music")
    assert _song(left) not in songs
    assert capsys.readouterr().err == (
        f"Skipped 1 of 3 song(s) of split 'test': {left.corpus}/{left.group} lacks vocals and "
        "bass.\n"
    )


def test_no_song_is_whole(corpus: Corpus, music_recipe: MakeRecipe) -> None:
    first = next(row.group for row in corpus.rows if row.kind == "music")
    rows = [row for row in corpus.rows if row.label != ("bass" if row.group == first else "drums")]
    words = (
        rf"No song of split 'test' has all of the stems vocals, .* \(.*{first} lacks bass, .*drums"
    )
    with pytest.raises(InputError, match=words):
        list(draw_mixtures(music_recipe(), rows, corpus.roots))


def test_labels_equally(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    rows = [row for row in corpus.rows if row.kind == "speech" and row.split == "train"]
    first = rows[0].label
    few = [row for row in rows if row.label != first or row.source_id == rows[0].source_id]
    group = {"name": "s", "kind": "speech", "count": 2}
    used = {}
    for use in ("equally", "labels_equally"):
        recipe = speech_recipe(sources=[group | {"use": use}], splits=_splits(30))
        drawn = draw_mixtures(recipe, few, corpus.roots, splits=["train"])
        used[use] = Counter(source.label for mixture in drawn for source in mixture.sources)
    assert used["equally"][first] < 10
    assert set(used["labels_equally"].values()) == {15}


def test_what_scaper_refuses(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "source_time": ["const", -1]}
    with pytest.raises(InputError, match="Scaper refuses the scene"):
        _draw(speech_recipe(sources=[group]), corpus)


def test_a_source_that_is_gone(corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"The source file .* does not exist.*--root"):
        list(draw_mixtures(speech_recipe(), corpus.rows, dict.fromkeys(corpus.roots, tmp_path)))


def test_manifest_file_is_the_same_twice(
    speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        draw_to(tmp_path / name / "m.jsonl", speech_recipe())
    assert (tmp_path / "a/m.jsonl").read_bytes() == (tmp_path / "b/m.jsonl").read_bytes()


def test_a_level_of_its_own_instead_of_one_above_the_reference(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "count": 2, "level_db": ["uniform", -33, -25]}
    recipe = speech_recipe(sources=[group], reference_db=["uniform", -50, -10])
    levels = [
        mixture.level.reference_db + source.events[0].snr
        for mixture in _draw(recipe, corpus)
        for source in mixture.sources
    ]
    assert min(levels) >= -33
    assert max(levels) <= -25
    assert len(set(levels)) == len(levels)


def test_level_and_snr_exclude_each_other(speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "snr": ["const", 1], "level_db": ["const", -30]}
    with pytest.raises(ValidationError, match="relative to reference_db: give one"):
        speech_recipe(sources=[group])


def test_a_level_beyond_all_bounds_is_refused(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "snr": ["const", 1e9]}
    with pytest.raises(InputError, match=r"Mixture train-000000 cannot be as drawn: .*snr"):
        _draw(speech_recipe(sources=[group]), corpus)


@pytest.mark.parametrize(
    ("key", "distribution", "words"),
    [
        ("time_stretch", ["const", 0], "gives 0 to 0, and sox takes 0.01 to 10"),
        ("time_stretch", ["uniform", 0.5, 11], "gives 0.5 to 11, and sox"),
        ("pitch_shift", ["choose", [1, 40]], "gives 1 to 40, and sox, in semitones, takes -79.7"),
        ("pitch_shift", ["truncnorm", 0, 1, -80, 1], "gives -80 to 1, and sox"),
        ("pitch_shift", ["choose_weighted", [1, 90], [0.9, 0.1]], "gives 1 to 90, and sox"),
    ],
)
def test_values_beyond_sox_are_refused_when_the_recipe_is_read(
    speech_recipe: MakeRecipe, key: str, distribution: list[Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        speech_recipe(sources=[{"name": "s", "kind": "speech", key: distribution}])


def test_values_beyond_sox_are_refused_when_they_are_drawn(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "pitch_shift": ["normal", 500, 1]}
    with pytest.raises(InputError, match=r"Mixture train-000000 cannot be as drawn: pitch_shift"):
        _draw(speech_recipe(sources=[group]), corpus)
    never = {"name": "s", "kind": "speech", "pitch_shift": ["choose_weighted", [1, 90], [1, 0]]}
    assert _draw(speech_recipe(sources=[never]), corpus)


def test_rooms_that_take_long_to_simulate_are_told(
    corpus: Corpus, speech_recipe: MakeRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("pyroomacoustics")

    def rooms(t60_s: float) -> dict[str, object]:
        size = [["const", 5], ["const", 4], ["const", 3]]
        return {"simulate": {"size_m": size, "t60_s": ["const", t60_s]}}

    _draw(speech_recipe(rooms=rooms(0.4)), corpus)
    assert capsys.readouterr().err == ""
    _draw(speech_recipe(rooms=rooms(4)), corpus, splits=["train"])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Mixture train-000000, and perhaps others, takes about ")
    assert "GB to render, because its room has a T60 of 4.0 s: use fewer workers" in line
