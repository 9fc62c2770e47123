"""Folders for Hugging Face's datasets: what they hold, and opened by the library itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.core.files import read_jsonl
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import write_manifest
from mixgen.render.set import render_set
from mixgen.sets.rendered import load_set
from tests.mixgen.conftest import Corpus, MakeRecipe
from tests.mixgen.export.conftest import KINDS, WORDS, ExportKind

WHY = "needs the package datasets, as in the environment of `make parity`"
BEFORE, AFTER = ["id", "sample_rate", "duration_s"], ["targets", "sources"]


def _head(folder: Path) -> dict[str, Any]:
    _, head, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    content: dict[str, Any] = yaml.safe_load(head)
    return content


@pytest.mark.parametrize(
    ("kind", "audio"),
    [
        ("clean", ["mixture", "s1", "s2"]),
        ("counts", ["mixture", "noise", "s1", "s2", "s3"]),
        ("degraded", ["mixture", "s1", "s2", "undegraded"]),
        ("echo", ["mixture", "echo", "echo_far_end", "s"]),
        ("songs", ["mixture", "bass", "drums", "other", "vocals"]),
    ],
)
def test_the_card_declares_every_column(
    export_kind: ExportKind, kind: str, audio: list[str]
) -> None:
    folder = export_kind(kind, "huggingface")
    features = _head(folder)["dataset_info"]["features"]
    assert [feature["name"] for feature in features if feature.get("dtype") == "audio"] == audio
    assert [feature["name"] for feature in features] == [*BEFORE, *audio, *AFTER]
    for table in (folder / "data").iterdir():
        for row in read_jsonl(table):
            assert list(row) == [*BEFORE, *audio, *AFTER]


def test_every_value(export_kind: ExportKind, sets: dict[str, Path]) -> None:
    rendered = load_set(sets["counts"])
    rows = read_jsonl(export_kind("counts", "huggingface") / "data" / "any.jsonl")
    for row, mixture in zip(rows, rendered.manifest.mixtures, strict=True):
        assert (row["id"], row["sample_rate"]) == (mixture.id, 8000)
        assert row["duration_s"] == mixture.duration_s
        assert row["targets"] == mixture.targets
        assert row["mixture"] == str(rendered.mixture_path(mixture.id).absolute())
        names = {source.name for source in mixture.sources}
        assert {name for name in ("s1", "s2", "s3", "noise") if row[name]} == names
        for source, record in zip(row["sources"], mixture.sources, strict=True):
            assert (source["name"], source["label"]) == (record.name, record.label)
            times = [(event.event_time, event.sounding_s, event.text) for event in record.events]
            assert [tuple(event.values()) for event in source["events"]] == times


def _render_splits(
    folder: Path, corpus: Corpus, speech_recipe: MakeRecipe, splits: list[str], name: str = "s"
) -> Path:
    group = {"name": name, "kind": "speech", "use": "independently"}
    rule = {"mixtures": 1, "sources": {}}
    recipe = speech_recipe(sources=[group], splits=dict.fromkeys(splits, rule))
    mixtures = draw_mixtures(recipe, corpus.rows, corpus.roots)
    write_manifest(folder / "m.jsonl", draw_header(recipe, corpus.rows), mixtures)
    render_set(folder / "m.jsonl", folder / "set", roots=corpus.roots)
    return folder / "set"


def test_splits_have_names_that_datasets_takes(
    export_kind: ExportKind, corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rendered = _render_splits(tmp_path, corpus, speech_recipe, ["train-100", "train.100"])
    for split in ("train-100", "train.100"):
        folder = export_kind(
            "clean", "huggingface", source=rendered, split=split, out=tmp_path / split
        )
        assert [path.name for path in (folder / "data").iterdir()] == ["train_100.jsonl"]
    with pytest.raises(InputError, match=r"Two splits of .* have one name in `datasets`"):
        export_kind("clean", "huggingface", source=rendered)


def test_a_source_may_not_have_the_name_of_a_column(
    export_kind: ExportKind, corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rendered = _render_splits(tmp_path, corpus, speech_recipe, ["any"], name="targets")
    with pytest.raises(InputError, match="has files called 'targets', which is another column"):
        export_kind("clean", "huggingface", source=rendered)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The library, without a network and with a cache of its own."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    library = pytest.importorskip("datasets", reason=WHY)
    monkeypatch.setattr(library.config, "HF_HUB_OFFLINE", True)
    library.disable_progress_bars()
    yield library
    library.enable_progress_bars()


def _without_decoding(library: Any, table: Any) -> Any:
    """Return a table whose Audio columns give paths; decoding would need torchcodec and ffmpeg."""
    for name, feature in table.features.items():
        if isinstance(feature, library.Audio):
            table = table.cast_column(name, library.Audio(decode=False))
    return table


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", [*KINDS, "songs", "rooms"])
def test_datasets_opens_the_folder(
    export_kind: ExportKind, sets: dict[str, Path], kind: str, offline: Any, tmp_path: Path
) -> None:
    folder, rendered = export_kind(kind, "huggingface"), load_set(sets[kind])
    tables = offline.load_dataset(str(folder), cache_dir=str(tmp_path / "cache"))
    mixtures = rendered.manifest.mixtures
    assert list(tables) == list(dict.fromkeys(mixture.split for mixture in mixtures))
    rows = {}
    for table in tables.values():
        audio = [n for n, f in table.features.items() if isinstance(f, offline.Audio)]
        assert set(audio) == {name for mixture in mixtures for name in mixture.file_names}
        rows.update({row["id"]: row for row in _without_decoding(offline, table)})
    assert list(rows) == [mixture.id for mixture in mixtures]
    for mixture in mixtures:
        row = rows[mixture.id]
        assert row["targets"] == mixture.targets
        for name in mixture.file_names:
            samples = read_audio(Path(row[name]["path"]))[0]
            assert samples.shape[1] > 0
        references = [read_audio(Path(row[name]["path"]))[0] for name in row["targets"]]
        expected = rendered.load_references(mixture.id)
        np.testing.assert_array_equal(np.reshape(references, expected.shape), expected)
        words = {e["text"] for s in row["sources"] if s["kind"] == "speech" for e in s["events"]}
        assert words <= {WORDS}


@pytest.mark.filterwarnings("ignore")
def test_datasets_keeps_the_audio_in_what_it_saves(
    export_kind: ExportKind, sets: dict[str, Path], offline: Any, tmp_path: Path
) -> None:
    folder, rendered = export_kind("counts", "huggingface"), load_set(sets["counts"])
    table = offline.load_dataset(str(folder), split="any", cache_dir=str(tmp_path / "cache"))
    table.save_to_disk(str(tmp_path / "saved"))
    saved = _without_decoding(offline, offline.load_from_disk(str(tmp_path / "saved")))
    for row, mixture in zip(saved, rendered.manifest.mixtures, strict=True):
        assert row["mixture"]["bytes"] == rendered.mixture_path(mixture.id).read_bytes()
        assert (row["s3"] is None) == (len(mixture.targets) < 3)


def test_the_tables_are_strict_json(export_kind: ExportKind) -> None:
    for table in (export_kind("noisy", "huggingface") / "data").iterdir():
        for line in table.read_text(encoding="utf-8").splitlines():
            assert json.loads(line, parse_constant=lambda name: pytest.fail(name))
