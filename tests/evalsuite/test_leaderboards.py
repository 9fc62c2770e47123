"""Shipped leaderboards: what they say can be made again, and holds nothing of one machine."""

import csv
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evalsuite.run import run
from mixgen.manifest.file import read_manifest
from mixgen.render.set import render_set

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "evalsuite" / "leaderboards"
BOARDS = sorted(path.stem for path in FOLDER.glob("*.csv") if path.with_suffix(".md").is_file())
MACHINE = re.compile(r"(?<![\w.$:/])/(?:home|root|tmp|work|usr|opt|Users|data|mnt)\b")


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(name: str) -> list[dict[str, str]]:
    return rows_of(f"{name}_files")


def test_there_are_leaderboards() -> None:
    assert BOARDS


@pytest.mark.parametrize("name", BOARDS)
def test_files_hold_no_path_of_a_machine(name: str) -> None:
    for path in FOLDER.glob(f"{name}*"):
        assert MACHINE.search(path.read_text(encoding="utf-8")) is None, path


@pytest.mark.parametrize("name", BOARDS)
def test_rows_say_what_made_them(name: str) -> None:
    rows = rows_of(name)
    manifest = read_manifest(FOLDER / f"{name}_manifest.jsonl")
    assert {row["manifest_sha256"] for row in rows} == {manifest.sha256}
    page = (FOLDER / f"{name}.md").read_text(encoding="utf-8")
    for row in rows:
        assert re.fullmatch(r"[0-9a-f]{40}(-dirty)?", row["commit"]), row["model"]
        assert f"| `{row['model']}` |" in page
        if row["trained_minutes"]:
            assert 0 < float(row["trained_minutes"]) < 61
            assert int(row["trained_steps"]) > 0
            assert f"baselines train {row['model']} --manifest train.jsonl" in page


def uses(value: Any) -> Iterator[tuple[str, str, str]]:
    if isinstance(value, dict):
        if {"corpus", "path", "sha256"} <= value.keys():
            yield value["corpus"], value["path"], value["sha256"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from uses(part)


@pytest.mark.parametrize("name", BOARDS)
def test_every_scored_recording_is_listed_with_its_origin(name: str) -> None:
    listed = {(row["corpus"], row["path"], row["sha256"]): row for row in files_of(name)}
    lines = (FOLDER / f"{name}_manifest.jsonl").read_text(encoding="utf-8").splitlines()
    scored = {use for line in lines for use in uses(json.loads(line))}
    assert scored
    for use in scored:
        row = listed[use]
        assert "test" in row["used_for"].split()
        assert row["repository"].startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{40}", row["commit"])
        assert row["licence"]


@pytest.mark.parametrize("name", BOARDS)
def test_no_scored_talker_or_song_was_trained_on(name: str) -> None:
    """A file of speech or music is either scored or learnt from."""
    for row in files_of(name):
        assert row["used_for"] in ("train", "test"), row["path"]


@pytest.mark.parametrize("name", BOARDS)
def test_the_row_of_the_mixture_is_scored_again(name: str, real_data: Path, tmp_path: Path) -> None:
    """Every recording has its hash, the manifest renders, and the scores are those of the file."""
    roots = {row["corpus"]: real_data / row["folder"] for row in files_of(name) if row["folder"]}
    missing = [str(root) for root in roots.values() if not root.is_dir()]
    if missing:
        pytest.skip(f"needs the recordings in {missing[0]}")
    shipped = [row for row in rows_of(name) if row["model"] == "mixture"]
    assert shipped
    render_set(FOLDER / f"{name}_manifest.jsonl", tmp_path / name, roots=roots)
    for row in shipped:
        scored = run(
            sets=[tmp_path / name],
            systems=["mixture"],
            out=tmp_path / row["split"],
            split=row["split"],
            metrics=["si_sdr"],
        )
        (again,) = scored.rows
        assert again["n"] == int(row["n"])
        assert again["si_sdr_mean"] == pytest.approx(float(row["si_sdr_mean"]), abs=0.01)


def test_every_board_can_be_read() -> None:
    script = REPOSITORY / "benchmarks" / "leaderboards.py"
    ended = subprocess.run(
        [sys.executable, str(script), "--plan"],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": ""},
    )
    planned = {line.split()[0] for line in ended.stdout.splitlines()}
    boards = {path.stem for path in (REPOSITORY / "benchmarks/boards").glob("*.yaml")}
    assert planned == {name for name in boards if not name.endswith("_recipe")} | {"all"}
    wanted = {"two_talkers", "noisy_two_talkers", "unknown_counts", "songs", "echo"}
    assert wanted | {"dereverberation"} <= planned
