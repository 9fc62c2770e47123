"""Simulate a bank of room responses, a corpus with hashes like any other."""

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixgen.acoustics.image_source import (
    SimulationCost,
    engine_and_version,
    simulate,
    simulation_cost,
)
from mixgen.acoustics.room import RoomPlan, RoomRecipe, draw_room
from mixgen.audio.formats import FORMATS, write_samples
from mixgen.core.files import canonical_json, machine_errors, write_jsonl
from mixgen.core.progress import print_status, track
from mixgen.core.workers import bounded_map
from mixgen.core.yaml_files import read_yaml_record
from mixgen.corpora.index import SplitPlan, assign_splits, measure_file
from mixgen.corpora.layout import Found
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import SourceRow, write_sources

ROOMS_FILE = "rooms.jsonl"
SOURCES_FILE = "sources.csv"
LICENCE = "CC0-1.0"

_SAMPLE_FORMAT = FORMATS["wav_float"]
_SEED_LIMIT = 2**32


@dataclass(frozen=True)
class Bank:
    """The number of rooms and of responses in a bank."""

    rooms: int
    responses: int


def read_room_recipe(path: Path) -> RoomRecipe:
    """Read the YAML file that describes a bank.

    Raises:
        InputError: as in `read_yaml_record`.
    """
    return read_yaml_record(path, RoomRecipe, [RoomRecipe])


def make_bank(recipe: RoomRecipe, out: Path, *, workers: int = 1) -> Bank:
    """Simulate the rooms of a recipe into `out`: ROOM/SOURCE.wav, rooms.jsonl and sources.csv.

    The corpus has the name of the recipe; the room of a response is its label and its group. Room i
    depends only on i and the recipe, not on the number of rooms.

    Raises:
        InputError: a room cannot be built.
        MachineError: pyroomacoustics is not installed, or `out` cannot be written.
    """
    engine = engine_and_version()
    plans = [_plan(recipe, number) for number in range(recipe.rooms)]
    _warn_of_the_slowest(plans)
    with machine_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    make = functools.partial(_make_room, sample_rate=recipe.sample_rate, out=out)
    made = bounded_map(make, plans, workers=min(workers, len(plans)))
    for _ in track(made, "simulating rooms", len(plans)):
        pass
    write_jsonl(out / ROOMS_FILE, [{**plan.as_dict(), **engine} for plan in plans])
    rows = _rows(recipe, plans, out)
    write_sources(out / SOURCES_FILE, rows)
    write_roots(out, {recipe.name: out})
    return Bank(len(plans), len(rows))


def _plan(recipe: RoomRecipe, number: int) -> RoomPlan:
    return draw_room(
        recipe,
        f"room-{number:06d}",
        _seed(recipe, number),
        microphones=recipe.microphones,
        sources=recipe.responses,
    )


def _warn_of_the_slowest(plans: Sequence[RoomPlan]) -> None:
    slowest, cost = max(((plan, _cost(plan)) for plan in plans), key=lambda pair: pair[1])
    if cost.is_high:
        print_status(
            f"The room {slowest.name} takes {cost} to simulate, because it has a T60 of "
            f"{slowest.t60_s:.1f} s: use fewer workers, or shorter or larger rooms."
        )


def _cost(plan: RoomPlan) -> SimulationCost:
    microphones, sources = len(plan.microphones_m), len(plan.sources_m)
    return simulation_cost(plan.size_m, plan.t60_s, microphones=microphones, sources=sources)


def _make_room(plan: RoomPlan, sample_rate: int, out: Path) -> None:
    for index, response in enumerate(simulate(plan, sample_rate)):
        # Only the shape of a response matters: half of full scale is loud enough and never clips.
        samples = (0.5 * response / np.abs(response).max()).astype("<f4").T
        path = out / _response_path(plan, index)
        with machine_errors(path):
            path.parent.mkdir(exist_ok=True)
        write_samples(path, np.ascontiguousarray(samples), sample_rate, _SAMPLE_FORMAT)


def _seed(recipe: RoomRecipe, number: int) -> int:
    """Return the seed of a room, from its number and every key of the recipe that shapes rooms."""
    room_keys = recipe.model_dump(
        mode="json", exclude_defaults=True, exclude={"rooms", "splits", "description"}
    )
    text = f"{canonical_json(room_keys)}/{recipe.seed}/{number}"
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) % _SEED_LIMIT


def _response_path(plan: RoomPlan, index: int) -> str:
    return f"{plan.name}/{index:02d}.wav"


def _rows(recipe: RoomRecipe, plans: list[RoomPlan], out: Path) -> list[SourceRow]:
    found = [
        Found(
            _response_path(plan, index),
            "rir",
            label=plan.name,
            group=plan.name,
            licence=LICENCE,
            text=f"t60_s={plan.t60_s:.4f}",
        )
        for plan in plans
        for index in range(len(plan.sources_m))
    ]
    found = assign_splits(found, SplitPlan(by="label", parts=recipe.splits or None))
    return [measure_file(out, item, recipe.name) for item in found]
