"""A manifest drawn on other machines: the same file, and the same said about it."""

from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from mixgen.core.errors import UsageError
from mixgen.draw.manifest import draw_manifest
from mixgen.recipe.schema import Recipe
from tests.mixgen.conftest import Corpus, MakeRecipe

CHANGES: dict[str, Any] = {
    "mixtures": {"train": 7},
    "source_splits": {"test": ["train", "test"]},
}


@pytest.fixture
def elsewhere() -> Iterator[Executor]:
    """Two workers that share nothing but the disk with the draw."""
    with ThreadPoolExecutor(2) as pool:
        yield pool


def _said(
    recipe: Recipe, corpus: Corpus, out: Path, capsys: pytest.CaptureFixture[str], **options: Any
) -> list[str]:
    """Draw a manifest without bass in one song; return what is said, without the progress."""
    rows = [row for row in corpus.rows if row.path != "song0/bass.wav"]
    draw_manifest(recipe, rows, out, roots=corpus.roots, **options)
    lines = capsys.readouterr().err.splitlines()
    return [line for line in lines if not line.startswith("drawing")]


def test_other_machines_change_nothing(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    tmp_path: Path,
    elsewhere: Executor,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("pyroomacoustics")
    monkeypatch.setattr("mixgen.draw.ranges._MIXTURES", 2)
    size = [["const", 5], ["const", 4], ["const", 3]]
    slow = {"simulate": {"size_m": size, "t60_s": ["const", 4]}}
    recipe = speech_recipe(rooms=slow)
    here, there = tmp_path / "here.jsonl", tmp_path / "there.jsonl"
    said = _said(recipe, corpus, here, capsys, **CHANGES)
    assert _said(recipe, corpus, there, capsys, executor=elsewhere, **CHANGES) == said
    assert there.read_bytes() == here.read_bytes()
    assert [line.split(",")[0] for line in said] == [
        "Mixture train-000000",
        "Mixture test-000000",
        "licences: some sources state no licence. `mixgen report` lists them.",
    ]
    header = here.read_text().splitlines()[0]
    assert '"mixtures":9' in header.replace(" ", "")
    assert '"sources":{"test":["train","test"]}' in header.replace(" ", "")


def test_what_is_skipped_is_told_before_others_draw(
    corpus: Corpus,
    music_recipe: MakeRecipe,
    tmp_path: Path,
    elsewhere: Executor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    said = _said(music_recipe(), corpus, tmp_path / "here.jsonl", capsys)
    assert said[0] == "Skipped 1 of 3 song(s) of split 'test': songs/song0 lacks bass."
    there = tmp_path / "there.jsonl"
    assert _said(music_recipe(), corpus, there, capsys, executor=elsewhere) == said
    assert there.read_bytes() == (tmp_path / "here.jsonl").read_bytes()


def test_changes_are_checked_before_others_draw(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path, elsewhere: Executor
) -> None:
    with pytest.raises(UsageError, match="no split 'dev'"):
        draw_manifest(
            speech_recipe(),
            corpus.sources,
            tmp_path / "m.jsonl",
            mixtures={"dev": 1},
            executor=elsewhere,
        )
