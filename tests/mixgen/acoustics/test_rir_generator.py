"""Responses against those of the package rir-generator, and against a closed form."""

import json
from pathlib import Path

import numpy as np
import pytest

from mixgen.acoustics.rir_generator import first_arrival, generated_responses
from mixgen.core.errors import InputError
from mixgen.recipe.read import shipped_folder

GOLDEN = Path(__file__).parents[2] / "golden/generated_responses.npz"


def test_responses_are_those_of_the_package() -> None:
    rooms = json.loads((shipped_folder() / "smswsj/sms_wsj.json").read_text())["datasets"]
    with np.load(GOLDEN) as loaded:
        assert len(loaded.files) == 2
        for key in loaded.files:
            subset, name = key.split("/")
            room = rooms[subset][name]
            found = generated_responses(
                tuple(np.ravel(room["room_dimensions"])),
                tuple(np.transpose(room["source_position"])[1]),
                [tuple(point) for point in np.transpose(room["sensor_position"])[:2]],
                t60_s=room["sound_decay_time"],
                sample_rate=8000,
                taps=2048,
            )
            assert found.shape == loaded[key].shape == (2, 2048)
            difference = np.sum((found - loaded[key]) ** 2) / np.sum(loaded[key] ** 2)
            assert 10 * np.log10(difference + 1e-40) < -265


def test_a_direct_sound_is_a_windowed_sinc() -> None:
    """Before any reflection arrives, one that is 20.25 samples late, and the high-pass of it."""
    distance_m = 20.25 * 343 / 8000
    (found,) = generated_responses(
        (30.0, 30.0, 30.0),
        (15.0, 15.0, 15.0),
        [(15.0 + distance_m, 15.0, 15.0)],
        t60_s=3.0,
        sample_rate=8000,
        taps=200,
    )
    since = np.arange(200) - 20.25
    pulse = np.where(np.abs(since) < 32, np.cos(np.pi * since / 64) ** 2 * np.sinc(since), 0.0)
    pulse /= 4 * np.pi * distance_m
    angle = 2 * np.pi * 100 / 8000
    radius, state, expected = np.exp(-angle), [0.0, 0.0], []
    for sample in pulse:
        new = sample + 2 * radius * np.cos(angle) * state[0] - radius**2 * state[1]
        expected.append(new - (1 + radius) * state[0] + radius * state[1])
        state = [new, state[0]]
    np.testing.assert_allclose(found, expected, atol=1e-15)


def test_no_walls_are_dead_enough_for_some_rooms() -> None:
    with pytest.raises(InputError, match=r"room of 8 x 6 x 3 m cannot have a reverberation of 0.1"):
        generated_responses(
            (8.0, 6.0, 3.0), (1, 1, 1), [(2, 2, 2)], t60_s=0.1, sample_rate=8000, taps=9
        )


def test_the_first_arrival_is_that_of_the_nearest_microphone() -> None:
    responses = np.zeros((3, 9))
    responses[0, [2, 5]] = 0.1, -1.0  # a tenth of the peak is no arrival
    responses[1, [4, 6]] = -0.11, 1.0
    responses[2, 8] = 1e-3
    assert first_arrival(responses) == 4
    assert first_arrival(responses[[0, 2]]) == 5
