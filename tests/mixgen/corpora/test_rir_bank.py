"""Banks of simulated rooms: positions, reverberation times, files, and repeatability."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from mixgen.acoustics.image_source import simulate
from mixgen.acoustics.rir import arrivals, reverberation_time_s
from mixgen.acoustics.room import RoomPlan, RoomRecipe, draw_room
from mixgen.core.errors import InputError
from mixgen.corpora.rir_bank import make_bank, read_room_recipe
from mixgen.corpora.sources import read_sources
from mixgen.recipe.read import find_recipe
from tests.mixgen.conftest import Contents

pytest.importorskip("pyroomacoustics", reason="rooms are simulated by pyroomacoustics")

RECIPE: dict[str, Any] = {
    "name": "bank",
    "rooms": 4,
    "responses": 2,
    "sample_rate": 8000,
    "size_m": [["uniform", 3, 5], ["uniform", 3, 4], ["const", 2.5]],
    "t60_s": ["uniform", 0.15, 0.25],
    "microphones": 2,
    "distance_m": ["uniform", 0.5, 1.2],
    "splits": {"train": 0.5, "test": 0.5},
}


def recipe(**changes: Any) -> RoomRecipe:
    return RoomRecipe.model_validate(RECIPE | changes)


def room(bank: RoomRecipe, seed: int) -> RoomPlan:
    return draw_room(bank, "room", seed, microphones=bank.microphones, sources=bank.responses)


def test_microphones_and_sources_are_inside_and_apart() -> None:
    for seed in range(30):
        plan = room(recipe(microphones=8, wall_m=0.4), seed)
        for x, y, z in [*plan.microphones_m, *plan.sources_m]:
            for coordinate, length in zip((x, y, z), plan.size_m, strict=True):
                assert 0.4 <= coordinate <= length - 0.4
        first = np.array(plan.microphones_m[0])
        for source in plan.sources_m:
            assert 0.3 <= np.linalg.norm(np.array(source) - first) <= 1.21
        spacing = np.linalg.norm(np.diff(plan.microphones_m, axis=0), axis=1)
        np.testing.assert_allclose(spacing, 0.05, atol=2e-4)


@pytest.mark.parametrize("t60_s", [0.2, 0.4])
def test_the_reverberation_time_is_that_of_the_recipe(t60_s: float) -> None:
    plan = room(recipe(t60_s=["const", t60_s]), 1)
    responses = simulate(plan, 8000)
    assert [len(response) for response in responses] == [2, 2]
    assert reverberation_time_s(responses[0], 8000) == pytest.approx(t60_s, rel=0.1)


def test_direct_sound_travels_at_343_metres_per_second() -> None:
    """The delay between two microphones is the difference of their distances over 343 m/s."""
    plan = RoomPlan(
        name="room",
        size_m=(6.0, 5.0, 3.0),
        t60_s=0.3,
        microphones_m=[(2.0, 2.5, 1.5), (4.0, 2.5, 1.5)],
        sources_m=[(1.0, 2.5, 1.5)],
    )
    (response,) = simulate(plan, 16000)
    near, far = arrivals(response)
    assert far - near == pytest.approx(2.0 / 343 * 16000, abs=2)


def test_rooms_do_not_amplify_frequencies_below_speech() -> None:
    """All images of one sign would add up at zero frequency to a gain that no room has."""
    response = simulate(room(recipe(t60_s=["const", 0.3]), 2), 8000)[0][0]
    power = np.abs(np.fft.rfft(response, 8192)) ** 2
    hertz = np.fft.rfftfreq(8192, 1 / 8000)
    low, speech = (power[(hertz >= a) & (hertz < b)].mean() for a, b in ((0, 25), (200, 3000)))
    assert 10 * np.log10(low / speech) < 0


def test_a_bank_is_a_corpus_of_responses(tmp_path: Path) -> None:
    bank = make_bank(recipe(), tmp_path / "bank")
    assert (bank.rooms, bank.responses) == (4, 8)
    rows = read_sources([tmp_path / "bank" / "sources.csv"])
    assert {row.kind for row in rows} == {"rir"}
    rooms = {split: {r.label for r in rows if r.split == split} for split in ("train", "test")}
    assert [len(names) for names in rooms.values()] == [2, 2]
    assert rooms["train"].isdisjoint(rooms["test"])
    first = json.loads((tmp_path / "bank" / "rooms.jsonl").read_text().splitlines()[0])
    assert first["engine"] == "pyroomacoustics"
    assert rows[0].text == f"t60_s={first['t60_s']:.4f}"
    samples, rate = soundfile.read(tmp_path / "bank" / rows[0].path)
    assert rate == 8000
    assert samples.shape[1] == 2
    assert np.abs(samples).max() == pytest.approx(0.5)


def test_rooms_that_take_long_are_announced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("mixgen.corpora.rir_bank.simulate", lambda *_: [np.eye(2)] * 2)
    make_bank(recipe(), tmp_path / "fast")
    assert "T60" not in capsys.readouterr().err
    make_bank(recipe(t60_s=["uniform", 2, 4]), tmp_path / "slow")
    assert re.search(
        r"The room room-\d{6} takes about \d\d+ s and \d+\.\d GB to simulate, because it has a "
        r"T60 of [234]\.\d s: use fewer workers",
        capsys.readouterr().err,
    )


def test_a_larger_bank_begins_with_the_same_rooms(tmp_path: Path, contents: Contents) -> None:
    make_bank(recipe(), tmp_path / "one")
    make_bank(recipe(rooms=5), tmp_path / "two", workers=2)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    audio = [name for name in one if name.endswith(".wav")]
    assert len(audio) == 8
    assert all(one[name] == two[name] for name in audio)


def test_shipped_banks_are_valid() -> None:
    assert read_room_recipe(find_recipe("rooms_small", "rooms.yaml")).name == "rooms_small"


def test_rooms_that_are_too_small_are_refused() -> None:
    with pytest.raises(InputError, match=r"space for 2 microphone.s. and 2 source"):
        room(recipe(distance_m=["const", 9]), 0)


def test_reverberation_times_that_walls_cannot_give_are_refused() -> None:
    with pytest.raises(InputError, match=r"cannot have a reverberation time of 0\.02 s"):
        simulate(room(recipe(t60_s=["const", 0.02]), 0), 8000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"microphones": 9}, "less than or equal to 8"),
        ({"size_m": [["const", 3]]}, "at least 3 items"),
        ({"splits": {"train": 0}}, "a share above 0"),
        ({"t60": 3}, "Extra inputs"),
    ],
)
def test_wrong_values_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        recipe(**changes)


@pytest.mark.parametrize("text", ["[", "- a\n- b", "name: x", ""])
def test_files_that_are_not_room_recipes_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rooms.yaml"
    path.write_text(text)
    with pytest.raises(InputError):
        read_room_recipe(path)
