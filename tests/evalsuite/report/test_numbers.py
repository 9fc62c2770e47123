"""The page shows the numbers of the leaderboard and its slices, and those of scipy and numpy."""

from itertools import combinations
from pathlib import Path
from statistics import fmean

import numpy as np
import pytest
from scipy import stats

from evalsuite.boards.leaderboard import rank
from evalsuite.boards.slices import SLICINGS, slice_rows
from evalsuite.report import make_report
from evalsuite.report.inputs import find_scores
from evalsuite.scoring.folder import ScoreFolder
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet
from tests.evalsuite.report.conftest import Results, read_csv
from tests.pages import Page


def board_rows(page: Page) -> list[dict[str, str]]:
    """Return the cells of every row of the leaderboards: column to value."""
    rows: list[dict[str, str]] = []
    for cell in page.having("data-column", "data-value"):
        if cell["data-column"] == "rank":
            rows.append({})
        rows[-1][cell["data-column"]] = cell["data-value"]
    return rows


def test_every_cell_is_that_of_the_csv(three_systems: tuple[Path, Path], tmp_path: Path) -> None:
    _, results = three_systems
    page = Page(make_report([results], tmp_path / "page"))
    shown, written = board_rows(page), read_csv(tmp_path / "page" / "leaderboard.csv")
    ranked = rank(find_scores([results]))
    assert [row["model"] for row in written] == [row["model"] for row in ranked]
    assert shown == [
        {column: row[column] for column in cells} for cells, row in zip(shown, written, strict=True)
    ]
    some = {
        "rank",
        "model",
        "si_sdri_mean",
        "snr_mean",
        "gain_db_mean",
        "parameters",
        "n",
        "n_fail",
    }
    assert some < shown[0].keys()
    assert [float(cells["si_sdri_mean"]) for cells in shown] == [
        row["si_sdri_mean"] for row in ranked
    ]


def test_sets_and_definitions_have_sections_of_their_own(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    one, two = make_set("one", n=3), make_set("two", n=3, seed=9)
    estimates = make_estimates(one, "a")
    folders = [
        make_scores(one, estimates),
        make_scores(one, estimates, "less", metrics=["si_sdr"]),
        make_scores(two, make_estimates(two, "b")),
    ]
    page = Page(make_report(folders, tmp_path / "page"))
    assert [cells["rank"] for cells in board_rows(page)] == ["1", "1", "1"]
    written = read_csv(tmp_path / "page" / "leaderboard.csv")
    assert [cells["model"] for cells in board_rows(page)] == [row["model"] for row in written]
    assert page.text.count("There is one system, and nothing to compare it with.") == 3


def test_equal_weights_in_two_configurations_are_two_systems(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    folder = make_set(n=4, names=("s1", "s2", "s3"), counts=(3, 2, 3, 2))
    same = {"model": "a", "checkpoint_sha256": "0" * 64}
    estimates = [
        make_estimates(
            folder, f"n{digit}", noise_db=noise_db, configuration_sha256=digit * 64, **same
        )
        for digit, noise_db in (("1", -20.0), ("2", -10.0))
    ]
    scores = [make_scores(folder, made) for made in estimates]
    page = Page(make_report(scores, tmp_path / "page"))
    written = read_csv(tmp_path / "page" / "leaderboard_by_count.csv")
    shown = [float(cell["data-value"]) for cell in page.having("data-slice")]
    assert shown == [float(row["value"]) for row in written]
    assert len(set(shown)) == 4


def test_ties_failures_and_warnings_are_on_the_page(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    failures = [{"id": "test_003", "reason": "out of memory"}]
    made = results(
        make_set(),
        first={"noise_db": -10.0, "spread_db": 3.0, "seed": 1},
        second={"noise_db": -10.0, "spread_db": 3.0, "seed": 2},
        failing={"failures": failures, "noise_db": 40.0},
    )
    page = Page(make_report([made], tmp_path / "page"))
    shown = {cells["model"]: cells for cells in board_rows(page)}
    assert [shown[name]["n_fail"] for name in ("first", "second", "failing")] == ["0", "0", "1"]
    assert "=2" in page.text
    assert "failing is beyond full scale in 7 of 8 mixtures of tiny" in page.text
    assert "1 warning about levels" in page.text


def test_slices_are_those_of_the_csv(make_set: MakeSet, results: Results, tmp_path: Path) -> None:
    folder = make_set(n=6, names=("s1", "s2", "s3"), counts=(3, 2, 3, 2, 2, 3))
    made = results(folder, good={}, fair={"noise_db": -5.0, "spread_db": 2.0})
    page = Page(make_report([made], tmp_path / "page"))
    shown = [float(cell["data-value"]) for cell in page.having("data-slice")]
    rows = [row for s in SLICINGS for row in slice_rows(find_scores([made]), s)]
    assert len(rows) == 2 * 2
    assert sorted(shown) == sorted(row["value"] for row in rows)
    written = read_csv(tmp_path / "page" / "leaderboard_by_count.csv")
    assert sorted(shown) == sorted(float(row["value"]) for row in written)
    assert [cell["data-slice"] for cell in page.having("data-slice")] == ["2", "3"] * 2


def test_slices_are_in_order_where_a_system_lacks_one(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    """An empty scene has no P-SI-SNR where nothing is found, and the floor where a system fails."""
    folder = make_set(n=3, names=("s1", "s2", "s3"), counts=(3, 0, 2))
    metrics = ("si_sdr", "p_si_snr")
    failures = [{"id": "test_001", "reason": "out of memory"}]
    made = results(
        folder, good={"metrics": metrics}, failing={"metrics": metrics, "failures": failures}
    )
    page = Page(make_report([made], tmp_path / "page"))
    names = [cell["data-slice"] for cell in page.having("data-slice")]
    assert names == ["2", "3", "0", "2", "3"]


def test_medians_are_those_of_numpy(three_systems: tuple[Path, Path], tmp_path: Path) -> None:
    _, results = three_systems
    page = Page(make_report([results], tmp_path / "page"))
    strips = page.having("data-metric", "data-median")
    columns = list(dict.fromkeys(strip["data-metric"] for strip in strips))
    assert columns[:3] == ["si_sdri", "si_sdr", "snr"]
    names = [row["model"] for row in rank(find_scores([results]))]
    # The mixture's SNR may lie below the floor, and its improvement is then no difference.
    for strip, name in zip(strips[: 3 * 3], names * 3, strict=True):
        items = ScoreFolder(results / "tiny" / name / "scores").items
        values = np.reshape([row.values[strip["data-metric"]] for row in items], (8, 2))
        assert float(strip["data-median"]) == pytest.approx(np.median(values.mean(axis=1)))
        assert strip["data-n"] == "8"


def test_pairs_are_those_of_scipy_and_agree_with_the_ties(
    three_systems: tuple[Path, Path], tmp_path: Path
) -> None:
    _, results = three_systems
    page = Page(make_report([results], tmp_path / "page"))
    ranked = rank(find_scores([results]))
    values = []
    for row in ranked:
        items = ScoreFolder(results / "tiny" / row["model"] / "scores").items
        improvements = [item.values["si_sdri"] for item in items]
        values.append(np.reshape(improvements, (8, 2)).astype(float).mean(axis=1))
    p = [stats.wilcoxon(values[a] - values[b]).pvalue for a, b in combinations(range(3), 2)]
    adjusted = np.maximum.accumulate(np.sort(p) * [3, 2, 1]).clip(max=1)[np.argsort(np.argsort(p))]
    found = {(c["data-better"], c["data-than"]): c for c in page.having("data-difference")}
    assert len(found) == 6
    written = read_csv(tmp_path / "page" / "leaderboard_pairs.csv")
    for (a, b), p_holm, line in zip(combinations(range(3), 2), adjusted, written, strict=True):
        there, back = found[str(a + 1), str(b + 1)], found[str(b + 1), str(a + 1)]
        difference = fmean(values[a] - values[b])
        assert float(there["data-difference"]) == pytest.approx(difference)
        assert float(back["data-difference"]) == pytest.approx(-difference)
        assert float(there["data-holm"]) == pytest.approx(p_holm)
        assert (line["model"], line["than_model"]) == (ranked[a]["model"], ranked[b]["model"])
        assert float(line["difference"]) == pytest.approx(difference)
        low, high = float(line["ci_lo"]), float(line["ci_hi"])
        assert low < difference < high
        if b == a + 1:
            assert (low <= 0 <= high) is ranked[b]["tied_with_above"]
        better = low > 0 and p_holm < 0.05
        assert ("better" in there["class"], "worse" in back["class"]) == (better, better)
    assert {"better" in cell["class"] for cell in found.values()} == {True, False}


def test_counts_are_those_that_were_made(
    make_set: MakeSet, results: Results, tmp_path: Path
) -> None:
    folder = make_set(n=6, names=("s1", "s2", "s3"), counts=(3, 1, 1, 2, 3, 2))
    metrics = ("si_sdr", "p_si_snr", "counting")
    failures = [{"id": "test_004", "reason": "out of memory"}]
    made = results(folder, counting={"metrics": metrics, "failures": failures})
    page = Page(make_report([made], tmp_path / "page"))
    cells = page.having("data-true", "data-found")
    counts = {
        (cell["data-true"], cell["data-found"]): int(cell["data-value"])
        for cell in cells
        if cell["data-value"] != "0"
    }
    rows = [r for r in ScoreFolder(made / "tiny" / "counting" / "scores").items if not r.reference]
    expected: dict[tuple[str, str], int] = {}
    for row in rows:
        found = row.values.get("n_found")
        key = (str(row.n_ref), "" if found is None else str(int(found)))
        expected[key] = expected.get(key, 0) + 1
    assert counts == expected
    assert counts["3", ""] == 1
    (board,) = board_rows(page)
    right = sum(n for (true, found), n in counts.items() if true == found)
    assert right / 6 == pytest.approx(float(board["count_right_mean"]))
    assert f"{right} of 6 right" in page.text
