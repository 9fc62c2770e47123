"""WHAM!: every sample against the slow reference, and what its metadata can have wrong."""

import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, RenderedDataset
from mixgen.manifest.file import read_manifest
from mixgen.published.importing import Imported
from mixgen.published.render import render_in_layout
from mixgen.published.wham import import_wham
from mixgen.published.wham_scaling import read_scaling
from mixgen.sets.rendered import sets_in
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, RunMixgen
from tests.mixgen.published.conftest import StandIn
from tests.oracles.compare import differing_samples
from tests.oracles.corpora import wham_sources
from tests.oracles.wham import wham as wham_oracle

FOLDERS = ("mix_clean", "mix_single", "mix_both", "s1", "s2", "noise")
SCALING = "wham_noise/metadata/scaling_tt.npz"


def _import(given: StandIn, out: Path, **options: Any) -> Imported:
    return import_wham(given.lists, given.roots["noise"], given.roots["wsj0"], out, **options)


def _copy(given: StandIn, folder: Path) -> StandIn:
    """Return the same corpora in another folder, where files may be changed."""
    shutil.copytree(given.roots["wsj0"], folder)
    return StandIn(given.lists, {"wsj0": folder, "noise": folder / "wham_noise"})


def _rewrite_scaling(given: StandIn, **changes: Any) -> None:
    path = given.roots["wsj0"] / SCALING
    with np.load(path, allow_pickle=True) as loaded:
        arrays = {key: loaded[key] for key in loaded.files} | changes
    np.savez(path, **{key: array for key, array in arrays.items() if array is not None})


@pytest.fixture(scope="module")
def expected(wham: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree of the reference for all rates and modes."""
    folder = tmp_path_factory.mktemp("expected")
    named = _copy(wham, folder / "in")  # the reference reads no pickle
    _rewrite_scaling(named, utterance_id=np.array([r["output_filename"] for r in wham.rows()]))
    wham_oracle(wham.lists[0], folder / "in", folder / "in/wham_noise", folder / "out")
    return folder / "out"


def test_every_sample_is_that_of_the_reference(
    wham: StandIn, expected: Path, tmp_path: Path
) -> None:
    assert _import(wham, tmp_path / "M.jsonl").mixtures == 3 * 2 * 2 * 3
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham")
    found = differing_samples(expected, tmp_path / "out")
    assert len(found) == 3 * 2 * 2 * 6
    assert set(found.values()) == {0}
    path = next((tmp_path / "out/wav8k/max/tt/mix_both").iterdir())
    assert soundfile.info(path).subtype == "FLOAT"
    assert verify_set(tmp_path / "out", deep=True) == []


def test_every_sample_of_real_recordings_is_that_of_the_reference(
    real_data: Path, tmp_path: Path
) -> None:
    given = wham_sources(tmp_path / "in", real_data)
    wham_oracle(given.filenames, given.wsj0_root, given.wham_noise, tmp_path / "expected")
    import_wham([given.filenames], given.wham_noise, given.wsj0_root, tmp_path / "M.jsonl")
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham")
    found = differing_samples(tmp_path / "expected", tmp_path / "out")
    assert len(found) == 3 * 2 * 2 * 6
    assert set(found.values()) == {0}


@pytest.mark.parametrize("rate", [8000, 16000])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("kind", FOLDERS)
def test_each_type_alone_has_its_mixture_and_what_is_in_it(
    wham: StandIn, expected: Path, tmp_path: Path, rate: int, mode: str, kind: str
) -> None:
    _import(wham, tmp_path / "M.jsonl", sample_rate=[rate], mode=[mode], types=[kind])
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham")
    folder = f"wav{rate // 1000}k/{mode}/tt"
    parts = {
        "mix_clean": {"s1", "s2"},
        "mix_both": {"s1", "s2", "noise"},
        "mix_single": {"s1", "noise"},
    }
    written = {kind} | parts.get(kind, set())
    assert {path.name for path in (tmp_path / "out" / folder).iterdir()} == written
    for name in written:
        found = differing_samples(expected / folder / name, tmp_path / "out" / folder / name)
        assert list(found.values()) == [0, 0, 0]
    assert verify_set(tmp_path / "out", deep=True) == []


def test_mixtures_in_memory_are_those_of_the_files(wham: StandIn, tmp_path: Path) -> None:
    kinds = ["mix_both", "noise"]
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000], mode=["max"], types=kinds)
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham")
    from_files = RenderedDataset(sets_in(tmp_path / "out")[0])
    in_memory = ManifestDataset(tmp_path / "M.jsonl")
    for index in range(4):
        np.testing.assert_array_equal(from_files[index].mixture, in_memory[index].mixture)
        np.testing.assert_array_equal(from_files[index].references, in_memory[index].references)
    assert in_memory[0].references.dtype == np.float32
    assert in_memory[1].references.shape == (0, 1, in_memory[1].mixture.shape[1])


def test_records_say_what_is_done(wham: StandIn, tmp_path: Path) -> None:
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000], mode=["max"], types=["mix_both"])
    manifest = read_manifest(tmp_path / "M.jsonl")
    mixture = manifest.mixtures[1]
    name = wham.rows()[1]["output_filename"].removesuffix(".wav")
    assert mixture.id == f"{name}__8k_max_both"
    assert mixture.published is not None
    assert mixture.published.name == name
    assert mixture.published.folder == "wav8k/max/tt"
    assert mixture.split == "test"
    assert mixture.targets == ["s1", "s2"]
    assert mixture.clip.rule == "none"
    assert mixture.arithmetic is not None
    assert mixture.arithmetic.order == ["noise", "s1", "s2"]
    assert mixture.arithmetic.sum_of == "signals"
    steps = [step.name for step in mixture.sources[0].events[0].steps]
    assert steps == ["channel", "resample_poly", "multiply", "round_bits", "multiply"]
    assert mixture.sources[0].events[0].event_time == 4002 / 16000  # 4003 halved downwards
    assert manifest.header.imported is not None
    assert set(manifest.header.imported.lists) == {wham.lists[0].name, "scaling_tt.npz"}


def test_types_that_are_no_mixture_have_one_source(wham: StandIn, tmp_path: Path) -> None:
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"], types=["s2", "noise"])
    first, second = read_manifest(tmp_path / "M.jsonl").mixtures[:2]
    assert ([s.name for s in first.sources], first.targets) == (["s2"], ["s2"])
    assert ([s.name for s in second.sources], second.targets) == (["noise"], [])


def test_mix_single_is_enhancement(wham: StandIn, tmp_path: Path) -> None:
    _import(wham, tmp_path / "M.jsonl", types=["mix_single"])
    assert read_manifest(tmp_path / "M.jsonl").header.task == "speech_enhancement"


def test_a_render_after_an_import_of_the_same_list_does_nothing_again(
    wham: StandIn, tmp_path: Path, contents: Contents
) -> None:
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000])
    first = (tmp_path / "M.jsonl").read_bytes()
    render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham", workers=2)
    before = contents(tmp_path / "out")
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000])
    assert (tmp_path / "M.jsonl").read_bytes() == first
    assert render_in_layout(tmp_path / "M.jsonl", tmp_path / "out", "wham").written == 0
    assert contents(tmp_path / "out") == before


def test_the_command_imports_and_renders(wham: StandIn, tmp_path: Path, mixgen: RunMixgen) -> None:
    out = tmp_path / "M.jsonl"
    roots = ("--wham-noise", wham.roots["noise"], "--wsj0", wham.roots["wsj0"])
    chosen = ("--sample-rate", 8000, "--mode", "max", "--type", "mix_both", "--out", out)
    answer = mixgen("import", "wham", "--metadata", wham.lists[0], *roots, *chosen)
    assert (answer.exit_code, answer.out) == (0, f"3 mixtures in {out}.\n")
    assert mixgen("render", out, "--out", tmp_path / "W", "--layout", "wham").exit_code == 0
    assert len(list((tmp_path / "W/wav8k/max/tt/mix_both").iterdir())) == 3
    wrong = mixgen("import", "wham", "--metadata", wham.lists[0], *roots, *chosen, "--type", "mix")
    assert wrong.exit_code == 2
    assert "--type takes mix_clean, mix_both, mix_single, s1, s2, noise, not mix." in wrong.err


def test_without_the_scaling_one_sentence_says_what_is_missing(
    wham: StandIn, tmp_path: Path
) -> None:
    given = _copy(wham, tmp_path / "in")
    (given.roots["wsj0"] / SCALING).unlink()
    with pytest.raises(InputError, match=r"scaling_tt\.npz is missing, which has the levels of"):
        _import(given, tmp_path / "M.jsonl")


def test_a_missing_noise_is_named_or_left_out(wham: StandIn, tmp_path: Path) -> None:
    given = _copy(wham, tmp_path / "in")
    name = wham.rows()[2]["output_filename"]
    (given.roots["noise"] / "tt" / name).unlink()
    with pytest.raises(InputError) as caught:
        _import(given, tmp_path / "M.jsonl")
    for word in (name, "line 4", "--wham-noise", "--allow-missing"):
        assert word in str(caught.value)
    imported = _import(given, tmp_path / "M.jsonl", allow_missing=True)
    assert (imported.mixtures, [left for left, _ in imported.left_out]) == (2 * 12, [name])


def test_a_noise_that_ends_before_its_talkers_is_no_noise_of_the_set(
    wham: StandIn, tmp_path: Path
) -> None:
    given = _copy(wham, tmp_path / "in")
    path = given.roots["noise"] / "tt" / wham.rows()[1]["output_filename"]
    samples, rate = soundfile.read(path)
    soundfile.write(path, samples[:-1], rate, subtype="PCM_16")
    talkers_end = len(samples)
    with pytest.raises(InputError, match=f"samples, and its talkers end at {talkers_end}: restore"):
        _import(given, tmp_path / "M.jsonl")


def test_a_mixture_without_levels_is_named(wham: StandIn, tmp_path: Path) -> None:
    given = _copy(wham, tmp_path / "in")
    names = np.array([row["output_filename"] for row in wham.rows()])
    _rewrite_scaling(given, utterance_id=np.array([*names[:2], "other.wav"]))
    with pytest.raises(InputError, match=rf"line 4: .*scaling_tt\.npz has no levels of {names[2]}"):
        _import(given, tmp_path / "M.jsonl")


class _Program:
    """A pickle that runs a program when it is read by pickle itself."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("was_run",)


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"scaling_wsjmix_8k_min": np.ones((3, 3))}, r"does not hold \(3, 2\) numbers as"),
        ({"scaling_wham_noise_8k_min": np.ones(2)}, r"does not hold \(3,\) numbers as"),
        ({"scaling_wham_speech_8k_min": np.full(3, np.nan)}, r"does not hold \(3,\) numbers"),
        ({"scaling_wham_speech_8k_min": np.array(["a"] * 3)}, r"does not hold \(3,\) numbers"),
        ({"scaling_wham_speech_8k_min": None}, "has no scaling of WHAM!"),
        ({"speech_start_sample_16k": np.array([0, -1, 0])}, "has a start before the noise"),
        ({"utterance_id": np.arange(3)}, "utterance_id are no names"),
        ({"utterance_id": np.array([1, 2, 3], dtype=object)}, "utterance_id are no names"),
        ({"utterance_id": np.array([_Program()] * 3, dtype=object)}, "it calls .*mkdir"),
    ],
)
def test_a_scaling_with_anything_wrong_is_one_sentence(
    wham: StandIn,
    tmp_path: Path,
    changes: dict[str, Any],
    problem: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    given = _copy(wham, tmp_path / "in")
    _rewrite_scaling(given, **changes)
    with pytest.raises(InputError, match=problem):
        _import(given, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"])
    assert not (tmp_path / "was_run").exists()


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps([1])])
def test_a_scaling_that_is_no_archive_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata/scaling_tt.npz").write_bytes(content)
    with pytest.raises(InputError, match=r"has no scaling of WHAM! \("):
        read_scaling(tmp_path, "tt", [(8000, "min")])


def test_wrong_options_are_one_sentence(wham: StandIn, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--mode takes min, max, not mean"):
        _import(wham, tmp_path / "M.jsonl", mode=["mean"])
    renamed = tmp_path / "list.csv"
    shutil.copy(wham.lists[0], renamed)
    with pytest.raises(InputError, match="does not end with a subset"):
        _import(StandIn([renamed], wham.roots), tmp_path / "M.jsonl")


def test_the_change_of_level_by_the_steps_is_recorded(wham: StandIn, tmp_path: Path) -> None:
    _import(wham, tmp_path / "M.jsonl", sample_rate=[8000], mode=["min"], types=["mix_both"])
    mixture = read_manifest(tmp_path / "M.jsonl").mixtures[0]
    with np.load(wham.roots["wsj0"] / SCALING, allow_pickle=True) as scaling:
        gain = scaling["scaling_wsjmix_8k_min"][0, 0] * scaling["scaling_wham_speech_8k_min"][0]
    assert mixture.sources[0].events[0].snr == pytest.approx(20 * np.log10(gain), abs=1e-6)
