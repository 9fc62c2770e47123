"""Other numbers of mixtures and other splits of the corpora: as if the recipe's file said so."""

from pathlib import Path
from typing import Any

import pytest

from mixgen.core.errors import InputError, UsageError
from mixgen.draw.manifest import draw_manifest
from mixgen.manifest.file import RecipeChanges, read_manifest
from mixgen.recipe.changes import changed, parse_mixtures, parse_source_splits, recipe_changes
from tests.mixgen.conftest import Corpus, MakeRecipe


@pytest.mark.parametrize(
    ("words", "numbers"),
    [([], None), (["7"], 7), (["train=3", "a=b=1"], {"train": 3, "a=b": 1})],
)
def test_numbers_of_mixtures(words: list[str], numbers: Any) -> None:
    assert parse_mixtures(words) == numbers


@pytest.mark.parametrize("words", [["many"], ["a="], ["-1"], ["a=1", "a=2"], ["٣"], ["9" * 10]])
def test_wrong_numbers_of_mixtures(words: list[str]) -> None:
    with pytest.raises(UsageError, match="--mixtures takes N or SPLIT=N, each split once, not"):
        parse_mixtures(words)


def test_one_number_beside_others() -> None:
    with pytest.raises(UsageError, match="takes one N for every split, or SPLIT=N for each"):
        parse_mixtures(["7", "test=3"])


def test_splits_of_the_corpora() -> None:
    words = ["train=train-clean-100,tr", "test=tt", "train=train-clean-360,tr"]
    assert parse_source_splits(words) == {
        "train": ["train-clean-100", "tr", "train-clean-360"],
        "test": ["tt"],
    }


@pytest.mark.parametrize("word", ["train", "train=", "=train", "train=a,,b"])
def test_wrong_splits_of_the_corpora(word: str) -> None:
    with pytest.raises(UsageError, match=r"--splits takes SPLIT=NAME\[,NAME\]"):
        parse_source_splits([word])


def test_a_changed_recipe_is_the_one_whose_file_says_so(speech_recipe: MakeRecipe) -> None:
    def recipe(mixtures: int, train: Any, test: Any) -> Any:
        return speech_recipe(
            splits={
                "train": {"mixtures": mixtures, "sources": train, "counts": {"s": 2}},
                "test": {"mixtures": 4, "sources": test},
            }
        )

    base = recipe(9, "train", {"speech": "test"})
    changes = recipe_changes(base, {"train": 5}, {"train": ["tr", "x"], "test": ["tt"]})
    other = changed(base, changes)
    assert other == recipe(5, ["tr", "x"], {"speech": "tt"})
    assert other.sha256 == recipe(5, ["tr", "x"], {"speech": "tt"}).sha256 != base.sha256
    assert other.splits["train"].source_splits("noise") == ["tr", "x"]
    assert other.splits["test"].source_splits("speech") == ["tt"]
    assert other.splits["test"].source_splits("noise") is None
    assert changed(base, RecipeChanges()) == base
    assert recipe_changes(base, 7).mixtures == {"train": 7, "test": 7}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"mixtures": {"dev": 1}}, "no split 'dev': choose one of train, test"),
        ({"sources": {"dev": ["x"]}}, "no split 'dev': choose one of train, test"),
        ({"mixtures": {"test": 0}}, "cannot be changed like this: mixtures: .* or equal to 1"),
    ],
)
def test_changes_that_are_refused(
    speech_recipe: MakeRecipe, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        changed(speech_recipe(), RecipeChanges.model_validate(changes))


def test_the_manifest_says_by_what_it_was_drawn(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    """Draw by changes, and again by the recipe of that name with the changes in the header."""
    base = speech_recipe(
        splits={
            "train": {"mixtures": 20, "sources": "train-clean-100"},
            "test": {"mixtures": 2, "sources": {"speech": "test"}},
        }
    )
    rows = [
        row.model_copy(update={"split": "hum"}) if row.kind == "noise" else row
        for row in corpus.rows
    ]
    with pytest.raises(InputError, match=r"No speech source fits .*`--splits train=NAME`"):
        draw_manifest(base, rows, tmp_path / "none.jsonl", roots=corpus.roots)
    draw_manifest(
        base,
        rows,
        tmp_path / "a.jsonl",
        roots=corpus.roots,
        mixtures={"train": 4},
        source_splits={"train": ["train", "hum"]},
    )
    first = read_manifest(tmp_path / "a.jsonl")
    assert first.header.mixtures == len(first.mixtures) == 6
    assert first.header.changes == RecipeChanges(
        mixtures={"train": 4}, sources={"train": ["train", "hum"]}
    )
    again = changed(base, first.header.changes)
    assert first.header.recipe_sha256 == again.sha256 != base.sha256
    draw_manifest(again, rows, tmp_path / "b.jsonl", roots=corpus.roots)
    second = read_manifest(tmp_path / "b.jsonl")
    assert second.mixtures == first.mixtures
    assert second.header.recipe_sha256 == first.header.recipe_sha256
    assert '"changes"' not in (tmp_path / "b.jsonl").read_text()


def test_fewer_mixtures_are_the_first_ones(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = speech_recipe()
    for name, number in (("whole", None), ("few", 2)):
        path = tmp_path / f"{name}.jsonl"
        draw_manifest(recipe, corpus.rows, path, roots=corpus.roots, mixtures=number)
    whole, few = (read_manifest(tmp_path / f"{name}.jsonl") for name in ("whole", "few"))
    for split in ("train", "test"):
        assert few.of_split(split) == whole.of_split(split)[:2]
