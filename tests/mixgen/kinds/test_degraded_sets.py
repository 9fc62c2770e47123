"""Degraded mixtures from recipe to disk: the sum stays beside them, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet, file_path
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

CHAIN = [
    {"name": "band", "high_hz": ["uniform", 1500, 2500]},
    {
        "name": "packet_loss",
        "probability": 0.5,
        "loss_rate": ["const", 0.2],
        "mean_burst": ["const", 2],
    },
    {"name": "quantise", "bits": ["const", 8], "dither": "tpdf"},
]


def rendered(recipe: Recipe, corpus: Corpus, draw_to: DrawTo, folder: Path) -> RenderedSet:
    path = folder / "manifest.jsonl"
    draw_to(path, recipe)
    outcome = render_set(path, folder / "set", roots=corpus.roots)
    assert outcome.failures == []
    return RenderedSet(folder / "set")


@pytest.mark.parametrize("sample_format", ["flac16", "wav24", "wav_float"])
def test_the_sum_stays_beside_the_degraded_mixture(
    corpus: Corpus,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
    tmp_path: Path,
    sample_format: str,
) -> None:
    recipe = speech_recipe(degradations=CHAIN, format=sample_format)
    done = rendered(recipe, corpus, draw_to, tmp_path)
    assert verify_set(done.folder, deep=True) == []
    for mixture in done.mixtures():
        samples = done.load_mixture(mixture.id)
        names = [source.name for source in mixture.sources]
        files = {
            name: done.folder / file_path(mixture, name, done.format)
            for name in ("undegraded", *names)
        }
        assert all(path.is_file() for path in files.values())
        assert np.abs(samples).max() <= 1.0
        bits_left = samples * 2**7
        assert np.array_equal(bits_left, np.rint(bits_left))


def test_effects_change_the_mixture_alone(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    clean = rendered(speech_recipe(), corpus, draw_to, tmp_path / "clean")
    worse = rendered(speech_recipe(degradations=CHAIN), corpus, draw_to, tmp_path / "worse")
    for mixture in clean.mixtures():
        assert np.array_equal(clean.load_references(mixture.id), worse.load_references(mixture.id))
        before, after = clean.load_mixture(mixture.id), worse.load_mixture(mixture.id)
        assert before.shape == after.shape
        assert not np.array_equal(before, after)


def test_probabilities_and_parameters_are_drawn(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    splits = {"train": {"mixtures": 60, "sources": {"speech": "train"}}}
    recipe = speech_recipe(degradations=CHAIN, splits=splits)
    drawn = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    lost = sum(any(e.name == "packet_loss" for e in m.degradations) for m in drawn)
    assert 15 < lost < 45
    assert {m.degradations[0].name for m in drawn} == {"band"}
    assert len({m.degradations[0].high_hz for m in drawn}) == 60
    undegraded = speech_recipe(splits=splits)
    for one, other in zip(drawn, draw_mixtures(undegraded, corpus.rows, corpus.roots), strict=True):
        assert one.sources == other.sources


def test_scaper_cannot_express_it(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    mixture = next(
        iter(draw_mixtures(speech_recipe(degradations=CHAIN), corpus.rows, corpus.roots))
    )
    with pytest.raises(InputError, match="degraded after its sources are summed"):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)


@pytest.mark.parametrize("name", ["mixture", "undegraded", "Undegraded"])
def test_names_that_are_taken(speech_recipe: MakeRecipe, name: str) -> None:
    with pytest.raises(ValidationError, match="cannot be called"):
        speech_recipe(sources=[{"name": name, "kind": "speech"}])
