"""A bank of room responses: simulated once, then data with hashes like any other corpus."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from pydantic import ValidationError

from mixgen.acoustics.image_source import engine_and_version, simulate
from mixgen.acoustics.room import RoomPlan, RoomRecipe, draw_room
from mixgen.audio.formats import FORMATS, write_samples
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, machine_errors, read_text, write_jsonl
from mixgen.core.progress import track
from mixgen.core.records import explain
from mixgen.core.workers import bounded_map
from mixgen.corpora.index import SplitPlan, assign_splits, measure_file
from mixgen.corpora.layout import Found
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import SourceRow, write_sources

ROOMS_FILE = "rooms.jsonl"
SOURCES_FILE = "sources.csv"
LICENCE = "CC0-1.0"

_FORM = FORMATS["wav_float"]
_LARGEST_SEED = 2**32


@dataclass(frozen=True)
class Bank:
    """What was made: rooms and their responses."""

    rooms: int
    responses: int


def read_room_recipe(path: Path) -> RoomRecipe:
    """Read the YAML file that says what a bank holds.

    Raises:
        InputError: it is missing, is not plain YAML, or a key or value is not allowed.
    """
    try:
        return RoomRecipe.model_validate(yaml.safe_load(read_text(path)))
    except yaml.YAMLError:
        raise InputError(f"{path} is not valid YAML.") from None
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error)}.") from None
    except ValueError:  # of a number with thousands of digits
        raise InputError(f"{path} is not valid YAML.") from None


def make_bank(recipe: RoomRecipe, out: Path, *, workers: int = 1) -> Bank:
    """Simulate the rooms of a recipe into `out`: ROOM/SOURCE.wav, rooms.jsonl and sources.csv.

    The corpus is called after the recipe, the label and group of a response are its room. Room i
    depends on the recipe and i alone.

    Raises:
        InputError: a room cannot be built.
        MachineError: pyroomacoustics is not installed, or the disk is full.
    """
    engine = engine_and_version()
    jobs = [(recipe, number, out) for number in range(recipe.rooms)]
    with machine_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    simulated = bounded_map(_make_room, jobs, workers=min(workers, len(jobs)))
    plans = [plan for _, plan in track(simulated, "simulating rooms", len(jobs))]
    write_jsonl(out / ROOMS_FILE, [{**plan.as_dict(), **engine} for plan in plans])
    rows = _rows(recipe, plans, out)
    write_sources(out / SOURCES_FILE, rows)
    write_roots(out, {recipe.name: out})
    return Bank(len(plans), len(rows))


def _make_room(job: tuple[RoomRecipe, int, Path]) -> RoomPlan:
    recipe, number, out = job
    plan = draw_room(
        recipe,
        f"room-{number:06d}",
        _seed(recipe, number),
        microphones=recipe.microphones,
        sources=recipe.responses,
    )
    for place, response in enumerate(simulate(plan, recipe.sample_rate)):
        # Loud enough for any use and never clipped: what counts in a response is its shape.
        samples = (0.5 * response / np.abs(response).max()).astype("<f4").T
        path = out / _path(plan, place)
        with machine_errors(path):
            path.parent.mkdir(exist_ok=True)
        write_samples(path, np.ascontiguousarray(samples), recipe.sample_rate, _FORM)
    return plan


def _seed(recipe: RoomRecipe, number: int) -> int:
    deciding = recipe.model_dump(
        mode="json", exclude_defaults=True, exclude={"rooms", "splits", "description"}
    )
    drawn = canonical_json(deciding)
    digest = hashlib.sha256(f"{drawn}/{recipe.seed}/{number}".encode()).hexdigest()
    return int(digest[:16], 16) % _LARGEST_SEED


def _path(plan: RoomPlan, place: int) -> str:
    return f"{plan.name}/{place:02d}.wav"


def _rows(recipe: RoomRecipe, plans: list[RoomPlan], out: Path) -> list[SourceRow]:
    found = [
        Found(
            _path(plan, place),
            "rir",
            label=plan.name,
            group=plan.name,
            licence=LICENCE,
            text=f"t60_s={plan.t60_s:.4f}",
        )
        for plan in plans
        for place in range(len(plan.sources_m))
    ]
    placed = assign_splits(found, SplitPlan(by="label", parts=recipe.splits or None))
    return [measure_file(out, item, recipe.name) for item in placed]
