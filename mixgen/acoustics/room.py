"""Drawn rooms: their size and reverberation, and the positions of microphones and sources."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field, Strict, model_validator

from mixgen.core.errors import InputError
from mixgen.core.records import Record
from mixgen.scenes.distributions import Distribution, constant
from mixgen.scenes.scene import value

LONGEST_T60_S = 10.0

_TRIES = 200
_CLEARANCE_M = 0.3

Point = Annotated[tuple[float, float, float], Strict(False)]  # a list in a record becomes a tuple


class RoomShape(Record):
    """The kind of room to draw; lengths in metres.

    Sources stand `distance_m` from the first microphone, in any direction. Microphones stand in a
    row, `spacing_m` apart, in any direction. Both keep `wall_m` from every wall.
    """

    size_m: list[Distribution] = Field(min_length=3, max_length=3)
    t60_s: Distribution
    spacing_m: float = Field(default=0.05, gt=0, le=10)
    microphone_height_m: Distribution = constant(1.2)
    distance_m: Distribution = constant(1.0)
    source_height_m: Distribution = constant(1.5)
    wall_m: float = Field(default=0.3, ge=0, le=10)


class SimulatedRoom(RoomShape):
    """The kind of room to draw for a mixture, with sources that may walk.

    The share `moving` of the sources walks `travel_m` metres along a straight line, in any
    direction at constant height. A walk keeps `wall_m` from every wall, and 0.3 m from microphones
    unless it begins nearer.
    """

    moving: float = Field(default=0.0, ge=0, le=1)
    travel_m: Distribution = constant(1.0)


class RoomRecipe(RoomShape):
    """A bank of responses to draw: a number of rooms of one kind, with responses to microphones."""

    name: str
    description: str = ""
    rooms: int = Field(ge=1, le=1_000_000)
    responses: int = Field(default=4, ge=1, le=64)
    sample_rate: int = Field(default=16000, ge=8000, le=48000)
    microphones: int = Field(default=1, ge=1, le=8)
    splits: dict[str, float] = Field(default_factory=dict)
    seed: int = Field(default=0, ge=0, lt=1 << 64)

    @model_validator(mode="after")
    def _shares_are_positive(self) -> "RoomRecipe":
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
    """Draw one room of a kind, with the positions of microphones and sources.

    Raises:
        InputError: microphones and sources do not fit into the room at these distances.
    """
    random = np.random.RandomState(seed)
    for plan in _fitting_rooms(shape, name, random, microphones, sources):
        return plan
    raise _no_space(name, microphones, sources)


def draw_walked_room(
    shape: SimulatedRoom, name: str, seed: int, *, microphones: int, sources: int
) -> tuple[RoomPlan, list[Point | None]]:
    """Draw one room of a kind, and the end of each source's walk; None for one that stays.

    It is the room from `draw_room`, unless a walk does not fit into that one.

    Raises:
        InputError: microphones, sources or their walks do not fit into the room.
    """
    random = np.random.RandomState(seed)
    for plan in _fitting_rooms(shape, name, random, microphones, sources):
        ends = _walk_ends(shape, plan, random)
        if ends is not None:
            return plan, ends
    raise _no_space(name, microphones, sources)


def _no_space(name: str, microphones: int, sources: int) -> InputError:
    return InputError(
        f"In {_TRIES} draws {name!r} never had a reverberation of more than 0 and at most "
        f"{LONGEST_T60_S:g} s and space for {microphones} microphone(s) and {sources} source(s): "
        "make rooms larger, or distances or walks shorter."
    )


def _fitting_rooms(
    shape: RoomShape, name: str, random: np.random.RandomState, microphones: int, sources: int
) -> Iterator[RoomPlan]:
    """Yield those of 200 drawn rooms that have space for all microphones and sources."""
    for _ in range(_TRIES):
        plan = _draw_once(shape, name, random, microphones, sources)
        if plan is not None:
            yield plan


def _draw_once(
    shape: RoomShape, name: str, random: np.random.RandomState, microphones: int, sources: int
) -> RoomPlan | None:
    """Draw a room; None if its reverberation is out of range or its contents do not fit."""
    size = [value(distribution, random) for distribution in shape.size_m]
    t60_s = round(value(shape.t60_s, random), 4)
    row = _microphone_row(shape, size, random, microphones)
    if not 0 < t60_s <= LONGEST_T60_S or not all(
        _is_inside(point, size, shape.wall_m) for point in row
    ):
        return None
    positions: list[Point] = []
    for _ in range(_TRIES):
        position = _position_around(row[0], shape, random)
        if _is_inside(position, size, shape.wall_m):
            positions.append(position)
        if len(positions) == sources:
            return RoomPlan(
                name=name, size_m=_point(size), t60_s=t60_s, microphones_m=row, sources_m=positions
            )
    return None


def _microphone_row(
    shape: RoomShape, size: Sequence[float], random: np.random.RandomState, microphones: int
) -> list[Point]:
    """Return a row of microphones whose first one is anywhere in the inner part of the room."""
    x, y = (length * random.uniform(0.3, 0.7) for length in size[:2])
    height = value(shape.microphone_height_m, random)
    angle = random.uniform(0, 2 * np.pi)
    steps = shape.spacing_m * np.arange(microphones)
    return [_point((x + s * np.cos(angle), y + s * np.sin(angle), height)) for s in steps]


def _position_around(microphone: Point, shape: RoomShape, random: np.random.RandomState) -> Point:
    """Return a position at a drawn distance and height, in any direction from a microphone."""
    distance = value(shape.distance_m, random)
    height = value(shape.source_height_m, random)
    angle = random.uniform(0, 2 * np.pi)
    along = np.sqrt(max(distance**2 - (height - microphone[2]) ** 2, 0.0))
    x, y = microphone[0] + along * np.cos(angle), microphone[1] + along * np.sin(angle)
    return _point((x, y, height))


def _walk_ends(
    shape: SimulatedRoom, plan: RoomPlan, random: np.random.RandomState
) -> list[Point | None] | None:
    """Return the end of each walk, None for a source that stays; no list if a walk does not fit."""
    ends: list[Point | None] = []
    for start in plan.sources_m:
        walks = random.uniform() < shape.moving
        end = _walk_end(shape, plan, start, random) if walks else None
        if walks and end is None:
            return None
        ends.append(end)
    return ends


def _walk_end(
    shape: SimulatedRoom, plan: RoomPlan, start: Point, random: np.random.RandomState
) -> Point | None:
    """Return the end of a walk from `start`; None if none of 200 drawn walks fits."""
    for _ in range(_TRIES):
        length, angle = value(shape.travel_m, random), random.uniform(0, 2 * np.pi)
        x, y = start[0] + length * np.cos(angle), start[1] + length * np.sin(angle)
        end = _point((x, y, start[2]))
        clear = all(_is_clear_of(microphone, start, end) for microphone in plan.microphones_m)
        if length > 0 and clear and _is_inside(end, plan.size_m, shape.wall_m):
            return end
    return None


def _is_clear_of(microphone: Point, start: Point, end: Point) -> bool:
    """Return whether a walk keeps off a microphone, next to which a source would be too loud."""
    walk, to_microphone = np.subtract(end, start), np.subtract(microphone, start)
    nearest = np.clip(np.dot(to_microphone, walk) / max(np.dot(walk, walk), 1e-12), 0, 1)
    distance_m = float(np.linalg.norm(nearest * walk - to_microphone))
    return distance_m >= min(_CLEARANCE_M, float(np.linalg.norm(to_microphone)))


def _is_inside(point: Point, size: Sequence[float], wall_m: float) -> bool:
    return all(wall_m <= x <= length - wall_m for x, length in zip(point, size, strict=True))


def _point(values: Sequence[Any]) -> Point:
    x, y, z = (round(float(v), 4) for v in values)
    return x, y, z
