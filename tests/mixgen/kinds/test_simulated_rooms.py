"""Rooms that are drawn with the mixture and simulated when it is rendered."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixgen.acoustics.image_source import simulate
from mixgen.acoustics.rir import reverberation_time_s
from mixgen.acoustics.room import RoomPlan
from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError
from mixgen.dataset import RecipeDataset
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture, Position
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import render
from mixgen.render.room import SourceInRoom
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

pyroomacoustics = pytest.importorskip(
    "pyroomacoustics", reason="rooms are simulated by pyroomacoustics"
)

ROOM = {
    "size_m": [["uniform", 3, 5], ["uniform", 3, 4], ["const", 2.6]],
    "t60_s": ["uniform", 0.2, 0.3],
    "distance_m": ["uniform", 0.5, 1.2],
}
SPEED_OF_SOUND = 343.0


@pytest.fixture
def recipe(speech_recipe: MakeRecipe) -> Recipe:
    rooms = {"references": ["early", "image"], "simulate": ROOM}
    return speech_recipe(rooms=rooms, channels=2)


@pytest.fixture
def mixtures(corpus: Corpus, recipe: Recipe) -> list[Mixture]:
    return list(draw_mixtures(recipe, corpus.rows, corpus.roots))


def test_the_record_holds_the_room_and_its_engine(mixtures: list[Mixture]) -> None:
    assert len({mixture.room.name for mixture in mixtures if mixture.room}) == len(mixtures)
    for mixture in mixtures:
        assert mixture.room is not None
        assert mixture.room.simulation is not None
        simulation = mixture.room.simulation
        assert (simulation.engine, simulation.version) == (
            "pyroomacoustics",
            pyroomacoustics.__version__,
        )
        assert 0.2 <= simulation.t60_s <= 0.3
        assert len(simulation.microphones_m) == 2
        places = [s.room.position_m for s in mixture.sources if isinstance(s.room, Position)]
        assert len(set(places)) == 2  # the background is as it was recorded
        for place in places:
            distance_m = np.linalg.norm(np.subtract(place, simulation.microphones_m[0]))
            assert 0.49 < distance_m < 1.21


def test_each_source_has_the_response_of_its_position(
    corpus: Corpus, mixtures: list[Mixture]
) -> None:
    mixture = mixtures[0]
    assert mixture.room is not None
    assert mixture.room.simulation is not None
    plan = RoomPlan(
        name="any",
        size_m=mixture.room.simulation.size_m,
        t60_s=mixture.room.simulation.t60_s,
        microphones_m=mixture.room.simulation.microphones_m,
        sources_m=[s.room.position_m for s in mixture.sources if isinstance(s.room, Position)],
    )
    for source, expected in zip(mixture.sources, simulate(plan, 8000), strict=False):
        response = SourceInRoom(mixture, source, corpus.roots).response()
        np.testing.assert_array_equal(response, expected)
        measured_s = reverberation_time_s(response, 8000)
        assert measured_s == pytest.approx(plan.t60_s, rel=0.3)


def test_rendered_and_on_the_fly(
    corpus: Corpus, recipe: Recipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.jsonl"
    manifest = draw_to(path, recipe)
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    for row in open_rendered(tmp_path / "set"):
        if row.name in ("s1", "s2"):
            mixture = manifest.by_id[row.id]
            assert mixture.room is not None
            assert mixture.room.simulation is not None
            assert row.requested["t60_s"] == mixture.room.simulation.t60_s
            assert row.measured["t60_s"] == pytest.approx(row.requested["t60_s"], rel=0.3)
    done = RenderedSet(tmp_path / "set")
    item = RecipeDataset(recipe, corpus.rows, "train", roots=corpus.roots)[3]
    np.testing.assert_array_equal(item.mixture, done.load_mixture(item.id))
    np.testing.assert_array_equal(item.references, done.load_references(item.id))
    assert item.record.targets == ["s1_early", "s2_early"]


def test_dry_and_simulated_sets_are_twins(
    corpus: Corpus, recipe: Recipe, mixtures: list[Mixture]
) -> None:
    dry = recipe.model_copy(update={"rooms": None})
    for a, b in zip(draw_mixtures(dry, corpus.rows, corpus.roots), mixtures, strict=True):
        assert [s.events for s in a.sources] == [s.events for s in b.sources]


def test_another_version_of_the_engine_is_refused(corpus: Corpus, mixtures: list[Mixture]) -> None:
    mixture = mixtures[0]
    assert mixture.room is not None
    assert mixture.room.simulation is not None
    old = mixture.room.simulation.model_copy(update={"version": "0.3.1"})
    room = mixture.room.model_copy(update={"simulation": old})
    with pytest.raises(InputError, match=r"drawn for pyroomacoustics 0\.3\.1, and .* is installed"):
        render(mixture.model_copy(update={"room": room}), corpus.roots, FORMATS["wav24"])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda r: r["room"].pop("simulation"), "vice versa"),
        (lambda r: [s.update(room=None) for s in r["sources"]], "vice versa"),
        (lambda r: r["room"]["simulation"]["microphones_m"].pop(), "fewer microphones"),
        (lambda r: r["room"]["simulation"].update(engine="other"), "pyroomacoustics"),
        (lambda r: r["room"]["simulation"].update(size_m=[4, 3]), "size_m"),
    ],
)
def test_a_record_that_contradicts_itself_is_refused(
    recipe: Recipe, draw_to: DrawTo, tmp_path: Path, change: Callable[[Any], Any], reason: str
) -> None:
    path = tmp_path / "manifest.jsonl"
    draw_to(path, recipe)
    header, first, *_ = path.read_text().splitlines()
    record = json.loads(first)
    record["targets"], record["sources"] = (
        [],
        [source | {"references": []} for source in record["sources"]],
    )
    change(record)
    path.write_text(f"{header}\n{json.dumps(record)}\n")
    with pytest.raises(InputError, match=reason):
        read_manifest(path)


def test_a_source_outside_of_its_room_is_refused(corpus: Corpus, mixtures: list[Mixture]) -> None:
    mixture = mixtures[0]
    far = mixture.sources[1].model_copy(update={"room": Position(position_m=(50.0, 1.0, 1.0))})
    moved = mixture.model_copy(update={"sources": [mixture.sources[0], far]})
    with pytest.raises(InputError, match="outside of it"):
        render(moved, corpus.roots, FORMATS["wav24"])


def test_rooms_without_space_are_refused(corpus: Corpus, recipe: Recipe) -> None:
    shape = recipe.rooms.simulate.model_copy(update={"distance_m": ["const", 30.0]})  # type: ignore[union-attr]
    rooms = recipe.rooms.model_copy(update={"simulate": shape})  # type: ignore[union-attr]
    narrow = recipe.model_copy(update={"rooms": rooms})
    with pytest.raises(InputError, match="and space for"):
        next(iter(draw_mixtures(narrow, corpus.rows, corpus.roots)))


def test_eight_microphones_and_a_background_outside_of_the_room(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    sources = [
        {"name": "s", "kind": "speech", "snr": ["const", 5]},
        {"name": "noise", "role": "background", "kind": "noise"},
    ]
    recipe = speech_recipe(channels=8, sources=sources, rooms={"simulate": ROOM})
    path = tmp_path / "manifest.jsonl"
    draw_to(path, recipe)
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    rows = [row for row in open_rendered(tmp_path / "set") if row.name == "noise"]
    # As loud at the first microphone as the sources are measured there.
    for row in rows:
        assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=0.3)


def test_a_microphone_outside_of_its_room_is_refused(
    corpus: Corpus, mixtures: list[Mixture]
) -> None:
    mixture = mixtures[0]
    assert mixture.room is not None
    assert mixture.room.simulation is not None
    outside = mixture.room.simulation.model_copy(
        update={"microphones_m": [(50.0, 1.0, 1.0), (50.1, 1.0, 1.0)]}
    )
    room = mixture.room.model_copy(update={"simulation": outside})
    with pytest.raises(InputError, match="outside of it"):
        render(mixture.model_copy(update={"room": room}), corpus.roots, FORMATS["wav24"])


@pytest.mark.parametrize("t60_s", [0, 11])
def test_too_much_reverberation_is_refused(
    corpus: Corpus, speech_recipe: MakeRecipe, t60_s: float
) -> None:
    recipe = speech_recipe(rooms={"simulate": ROOM | {"t60_s": ["const", t60_s]}})
    with pytest.raises(InputError, match="more than 0 and at most 10 s"):
        next(iter(draw_mixtures(recipe, corpus.rows, corpus.roots)))
