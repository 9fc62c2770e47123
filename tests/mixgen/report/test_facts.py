"""The numbers of a report, against counted manifests and against rows summed in another way."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mixgen.core import progress
from mixgen.report import make_report
from mixgen.sets.rendered import open_rendered, write_rendered
from tests.mixgen.report.conftest import Build, FactsIn, FactsOf, ManifestOf


@pytest.fixture
def small_facts(build: Build, facts_of: FactsOf) -> dict[str, Any]:
    """The facts of two mixtures for training and an empty one for testing.

    In train-0, Ann speaks (a1, once) and Bob (b1, twice) over rain; in train-1, Ann speaks (a1).
    """
    ann = build.source("s1", "ann", build.event("ann/a1.wav", licence="CC BY"))
    bob = build.source("s2", "bob", build.event("b1.wav"), build.event("b1.wav", event_time=0.2))
    rain = build.source(
        "noise",
        "rain",
        build.event("rain.wav", corpus="noises", event_duration=2.0, snr=-5.0, licence=""),
        role="background",
        kind="noise",
        gain={"rule": "energy"},
    )
    return facts_of(
        build.mixture("train-0", ann, bob, rain),
        build.mixture("train-1", ann, seconds=1.6),
        build.mixture("test-0", sample_rate=16000, frames=16000),
    )


def test_splits_are_counted(small_facts: dict[str, Any]) -> None:
    train, test = small_facts["splits"]
    assert (train["split"], train["mixtures"], train["events"]) == ("train", 2, 5)
    assert train["hours"] == 0.001  # 3.6 s
    assert train["sources_per_mixture"] == {"1": 1, "3": 1}
    assert train["targets_per_mixture"] == {"1": 1, "2": 1}
    assert test["sources_per_mixture"] == {"0": 1}
    assert small_facts["total"]["sample_rates"] == {"8000": 2, "16000": 1}
    assert small_facts["total"]["mixtures"] == 3


def test_uses_are_counted(small_facts: dict[str, Any]) -> None:
    uses = {(row["kind"], row["of"]): row for row in small_facts["usage"]}
    files = uses["speech", "files"]
    assert (files["names"], files["uses"], files["min"], files["max"]) == (2, 4, 2, 2)
    labels = uses["speech", "labels"]
    assert labels["most"] == [{"name": "ann", "uses": 2}, {"name": "bob", "uses": 1}]
    assert labels["least"][0] == {"name": "bob", "uses": 1}
    assert labels["histogram"] == {"width": 1.0, "first": 1.0, "counts": {"uses": [1, 1]}}
    assert uses["noise", "files"]["most"] == [{"name": "noises/rain.wav", "uses": 1}]


def test_licences_are_summed(small_facts: dict[str, Any]) -> None:
    sums = ("mixtures", "files", "uses", "hours")
    assert {row["licence"]: [row[key] for key in sums] for row in small_facts["licences"]} == {
        "": [1, 1, 1, 0.0006],  # 2 s
        "CC BY": [2, 1, 2, 0.0008],  # 3 s
        "CC0": [1, 1, 2, 0.0008],
    }
    assert [row["terms"] for row in small_facts["licences"]] == ["not_stated", "free", "free"]
    assert [row["corpus"] for row in small_facts["corpora"]] == ["corpus", "corpus", "noises"]
    assert any("No licence is stated for 1 file" in f["text"] for f in small_facts["findings"])


def test_a_manifest_alone_has_requested_values_only(small_facts: dict[str, Any]) -> None:
    quantities = {(row["of"], row["name"]): row for row in small_facts["quantities"]}
    level = quantities["target, lufs", "level_db"]
    assert level["unit"] == "LUFS"
    # Ann twice and Bob, in both of his events, at -30 + 3.
    assert level["splits"][0]["files"] == 3
    assert level["splits"][0]["requested"] == {"n": 3, "min": -27.0, "mean": -27.0, "max": -27.0}
    assert level["splits"][0]["measured"] is None
    noise = quantities["background, energy", "level_db"]
    assert (noise["unit"], noise["splits"][0]["requested"]["mean"]) == ("dB", -35.0)
    duration = quantities["mixture", "duration_s"]["splits"][0]["requested"]
    assert duration == {"n": 2, "min": 1.6, "mean": 1.8, "max": 2.0}
    # Ann for 1.5 s, and Bob from the start to 1.7 s; then Ann alone.
    overlap = quantities["mixture", "overlap"]["splits"][0]["requested"]
    assert (overlap["min"], overlap["max"]) == (0.0, pytest.approx(1.5 / 1.7, abs=0.01))
    assert not small_facts["set"]["rendered"]
    assert small_facts["examples"] == []


def test_short_lengths_are_minutes_and_seconds(small_facts: dict[str, Any], tmp_path: Path) -> None:
    texts = [finding["text"] for finding in small_facts["findings"]]
    assert any("1 file(s), 0:02 min: state it" in text for text in texts)
    assert small_facts["total"]["hours"] == 0.0013  # 4.6 s
    page = (tmp_path / "report" / "report.html").read_text()
    assert "<b>0:05 min</b>" in page
    assert "0.00 h" not in page


def test_progress_has_a_total(
    build: Build,
    facts_of: FactsOf,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    facts_of(build.mixture("train-0"), build.mixture("train-1"))
    assert "reading mixtures: 1 of 2" in capsys.readouterr().err


def test_room_responses_are_files_with_licences(build: Build, facts_of: FactsOf) -> None:
    response = {"corpus": "rirs", "path": "hall.wav", "sha256": "f" * 64, "licence": "CC BY"}
    talker = build.source("s1", "ann", build.event("a.wav"), room=response, references=["dry"])
    facts = facts_of(build.mixture("train-0", talker, room={"name": "hall"}))
    row = next(row for row in facts["licences"] if row["licence"] == "CC BY")
    assert (row["mixtures"], row["files"], row["uses"], row["hours"]) == (1, 1, 1, 0.0)
    assert [row["names"] for row in facts["usage"] if row["kind"] == "rir"] == [1]


def test_rendered_rows_are_summed(kept_set: Path, facts_in: FactsIn, tmp_path: Path) -> None:
    make_report(kept_set, tmp_path, examples=0)
    facts = facts_in(tmp_path)
    rows = list(open_rendered(kept_set))
    mixtures = [row for row in rows if row.name == "mixture"]
    assert facts["total"]["rendered"] == facts["total"]["mixtures"] == len(mixtures) == 7
    quantities = {(row["of"], row["name"]): row for row in facts["quantities"]}

    targets = [row for row in rows if row.name in ("s1", "s2") and row.id.startswith("train")]
    requested = np.array([row.requested["snr_db"] for row in targets])
    measured = np.array([row.measured["snr_db"] for row in targets])
    difference = np.abs(requested - measured)
    snr = quantities["target, lufs", "snr_db"]["splits"][0]
    assert snr["requested"]["mean"] == pytest.approx(requested.mean(), abs=1e-4)
    assert snr["measured"]["min"] == pytest.approx(measured.min(), abs=1e-4)
    assert snr["largest_difference"] == {
        "value": pytest.approx(difference.max(), abs=1e-4),
        "file": targets[int(difference.argmax())].path,
    }

    overlap = quantities["mixture", "overlap"]["histogram"]["counts"]
    assert sum(overlap["requested"]) == sum(overlap["measured"]) == 7
    gains = [row.clip_gain_db for row in mixtures if row.id.startswith("train")]
    clip_gain = quantities["mixture", "clip_gain_db"]["splits"][0]["measured"]
    assert clip_gain["min"] == pytest.approx(min(gains), abs=1e-4)
    assert set(quantities["target, lufs", "energy_ratio_db"]["histogram"]["counts"]) == {"measured"}


def test_null_values_count_as_files_without_a_value(
    kept_set: Path, facts_in: FactsIn, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    rendered = open_rendered(folder)
    header, rows = rendered.header, list(rendered)
    nothing = {"measured": {"level_db": None, "snr_db": None, "energy_ratio_db": None}}
    silent = [row.model_copy(update=nothing) if row.name == "s1" else row for row in rows]
    write_rendered(folder, header, silent)
    make_report(folder, tmp_path, examples=1)
    quantities = {(row["of"], row["name"]): row for row in facts_in(tmp_path)["quantities"]}
    train = quantities["target, lufs", "level_db"]["splits"][0]
    assert (train["files"], train["requested"]["n"], train["measured"]["n"]) == (10, 10, 5)


def test_mixtures_that_failed_to_render_are_errors(
    kept_set: Path, facts_in: FactsIn, tmp_path: Path
) -> None:
    folder = tmp_path / "set"
    shutil.copytree(kept_set, folder)
    rendered = open_rendered(folder)
    header, rows = rendered.header, list(rendered)
    write_rendered(folder, header, [row for row in rows if row.id != rows[0].id])
    make_report(folder, tmp_path, examples=1)
    facts = facts_in(tmp_path)
    assert facts["total"]["rendered"] == 6
    errors = [found["text"] for found in facts["findings"] if found["severity"] == "error"]
    assert any("1 of 7 mixtures are not completely rendered" in text for text in errors)
    problems = {file["problem"] for file in facts["examples"][0]["files"]}
    assert problems == {"This file is not rendered."}


def test_known_layouts_are_cited(manifest_of: ManifestOf, build: Build, tmp_path: Path) -> None:
    path = manifest_of(build.mixture("train-0"))
    header, record = (json.loads(line) for line in path.read_text().splitlines())
    header["layouts"] = {"libri": "librispeech", "mine": "folder", "later": "a layout to come"}
    path.write_text(f"{json.dumps(header)}\n{json.dumps(record)}\n")
    make_report(path, tmp_path / "report")
    (cited,) = json.loads((tmp_path / "report" / "report.json").read_text())["citations"]
    assert cited["corpus"] == "libri"
    assert "Panayotov" in cited["citation"]
    page = (tmp_path / "report" / "report.html").read_text()
    assert "libri: Panayotov et al., Librispeech" in page
