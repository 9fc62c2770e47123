"""Lists for Asteroid: those of LibriMix and WHAM, and read back by its own datasets."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest

from mixgen.core.errors import InputError
from mixgen.sets.rendered import RenderedSet, load_set
from tests.mixgen.export.conftest import ExportKind

WHY = "needs the package asteroid, as in the environment of `make parity`"


@pytest.mark.parametrize(
    ("kind", "split", "name", "columns"),
    [
        ("clean", "train", "mix_clean", ["source_1_path", "source_2_path"]),
        ("noisy", "test", "mix_both", ["source_1_path", "source_2_path", "noise_path"]),
        ("rooms", "test", "mix_both", ["source_1_path", "source_2_path", "noise_path"]),
        ("degraded", "test", "mix_both", ["source_1_path", "source_2_path"]),
        ("turns", "test", "mix_clean", ["source_1_path", "source_2_path"]),
        ("echo", "any", "mix_single", ["source_1_path", "noise_path"]),
        (
            "counts",
            "any",
            "mix_both",
            ["source_1_path", "source_2_path", "source_3_path", "noise_path"],
        ),
    ],
)
def test_the_table_is_that_of_librimix(
    export_kind: ExportKind, kind: str, split: str, name: str, columns: list[str]
) -> None:
    folder = export_kind(kind, "asteroid") / "librimix" / split
    (path,) = folder.iterdir()
    assert path.name == f"mixture_{split}_{name}.csv"
    table = pandas.read_csv(path)
    assert list(table) == ["mixture_ID", "mixture_path", *columns, "length"]
    assert all(Path(mixture).is_absolute() for mixture in table["mixture_path"])


def test_every_cell_and_entry(export_kind: ExportKind, sets: dict[str, Path]) -> None:
    rendered, out = load_set(sets["counts"]), export_kind("counts", "asteroid")
    table = pandas.read_csv(out / "librimix/any/mixture_any_mix_both.csv")
    names = ("mix", "mix_both", "s1", "s2", "s3", "noise")
    lists = {name: json.loads((out / f"wham/any/{name}.json").read_text()) for name in names}
    assert sorted(path.stem for path in (out / "wham" / "any").iterdir()) == sorted(names)
    assert lists["mix"] == lists["mix_both"]
    for place, mixture in enumerate(rendered.manifest.mixtures):
        row = table.iloc[place]
        assert (row["mixture_ID"], row["length"]) == (mixture.id, mixture.frames)
        path = str(rendered.mixture_path(mixture.id).absolute())
        assert lists["mix"][place] == [row["mixture_path"], mixture.frames]
        assert row["mixture_path"] == path
        for number in (1, 2, 3):
            entry, cell = lists[f"s{number}"][place], row[f"source_{number}_path"]
            if number <= len(mixture.targets):
                target = rendered.reference_path(mixture.id, mixture.targets[number - 1])
                assert entry == [str(target.absolute()), mixture.frames]
                assert cell == entry[0]
            else:
                assert entry is None
                assert pandas.isna(cell)


def test_an_enrolment_has_its_own_length(export_kind: ExportKind) -> None:
    out = export_kind("enrolment", "asteroid")
    entries = json.loads((out / "wham/train/s1_enrolment.json").read_text())
    mixtures = json.loads((out / "wham/train/mix.json").read_text())
    assert {samples for _, samples in mixtures} == {6400}
    assert {samples for _, samples in entries} != {6400}
    assert all(Path(path).is_file() for path, _ in entries)


def test_several_channels_are_refused(export_kind: ExportKind, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has 2 channels, and Asteroid's datasets read files of"):
        export_kind("songs", "asteroid")
    assert list(tmp_path.iterdir()) == []


def _check(pairs: Any, rendered: RenderedSet, split: str, most: int) -> None:
    mixtures = [mixture for mixture in rendered.manifest.mixtures if mixture.split == split]
    assert len(pairs) == len(mixtures)
    for (mixture, sources), record in zip(pairs, mixtures, strict=True):
        np.testing.assert_array_equal(mixture.numpy()[None], rendered.load_mixture(record.id))
        expected = np.zeros((most, record.frames))
        expected[: len(record.targets)] = rendered.load_references(record.id)[:, 0]
        np.testing.assert_array_equal(sources.numpy(), expected)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("kind", "task", "split"),
    [
        ("clean", "sep_clean", "train"),
        ("noisy", "sep_noisy", "test"),
        ("degraded", "sep_noisy", "train"),
        ("rooms", "sep_noisy", "train"),
        ("echo", "enh_single", "any"),
    ],
)
def test_asteroid_reads_tables_back(
    export_kind: ExportKind, sets: dict[str, Path], kind: str, task: str, split: str
) -> None:
    data = pytest.importorskip("asteroid.data", reason=WHY)
    folder, most = export_kind(kind, "asteroid"), 1 if task == "enh_single" else 2
    path = str(folder / "librimix" / split)
    dataset = data.LibriMix(path, task=task, sample_rate=8000, n_src=most, segment=None)
    _check([dataset[i] for i in range(len(dataset))], load_set(sets[kind]), split, most)
    path = str(folder / "wham" / split)
    dataset = data.WhamDataset(path, task=task, sample_rate=8000, segment=None)
    _check([dataset[i] for i in range(len(dataset))], load_set(sets[kind]), split, most)


@pytest.mark.filterwarnings("ignore")
def test_asteroid_reads_different_numbers_of_sources_back(
    export_kind: ExportKind, sets: dict[str, Path]
) -> None:
    data = pytest.importorskip("asteroid.data", reason=WHY)
    path = str(export_kind("counts", "asteroid") / "wham" / "any")
    dataset = data.wsj0_mix.Wsj0mixDataset(path, n_src=3, segment=None)
    _check([dataset[i] for i in range(len(dataset))], load_set(sets["counts"]), "any", 3)
