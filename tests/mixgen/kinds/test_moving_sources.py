"""Recipes and records of sources that walk through simulated rooms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError
from mixgen.dataset import RecipeDataset
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.manifest.mixture import Mixture, Position
from mixgen.recipe.schema import Recipe
from mixgen.render.measure import measure
from mixgen.render.mixture import SourceRenderer, render
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, Corpus, DrawTo, MakeRecipe

pytest.importorskip("pyroomacoustics", reason="rooms are simulated by pyroomacoustics")

ROOM = {
    "size_m": [["uniform", 3, 5], ["uniform", 3, 4], ["const", 2.6]],
    "t60_s": ["uniform", 0.15, 0.25],
    "distance_m": ["uniform", 0.5, 1.2],
    "moving": 1,
    "travel_m": ["uniform", 0.2, 0.4],
}


@pytest.fixture
def recipe(speech_recipe: MakeRecipe) -> Recipe:
    return speech_recipe(
        rooms={"references": ["early", "image", "dry"], "simulate": ROOM}, channels=2
    )


@pytest.fixture
def mixture(corpus: Corpus, recipe: Recipe) -> Mixture:
    return next(iter(draw_mixtures(recipe, corpus.rows, corpus.roots)))


def walking(mixture: Mixture, to: Callable[[Position], Any]) -> Mixture:
    """The mixture with other ends of its ways."""
    sources = [
        source.model_copy(update={"room": source.room.model_copy(update={"to_m": to(source.room)})})
        if isinstance(source.room, Position)
        else source
        for source in mixture.sources
    ]
    return mixture.model_copy(update={"sources": sources})


def stay(place: Position) -> None:
    """Stand still."""


def return_at_once(place: Position) -> Any:
    """MovingSource from the place to the place."""
    return place.position_m


def carry(place: Position) -> Any:
    """Be carried a little."""
    return tuple(np.add(place.position_m, (0.1, 0.0, 0.0)))


def signals(mixture: Mixture, corpus: Corpus) -> dict[str, np.ndarray]:
    return SourceRenderer(mixture, mixture.sources[0], corpus.roots).signals()


def test_a_way_of_no_length_is_standing_still(corpus: Corpus, mixture: Mixture) -> None:
    stays = signals(walking(mixture, stay), corpus)
    same = signals(walking(mixture, return_at_once), corpus)
    assert list(same) == ["s1", "s1_early", "s1_dry"]
    for name, expected in stays.items():
        np.testing.assert_allclose(same[name], expected, atol=1e-12)
    moves = signals(mixture, corpus)
    assert all(np.abs(moves[name] - expected).max() > 1e-4 for name, expected in stays.items())


def test_values_in_a_room_are_those_of_the_start(corpus: Corpus, mixture: Mixture) -> None:
    sample_format = FORMATS["wav24"]
    stays = walking(mixture, stay)
    (_, here), (_, there) = (
        measure(some, render(some, corpus.roots, sample_format), corpus.roots)["s1"]
        for some in (mixture, stays)
    )
    assert here["t60_s"] == pytest.approx(there["t60_s"], abs=1e-3)
    assert here["drr_db"] == pytest.approx(there["drr_db"], abs=1e-3)
    assert here["level_db"] == pytest.approx(there["level_db"], abs=1.0)


def conversation(speech_recipe: MakeRecipe) -> Recipe:
    talkers = {
        "name": "s",
        "kind": "speech",
        "count": 2,
        "use": "independently",
        "turns": {"utterances": 2, "overlap": ["uniform", 0, 0.3], "silence": ["const", 0.1]},
    }
    noise = {"name": "noise", "role": "noise", "kind": "noise", "use": "independently"}
    splits = {"train": {"mixtures": 3, "sources": {}}}
    rooms = {"references": ["early", "dry"], "simulate": ROOM}
    return speech_recipe(
        sources=[talkers, noise],
        splits=splits,
        rooms=rooms,
        channels=2,
        duration={"mode": "content", "limit_s": 4},
    )


def test_a_conversation_of_walking_talkers(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, contents: Contents, tmp_path: Path
) -> None:
    recipe = conversation(speech_recipe)
    path = tmp_path / "manifest.jsonl"
    manifest = draw_to(path, recipe)
    assert all(s.room.to_m for m in manifest.mixtures for s in m.sources)
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    done = RenderedSet(tmp_path / "set")
    item = RecipeDataset(recipe, corpus.rows, "train", roots=corpus.roots)[1]
    assert sum(len(source.events) for source in item.record.sources) == 5
    np.testing.assert_array_equal(item.mixture, done.load_mixture(item.id))
    np.testing.assert_array_equal(item.references, done.load_references(item.id))
    write_manifest(tmp_path / "back.jsonl", manifest.header, reversed(manifest.mixtures))
    render_set(tmp_path / "back.jsonl", tmp_path / "back", roots=corpus.roots)
    for mixture in manifest.mixtures:
        assert contents(tmp_path / "set" / mixture.id) == contents(tmp_path / "back" / mixture.id)


def echo_mixture(corpus: Corpus, speech_recipe: MakeRecipe) -> Mixture:
    groups = [
        {"name": "near", "kind": "speech", "label_share": [0, 0.5]},
        {
            "name": "echo",
            "role": "far_end",
            "kind": "speech",
            "label_share": [0.5, 1],
            "echo": {"delay_s": ["const", 0.05], "nonlinear": 0},
        },
    ]
    splits = {"train": {"mixtures": 1, "sources": {}}}
    recipe = speech_recipe(sources=groups, splits=splits, rooms={"simulate": ROOM})
    (mixture,) = draw_mixtures(recipe, corpus.rows, corpus.roots)
    return mixture


def test_loudspeakers_are_not_drawn_to_walk(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    mixture = echo_mixture(corpus, speech_recipe)
    near, echo = (source.room for source in mixture.sources)
    assert isinstance(near, Position)
    assert near.to_m is not None
    assert isinstance(echo, Position)
    assert echo.to_m is None


def test_an_echo_of_a_loudspeaker_that_is_carried(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    mixture = echo_mixture(corpus, speech_recipe)
    mixtures = [walking(mixture, to) for to in (stay, return_at_once, carry)]
    stays, same, moves = (SourceRenderer(m, m.sources[1], corpus.roots).signals() for m in mixtures)
    np.testing.assert_allclose(same["echo"], stays["echo"], atol=1e-12)
    assert np.abs(moves["echo"] - stays["echo"]).max() > 1e-4
    np.testing.assert_array_equal(moves["echo_far_end"], stays["echo_far_end"])


@pytest.mark.parametrize(
    "room",
    [
        {"position_m": [1, 1, 1], "to_m": [1, 1]},
        {"to_m": [1, 1, 1]},
        {"corpus": "a", "path": "a.wav", "sha256": "0", "to_m": [1, 1, 1]},
    ],
)
def test_records_that_contradict_themselves(
    recipe: Recipe, draw_to: DrawTo, tmp_path: Path, room: dict[str, Any]
) -> None:
    path = tmp_path / "manifest.jsonl"
    draw_to(path, recipe)
    header, first, *_ = path.read_text().splitlines()
    record = json.loads(first)
    record["sources"][0]["room"] = room
    path.write_text(f"{header}\n{json.dumps(record)}\n")
    with pytest.raises(InputError, match=r"line 2 is not valid: sources\.0\.room"):
        read_manifest(path)


def test_a_trajectory_out_of_the_room_is_refused(corpus: Corpus, mixture: Mixture) -> None:
    leaves = walking(mixture, lambda place: (place.position_m[0], 30.0, 1.0))
    with pytest.raises(InputError, match="outside of it"):
        render(leaves, corpus.roots, FORMATS["wav24"])
