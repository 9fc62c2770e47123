"""Manifests for Lhotse: what they hold, and read back by Lhotse itself."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixgen.audio.read import read_audio
from mixgen.core.errors import InputError
from mixgen.core.files import read_jsonl
from mixgen.export.rttm import rttm_lines
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet, load_set
from tests.mixgen.export.conftest import KINDS, WORDS, ExportKind

WHY = "needs the package lhotse, as in the environment of `make parity`"
ALL_KINDS = [*KINDS, "songs", "rooms"]


def _items(folder: Path, kind: str, split: str) -> list[dict[str, Any]]:
    with gzip.open(folder / f"{kind}_{split}.jsonl.gz", "rt", encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _mixtures(rendered: RenderedSet, split: str) -> list[Mixture]:
    return [mixture for mixture in rendered.manifest.mixtures if mixture.split == split]


def test_every_split_has_three_manifests(export_kind: ExportKind) -> None:
    folder = export_kind("noisy", "lhotse")
    kinds = ("recordings", "supervisions", "cuts")
    names = {f"{kind}_{split}.jsonl.gz" for kind in kinds for split in ("train", "test")}
    assert {path.name for path in folder.iterdir()} == names | {"export.json"}
    assert [len(_items(folder, kind, "train")) for kind in kinds] == [5, 10, 5]
    cuts = _items(folder, "cuts", "train")
    assert [cut["recording"] for cut in cuts] == _items(folder, "recordings", "train")
    segments = [segment for cut in cuts for segment in cut["supervisions"]]
    assert segments == _items(folder, "supervisions", "train")


def test_no_manifest_is_empty(export_kind: ExportKind) -> None:
    """Lhotse reads an empty file as None."""
    folder = export_kind("splits", "lhotse")
    assert {path.name for path in folder.glob("*_none.jsonl.gz")} == {
        "cuts_none.jsonl.gz",
        "recordings_none.jsonl.gz",
    }


def test_supervisions_are_the_events_as_they_are_heard(
    export_kind: ExportKind, sets: dict[str, Path]
) -> None:
    segments = iter(_items(export_kind("turns", "lhotse"), "supervisions", "train"))
    for mixture in _mixtures(load_set(sets["turns"]), "train"):
        for source in mixture.sources:
            for event in source.events:
                segment = next(segments)
                assert segment["recording_id"] == mixture.id
                assert segment["start"] == event.event_time
                end_s = min(event.event_time + event.sounding_s, mixture.duration_s)
                assert segment["start"] + segment["duration"] == pytest.approx(end_s)
                assert (segment["speaker"], segment["text"]) == (source.label, WORDS)
                assert segment["custom"] == {
                    "source": source.name,
                    "role": "target",
                    "kind": "speech",
                }
    assert next(segments, None) is None


def test_an_echo_is_heard_after_its_delay(export_kind: ExportKind, sets: dict[str, Path]) -> None:
    """So it is in the other formats that have times."""
    cuts = _items(export_kind("echo", "lhotse"), "cuts", "any")
    table = read_jsonl(export_kind("echo", "huggingface") / "data" / "any.jsonl")
    mixtures = load_set(sets["echo"]).manifest.mixtures
    for cut, row, mixture in zip(cuts, table, mixtures, strict=True):
        (echo,) = (s for s in cut["supervisions"] if s["custom"]["role"] == "far_end")
        (source,) = (source for source in mixture.sources if source.echo)
        assert echo["start"] == pytest.approx(source.events[0].event_time + 0.1)
        assert echo["start"] + echo["duration"] <= mixture.duration_s + 1e-9
        assert {"echo", "echo_far_end"} <= set(cut["custom"])
        (event,) = next(s for s in row["sources"] if s["role"] == "far_end")["events"]
        assert (event["start_s"], event["duration_s"]) == (echo["start"], echo["duration"])
        talker = source.label.replace(" ", "_")
        (words,) = (line.split() for line in rttm_lines(mixture) if talker in line.split())
        times = [float(word) for word in words[3:5]]
        assert times == pytest.approx([echo["start"], echo["duration"]], abs=1e-4)


def test_a_source_may_not_have_the_name_of_a_field(
    export_kind: ExportKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mixgen.export.lhotse._TARGETS", "s2")
    with pytest.raises(InputError, match="has a file 's2', which is the name of a field"):
        export_kind("noisy", "lhotse")
    assert list(tmp_path.iterdir()) == []


def _check_audio(cut: Any, rendered: RenderedSet, mixture: Mixture) -> None:
    np.testing.assert_array_equal(cut.load_audio(), rendered.load_mixture(mixture.id))
    assert cut.target_names == mixture.targets
    if mixture.targets:
        references = rendered.load_references(mixture.id).reshape(-1, mixture.frames)
        np.testing.assert_array_equal(cut.load_target_recording(), references)
    for name in set(mixture.file_names) - {"mixture"}:
        samples = read_audio(rendered.reference_path(mixture.id, name))[0]
        np.testing.assert_array_equal(cut.load_custom(name), samples)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_lhotse_reads_everything_back(
    export_kind: ExportKind, sets: dict[str, Path], kind: str
) -> None:
    lhotse = pytest.importorskip("lhotse", reason=WHY)
    rendered, folder = load_set(sets[kind]), export_kind(kind, "lhotse")
    for split in {mixture.split for mixture in rendered.manifest.mixtures}:
        recordings = lhotse.RecordingSet.from_file(folder / f"recordings_{split}.jsonl.gz")
        cuts = lhotse.CutSet.from_file(folder / f"cuts_{split}.jsonl.gz")
        lhotse.validate(recordings, read_data=True)
        if split != "none":  # of talkers
            segments = lhotse.SupervisionSet.from_file(folder / f"supervisions_{split}.jsonl.gz")
            lhotse.validate_recordings_and_supervisions(recordings, segments)
        lhotse.validate(cuts)
        mixtures = _mixtures(rendered, split)
        for cut, mixture in zip(cuts, mixtures, strict=True):
            assert cut.id == mixture.id
            assert type(cut).__name__ == ("MonoCut" if mixture.channels == 1 else "MultiCut")
            _check_audio(cut, rendered, mixture)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ALL_KINDS)
def test_lhotse_writes_the_same_again(export_kind: ExportKind, kind: str, tmp_path: Path) -> None:
    """It drops nothing, adds nothing, and takes every field for what it is."""
    lhotse = pytest.importorskip("lhotse", reason=WHY)
    for path in export_kind(kind, "lhotse").glob("*.jsonl.gz"):
        manifest = {"cuts": "CutSet", "recordings": "RecordingSet"}.get(
            path.name.split("_")[0], "SupervisionSet"
        )
        getattr(lhotse, manifest).from_file(path).to_file(tmp_path / "again.jsonl.gz")
        with gzip.open(path, "rt") as ours, gzip.open(tmp_path / "again.jsonl.gz", "rt") as theirs:
            for a, b in zip(ours, theirs, strict=True):
                assert json.loads(a) == json.loads(b)


@pytest.mark.filterwarnings("ignore")
def test_references_are_cut_with_the_mixture(
    export_kind: ExportKind, sets: dict[str, Path]
) -> None:
    lhotse = pytest.importorskip("lhotse", reason=WHY)
    rendered = load_set(sets["noisy"])
    cuts = lhotse.CutSet.from_file(export_kind("noisy", "lhotse") / "cuts_train.jsonl.gz")
    for cut in cuts:
        part = cut.truncate(offset=0.25, duration=0.5)
        references = rendered.load_references(cut.id)[:, 0, 2000:6000]
        np.testing.assert_array_equal(part.load_target_recording(), references)


@pytest.mark.filterwarnings("ignore")
def test_lhotse_makes_batches_of_mixtures_and_references(export_kind: ExportKind) -> None:
    """As datasets for separation do, among them NeMo's LhotseAudioToTargetDataset."""
    lhotse = pytest.importorskip("lhotse", reason=WHY)
    collation = pytest.importorskip("lhotse.dataset.collation", reason=WHY)
    cuts = lhotse.CutSet.from_file(export_kind("noisy", "lhotse") / "cuts_train.jsonl.gz")
    mixtures, lengths = collation.collate_audio(cuts.to_eager())
    assert (mixtures.shape, set(lengths.tolist())) == ((5, 6400), {6400})
    references, _ = collation.collate_audio(cuts.to_eager(), recording_field="target_recording")
    assert references.shape == (5, 2, 6400)


@pytest.mark.filterwarnings("ignore")
def test_relative_paths_begin_at_the_set(
    export_kind: ExportKind, sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    lhotse = pytest.importorskip("lhotse", reason=WHY)
    folder = export_kind("noisy", "lhotse", paths="relative")
    cut = next(iter(lhotse.CutSet.from_file(folder / "cuts_train.jsonl.gz")))
    assert cut.recording.sources[0].source == f"{cut.id}/mixture.flac"
    monkeypatch.chdir(sets["noisy"])
    _check_audio(cut, load_set(sets["noisy"]), load_set(sets["noisy"]).manifest.by_id[cut.id])
