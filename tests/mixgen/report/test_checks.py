"""Checks find silence, missed levels and overlaps, implausible rooms; the worst is an example."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixgen.report import make_report
from mixgen.sets.rendered import FileRow, open_rendered, write_rendered
from tests.mixgen.report.conftest import FactsIn
from tests.pages import Page

Change = Callable[[FileRow], dict[str, Any]]


@pytest.fixture
def changed_set(kept_set: Path, tmp_path: Path) -> Callable[[Change], Path]:
    """Copies the tiny set, and changes what is recorded of its files."""

    def change(changes: Change) -> Path:
        folder = tmp_path / "set"
        shutil.copytree(kept_set, folder)
        rendered = open_rendered(folder)
        header, rows = rendered.header, list(rendered)
        write_rendered(folder, header, [row.model_copy(update=changes(row)) for row in rows])
        return folder

    return change


def _only(name: str, **values: Any) -> Change:
    """Return what changes the files of a name in the first two mixtures of train."""
    ids = ("train-000000", "train-000001")
    return lambda row: values if row.name == name and row.id in ids else {}


def _measured(**values: float | None) -> Change:
    """Return what changes measured values of s1 and of the mixture in the first two mixtures."""

    def change(row: FileRow) -> dict[str, Any]:
        known = {key: value for key, value in values.items() if key in row.measured}
        first = row.id in ("train-000000", "train-000001") and row.name in ("s1", "mixture")
        return {"measured": row.measured | known} if first else {}

    return change


def test_the_tiny_set_passes(kept_set: Path, tmp_path: Path, facts_in: FactsIn) -> None:
    make_report(kept_set, tmp_path)
    facts = facts_in(tmp_path)
    judged = {check["name"]: check["judged"] for check in facts["checks"]}
    assert judged == {
        "files": 28,
        "silent targets": 14,
        "faint targets": 14,
        "level": 21,
        "overlap": 7,
        "clip rule": 7,
    }
    assert all(check["failed"] == 0 for check in facts["checks"] if check["name"] != "overlap")
    (checked,) = [f for f in facts["findings"] if f["text"].startswith("Checked")]
    assert checked["severity"] == "good"
    assert "every file has the bytes that were rendered; every target sounds" in checked["text"]


@pytest.mark.parametrize(
    ("change", "check", "text"),
    [
        (
            _measured(level_db=None),
            "silent targets",
            "2 of 14 targets are silent; the worst is train-000000/s1.flac: no sound. Most metrics "
            "are not defined there: look at the excerpts that were drawn.",
        ),
        (
            _only("s2", peak=0.0),
            "silent targets",
            "2 of 14 targets are silent; the worst is train-000000/s2.flac: no sound. Most metrics "
            "are not defined there: look at the excerpts that were drawn.",
        ),
        (
            _only("s2", peak=0.0005),
            "faint targets",
            "2 of 14 targets are nearly silent (a peak below −60 dB, or 30 dB below the rest); the "
            "worst is train-000000/s2.flac: a peak of 0.000500.",
        ),
        (
            _measured(energy_ratio_db=-41.0),
            "faint targets",
            "2 of 14 targets are nearly silent (a peak below −60 dB, or 30 dB below the rest); the "
            "worst is train-000000/s1.flac: 41 dB below all other sources.",
        ),
        (
            _only("mixture", clip_gain_db=-7.0),
            "clip rule",
            "2 of 7 mixtures are turned down by more than 6 dB by the joint clip rule; the worst "
            "is train-000000/mixture.flac: 7.0 dB. With a lower `reference_db` in the recipe, "
            "levels stay as they are drawn.",
        ),
    ],
)
def test_what_fails_is_a_finding_with_an_example(
    changed_set: Callable[[Change], Path],
    tmp_path: Path,
    facts_in: FactsIn,
    change: Change,
    check: str,
    text: str,
) -> None:
    page = Page(make_report(changed_set(change), tmp_path / "report", examples=1))
    facts = facts_in(tmp_path / "report")
    (finding,) = [f for f in facts["findings"] if f["text"] == text]
    assert (finding["severity"], finding["mixture"]) == ("warning", "train-000000")
    (example,) = [e for e in facts["examples"] if check in e["worst"]]
    assert example["id"] == "train-000000"
    place = f"e{facts['examples'].index(example) + 1}"
    assert {"href": f"#{place}", "class": "see"} in page.having("href", "class")
    assert place in [attrs["id"] for attrs in page.having("id")]


@pytest.mark.parametrize(
    ("quantity", "requested", "measured", "failed"),
    [
        ("overlap", 0.88, 0.70, True),
        ("overlap", 0.80, 0.70, False),
        ("level_db", -30.0, -31.1, True),
        ("level_db", -30.0, -30.9, False),
        ("t60_s", 0.4, 0.55, True),
        ("t60_s", 0.1, 0.18, False),
        ("t60_s", None, 8.34, True),
        ("t60_s", None, 3.0, False),
        ("t60_s", 8.0, 8.34, True),
        ("t60_s", 0.4, None, False),
    ],
)
def test_requested_values_are_missed_by_much(
    changed_set: Callable[[Change], Path],
    tmp_path: Path,
    facts_in: FactsIn,
    quantity: str,
    requested: float | None,
    measured: float | None,
    failed: bool,
) -> None:
    name = "mixture" if quantity == "overlap" else "s1"

    def change(row: FileRow) -> dict[str, Any]:
        if row.name != name:
            return {"measured": {}, "requested": {}}
        return {"measured": {quantity: measured}, "requested": {quantity: requested}}

    make_report(changed_set(change), tmp_path / "report", examples=0)
    names = {"overlap": "overlap", "level_db": "level", "t60_s": "reverberation time"}
    facts = facts_in(tmp_path / "report")
    (check,) = [c for c in facts["checks"] if c["name"] == names[quantity]]
    assert (check["judged"], check["failed"]) == (7, 7 if failed else 0)
    assert facts["examples"] == []


def test_the_worst_come_first_and_twenty_are_listed(
    changed_set: Callable[[Change], Path], tmp_path: Path, facts_in: FactsIn
) -> None:
    def change(row: FileRow) -> dict[str, Any]:
        off_db = 2.0 + int(row.id[-1]) + (0.5 if row.name == "s2" else 0.0)
        level_db = row.requested.get("level_db")
        return {} if level_db is None else {"measured": {"level_db": level_db - off_db}}

    make_report(changed_set(change), tmp_path / "report", examples=1)
    facts = facts_in(tmp_path / "report")
    (check,) = [c for c in facts["checks"] if c["name"] == "level"]
    assert (check["judged"], check["failed"], len(check["worst"])) == (21, 21, 20)
    assert check["worst"][0]["path"] == "train-000004/s2.flac"
    assert [e["id"] for e in facts["examples"] if "level" in e["worst"]] == ["train-000004"]
    ids = [example["id"] for example in facts["examples"]]
    assert len(ids) == len(set(ids))
