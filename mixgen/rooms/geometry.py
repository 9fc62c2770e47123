"""Drawn rooms: how large, how reverberant, and where microphones and sources are in them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from mixgen.distributions import Distribution, constant
from mixgen.errors import InputError
from mixgen.records import Record
from mixgen.scene import value

_TRIES = 200

Point = tuple[float, float, float]


class RoomShape(Record):
    """What kind of room; lengths in metres.

    Sources stand at `distance_m` from the first microphone, in any direction, and microphones in a
    row, `spacing_m` apart, in any direction; both keep `wall_m` from every wall.
    """

    size_m: list[Distribution] = Field(min_length=3, max_length=3)
    t60_s: Distribution
    spacing_m: float = Field(default=0.05, gt=0, le=10)
    microphone_height_m: Distribution = constant(1.2)
    distance_m: Distribution = constant(1.0)
    source_height_m: Distribution = constant(1.5)
    wall_m: float = Field(default=0.3, ge=0, le=10)


class RoomRecipe(RoomShape):
    """What a bank holds: how many rooms of a kind, for how many sources and microphones each."""

    name: str
    description: str = ""
    rooms: int = Field(ge=1, le=1_000_000)
    responses: int = Field(default=4, ge=1, le=64)
    sample_rate: int = Field(default=16000, ge=8000, le=48000)
    microphones: int = Field(default=1, ge=1, le=8)
    splits: dict[str, float] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _shares_are_shares(self) -> "RoomRecipe":
        if not all(share > 0 for share in self.splits.values()):
            raise ValueError("every split needs a share above 0")
        return self


class RoomPlan(Record):
    """One room with nothing random left in it; lengths in metres."""

    name: str
    size_m: Point
    t60_s: float = Field(gt=0)
    microphones_m: list[Point]
    sources_m: list[Point]


def draw_room(
    shape: RoomShape, name: str, seed: int, *, microphones: int, sources: int
) -> RoomPlan:
    """Draw one room of a kind, with places for microphones and sources.

    Raises:
        InputError: microphones and sources do not fit into it at the wanted distances.
    """
    random = np.random.RandomState(seed)
    for _ in range(_TRIES):
        plan = _try(shape, name, random, microphones, sources)
        if plan is not None:
            return plan
    raise InputError(
        f"In {_TRIES} draws {name!r} never had space for {microphones} microphone(s) and {sources} "
        "source(s): make rooms larger or distances shorter."
    )


def _try(
    shape: RoomShape, name: str, random: np.random.RandomState, microphones: int, sources: int
) -> RoomPlan | None:
    """Draw a room; None if not all of its sources find a place."""
    size = [value(distribution, random) for distribution in shape.size_m]
    t60_s = round(value(shape.t60_s, random), 4)
    row = _row(shape, size, random, microphones)
    if t60_s <= 0 or not all(_inside(point, size, shape.wall_m) for point in row):
        return None
    places: list[Point] = []
    for _ in range(_TRIES):
        place = _around(shape, row[0], random)
        if _inside(place, size, shape.wall_m):
            places.append(place)
        if len(places) == sources:
            return RoomPlan(
                name=name, size_m=_point(size), t60_s=t60_s, microphones_m=row, sources_m=places
            )
    return None


def _row(
    shape: RoomShape, size: Sequence[float], random: np.random.RandomState, microphones: int
) -> list[Point]:
    """Return microphones in a row whose first is anywhere in the inner part of the room."""
    x, y = (length * random.uniform(0.3, 0.7) for length in size[:2])
    height = value(shape.microphone_height_m, random)
    angle = random.uniform(0, 2 * np.pi)
    steps = shape.spacing_m * np.arange(microphones)
    return [_point((x + s * np.cos(angle), y + s * np.sin(angle), height)) for s in steps]


def _around(shape: RoomShape, microphone: Point, random: np.random.RandomState) -> Point:
    """Return a place at a drawn distance and height, in any direction from a microphone."""
    distance = value(shape.distance_m, random)
    height = value(shape.source_height_m, random)
    angle = random.uniform(0, 2 * np.pi)
    along = np.sqrt(max(distance**2 - (height - microphone[2]) ** 2, 0.0))
    x, y = microphone[0] + along * np.cos(angle), microphone[1] + along * np.sin(angle)
    return _point((x, y, height))


def _inside(point: Point, size: Sequence[float], wall_m: float) -> bool:
    return all(wall_m <= x <= length - wall_m for x, length in zip(point, size, strict=True))


def _point(values: Sequence[Any]) -> Point:
    x, y, z = (round(float(v), 4) for v in values)
    return x, y, z
