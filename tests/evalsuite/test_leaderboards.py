"""Shipped leaderboards: what they say can be made again, and holds nothing of one machine."""

import csv
import importlib
import re
from collections import defaultdict
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
import yaml

from evalsuite.run import run
from evalsuite.scoring.folder import ScoreFolder
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.manifest.uses import file_uses
from mixgen.recipe.read import find_recipe, read_recipe
from mixgen.render.set import render_set

REPOSITORY = Path(__file__).parents[2]
FOLDER = REPOSITORY / "evalsuite" / "leaderboards"
BOARDS = sorted(path.stem for path in FOLDER.glob("*.csv") if path.with_suffix(".md").is_file())
RESCORED = 3
MACHINE = re.compile(r"(?<![\w.$:/])/(?:home|root|tmp|work|usr|opt|Users|data|mnt)\b")


def rows_of(name: str) -> list[dict[str, str]]:
    with (FOLDER / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def files_of(name: str) -> list[dict[str, str]]:
    return rows_of(f"{name}_files")


def test_there_are_leaderboards() -> None:
    assert BOARDS


def test_the_columns_of_pages_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    shown = importlib.import_module("leaderboard_pages").SHOWN
    assert set(shown) <= {column for name in BOARDS for column in rows_of(name)[0]}


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
            made = f"baselines train {re.escape(row['model'])} --(manifest train.jsonl|set train) "
            assert re.search(made, page)


@pytest.mark.parametrize("name", BOARDS)
def test_every_scored_recording_is_listed_with_its_origin(name: str) -> None:
    listed = {(row["corpus"], row["path"], row["sha256"]): row for row in files_of(name)}
    manifest = read_manifest(FOLDER / f"{name}_manifest.jsonl")
    uses = [use for mixture in manifest.mixtures for use in file_uses(mixture)]
    scored = {(use.corpus, use.path, use.sha256) for use in uses}
    assert scored
    for use in scored:
        row = listed[use]
        assert "test" in row["used_for"].split()
        assert row["repository"].startswith("https://")
        assert re.fullmatch(r"[0-9a-f]{40}", row["commit"])
        assert row["licence"]


@pytest.mark.parametrize("name", BOARDS)
def test_no_scored_recording_was_trained_on(name: str) -> None:
    """A file is either scored or learnt from; talkers have folders of their own."""
    for row in files_of(name):
        assert row["used_for"] in ("train", "test"), row["path"]


@pytest.mark.parametrize("name", BOARDS)
def test_the_row_of_the_mixture_is_the_mean_of_its_mixtures(name: str) -> None:
    mixtures = [row for row in rows_of(name) if row["model"] == "mixture"]
    assert any(row["si_sdr_n"] for row in mixtures)
    for row in mixtures:
        scores = defaultdict(list)
        for item in rows_of(f"{name}_mixture"):
            if item["split"] == row["split"]:
                scores[item["id"]].append(float(item["si_sdr"]))
        assert len(scores) == int(row["si_sdr_n"] or 0)  # of a far end alone there is no reference
        if scores:
            mean = fmean(fmean(values) for values in scores.values())
            assert mean == pytest.approx(float(row["si_sdr_scored_mean"]), abs=1e-6)


@pytest.mark.parametrize("name", BOARDS)
def test_the_row_of_the_mixture_is_scored_again(name: str, real_data: Path, tmp_path: Path) -> None:
    """The first mixtures render from recordings with the listed hashes, and score as shipped."""
    roots = {row["corpus"]: real_data / row["folder"] for row in files_of(name) if row["folder"]}
    missing = [str(root) for root in roots.values() if not root.is_dir()]
    if missing:
        pytest.skip(f"needs the recordings in {missing[0]}")
    shipped = {
        (row["id"], row["reference"]): float(row["si_sdr"]) for row in rows_of(f"{name}_mixture")
    }
    whole = read_manifest(FOLDER / f"{name}_manifest.jsonl")
    known = {mixture_id for mixture_id, _ in shipped}
    chosen = [mixture for mixture in whole.mixtures if mixture.id in known][:RESCORED]
    assert len(chosen) == RESCORED
    split = chosen[0].split
    chosen = [mixture for mixture in chosen if mixture.split == split]
    header = whole.header.model_copy(update={"mixtures": len(chosen)})
    write_manifest(tmp_path / "part.jsonl", header, chosen)
    render_set(tmp_path / "part.jsonl", tmp_path / "set", roots=roots)
    scored = run(
        sets=[tmp_path / "set"],
        systems=["mixture"],
        out=tmp_path / "out",
        split=split,
        metrics=["si_sdr"],
    )
    items = [item for item in ScoreFolder(scored.scores[0]).items if item.reference is not None]
    assert items
    for item in items:
        expected = shipped[item.id, item.reference]
        assert item.values["si_sdr"] == pytest.approx(expected, abs=0.01), item.id


@pytest.fixture
def board_module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module of benchmarks that reads boards."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    return importlib.import_module("board")


def test_every_board_can_be_read(board_module: Any) -> None:
    """Each names rows that are known, trains none for longer than an hour, and has the mixture."""
    names = set(board_module.board_names())
    assert {"two_talkers", "noisy_two_talkers", "unknown_counts", "songs"} <= names
    assert {"echo", "dereverberation", "voicebank_demand", "vocals"} <= names
    others = yaml.safe_load((REPOSITORY / "benchmarks/rows/rows.yaml").read_text("utf-8"))
    for name in names:
        board = board_module.Board.read(name)
        rows = [board_module.Row.of(system) for system in board.systems]
        assert rows[0].name == "mixture"
        assert rows[0].is_registered
        assert len({row.name for row in rows}) == len(rows)
        for row in rows:
            assert row.minutes is None or 0 < row.minutes <= 60
            assert row.program is None or row.program in others["programs"]
            assert row.weights is None or row.weights in others["weights"]
        for recipe in filter(None, (board.recipe, board.training_recipe)):
            assert read_recipe(find_recipe(board_module.recipe_argument(recipe))).splits


def test_a_row_is_trained_for_an_hour_at_most(board_module: Any) -> None:
    assert board_module.Row.of({"train": "conv_tasnet:small", "minutes": 600}).minutes == 60
    assert not board_module.Row.of({"train": "to_come:small", "minutes": 5}).is_registered
