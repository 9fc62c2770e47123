"""Tables for SpeechBrain: the columns of its recipes, and read back by its own classes."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.sets.rendered import load_set
from tests.mixgen.export.conftest import KINDS, ExportKind

WHY = "needs the package speechbrain, as in the environment of `make parity`"
FILE = ("_wav", "_wav_format", "_wav_opts")


def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def _columns(*names: str) -> list[str]:
    return ["ID", "duration", *(name + ending for name in names for ending in FILE)]


@pytest.mark.parametrize(
    ("kind", "table", "names"),
    [
        ("clean", "train", ("mix", "s1", "s2")),
        ("noisy", "test", ("mix", "s1", "s2", "noise")),
        ("counts", "any", ("mix", "s1", "s2", "s3", "noise")),
        ("enrolment", "train", ("mix", "s1", "s2", "noise", "s1_enrolment", "s2_enrolment")),
        ("echo", "any", ("mix", "s1", "noise", "far_end")),
        ("rooms", "test", ("mix", "s1", "s2", "noise")),
        ("degraded", "train", ("mix", "s1", "s2")),
        ("songs", "test", ("mix", "s1", "s2", "s3", "s4")),
    ],
)
def test_the_columns_are_those_of_the_recipes(
    export_kind: ExportKind, kind: str, table: str, names: tuple[str, ...]
) -> None:
    rows = _rows(export_kind(kind, "speechbrain") / f"{table}.csv")
    assert list(rows[0]) == _columns(*names)


def test_every_cell(export_kind: ExportKind, sets: dict[str, Path]) -> None:
    rendered = load_set(sets["counts"])
    rows = _rows(export_kind("counts", "speechbrain") / "any.csv")
    assert len({len(mixture.targets) for mixture in rendered.manifest.mixtures}) > 1
    for row, mixture in zip(rows, rendered.manifest.mixtures, strict=True):
        assert (row["ID"], float(row["duration"])) == (mixture.id, mixture.frames / 8000)
        assert row["mix_wav"] == str(rendered.mixture_path(mixture.id).absolute())
        for number in (1, 2, 3):
            path, form, options = (row[f"s{number}{ending}"] for ending in FILE)
            if number <= len(mixture.targets):
                target = rendered.reference_path(mixture.id, mixture.targets[number - 1])
                assert (path, form, options) == (str(target.absolute()), "flac", "")
            else:
                assert (path, form, options) == ("", "", "")


def test_references_are_the_targets_and_their_talkers_are_no_noise(
    export_kind: ExportKind,
) -> None:
    for row in _rows(export_kind("rooms", "speechbrain") / "train.csv"):
        assert Path(row["s1_wav"]).name == "s1_early.flac"
        assert Path(row["noise_wav"]).name == "noise.flac"


def test_far_ends_and_enrolments(export_kind: ExportKind) -> None:
    for row in _rows(export_kind("echo", "speechbrain") / "any.csv"):
        assert Path(row["far_end_wav"]).name == "echo_far_end.flac"
        assert Path(row["noise_wav"]).name == "echo.flac"
    for row in _rows(export_kind("enrolment", "speechbrain") / "test.csv"):
        assert Path(row["s2_enrolment_wav"]).name == "s2_enrolment.flac"


def test_a_folder_that_speechbrain_would_misread_is_refused(
    sets: dict[str, Path], export_kind: ExportKind, tmp_path: Path
) -> None:
    (tmp_path / "$HOME").symlink_to(sets["noisy"])
    with pytest.raises(InputError, match=r"would take a part of .*HOME.* for a variable"):
        export_kind("noisy", "speechbrain", source=tmp_path / "$HOME")
    export_kind("noisy", "speechbrain", source=tmp_path / "$HOME", paths="relative")
    (tmp_path / "100 $").symlink_to(sets["noisy"])
    export_kind("noisy", "speechbrain", source=tmp_path / "100 $", out=tmp_path / "out")


def _dataset(path: Path, replacements: dict[str, str]) -> Any:
    """Return a table as the recipes open it."""
    dataset = pytest.importorskip("speechbrain.dataio.dataset", reason=WHY)
    return dataset.DynamicItemDataset.from_csv(csv_path=path, replacements=replacements)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("paths", ["absolute", "relative"])
@pytest.mark.parametrize("kind", [*KINDS, "songs", "rooms"])
def test_speechbrain_reads_every_file_back(
    export_kind: ExportKind, sets: dict[str, Path], kind: str, paths: str
) -> None:
    dataio = pytest.importorskip("speechbrain.dataio.dataio", reason=WHY)
    rendered = load_set(sets[kind])
    mixtures = rendered.manifest.by_id
    seen = set()
    for table in export_kind(kind, "speechbrain", paths=paths).glob("*.csv"):
        data = _dataset(table, {"data_root": str(sets[kind])})
        names = [key for key in next(iter(data.data.values())) if key.endswith("_wav")]
        data.set_output_keys(["id", "duration", *names])
        for item in data:
            mixture = mixtures[item["id"]]
            seen.add(mixture.id)
            assert item["duration"] == mixture.duration_s
            _check_signals(dataio, item, rendered, mixture)
    assert seen == set(mixtures)


@pytest.mark.filterwarnings("ignore")
def test_speechbrain_keeps_the_mixtures_with_a_third_reference(
    export_kind: ExportKind, sets: dict[str, Path]
) -> None:
    data = _dataset(export_kind("counts", "speechbrain") / "any.csv", {})
    mixtures = load_set(sets["counts"]).manifest.mixtures
    kept = data.filtered_sorted(key_test={"s3_wav": bool}).data_ids
    assert kept == [mixture.id for mixture in mixtures if len(mixture.targets) == 3]
    assert 0 < len(kept) < len(mixtures)


def _check_signals(dataio: Any, item: dict[str, Any], rendered: Any, mixture: Any) -> None:
    references = rendered.load_references(mixture.id)
    for number, reference in enumerate([rendered.load_mixture(mixture.id), *references]):
        path = item[f"s{number}_wav" if number else "mix_wav"]
        signal = dataio.read_audio(path).numpy()
        np.testing.assert_array_equal(signal.reshape(mixture.frames, -1).T, reference)
    for name in ("far_end_wav", "noise_wav", "s1_enrolment_wav"):
        if item.get(name):
            assert len(dataio.read_audio(item[name])) == soundfile.info(item[name]).frames
