"""Trajectories through a room: their limits, and the sound of sources that move along them."""

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
from mixgen.acoustics.room import Point, RoomPlan, SimulatedRoom, draw_room, draw_walked_room
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


def trajectory_to(end_m: Point = END, frames: int = RATE) -> Trajectory:
    return Trajectory(start_m=START, end_m=end_m, frames=frames)


@functools.cache
def walls() -> Walls:
    return simulate_with_walls(PLAN, RATE)[0]


def moving_source(along: Trajectory) -> MovingSource:
    return MovingSource(PLAN, walls(), RATE, along)


def standing_response(along: Trajectory, number: int) -> np.ndarray:
    """Return the response of one point, simulated as a whole."""
    (response,) = raw_responses(PLAN, walls(), RATE, [along.point(number)])
    return without_lowest_tones(response, RATE)


def error_db(signal: np.ndarray, truth: np.ndarray) -> float:
    return float(10 * np.log10(np.sum((signal - truth) ** 2) / np.sum(truth**2)))


def test_points_are_near_each_other_and_reach_the_end() -> None:
    along = trajectory_to()
    points = [along.point(number) for number in range(along.steps + 1)]
    assert along.steps % STRIDE == 0
    np.testing.assert_allclose(points[0], START)
    np.testing.assert_allclose(points[-1], END)
    assert all(math.dist(a, b) <= STEP_M + 1e-12 for a, b in pairwise(points))


@pytest.mark.parametrize(("start", "frames"), [(0, 8000), (17, 4000), (6000, 5000), (9000, 100)])
def test_the_windows_of_a_sound_add_up_to_it(start: int, frames: int) -> None:
    samples = np.random.default_rng(0).standard_normal((1, frames))
    total = np.zeros_like(samples)
    for _, first, window in trajectory_to().windows(samples, start):
        total[:, first : first + window.shape[1]] += window
    np.testing.assert_allclose(total, samples, atol=1e-12)


def test_a_sound_goes_through_the_points_that_its_source_passes_meanwhile() -> None:
    """A sound in the third quarter of the mixture uses the third quarter of the points."""
    along = trajectory_to()
    numbers = [number for number, *_ in along.windows(np.ones((1, 2000)), 4000)]
    assert numbers == list(range(along.steps // 2, 3 * along.steps // 4 + 1))


@pytest.mark.parametrize("number", [0, 20, 23, 30, 60])
def test_a_click_has_the_response_of_the_point_at_its_time(number: int) -> None:
    along = trajectory_to(frames=6000)  # a hundred samples for each of 60 steps
    click = np.zeros((1, 6001))
    click[0, 100 * number] = 1.0
    (image,) = moving_source(along).sound(click, 0, ["image"], 0.05)
    expected = convolve(click, standing_response(along, number))
    error = error_db(image[:, : expected.shape[1]], expected)
    assert error < (-150 if number % STRIDE == 0 else -20)


def test_steps_of_a_centimetre_sound_like_steps_of_two_millimetres(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    along = trajectory_to((1.9, 1.6, 1.4), frames=1500)
    noise = np.cumsum(np.random.default_rng(0).standard_normal((1, 1500)), axis=1)
    noise -= np.convolve(noise[0], np.ones(30) / 30, "same")
    signals = moving_source(along).sound(noise, 0, ["image", "early"], 0.05)
    monkeypatch.setattr(trajectory, "STRIDE", 1)
    monkeypatch.setattr(trajectory, "STEP_M", 0.002)
    fine = moving_source(along).sound(noise, 0, ["image", "early"], 0.05)
    assert all(error_db(a, b) < -25 for a, b in zip(signals, fine, strict=True))
    monkeypatch.setattr(trajectory, "STEP_M", 0.05)
    coarse = moving_source(along).sound(noise, 0, ["image", "early"], 0.05)
    assert all(error_db(a, b) > -25 for a, b in zip(coarse, fine, strict=True))


def test_the_delay_of_clicks_follows_the_distance() -> None:
    end_m = (3.4, 2.6, 1.4)
    clicks = np.zeros((1, RATE))
    times = np.arange(0, RATE, 1000)
    clicks[0, times] = 1.0
    for signal in moving_source(trajectory_to(end_m)).sound(clicks, 0, ["image", "dry"], 0.05):
        delays, expected = [], []
        for time in times:
            position = np.add(START, np.subtract(end_m, START) * time / RATE)
            delays.append(arrivals(signal[:, time : time + 200]))
            expected.append(
                [math.dist(position, m) / SPEED_OF_SOUND * RATE for m in PLAN.microphones_m]
            )
        moved = np.subtract(delays, delays[0])
        np.testing.assert_allclose(moved, np.subtract(expected, expected[0]), atol=1.01)


def test_the_level_of_a_dry_reference_falls_smoothly_with_the_distance() -> None:
    """A pulse that arrives between two samples is as strong as one that arrives at a sample."""
    end_m = (3.4, 2.6, 1.4)
    clicks = np.zeros((1, RATE))
    times = np.arange(0, RATE, 500)
    clicks[0, times] = 1.0
    (direct,) = moving_source(trajectory_to(end_m)).sound(clicks, 0, ["dry"], 0.05)
    for channel, microphone in enumerate(PLAN.microphones_m):
        energies = [np.sum(direct[channel, time : time + 500] ** 2) for time in times]
        positions = np.add(START, np.outer(times / RATE, np.subtract(end_m, START)))
        distance_m = np.linalg.norm(positions - microphone, axis=1)
        strength = np.sqrt(energies) * distance_m
        np.testing.assert_allclose(strength, strength[0], rtol=0.05)


def test_only_the_points_of_a_sound_are_simulated(monkeypatch: pytest.MonkeyPatch) -> None:
    simulated: list[Any] = []

    def recorded(plan: Any, around: Walls, sample_rate: int, points: Any) -> Any:
        simulated.extend((around.order, point) for point in points)
        return raw_responses(plan, around, sample_rate, points)

    monkeypatch.setattr(trajectory, "raw_responses", recorded)
    along = trajectory_to()
    source = moving_source(along)
    for _ in range(2):
        source.sound(np.ones((1, 100)), 0, ["image"], 0.05)
    whole = [point for order, point in simulated if order == walls().order]
    assert whole == [along.point(number) for number in (0, along.steps, STRIDE)]
    assert len(simulated) == len(set(simulated)) < 10


def shape(**changes: Any) -> SimulatedRoom:
    return SimulatedRoom.model_validate(ROOM | changes)


def test_walks_stay_in_the_room_and_off_the_microphones() -> None:
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
                positions = np.linspace(start, end, 200)
                nearest_m = np.linalg.norm(positions - microphone, axis=1).min()
                assert nearest_m > min(0.3, math.dist(start, microphone)) - 1e-6


def test_the_requested_share_of_sources_moves() -> None:
    drawn = [
        draw_walked_room(shape(moving=0.25), "room", seed, microphones=1, sources=2)[1]
        for seed in range(150)
    ]
    moving = sum(end is not None for ends in drawn for end in ends)
    assert 50 < moving < 100  # of 300


def test_movement_changes_neither_rooms_nor_positions() -> None:
    for seed in range(20):
        size = {"microphones": 2, "sources": 3}
        plain = draw_room(shape(), "room", seed, **size)
        assert draw_walked_room(shape(moving=0), "room", seed, **size) == (plain, [None] * 3)
        assert draw_walked_room(shape(), "room", seed, **size)[0] == plain


def test_walks_without_space_are_refused() -> None:
    with pytest.raises(InputError, match=r"and space for .* walks shorter"):
        draw_walked_room(shape(travel_m=["const", 20]), "room", 0, microphones=1, sources=1)


@pytest.mark.parametrize("changes", [{"moving": 1.5}, {"travel_m": ["uniform", 2, 1]}])
def test_values_out_of_range_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=next(iter(changes))):
        shape(**changes)


def test_sources_of_a_bank_do_not_move(tmp_path: Path) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text(
        "{name: bank, rooms: 1, size_m: [[const, 4], [const, 4], [const, 3]], "
        "t60_s: [const, 0.3], moving: 0.5}"
    )
    with pytest.raises(InputError, match="the key 'moving' is not known"):
        read_room_recipe(path)
