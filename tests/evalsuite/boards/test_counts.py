"""Confusion of counts: how many sources were found where there are so many."""

import csv
from pathlib import Path

import pytest
import soundfile

from evalsuite.boards.counts import COLUMNS, count_confusion, counts_markdown, write_counts
from evalsuite.run import write_boards
from evalsuite.scoring.folder import ScoreFolder
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


@pytest.fixture
def scores(make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores) -> Path:
    """Scores of none, one, two, two and two sources: right, right, one missed, right, failed."""
    folder = make_set(n=5, counts=[0, 1, 2, 2, 2])
    failures = [{"id": "test_004", "reason": "out of memory"}]
    estimates = make_estimates(folder, named=True, estimates=["s1", "s2"], failures=failures)
    path = estimates / "test_002" / "s2.wav"
    samples, rate = soundfile.read(path)
    soundfile.write(path, 0.0 * samples, rate, subtype="FLOAT")
    return make_scores(folder, estimates, metrics=("counting", "si_sdr"))


def test_every_mixture_counts_once(scores: Path) -> None:
    expected = {(0, 0): 1, (1, 1): 1, (2, 1): 1, (2, 2): 1, (2, None): 1}
    assert count_confusion(ScoreFolder(scores)) == expected
    assert list(count_confusion(ScoreFolder(scores))) == list(expected)


def test_boards_have_the_counts_beside_them(scores: Path, tmp_path: Path) -> None:
    write_boards(tmp_path / "board.csv", [ScoreFolder(scores)])
    with (tmp_path / "board_counts.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert tuple(rows[0]) == COLUMNS
    assert {(row["set"], row["split"], row["model"]) for row in rows} == {("tiny", "test", "model")}
    assert [(row["n_ref"], row["n_found"], row["n"]) for row in rows] == [
        ("0", "0", "1"),
        ("1", "1", "1"),
        ("2", "1", "1"),
        ("2", "2", "1"),
        ("2", "", "1"),
    ]


def test_markdown_has_a_matrix_for_each_model(scores: Path) -> None:
    title, _, header, _, *rows = counts_markdown([scores]).rstrip().split("\n")
    assert title.startswith("### tiny/test/")
    assert header == "| model | sources | 0 found | 1 found | 2 found | failed |"
    assert rows == [
        "| model | 0 | 1 | 0 | 0 | 0 |",
        "| model | 1 | 0 | 1 | 0 | 0 |",
        "| model | 2 | 0 | 1 | 1 | 1 |",
    ]


def test_without_the_metric_there_is_no_file(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    folder = make_set(n=1)
    scores = make_scores(folder, make_estimates(folder))
    write_counts(tmp_path / "board.csv", [scores])
    assert not list(tmp_path.glob("*counts*"))
    assert counts_markdown([scores]) == ""
