"""The leaderboard: order, averages, intervals, ties, groups, provenance."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Protocol

import pytest
import soundfile

from evalsuite.boards.leaderboard import rank, write_leaderboard
from evalsuite.boards.show import (
    leaderboard_markdown,
    leaderboard_text,
    level_warnings,
)
from evalsuite.boards.statistics import mean_interval
from evalsuite.scoring.folder import ScoreFolder
from mixgen.core.errors import InputError
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


class ScoreSystem(Protocol):
    """Scores a system of this name on one set; keywords go to `make_estimates`."""

    def __call__(self, name: str, **options: Any) -> Path: ...


@pytest.fixture
def scored(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> ScoreSystem:
    """Systems on one set of eight mixtures."""
    folder = make_set()

    def score(name: str, **options: Any) -> Path:
        return make_scores(folder, make_estimates(folder, name, **options))

    return score


def test_best_first_with_mean_and_interval_over_mixtures(scored: ScoreSystem) -> None:
    """The sources of a mixture are averaged first, so the interval is over mixtures."""
    worse, better = scored("worse", noise_db=0.0, spread_db=1.0), scored("better")
    rows = rank([worse, better])
    assert [(row["rank"], row["model"]) for row in rows] == [(1, "better"), (2, "worse")]
    items = ScoreFolder(worse).items
    pairs = zip(items[::2], items[1::2], strict=True)
    per_mixture = [fmean((a.values["si_sdri"], b.values["si_sdri"])) for a, b in pairs]
    assert rows[1]["si_sdri_mean"] == pytest.approx(fmean(per_mixture))
    interval = (rows[1]["si_sdri_ci_lo"], rows[1]["si_sdri_ci_hi"])
    assert interval == pytest.approx(mean_interval(per_mixture))
    assert (rows[1]["si_sdri_n"], rows[1]["si_sdri_nfail"]) == (8, 0)
    assert not rows[1]["tied_with_above"]


def test_a_tie_is_marked_where_the_interval_of_the_differences_includes_zero(
    scored: ScoreSystem,
) -> None:
    first = scored("first", noise_db=-10.0, spread_db=3.0, seed=1)
    second = scored("second", noise_db=-10.0, spread_db=3.0, seed=2)
    assert [row["tied_with_above"] for row in rank([first, second])] == [None, True]


def test_failures_count_as_the_floor_beside_the_mean_of_the_others(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores, tmp_path: Path
) -> None:
    folder = make_set()
    failures = [{"id": "test_003", "reason": "out of memory"}]
    (row,) = rank([make_scores(folder, make_estimates(folder, failures=failures))])
    assert (row["n"], row["n_fail"], row["si_sdr_n"], row["si_sdr_nfail"]) == (8, 1, 7, 1)
    scored = ScoreFolder(tmp_path / "model_scores").scored("si_sdr")
    assert row["si_sdr_scored_mean"] == pytest.approx(fmean(scored.values()))
    assert row["si_sdr_mean"] == pytest.approx(fmean([*scored.values(), -30.0]))


def test_a_system_without_values_comes_last(scored: ScoreSystem) -> None:
    rows = rank([scored("perfect", noise_db=-400.0), scored("good")])
    assert [row["model"] for row in rows] == ["good", "perfect"]
    assert rows[1]["si_sdri_mean"] is None
    assert rows[1]["tied_with_above"] is None


def test_music_is_ranked_by_the_median_over_songs_and_has_columns_per_stem(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    """The stems of a song are averaged first, so the median is over songs."""
    folder = make_set(n=7, names=("vocals", "drums"), task="music_separation")
    estimates = make_estimates(folder, named=True, spread_db=4.0)
    scores = make_scores(folder, estimates, metrics=["sdr_v4", "si_sdr"])
    (row,) = rank([scores])
    values = [item.values["sdr_v4_med"] for item in ScoreFolder(scores).items]
    vocals, drums = values[::2], values[1::2]
    per_song = [fmean(pair) for pair in zip(vocals, drums, strict=True)]
    assert row["headline"] == "sdr_v4_med_median"
    assert row["sdr_v4_med_median"] == pytest.approx(median(per_song))
    assert row["sdr_v4_med_median_vocals"] == pytest.approx(median(vocals))
    assert row["sdr_v4_med_median_ci_lo"] < row["sdr_v4_med_median"]


@pytest.mark.parametrize(
    ("task", "metrics", "headline"),
    [
        ("dereverberation", ["pesq_nb8k", "si_sdr"], "pesq_nb8k_mean"),
        ("dereverberation", ["si_sdr", "snr"], "si_sdri_mean"),
        ("meetings", ["p_si_snr", "si_sdr", "si_sdr_utt"], "si_sdr_utt_best_mean"),
        ("meetings", ["p_si_snr", "si_sdr"], "p_si_snr_mean"),
    ],
)
def test_a_task_is_ranked_by_a_metric_of_its_own_where_it_was_scored(
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
    task: str,
    metrics: list[str],
    headline: str,
) -> None:
    folder = make_set(n=2, task=task)
    (row,) = rank([make_scores(folder, make_estimates(folder), metrics=metrics)])
    assert row["headline"] == headline


def test_every_manifest_and_definition_is_a_group(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    one, two = make_set("one"), make_set("two", seed=9)
    estimates = make_estimates(one, "a")
    folders = [
        make_scores(one, estimates),
        make_scores(one, estimates, "less", metrics=["si_sdr"]),
        make_scores(two, make_estimates(two, "b")),
    ]
    rows = rank(folders)
    assert len({row["group"] for row in rows}) == 3
    assert [row["rank"] for row in rows] == [1, 1, 1]


def test_two_score_folders_of_one_model_are_refused(scored: ScoreSystem, tmp_path: Path) -> None:
    first = scored("model")
    second = first.rename(tmp_path / "moved")
    with pytest.raises(InputError, match="both score model"):
        rank([scored("model"), second])
    assert len(rank([second, second])) == 1


def test_scores_that_were_edited_are_refused(scored: ScoreSystem) -> None:
    folder = scored("model")
    items = folder / "items.jsonl"
    items.write_text(items.read_text().replace("test_000", "test_001", 1))
    with pytest.raises(InputError, match="changed"):
        rank([folder])


def test_the_csv_holds_the_rows_and_their_provenance(scored: ScoreSystem, tmp_path: Path) -> None:
    rows = rank([scored("model", checkpoint_sha256="ab" * 32)])
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    run = ScoreFolder(tmp_path / "model_scores").run
    assert float(row["si_sdri_mean"]) == rows[0]["si_sdri_mean"]
    assert (row["set"], row["split"], row["checkpoint"]) == ("tiny", "test", "ab" * 6)
    assert row["checkpoint_sha256"] == "ab" * 32
    assert row["manifest_sha256"] == run.manifest_sha256
    assert row["metric_spec_sha256"] == run.metric_spec_sha256
    assert (row["parameters"], row["macs_per_second"]) == ("1000", "2500000000.0")
    assert row["tied_with_above"] == ""


def test_the_table_shows_rank_interval_and_cost(scored: ScoreSystem) -> None:
    text = leaderboard_text(rank([scored("worse", noise_db=0.0), scored("better")]))
    group, header, best, second = text.splitlines()
    assert group.startswith("tiny/test/")
    assert header.split()[:4] == ["model", "rank", "si_sdri_mean", "95"]
    assert best.split()[:2] == ["better", "1"]
    assert second.split()[:2] == ["worse", "2"]
    assert "2.50 G" in best


def silence(estimates: Path, ids: Sequence[str], name: str = "*") -> None:
    """Overwrite estimates of these mixtures with zeros."""
    for path in (path for i in ids for path in estimates.glob(f"{i}/{name}.wav")):
        samples, rate = soundfile.read(path)
        soundfile.write(path, 0.0 * samples, rate, subtype="FLOAT")


def test_silence_never_wins(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    """A system gains neither by silencing its worst mixture nor by silencing one talker."""
    folder = make_set(n=6)
    options = {"noise_db": 10.0, "spread_db": 20.0}
    honest = make_scores(folder, make_estimates(folder, "honest", **options))
    values = ScoreFolder(honest).scored("si_sdr")
    worst = min(values, key=lambda mixture_id: values[mixture_id])
    hidden, one_talker = (make_estimates(folder, n, **options) for n in ("hidden", "one_talker"))
    silence(hidden, [worst])
    silence(one_talker, list(values), "est1")
    rows = rank([honest, make_scores(folder, hidden), make_scores(folder, one_talker)])
    assert [(row["model"], row["n_fail"]) for row in rows] == [
        ("honest", 0),
        ("hidden", 1),
        ("one_talker", 6),
    ]
    assert rows[1]["si_sdr_scored_mean"] > rows[0]["si_sdr_scored_mean"]
    assert rows[1]["snr_mean"] <= rows[0]["snr_mean"]


@pytest.mark.parametrize(("metric", "column"), [("lsd", "lsd_db"), ("mfcc", "mfcc_distance")])
def test_silence_never_wins_where_less_is_better(
    metric: str,
    column: str,
    make_set: MakeSet,
    make_estimates: MakeEstimates,
    make_scores: MakeScores,
) -> None:
    """The floor is the largest distance; the least is the best."""
    folder = make_set(n=3)
    hidden = make_estimates(folder, "hidden", noise_db=0.0)
    silence(hidden, ["test_001"])
    silent = silenced(make_estimates(folder, "silent"))
    poor, good = (make_estimates(folder, f"at {db}", noise_db=db) for db in (0.0, -20.0))
    paths = [make_scores(folder, e, metrics=[metric]) for e in (silent, hidden, poor, good)]
    rows = rank(paths)
    assert [row["model"] for row in rows] == ["at -20.0", "at 0.0", "hidden", "silent"]
    assert rows[1][f"{column}_mean"] < rows[2][f"{column}_mean"] < 50.0
    assert rows[3][f"{column}_mean"] == 50.0
    assert rows[2][f"{column}_scored_mean"] == pytest.approx(rows[1][f"{column}_mean"], rel=0.1)


def test_what_is_worse_than_the_floor_counts_as_the_floor(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    """Improvements too: the mixture of a quiet talker is below the SNR of silence, 0 dB."""
    folder = make_set(n=2)
    row, silent = (
        rank([make_scores(folder, estimates)])[0]
        for estimates in (
            make_estimates(folder, "noise", noise_db=70.0),
            silenced(make_estimates(folder, "silent")),
        )
    )
    assert (row["si_sdr_mean"], row["snr_mean"]) == (-30.0, 0.0)
    assert row["si_sdr_scored_mean"] < -30.0
    assert row["snri_mean"] == pytest.approx(silent["snri_mean"])
    assert row["si_sdri_mean"] == pytest.approx(silent["si_sdri_mean"])


def silenced(estimates: Path) -> Path:
    silence(estimates, ["*"])
    return estimates


def test_levels_that_a_listener_hears_are_on_the_board_and_warned_of(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=3)
    loud = make_estimates(folder, "loud")
    for path in loud.glob("*/*.wav"):
        samples, rate = soundfile.read(path)
        soundfile.write(path, 100.0 * samples, rate, subtype="FLOAT")
    metrics = ["si_sdr", "gain", "peak"]
    scores = [make_scores(folder, e, metrics=metrics) for e in (make_estimates(folder), loud)]
    fine, rows = level_warnings(ScoreFolder(scores[0])), rank(scores)
    assert fine == []
    assert sorted(row["gain_db_mean"] for row in rows) == pytest.approx([0.0, 40.0], abs=0.1)
    assert rows[0]["gain_db_spread"] < 0.1
    level, clipping = level_warnings(ScoreFolder(scores[1]))
    assert level.startswith("loud is +40.0 dB from the level of its references")
    assert clipping.startswith("loud is beyond full scale in 3 of 3 mixtures")


@pytest.mark.parametrize("name", ["=cmd()", "+1", "-1", "@x", "\tx", "\x1b[31mred", "a\nb"])
def test_a_hostile_name_stays_text(scored: ScoreSystem, tmp_path: Path, name: str) -> None:
    """It is no formula in a spreadsheet and steers no terminal."""
    rows = rank([scored("model", model=name)])
    write_leaderboard(tmp_path / "leaderboard.csv", rows)
    with (tmp_path / "leaderboard.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert row["model"].removeprefix("'") == name
    assert not row["model"].startswith(("=", "+", "-", "@", "\t"))
    table = leaderboard_text(rows)
    assert len(table.splitlines()) == 3
    assert all(line.isprintable() for line in table.splitlines())


def test_no_name_or_number_breaks_the_table(scored: ScoreSystem) -> None:
    text = leaderboard_text(rank([scored("long", model="x" * 300)]))
    assert max(map(len, text.splitlines())) <= 100
    text = leaderboard_text(rank([scored("large", macs_per_second=1e300)]))
    assert "1.00e+300" in text


@pytest.mark.parametrize("key", ["counts", "metrics", "model"])
def test_a_run_record_without_a_key_is_a_sentence(scored: ScoreSystem, key: str) -> None:
    folder = scored("model")
    run = json.loads((folder / "run.json").read_text())
    del run[key]
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match=f"run.json is not valid: {key}: Field required"):
        rank([folder])


def test_the_table_fits_a_terminal(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    """Whatever is scored; empty columns go first, and the markdown has all of them."""
    folder = make_set(n=2)
    estimates = [make_estimates(folder, "a" * 14), make_estimates(folder, "b", peak_memory_mb=None)]
    rows = rank([make_scores(folder, e, metrics=None) for e in estimates])
    text = leaderboard_text(rows)
    assert max(map(len, text.splitlines())) <= 100
    assert {"rank", "si_sdri_mean", "si_sdr", "parameters", "n_fail"} <= set(text.split())
    assert "pesq_nb8k" not in text
    assert "pesq_nb8k" in leaderboard_markdown(rows)
