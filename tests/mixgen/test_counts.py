"""Mixtures of unknown counts: as many sources as the recipe asks for, none at all among them."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import chisquare

from mixgen.deal import Dealer
from mixgen.draw import draw_mixtures
from mixgen.errors import InputError
from mixgen.formats import FORMATS
from mixgen.manifest import Manifest
from mixgen.recipe import Recipe
from mixgen.rendered import RenderedSet
from mixgen.renderset import render_set
from mixgen.verify import verify_set

MakeRecipe = Callable[..., Recipe]

WEIGHTS = [0.1, 0.2, 0.4, 0.2, 0.1]
TALKERS = {"name": "s", "kind": "speech", "count": ["choose_weighted", [0, 1, 2, 3, 4], WEIGHTS]}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}


def splits(train: int, test: int, **test_rule: Any) -> dict[str, Any]:
    return {
        "train": {"mixtures": train, "sources": {"speech": "train"}},
        "test": {"mixtures": test, "sources": {}, **test_rule},
    }


def test_counts_follow_the_requested_probabilities(corpus, speech_recipe: MakeRecipe) -> None:
    recipe = speech_recipe(sources=[TALKERS])
    dealer = Dealer(recipe, corpus.rows, "train", seed=0)
    drawn = Counter(dealer.count(recipe.sources[0], index) for index in range(10_000))
    observed = [drawn[count] for count in range(5)]
    assert sum(observed) == 10_000
    assert chisquare(observed, 10_000 * np.array(WEIGHTS)).pvalue > 0.001


def test_names_and_talkers_of_every_count(corpus, speech_recipe: MakeRecipe) -> None:
    recipe = speech_recipe(sources=[TALKERS, NOISE], splits=splits(60, 1))
    counts = set()
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots, splits=["train"]):
        talkers = [source for source in mixture.sources if source.role == "target"]
        counts.add(len(talkers))
        assert mixture.targets == [f"s{n}" for n in range(1, len(talkers) + 1)]
        assert len({source.label for source in talkers}) == len(talkers)
        assert mixture.sources[-1].name == "noise"
    assert counts == {0, 1, 2, 3, 4}


def test_one_or_none_keeps_the_plain_name(corpus, speech_recipe: MakeRecipe) -> None:
    maybe = {**NOISE, "count": ["choose", [0, 1]]}
    recipe = speech_recipe(sources=[{"name": "s", "kind": "speech"}, maybe], splits=splits(40, 1))
    drawn = draw_mixtures(recipe, corpus.rows, corpus.roots, splits=["train"])
    assert {tuple(m.file_names) for m in drawn} == {("mixture", "s"), ("mixture", "s", "noise")}


def test_a_split_has_counts_that_training_never_has(corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "count": ["choose", [1, 2]]}
    recipe = speech_recipe(sources=[group], splits=splits(40, 20, counts={"s": ["choose", [3, 5]]}))
    counts: dict[str, set[int]] = {"train": set(), "test": set()}
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        counts[mixture.split].add(len(mixture.targets))
    assert counts == {"train": {1, 2}, "test": {3, 5}}


def test_empty_and_single_talker_scenes_on_disk(
    corpus, speech_recipe: MakeRecipe, draw_to: Callable[..., Manifest], tmp_path: Path
) -> None:
    group = {**TALKERS, "count": ["choose", [0, 1, 2]]}
    path = tmp_path / "manifest.jsonl"
    recipe = speech_recipe(sources=[group], splits=splits(12, 1), format="wav16")
    manifest = draw_to(path, recipe)
    outcome = render_set(manifest, path, tmp_path / "set", corpus.roots)
    assert outcome.failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    rendered = RenderedSet(tmp_path / "set")
    for mixture in manifest.mixtures:
        references = rendered.load_references(mixture.id)
        heard = rendered.load_mixture(mixture.id)
        assert references.shape == (len(mixture.targets), 1, mixture.frames)
        assert np.array_equal(references.sum(axis=0), heard)
        assert heard.any() == bool(mixture.targets)
    assert {len(m.targets) for m in manifest.mixtures} == {0, 1, 2}
    assert {row.measured["overlap"] for row in outcome.rows if row.name == "mixture"} >= {None, 0.0}
    assert set(FORMATS) >= {manifest.header.format}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (-1, "a whole number from 0 to 32"),
        (33, "a whole number from 0 to 32"),
        (["choose", [1, 2.5]], "a whole number from 0 to 32"),
        (["uniform", 1, 3], "a number, or const, choose or choose_weighted"),
        (["choose_weighted", [1, 2], [1]], "as many weights as values"),
    ],
)
def test_counts_that_are_none(speech_recipe: MakeRecipe, count: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        speech_recipe(sources=[{"name": "s", "kind": "speech", "count": count}])


def test_counts_of_a_group_that_is_not_there(speech_recipe: MakeRecipe) -> None:
    with pytest.raises(ValidationError, match="counts of 'talkers': there is no such group"):
        speech_recipe(splits=splits(1, 1, counts={"talkers": 2}))


def test_an_empty_mixture_needs_a_length(corpus, speech_recipe: MakeRecipe) -> None:
    group = {**TALKERS, "count": ["const", 0]}
    recipe = speech_recipe(sources=[group], duration={"mode": "max"})
    with pytest.raises(InputError, match="no length of its own: add limit_s"):
        list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    recipe = speech_recipe(sources=[group], duration={"mode": "max", "limit_s": 0.5})
    drawn = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    assert {mixture.frames for mixture in drawn} == {4000}
