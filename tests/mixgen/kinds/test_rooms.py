"""Rooms: parts of a response, what is measured of it, and sets with a response for each source."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from mixgen.acoustics.rir import (
    NO_T60,
    convolve,
    direct_to_reverberant_db,
    extrapolated_t60_s,
    reverberation_time_s,
    rir_part,
)
from mixgen.audio.formats import FORMATS
from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.core.files import sha256_file
from mixgen.corpora.layout import get_layout
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import SourceRenderer, render
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import ROOM_RATE, Corpus, DecayingNoise, MakeRecipe, RunMixgen

RATE = 16000
T60_S = 0.08


def reverberant(speech_recipe: MakeRecipe, **rooms: Any) -> Recipe:
    splits = {
        name: {"mixtures": 4, "sources": {"speech": name, "rir": name}}
        for name in ("train", "test")
    }
    return speech_recipe(splits=splits, rooms=rooms, format="wav16")


def drawn(roomy: Corpus, recipe: Recipe) -> list[Mixture]:
    return list(draw_mixtures(recipe, roomy.rows, roomy.roots))


def test_every_source_has_its_own_response_in_one_room(
    roomy: Corpus, speech_recipe: MakeRecipe
) -> None:
    rooms: dict[str, set[str]] = {"train": set(), "test": set()}
    for mixture in drawn(roomy, reverberant(speech_recipe)):
        assert mixture.room is not None
        rooms[mixture.split].add(mixture.room.name)
        responses = [source.room for source in mixture.sources if source.role == "target"]
        assert len({response.path for response in responses if response}) == 2
        assert {f"rooms/{Path(r.path).parts[0]}" for r in responses if r} == {mixture.room.name}
        assert {r.t60_s for r in responses if r} == {T60_S}
        assert mixture.sources[-1].room is None  # the background is as it was recorded
    assert all(len(names) == 2 for names in rooms.values())
    assert rooms["train"].isdisjoint(rooms["test"])


def test_dry_and_reverberant_sets_are_twins(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    recipe = reverberant(speech_recipe)
    dry = drawn(roomy, recipe.model_copy(update={"rooms": None}))
    for a, b in zip(dry, drawn(roomy, recipe), strict=True):
        assert [s.events for s in a.sources] == [s.events for s in b.sources]


def test_references_on_disk(roomy: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    recipe = reverberant(speech_recipe, references=["early", "dry"])
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, draw_header(recipe, roomy.rows), drawn(roomy, recipe))
    manifest = read_manifest(path)
    outcome = render_set(path, tmp_path / "set", roots=roomy.roots)
    assert outcome.failures == []
    assert verify_set(tmp_path / "set", deep=True, roots=roomy.roots) == []
    mixture = manifest.mixtures[0]
    assert mixture.targets == ["s1_early", "s2_early"]
    folder = tmp_path / "set" / mixture.id
    names = {file.stem for file in folder.iterdir()}
    assert names == {"mixture", "s1", "s2", "noise", "s1_early", "s2_early", "s1_dry", "s2_dry"}
    assert RenderedSet(tmp_path / "set").load_references(mixture.id).shape[0] == 2
    for row in open_rendered(tmp_path / "set"):
        if row.name in ("s1", "s2"):
            assert row.requested["t60_s"] == T60_S
            assert row.measured["t60_s"] == pytest.approx(T60_S, rel=0.2)
            assert row.measured["drr_db"] is not None
            assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=1.0)


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_images_are_the_sources_through_their_responses(
    roomy: Corpus, speech_recipe: MakeRecipe, channels: int
) -> None:
    recipe = reverberant(speech_recipe, references=["image", "early", "dry"])
    recipe = recipe.model_copy(update={"channels": channels, "sample_rate": RATE, "fade_s": 0.0})
    mixture = drawn(roomy, recipe)[0]
    source = mixture.sources[0]
    signals = SourceRenderer(mixture, source, roomy.roots).signals()
    assert list(signals) == ["s1", "s1_early", "s1_dry"]
    (event,) = source.events
    assert source.room is not None
    samples, _ = soundfile.read(roomy.roots["speech"] / event.path)
    response, _ = soundfile.read(roomy.roots["rooms"] / source.room.path)
    excerpt = samples[: int(event.event_duration * RATE)]
    start = int(event.event_time * RATE)
    for channel in range(channels):
        image = np.convolve(excerpt, response[:, channel])[: mixture.frames - start]
        ours = signals["s1"][channel, start : start + len(image)]
        gain = (ours @ image) / (image @ image)
        np.testing.assert_allclose(ours, gain * image, atol=1e-9)
        # The dry reference is the source at the place and height of its direct sound.
        arrival = int(np.abs(response[:, channel]).argmax())
        direct = signals["s1_dry"][channel, start + arrival :]
        length = min(len(direct), len(excerpt))
        expected = gain * response[arrival, channel] * excerpt[:length]
        np.testing.assert_allclose(direct[:length], expected, atol=1e-9)


def test_early_part_ends_in_time(decaying: DecayingNoise) -> None:
    response = decaying(0.4, RATE)
    early = rir_part("early", response, RATE, early_s=0.05)
    assert early.shape[1] == round(0.005 * RATE) + round(0.05 * RATE) + 1
    np.testing.assert_array_equal(early, response[:, : early.shape[1]])
    assert rir_part("image", response, RATE, early_s=0.05) is response


@pytest.mark.parametrize("t60_s", [0.2, 0.5, 1.0])
def test_reverberation_time_of_decaying_noise(decaying: DecayingNoise, t60_s: float) -> None:
    measured = [reverberation_time_s(decaying(t60_s, RATE, seed=s), RATE) for s in range(5)]
    assert np.mean([m for m in measured if m]) == pytest.approx(t60_s, rel=0.07)


def with_noise(response: np.ndarray, noise_db: float) -> np.ndarray:
    """Return a response (channels, taps) with noise that much above its loudest 10 ms."""
    block = RATE // 100
    taps = response.shape[1] // block * block
    loudest = np.square(response[0, :taps]).reshape(-1, block).mean(axis=1).max()
    noise = np.random.default_rng(9).standard_normal(response.shape)
    return response + noise * np.sqrt(loudest) * 10 ** (noise_db / 20)


@pytest.mark.parametrize("t60_s", [0.3, 0.6])
def test_reverberation_time_is_measured_above_noise_only(
    decaying: DecayingNoise, t60_s: float
) -> None:
    response = np.pad(decaying(t60_s, RATE), ((0, 0), (0, RATE)))
    clear = reverberation_time_s(with_noise(response, -60.0), RATE)
    assert clear == pytest.approx(t60_s, rel=0.15)
    for noise_db in (-30.0, -20.0, -10.0):
        noisy = with_noise(response, noise_db)
        assert reverberation_time_s(noisy, RATE) is None
        wrong_s = extrapolated_t60_s(noisy, RATE)
        assert wrong_s is not None
        assert wrong_s > 1.2 * t60_s


@pytest.mark.parametrize(("part", "measured"), [(0.9, True), (0.7, True), (0.5, False)])
def test_reverberation_time_of_a_response_that_is_cut(
    decaying: DecayingNoise, part: float, measured: bool
) -> None:
    """It decays by 60 dB in T60, so half of it decays by 30."""
    response = decaying(0.6, RATE)[:, : round(part * 0.6 * RATE)]
    assert (reverberation_time_s(response, RATE) is not None) == measured


# Without the condition: 0.19, 6.81, 0.63, 0.62 and 8.34 s, from 0.10, 0.89, 1.00, 1.00 and 1.37 s.
REAL_T60_S = {
    "lhotse-rirs-noises/real_8ch.wav": None,
    "openair-python-acoustics/living_room_1.wav": None,
    "spatialaudio-clap/rir_clap.wav": 0.63,
    "speechbrain-rirs/rir1.wav": 0.62,
    "speechbrain-rirs/rir2.wav": None,
}


@pytest.mark.parametrize(("name", "t60_s"), REAL_T60_S.items())
def test_reverberation_times_of_real_responses(
    real_data: Path, name: str, t60_s: float | None
) -> None:
    response, rate = read_audio(real_data / "rir" / name)
    found = reverberation_time_s(response, rate)
    assert found == (t60_s and pytest.approx(t60_s, abs=0.005))


def test_a_set_says_why_no_reverberation_time_was_measured(
    roomy: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rows = []
    for row in roomy.rows:
        if row.kind == "rir":
            path = tmp_path / "rooms" / row.path
            path.parent.mkdir(parents=True, exist_ok=True)
            response, _ = read_audio(roomy.roots["rooms"] / row.path)
            soundfile.write(path, with_noise(response, -20.0).T, ROOM_RATE, subtype="FLOAT")
            row = row.model_copy(update={"sha256": sha256_file(path)})
        rows.append(row)
    recipe, roots = reverberant(speech_recipe), {**roomy.roots, "rooms": tmp_path / "rooms"}
    path = tmp_path / "m.jsonl"
    write_manifest(path, draw_header(recipe, rows), draw_mixtures(recipe, rows, roots))
    assert render_set(path, tmp_path / "set", roots=roots).failures == []
    for row in open_rendered(tmp_path / "set"):
        in_room = row.name in ("s1", "s2")
        assert row.reasons == ({"t60_s": NO_T60} if in_room else {})
        assert ("reasons" in row.as_dict()) == in_room
        assert not in_room or row.measured["t60_s"] is None
    assert verify_set(tmp_path / "set", deep=True, roots=roots) == []


def test_what_is_measured_in_rooms_is_not_said_to_be_right_without_their_responses(
    roomy: Corpus, speech_recipe: MakeRecipe, mixgen: RunMixgen, tmp_path: Path
) -> None:
    recipe = reverberant(speech_recipe)
    path, folder = tmp_path / "manifest.jsonl", tmp_path / "sets" / "rooms"
    write_manifest(path, draw_header(recipe, roomy.rows), drawn(roomy, recipe))
    render_set(path, folder, roots=roomy.roots)
    (problem,) = verify_set(folder, deep=True)
    assert (problem.path, problem.kind) == ("rendered.jsonl", "unchecked")
    assert problem.detail.startswith(
        "what is measured of 8 mixture(s): The root of the corpus 'rooms' is unknown"
    )
    answer = mixgen("verify", folder, "--deep")
    assert answer.exit_code == 0
    assert answer.out.splitlines()[-1] == (
        f"{folder} is as recorded, except for what could not be checked."
    )
    words = ("verify", folder, "--deep", "--root", f"rooms={roomy.roots['rooms']}")
    assert mixgen(*words).out == f"{folder} is whole.\n"
    record = folder / "rendered.jsonl"
    record.write_text(record.read_text().replace('"drr_db": ', '"drr_db": 1', 1))
    answer = mixgen(*words)
    assert answer.exit_code == 3
    assert "its measured drr_db is " in answer.out


def test_a_single_sample_has_no_reverberation() -> None:
    click = np.zeros((1, 100))
    click[0, 3] = 1.0
    assert reverberation_time_s(click, RATE) is None
    assert direct_to_reverberant_db(click, RATE) is None


def test_direct_to_reverberant_ratio_in_closed_form() -> None:
    response = np.zeros((1, RATE))
    response[0, 10], response[0, 5000] = 1.0, 0.5
    assert direct_to_reverberant_db(response, RATE) == pytest.approx(10 * np.log10(4))


def test_convolution_of_one_tap_keeps_the_length() -> None:
    samples = np.arange(5.0)[None]
    np.testing.assert_array_equal(
        convolve(samples, np.array([[2.0], [3.0]])), [[0, 2, 4, 6, 8], [0, 3, 6, 9, 12]]
    )


def test_a_response_at_another_rate_sounds_alike(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    recipe = reverberant(speech_recipe)
    slow, fast = (
        drawn(roomy, recipe.model_copy(update={"sample_rate": rate}))[0] for rate in (8000, RATE)
    )
    low, high = (render(m, roomy.roots, FORMATS["wav_float"]).stems["s1"] for m in (slow, fast))
    power = [10 * np.log10(np.mean(signal**2)) for signal in (low, high)]
    assert power[0] == pytest.approx(power[1], abs=1.0)


def test_more_sources_than_responses(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "count": 5, "distinct_labels": False}
    recipe = speech_recipe(
        sources=[group], rooms={}, splits={"train": {"mixtures": 1, "sources": "train"}}
    )
    words = "has 5 sources in its room, and no room has more than 4 response"
    with pytest.raises(InputError, match=words):
        drawn(roomy, recipe)


def test_a_room_with_too_few_responses_serves_smaller_mixtures(
    roomy: Corpus, speech_recipe: MakeRecipe
) -> None:
    rooms = sorted({row.label for row in roomy.rows if row.kind == "rir" and row.split == "train"})
    rows = [row for row in roomy.rows if row.label != rooms[0] or row.path.endswith("/0.wav")]
    group = {"name": "s", "kind": "speech", "count": ["choose", [1, 2]]}
    recipe = speech_recipe(
        sources=[group], rooms={}, splits={"train": {"mixtures": 24, "sources": "train"}}
    )
    used: dict[int, Counter[str]] = {1: Counter(), 2: Counter()}
    for mixture in draw_mixtures(recipe, rows, roomy.roots):
        assert mixture.room is not None
        used[len(mixture.sources)][mixture.room.name] += 1
    assert set(used[2]) == {f"rooms/{rooms[1]}"}
    assert used[1][f"rooms/{rooms[0]}"] > used[1][f"rooms/{rooms[1]}"]
    whole = list(draw_mixtures(recipe, roomy.rows, roomy.roots))
    assert {m.room.name for m in whole if m.room} == {f"rooms/{room}" for room in rooms}


def test_responses_to_too_few_microphones_are_skipped(
    roomy: Corpus, speech_recipe: MakeRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    first = next(row.label for row in roomy.rows if row.kind == "rir" and row.split == "train")
    rows = [
        row.model_copy(update={"channels": 1}) if row.label == first else row for row in roomy.rows
    ]
    recipe = reverberant(speech_recipe).model_copy(update={"channels": 2})
    mixtures = list(draw_mixtures(recipe, rows, roomy.roots))
    assert f"rooms/{first}" not in {mixture.room.name for mixture in mixtures if mixture.room}
    assert capsys.readouterr().err == (
        "Skipped 4 of 8 response(s) of split 'train': they are to fewer than 2 microphones.\n"
    )


def test_two_halls_in_one_folder_are_told(
    roomy: Corpus, speech_recipe: MakeRecipe, capsys: pytest.CaptureFixture[str]
) -> None:
    """The folder is the room; responses of two halls in one differ in how long they sound."""
    drawn(roomy, reverberant(speech_recipe))
    assert capsys.readouterr().err == ""
    active = ["0.0-0.2", "0.0-0.2 0.5-1.4", "0.0-1.2", "0.1-0.3"]
    lengths = iter(active)
    room = next(row.label for row in roomy.rows if row.kind == "rir" and row.split == "train")
    rows = [
        row.model_copy(update={"active": next(lengths)}) if row.label == room else row
        for row in roomy.rows
    ]
    list(draw_mixtures(reverberant(speech_recipe), rows, roomy.roots, splits=["train"]))
    assert capsys.readouterr().err == (
        f"The 4 responses of the room 'rooms/{room}' decay within 0.2 to 1.4 s: if they are of "
        "several rooms, give each room a folder and index them again.\n"
    )


def test_folders_of_one_name_in_two_places_are_two_rooms(tmp_path: Path) -> None:
    """OpenSLR 28 has smallroom/Room001 and largeroom/Room001."""
    for name in ("small/Room001/1.wav", "large/Room001/1.wav", "large/Room002/1.wav", "0.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    find = get_layout("folder").find
    labels = {found.path: found.label for found in find(tmp_path, "rir")}
    assert labels == {
        "small/Room001/1.wav": "small/Room001",
        "large/Room001/1.wav": "large/Room001",
        "large/Room002/1.wav": "Room002",
        "0.wav": tmp_path.name,
    }
    assert {found.label for found in find(tmp_path, "speech")} == {
        "Room001",
        "Room002",
        tmp_path.name,
    }


def test_no_response_for_a_split(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    with pytest.raises(InputError, match="No rir source fits the rooms in split 'train'"):
        list(draw_mixtures(reverberant(speech_recipe), corpus.rows, corpus.roots))


def test_more_channels_than_microphones(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    recipe = reverberant(speech_recipe)
    words = "split 'train' have 4 channels, and no response is to more than 3 microphone"
    with pytest.raises(InputError, match=words):
        drawn(roomy, recipe.model_copy(update={"channels": 4}))
    mixture = drawn(roomy, recipe)[0].model_copy(update={"channels": 4})
    with pytest.raises(InputError, match=r"has 3 channel\(s\), and the mixture 4"):
        render(mixture, roomy.roots, FORMATS["wav16"])


def test_scaper_has_no_rooms(roomy: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    mixture = drawn(roomy, reverberant(speech_recipe))[0]
    with pytest.raises(InputError, match="is in a room with a response for each source"):
        write_jams(tmp_path / "x.jams", mixture, roomy.roots)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channels": 3}, "more than 2 channels need `rooms`"),
        ({"rooms": {"references": ["dry", "dry"]}}, "a reference comes twice"),
        ({"rooms": {"references": ["dry"], "roles": ["noise"]}}, "need the role target"),
        ({"rooms": {"references": []}}, "at least 1 item"),
    ],
)
def test_rooms_that_make_no_sense(
    speech_recipe: MakeRecipe, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValidationError, match=words):
        speech_recipe(**changes)
