"""Slices of a leaderboard by what was measured at rendering."""

import csv
from pathlib import Path
from statistics import fmean

import pytest

from evalsuite.boards.leaderboard import rank
from evalsuite.boards.show import leaderboard_markdown
from evalsuite.boards.slices import SLICINGS, write_slices
from evalsuite.scoring.folder import ScoreFolder
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def with_conditions(scores: Path, condition: str, values: list[float]) -> ScoreFolder:
    """Return scores whose mixture number i was rendered under this condition."""
    folder = ScoreFolder(scores)
    ids = list(dict.fromkeys(row.id for row in folder.items))
    value_of = dict(zip(ids, values, strict=True))
    folder.items = [
        row.model_copy(update={"conditions": {condition: value_of[row.id]}}) for row in folder.items
    ]
    return folder


@pytest.mark.parametrize(
    ("condition", "slicing", "values", "labels"),
    [
        ("overlap", "overlap", [0.0, 0.19, 0.2, 1.0], ["[0, 0.2)", "[0.2, 0.4)", "[0.8, 1]"]),
        ("snr_db", "snr", [-7.0, -0.1, 0.0, 4.9], ["[-10, -5)", "[-5, 0)", "[0, 5)"]),
        ("t60_s", "t60", [0.1, 0.3, 0.39, 0.6], ["[0, 0.2)", "[0.2, 0.4)", "[0.6, 0.8)"]),
    ],
)
def test_each_slice_has_the_mean_of_its_mixtures(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    tmp_path: Path,
    condition: str,
    slicing: str,
    values: list[float],
    labels: list[str],
) -> None:
    folder = make_set(n=4)
    scores = make_scores(folder, make_estimates(folder, spread_db=5.0))
    sliced = with_conditions(scores, condition, values)
    (path,) = write_slices(tmp_path / "board.csv", [sliced])
    assert path.name == f"board_by_{slicing}.csv"
    rows = read(path)
    assert [row["slice"] for row in rows] == labels
    assert sum(int(row["n"]) for row in rows) == 4
    means = list(sliced.ranked("si_sdri").values())
    twos = {"overlap": means[:2], "snr": means[2:], "t60": means[1:3]}
    (found,) = [float(row["value"]) for row in rows if row["n"] == "2"]
    assert found == pytest.approx(fmean(twos[slicing]))


def test_stems_and_counts_are_slices(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    songs = make_set("songs", n=2, names=("vocals", "drums"), task="music_separation")
    of_songs = make_scores(songs, make_estimates(songs, named=True), metrics=None)
    scenes = make_set("scenes", n=3, counts=[1, 2, 2])
    estimates = make_estimates(scenes, "scenes", named=True)
    of_scenes = make_scores(scenes, estimates, metrics=None)
    paths = write_slices(tmp_path / "board.csv", [of_songs, of_scenes])
    assert [path.name for path in paths] == ["board_by_count.csv", "board_by_stem.csv"]
    assert [row["slice"] for row in read(paths[0])] == ["1", "2"]
    assert [row["slice"] for row in read(paths[1])] == ["drums", "vocals"]
    assert {row["headline"] for row in read(paths[1])} == {"sdr_v4_med_median"}


def test_numbered_talkers_are_no_stems(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    """The estimates of oracles have their names, and s1 is another talker in every mixture."""
    folder = make_set(n=2)
    scores = make_scores(folder, make_estimates(folder, named=True))
    assert write_slices(tmp_path / "board.csv", [scores]) == []
    assert "si_sdri_mean_s1" not in rank([scores])[0]


def test_a_rendered_set_has_its_conditions(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1)
    (first, second) = ScoreFolder(make_scores(folder, make_estimates(folder))).items
    assert first.conditions == {"overlap": 1.0, "snr_db": 0.5}
    assert second.conditions == first.conditions


def test_names_of_slicings_differ() -> None:
    assert len({slicing.name for slicing in SLICINGS}) == len(SLICINGS)


def test_markdown_has_the_table_of_the_terminal_and_no_markup_of_others(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=2)
    scores = make_scores(folder, make_estimates(folder, model="a|b<script>"))
    title, empty, header, rule, row = leaderboard_markdown(rank([scores])).rstrip().split("\n")
    assert title.startswith("### tiny/test/")
    assert empty == ""
    assert header.startswith("| model | rank | si_sdri_mean |")
    assert rule.startswith("| --- | ---: |")
    assert row.startswith("| a\\|b\\<script\\> | 1 |")
