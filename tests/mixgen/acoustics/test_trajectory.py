"""Ways through a room: where they may lead, and what is heard from them."""

import functools
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mixgen.acoustics import trajectory
from mixgen.acoustics.image_source import (
    Walls,
    raw_responses,
    simulate_with_walls,
    without_lowest_tones,
)
from mixgen.acoustics.rir import arrivals, convolve
from mixgen.acoustics.room import RoomPlan, SimulatedRoom, draw_room, draw_walked_room
from mixgen.acoustics.trajectory import STEP_M, STRIDE, MovingSource, Trajectory
from mixgen.core.errors import InputError
from mixgen.corpora.rir_bank import read_room_recipe

pytest.importorskip("pyroomacoustics", reason="rooms are simulated by pyroomacoustics")

RATE = 8000
SPEED_OF_SOUND = 343.0
ROOM = {
    "size_m": [["uniform", 3, 5], ["uniform", 3, 4], ["const", 2.6]],
    "t60_s": ["uniform", 0.15, 0.25],
    "distance_m": ["uniform", 0.5, 1.2],
    "moving": 1,
    "travel_m": ["uniform", 0.2, 0.4],
}
PLAN = RoomPlan(
    name="room",
    size_m=(4.0, 3.5, 2.6),
    t60_s=0.2,
    microphones_m=[(1.0, 1.5, 1.2), (1.1, 1.5, 1.2)],
    sources_m=[(1.8, 1.6, 1.4)],
)
START, END = (1.8, 1.6, 1.4), (2.4, 1.6, 1.4)


def way(frames: int = RATE, end_m: tuple[float, float, float] = END) -> Trajectory:
    return Trajectory(start_m=START, end_m=end_m, frames=frames)


@functools.cache
def walls() -> Walls:
    return simulate_with_walls(PLAN, RATE)[0]


def walk(through: Trajectory) -> MovingSource:
    return MovingSource(PLAN, walls(), RATE, through)


def still(through: Trajectory, number: int) -> np.ndarray:
    """The response of one place, simulated as a whole."""
    (response,) = raw_responses(PLAN, walls(), RATE, [through.point(number)])
    return without_lowest_tones(response, RATE)


def error_db(signal: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(np.sum((signal - truth) ** 2) / np.sum(truth**2)))


def test_places_are_near_each_other_and_reach_the_end() -> None:
    through = way()
    places = [through.point(number) for number in range(through.steps + 1)]
    assert through.steps % STRIDE == 0
    np.testing.assert_allclose(places[0], START)
    np.testing.assert_allclose(places[-1], END)
    assert all(math.dist(a, b) <= STEP_M + 1e-12 for a, b in pairwise(places))


@pytest.mark.parametrize(("start", "frames"), [(0, 8000), (17, 4000), (6000, 5000), (9000, 100)])
def test_the_parts_of_a_sound_add_up_to_it(start: int, frames: int) -> None:
    samples = np.random.default_rng(0).standard_normal((1, frames))
    total = np.zeros_like(samples)
    for _, first, part in way().windows(samples, start):
        total[:, first : first + part.shape[1]] += part
    np.testing.assert_allclose(total, samples, atol=1e-12)


def test_a_sound_counts_at_the_places_where_it_is_made() -> None:
    """One that is made in the second half of the mixture is not heard from the first of the way."""
    through = way()
    numbers = [number for number, *_ in through.windows(np.ones((1, 2000)), 4000)]
    assert numbers == list(range(through.steps // 2, 3 * through.steps // 4 + 1))


@pytest.mark.parametrize("number", [0, 20, 23, 30, 60])
def test_a_click_is_heard_from_the_place_of_its_moment(number: int) -> None:
    through = way(frames=6000)  # a hundred samples for each of 60 steps
    click = np.zeros((1, 6001))
    click[0, 100 * number] = 1.0
    (heard,) = walk(through).sound(click, 0, ["image"], 0.05)
    expected = convolve(click, still(through, number))
    found = heard[:, : expected.shape[1]]
    assert error_db(found, expected) < (-150 if number % STRIDE == 0 else -20)


def test_a_walk_sounds_as_one_in_steps_of_two_millimetres(monkeypatch: pytest.MonkeyPatch) -> None:
    through = way(frames=1500, end_m=(1.9, 1.6, 1.4))
    noise = np.cumsum(np.random.default_rng(0).standard_normal((1, 1500)), axis=1)
    noise -= np.convolve(noise[0], np.ones(30) / 30, "same")
    heard = walk(through).sound(noise, 0, ["image", "early"], 0.05)
    monkeypatch.setattr(trajectory, "STRIDE", 1)
    monkeypatch.setattr(trajectory, "STEP_M", 0.002)
    fine = walk(through).sound(noise, 0, ["image", "early"], 0.05)
    assert all(error_db(a, b) < -25 for a, b in zip(heard, fine, strict=True))
    monkeypatch.setattr(trajectory, "STEP_M", 0.05)
    coarse = walk(through).sound(noise, 0, ["image", "early"], 0.05)
    assert all(error_db(a, b) > -25 for a, b in zip(coarse, fine, strict=True))


def test_the_delay_of_clicks_follows_the_distance() -> None:
    through = way(frames=RATE, end_m=(3.4, 2.6, 1.4))
    clicks = np.zeros((1, RATE))
    times = np.arange(0, RATE, 1000)
    clicks[0, times] = 1.0
    heard, direct = walk(through).sound(clicks, 0, ["image", "dry"], 0.05)
    for signal in (heard, direct):
        delays, expected = [], []
        for time in times:
            place = np.add(START, np.subtract((3.4, 2.6, 1.4), START) * time / RATE)
            delays.append(arrivals(signal[:, time : time + 200]))
            expected.append(
                [math.dist(place, m) / SPEED_OF_SOUND * RATE for m in PLAN.microphones_m]
            )
        moved = np.subtract(delays, delays[0])
        np.testing.assert_allclose(moved, np.subtract(expected, expected[0]), atol=1.01)


def test_a_dry_reference_is_the_sound_later_and_weaker_by_the_distance() -> None:
    """Smoothly: a pulse that arrives between two samples is as strong as one that does not."""
    through = way(end_m=(3.4, 2.6, 1.4))
    clicks = np.zeros((1, RATE))
    times = np.arange(0, RATE, 500)
    clicks[0, times] = 1.0
    (direct,) = walk(through).sound(clicks, 0, ["dry"], 0.05)
    for channel, microphone in enumerate(PLAN.microphones_m):
        energies = [np.sum(direct[channel, time : time + 500] ** 2) for time in times]
        places = np.add(START, np.outer(times / RATE, np.subtract((3.4, 2.6, 1.4), START)))
        distance_m = np.linalg.norm(places - microphone, axis=1)
        strength = np.sqrt(energies) * distance_m
        np.testing.assert_allclose(strength, strength[0], rtol=0.05)


def test_only_the_places_of_a_sound_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated: list[Any] = []

    def counted(plan: Any, around: Walls, sample_rate: int, places: Any) -> Any:
        simulated.extend((around.order, place) for place in places)
        return raw_responses(plan, around, sample_rate, places)

    monkeypatch.setattr(trajectory, "raw_responses", counted)
    through = way()
    responses = walk(through)
    for _ in range(2):
        responses.sound(np.ones((1, 100)), 0, ["image"], 0.05)
    whole = [place for order, place in simulated if order == walls().order]
    assert whole == [through.point(number) for number in (0, through.steps, STRIDE)]
    assert len(simulated) == len(set(simulated)) < 10


def shape(**changes: Any) -> SimulatedRoom:
    return SimulatedRoom.model_validate(ROOM | changes)


def test_ways_stay_in_the_room_and_off_the_microphones() -> None:
    kind = shape(travel_m=["uniform", 0.5, 1.5], wall_m=0.4)
    for seed in range(40):
        plan, ends = draw_walked_room(kind, "room", seed, microphones=2, sources=3)
        for start, end in zip(plan.sources_m, ends, strict=True):
            assert end is not None
            assert 0.499 < math.dist(start, end) < 1.501
            assert end[2] == start[2]
            for x, length in zip(end, plan.size_m, strict=True):
                assert 0.4 <= x <= length - 0.4
            for microphone in plan.microphones_m:
                places = np.linspace(start, end, 200)
                nearest_m = np.linalg.norm(places - microphone, axis=1).min()
                assert nearest_m > min(0.3, math.dist(start, microphone)) - 1e-6


def test_the_share_of_sources_that_move() -> None:
    drawn = [
        draw_walked_room(shape(moving=0.25), "room", seed, microphones=1, sources=2)[1]
        for seed in range(150)
    ]
    moving = sum(end is not None for ends in drawn for end in ends)
    assert 50 < moving < 100  # of 300


def test_rooms_and_places_are_those_of_a_recipe_without_movement() -> None:
    for seed in range(20):
        size = {"microphones": 2, "sources": 3}
        plain = draw_room(shape(), "room", seed, **size)
        assert draw_walked_room(shape(moving=0), "room", seed, **size) == (plain, [None] * 3)
        assert draw_walked_room(shape(), "room", seed, **size)[0] == plain


def test_ways_without_space_are_told() -> None:
    with pytest.raises(InputError, match=r"and space for .* ways shorter"):
        draw_walked_room(shape(travel_m=["const", 20]), "room", 0, microphones=1, sources=1)


@pytest.mark.parametrize("changes", [{"moving": 1.5}, {"travel_m": ["uniform", 2, 1]}])
def test_wrong_values(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        shape(**changes)


def test_responses_of_a_bank_stay_where_they_are(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text(
        "{name: bank, rooms: 1, size_m: [[const, 4], [const, 4], [const, 3]], "
        "t60_s: [const, 0.3], moving: 0.5}"
    )
    with pytest.raises(InputError, match="moving: Extra inputs are not permitted"):
        read_room_recipe(path)
