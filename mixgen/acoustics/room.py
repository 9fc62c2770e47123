"""Drawn rooms: how large, how reverberant, and where microphones and sources are in them."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from pydantic import Field, model_validator

from mixgen.core.errors import InputError
from mixgen.core.records import Record
from mixgen.scenes.distributions import Distribution, constant
from mixgen.scenes.scene import value

LONGEST_T60_S = 10.0

_TRIES = 200
_PAST_M = 0.3

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


class SimulatedRoom(RoomShape):
    """What kind of room a mixture is in whose sources may walk.

    The share `moving` of the sources goes `travel_m` metres straight on, in any direction at its
    height; it keeps `wall_m` from every wall, and 0.3 m from microphones unless it begins nearer.
    """

    moving: float = Field(default=0.0, ge=0, le=1)
    travel_m: Distribution = constant(1.0)


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
    for plan in _rooms(shape, name, random, microphones, sources):
        return plan
    raise _no_space(name, microphones, sources)


def draw_walked_room(
    shape: SimulatedRoom, name: str, seed: int, *, microphones: int, sources: int
) -> tuple[RoomPlan, list[Point | None]]:
    """Draw one room of a kind, and where each of its sources walks to; None if it stays.

    Where nothing moves it is the room of `draw_room`, and where something does, mostly as well.

    Raises:
        InputError: microphones, sources or their ways do not fit into it.
    """
    random = np.random.RandomState(seed)
    for plan in _rooms(shape, name, random, microphones, sources):
        ends = _ends(shape, plan, random)
        if ends is not None:
            return plan, ends
    raise _no_space(name, microphones, sources)


def _no_space(name: str, microphones: int, sources: int) -> InputError:
    return InputError(
        f"In {_TRIES} draws {name!r} never had a reverberation of more than 0 and at most "
        f"{LONGEST_T60_S:g} s and space for {microphones} microphone(s) and {sources} source(s): "
        "make rooms larger, or distances or ways shorter."
    )


def _rooms(
    shape: RoomShape, name: str, random: np.random.RandomState, microphones: int, sources: int
) -> Iterator[RoomPlan]:
    """Yield the rooms among 200 draws in which all sources found a place."""
    for _ in range(_TRIES):
        plan = _try(shape, name, random, microphones, sources)
        if plan is not None:
            yield plan


def _try(
    shape: RoomShape, name: str, random: np.random.RandomState, microphones: int, sources: int
) -> RoomPlan | None:
    """Draw a room; None if not all of its sources find a place."""
    size = [value(distribution, random) for distribution in shape.size_m]
    t60_s = round(value(shape.t60_s, random), 4)
    row = _row(shape, size, random, microphones)
    if not 0 < t60_s <= LONGEST_T60_S or not all(
        _inside(point, size, shape.wall_m) for point in row
    ):
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


def _ends(
    shape: SimulatedRoom, plan: RoomPlan, random: np.random.RandomState
) -> list[Point | None] | None:
    """Return where each source walks to, None if it stays; no list if one finds no way."""
    ends: list[Point | None] = []
    for start in plan.sources_m:
        walks = random.uniform() < shape.moving
        end = _end(shape, plan, start, random) if walks else None
        if walks and end is None:
            return None
        ends.append(end)
    return ends


def _end(
    shape: SimulatedRoom, plan: RoomPlan, start: Point, random: np.random.RandomState
) -> Point | None:
    """Return the end of a way; None if none in a room fits."""
    for _ in range(_TRIES):
        length, angle = value(shape.travel_m, random), random.uniform(0, 2 * np.pi)
        x, y = start[0] + length * np.cos(angle), start[1] + length * np.sin(angle)
        end = _point((x, y, start[2]))
        clear = all(_passes(start, end, microphone) for microphone in plan.microphones_m)
        if length > 0 and clear and _inside(end, plan.size_m, shape.wall_m):
            return end
    return None


def _passes(start: Point, end: Point, microphone: Point) -> bool:
    """Tell whether a way leads past a microphone, which is loud when it is very near."""
    way, to_microphone = np.subtract(end, start), np.subtract(microphone, start)
    nearest = np.clip(np.dot(to_microphone, way) / max(np.dot(way, way), 1e-12), 0, 1)
    distance_m = float(np.linalg.norm(nearest * way - to_microphone))
    return distance_m >= min(_PAST_M, float(np.linalg.norm(to_microphone)))


def _inside(point: Point, size: Sequence[float], wall_m: float) -> bool:
    return all(wall_m <= x <= length - wall_m for x, length in zip(point, size, strict=True))


def _point(values: Sequence[Any]) -> Point:
    x, y, z = (round(float(v), 4) for v in values)
    return x, y, z
