"""WHAMR!: every sample against the slow reference, and what its rooms can have wrong."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.acoustics.shoebox import ShoeBox, shoebox_response
from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.published.importing import Imported
from mixgen.published.render import render_in_layout
from mixgen.published.whamr import import_whamr
from mixgen.recipe.read import shipped_folder
from mixgen.sets.rendered import load_set, open_rendered, sets_in
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.whamr import whamr as whamr_oracle

PARAMS = shipped_folder() / "whamr/reverb_params_tt.csv"


def _respond(room: Any, talker: str, microphone: str, reverberant: bool) -> np.ndarray:
    size = room.room_x, room.room_y, room.room_z
    x, y, z = size
    area = 2 * (x * y + x * z + y * z)
    box = ShoeBox(
        size,
        24 * x * y * z * math.log(10.0) / (343.0 * area * room.T60),
        tuple(room[f"{talker}_{axis}"] for axis in "xyz"),
        (room[f"{microphone}_x"], room[f"{microphone}_y"], room.mic_z),
    )
    order = math.ceil(room.T60 * 343.0 / min(size)) if reverberant else 0
    return shoebox_response(box, order, 16000, math.ceil(room.T60 * 16000))


def _import(given: StandIn, out: Path, params: Path = PARAMS, **options: Any) -> Imported:
    roots = given.roots
    return import_whamr(given.lists, [params], roots["noise"], roots["wsj0"], out, **options)


@pytest.fixture(scope="module")
def whamr(wham: StandIn) -> StandIn:
    """The list of WHAMR! that ships, with the corpora of WHAM!'s."""
    return dataclasses.replace(wham, lists=[shipped_folder() / "whamr/mix_2_spk_filenames_tt.csv"])


@pytest.fixture(scope="module")
def expected(whamr: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the reference for all rates and modes."""
    folder = tmp_path_factory.mktemp("expected")
    noise = folder / "wham_noise"
    noise.mkdir()
    (noise / "tt").symlink_to(whamr.roots["noise"] / "tt")
    (noise / "metadata").mkdir()
    with np.load(whamr.roots["noise"] / "metadata/scaling_tt.npz", allow_pickle=True) as loaded:
        named = {key: loaded[key] for key in loaded.files}
    named["utterance_id"] = named["utterance_id"].astype(str)  # the reference reads no pickle
    np.savez(noise / "metadata/scaling_tt.npz", **named)
    roots = whamr.roots
    whamr_oracle(whamr.lists[0], PARAMS, roots["wsj0"], noise, folder / "out", _respond)
    return folder / "out"


def test_every_sample_is_that_of_the_reference(
    whamr: StandIn, expected: Path, tmp_path: Path
) -> None:
    assert _import(whamr, tmp_path / "M.jsonl").mixtures == 3 * 2 * 2 * 6
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "whamr")
    found = differing_samples(expected, tmp_path / "out")
    assert len(found) == 3 * 2 * 2 * 11
    assert set(found.values()) == {0}
    assert verify_set(tmp_path / "out", deep=True) == []


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(
    ("kind", "others"),
    [
        ("mix_clean_anechoic", {"s1_anechoic", "s2_anechoic"}),
        ("mix_single_anechoic", {"s1_anechoic", "noise"}),
        (
            "mix_both_reverb",
            {f"s{k}_{e}" for k in "12" for e in ("reverb", "anechoic")} | {"noise"},
        ),
        ("mix_single_reverb", {"s1_reverb", "s1_anechoic", "noise"}),
    ],
)
def test_each_type_alone_has_its_mixture_and_what_is_in_it(
    whamr: StandIn,
    expected: Path,
    tmp_path: Path,
    rate: int,
    mode: str,
    kind: str,
    others: set[str],
) -> None:
    _import(whamr, tmp_path / "M.jsonl", sample_rate=[rate], mode=[mode], types=[kind])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "whamr")
    folder = f"wav{rate // 1000}k/{mode}/tt"
    assert {path.name for path in (tmp_path / "out" / folder).iterdir()} == {kind} | others
    for name in {kind} | others:
        found = differing_samples(expected / folder / name, tmp_path / "out" / folder / name)
        assert list(found.values()) == [0, 0, 0]


def test_reverberant_mixtures_have_anechoic_targets(whamr: StandIn, tmp_path: Path) -> None:
    _import(whamr, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    by_type = {m.published.type: m for m in read_manifest(tmp_path / "M.jsonl").mixtures[-6:]}
    assert by_type["mix_both_reverb"].targets == ["s1_dry", "s2_dry"]
    assert by_type["mix_single_reverb"].targets == ["s1_dry"]
    assert by_type["mix_both_anechoic"].targets == ["s1", "s2"]
    names = [file for file in by_type["mix_both_reverb"].file_names]
    assert names == ["mixture", "s1", "s1_dry", "s2", "s2_dry", "noise"]
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "whamr")
    rendered = load_set(tmp_path / "out")
    mixture = by_type["mix_both_reverb"]
    name = mixture.published.name
    folder = tmp_path / "out/wav8k/min/tt"
    loaded = rendered.load_references(mixture.id)[:, 0]
    for samples, talker in zip(loaded, ("s1", "s2"), strict=True):
        anechoic = soundfile.read(folder / f"{talker}_anechoic/{name}.wav")[0]
        np.testing.assert_array_equal(samples, anechoic)
        reverberant = soundfile.read(folder / f"{talker}_reverb/{name}.wav")[0]
        assert np.abs(reverberant - anechoic).max() > 0.01 * np.abs(anechoic).max()
    (records,) = sets_in(tmp_path / "out")
    from_files, in_memory = RenderedDataset(records), ManifestDataset(tmp_path / "M.jsonl")
    np.testing.assert_array_equal(from_files[1].references, in_memory[1].references)


def test_the_native_layout_has_dry_references_as_other_sets_do(
    whamr: StandIn, tmp_path: Path
) -> None:
    chosen = {"sample_rate": [8000], "mode": ["max"], "types": ["mix_single_reverb"]}
    _import(whamr, tmp_path / "M.jsonl", **chosen)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", measures=True)
    folder = next(path for path in (tmp_path / "out").iterdir() if path.is_dir())
    names = {path.stem for path in folder.iterdir()}
    assert names == {"mixture", "s1", "s1_dry", "noise"}
    assert verify_set(tmp_path / "out", deep=True) == []
    rows = {row.name: row for row in open_rendered(tmp_path / "out") if row.id == folder.name}
    assert rows["s1"].measured.keys() >= {"level_db"}
    assert rows["s1_dry"].measured == {}


def test_records_say_which_engine_made_the_responses(whamr: StandIn, tmp_path: Path) -> None:
    _import(whamr, tmp_path / "M.jsonl", sample_rate=[8000], types=["mix_clean_reverb"])
    manifest = read_manifest(tmp_path / "M.jsonl")
    talker = manifest.mixtures[0].sources[0]
    steps = {step.name: step.operation for step in talker.events[0].steps}
    assert list(steps) == ["channel", "round_bits", "pad", "reverberate", "resample_poly", "match"]
    room = steps["reverberate"]
    assert room.engine == "shoebox/1"
    assert (room.order, room.taps) == (16, 2560)
    assert room.microphone_m == (4.363512, 4.382463, 1.245032)
    dry = {step.name: step.operation for step in talker.dry[0].steps}
    assert dry["reverberate"].order == 0
    imported = manifest.header.imported
    assert imported is not None
    assert "-300 dB" in imported.script
    assert "pyroomacoustics 0.3.1" in imported.script
    assert set(imported.lists) == {whamr.lists[0].name, PARAMS.name, "scaling_tt.npz"}


def test_the_command_imports(whamr: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    out = tmp_path / "M.jsonl"
    roots = ("--wham-noise", whamr.roots["noise"], "--wsj0", whamr.roots["wsj0"])
    lists = ("--metadata", whamr.lists[0], "--reverb-params", PARAMS)
    chosen = ("--sample-rate", 8000, "--mode", "min", "--type", "mix_both_reverb")
    answer = mixgen("import", "whamr", *lists, *roots, *chosen, "--out", out)
    assert (answer.exit_code, answer.out) == (0, f"3 mixtures in {out}.\n")
    assert read_manifest(out).header.name == "whamr_8k_min_both_reverb"
    with pytest.raises(UsageError, match="--type takes mix_clean_anechoic, mix_clean_reverb"):
        _import(whamr, out, types=["mix_both"])


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("445c0206_0.60431", "other", "--reverb-params has no room of 445c0206_0.60431"),
        (",0.16\n", ",-0.16\n", "line 2 has a T60 of -0.16 s, or somebody outside of the room"),
        ("5.152153", "9.6", "line 2 has a T60 of 0.16 s, or somebody outside of the room"),
        ("5.152153", "near", "line 2: 'near' is not a number"),
        ("mic_z", "mic_height", "has no column 'mic_z'"),
    ],
)
def test_rooms_with_anything_wrong_are_one_sentence(
    whamr: StandIn, tmp_path: Path, old: str, new: str, problem: str
) -> None:
    params = tmp_path / "reverb_params_tt.csv"
    content = PARAMS.read_text()
    assert old in content
    params.write_text(content.replace(old, new, 1))
    with pytest.raises(InputError, match=problem):
        _import(whamr, tmp_path / "M.jsonl", params)


def test_a_silent_talker_has_no_gain(whamr: StandIn, tmp_path: Path) -> None:
    folder = tmp_path / "wsj0"
    for row in whamr.rows():
        for name in ("s1_path", "s2_path"):
            path = tmp_path / row[name]
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.zeros(8000), 16000)
    given = dataclasses.replace(whamr, roots={**whamr.roots, "wsj0": folder})
    _import(given, tmp_path / "M.jsonl", sample_rate=[8000], types=["mix_clean_reverb"])
    outcome = render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "whamr")
    assert len(outcome.failures) == 6
    assert "is silent, so no gain gives it a level" in outcome.failures[0][1]
