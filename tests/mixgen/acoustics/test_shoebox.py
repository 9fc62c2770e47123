"""Responses of shoebox rooms against those of pyroomacoustics 0.3.1, and against a closed form."""

import csv
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from mixgen.acoustics.image_source import load_engine
from mixgen.acoustics.shoebox import ShoeBox, direct_taps, shoebox_response
from mixgen.recipe.read import shipped_folder

GOLDEN = Path(__file__).parents[2] / "golden/shoebox_responses.npz"
RATE = 16000


def _rooms() -> list[dict[str, float]]:
    with open(shipped_folder() / "whamr/reverb_params_tt.csv", newline="") as stream:
        return [
            {key: float(cell) for key, cell in row.items() if key != "utterance_id"}
            for row in csv.DictReader(stream)
        ]


def _box(row: dict[str, float], talker: str) -> ShoeBox:
    x, y, z = (row[f"room_{axis}"] for axis in "xyz")
    area = 2 * (x * y + x * z + y * z)
    return ShoeBox(
        (x, y, z),
        24 * x * y * z * math.log(10.0) / (343.0 * area * row["T60"]),
        (row[f"{talker}_x"], row[f"{talker}_y"], row[f"{talker}_z"]),
        (row["micL_x"], row["micL_y"], row["mic_z"]),
    )


def _golden() -> Iterator[tuple[str, np.ndarray, ShoeBox, int, int]]:
    with np.load(GOLDEN) as loaded:
        for key in loaded.files:
            index, talker, kind = key.split("_")
            row = _rooms()[int(index)]
            box = _box(row, talker)
            order = math.ceil(row["T60"] * 343.0 / min(box.size_m)) if kind == "reverb" else 0
            yield key, loaded[key], box, order, math.ceil(row["T60"] * RATE)


@pytest.mark.parametrize(("expected", "box", "order", "taps"), [g[1:] for g in _golden()])
def test_responses_are_those_of_the_old_engine(
    expected: np.ndarray, box: ShoeBox, order: int, taps: int
) -> None:
    found = shoebox_response(box, order, RATE, taps)
    assert found.shape == expected.shape
    difference = np.sum((found - expected) ** 2) / np.sum(expected**2)
    assert 10 * np.log10(difference + 1e-40) < -300


def test_the_golden_rooms_have_reflections_that_change_their_sign_and_that_do_not() -> None:
    absorptions = [box.absorption for _, _, box, _, _ in _golden()]
    assert min(absorptions) < 1 < max(absorptions)


def test_the_direct_sound_comes_after_the_way_and_40_taps_with_the_spherical_loss() -> None:
    samples = 70.0
    distance_m = samples * 343.0 / RATE
    box = ShoeBox((8.0, 8.0, 3.0), 0.5, (2.0, 4.0, 1.5), (2.0 + distance_m, 4.0, 1.5))
    response = shoebox_response(box, 0, RATE, 4000)
    assert len(response) == direct_taps(box, RATE)
    assert np.argmax(np.abs(response)) == 110
    assert response[110] == pytest.approx(1 / (4 * np.pi * distance_m), rel=1e-4)


def test_one_reflection_at_each_wall() -> None:
    box = ShoeBox((5.0, 6.0, 3.0), 0.4, (2.0, 3.0, 1.5), (4.0, 3.0, 1.5))
    direct, once = (shoebox_response(box, order, RATE, 4000) for order in (0, 1))
    ways_m = [6.0, 4.0, math.hypot(2, 6), math.hypot(2, 6), math.hypot(2, 3), math.hypot(2, 3)]
    once[: len(direct)] -= direct
    # The sum of a sinc with its window is 1 within the ripple of the window.
    assert once.sum() == pytest.approx(sum(0.6 / (4 * np.pi * way) for way in ways_m), rel=5e-3)


def test_todays_engine_gives_other_responses() -> None:
    row = _rooms()[2]
    box = _box(row, "s1")
    taps, order = math.ceil(row["T60"] * RATE), math.ceil(row["T60"] * 343.0 / min(box.size_m))
    expected = shoebox_response(box, order, RATE, taps)
    engine = load_engine()  # without its high-pass
    kept = 1 - (1 - box.absorption) ** 2
    room = engine.ShoeBox(
        list(box.size_m), fs=RATE, materials=engine.Material(kept), max_order=order
    )
    room.add_source(list(box.source_m))
    room.add_microphone_array(np.array([box.microphone_m]).T)
    room.compute_rir()
    found = np.array(room.rir[0][0][:taps], float) / (4 * np.pi)
    difference_db = 10 * np.log10(np.sum((found - expected) ** 2) / np.sum(expected**2))
    assert -75 < difference_db < -55  # as the card says
