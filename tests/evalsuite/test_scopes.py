"""Metrics of a mixture and of a set, from the registry to the leaderboard and the gate."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from evalsuite.boards.leaderboard import rank
from evalsuite.gate.check import check
from evalsuite.metrics import MixtureMetric, SetMetric, evaluate, table
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.scoring.score import score
from mixgen.core.vocabulary import SPEECH_TASKS
from tests.evalsuite.conftest import MakeEstimates, MakeSet

METRICS = ["si_sdr", "count", "loudest"]


def count_error(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    """Return the number of sounding estimates against the number of targets in the record."""
    if item.record is None:
        return {"count_error": Missing(Reason.NOT_APPLICABLE, "no record")}
    found = sum(estimate is not None and bool(estimate.any()) for estimate in estimates)
    return {"count_error": float(abs(found - len(item.record.targets)))}


def loudest_tally(item: ScoringItem, estimates: Sequence[Array | None]) -> Mapping[str, float]:
    """Count the estimates, and those louder than the mixture."""
    level = float(np.square(item.mixture).sum())
    louder = [float(np.square(e).sum()) > level for e in estimates if e is not None]
    return {"n_estimates": len(louder), "n_louder": sum(louder)}


def loudest_share(sums: Mapping[str, float]) -> Scores:
    """Return the share of louder estimates in the set."""
    if not sums["n_estimates"]:
        return {"louder_share": Missing(Reason.MISSING_ESTIMATE)}
    return {"louder_share": sums["n_louder"] / sums["n_estimates"]}


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add two metrics to the table."""
    about = {"tasks": SPEECH_TASKS, "parameters": {}, "source": "a test"}
    count = MixtureMetric(
        name="count",
        columns=("count_error",),
        unit="talkers",
        higher_is_better=False,
        floor=10.0,
        score=count_error,
        **about,
    )
    loudest = SetMetric(
        name="loudest",
        columns=("louder_share",),
        unit="1",
        floor=1.0,
        tally=loudest_tally,
        score=loudest_share,
        **about,
    )
    monkeypatch.setitem(table(), "count", count)
    monkeypatch.setitem(table(), "loudest", loudest)


def test_an_item_has_columns_of_the_mixture_and_tallies() -> None:
    talkers = np.random.default_rng(0).standard_normal((2, 1, 8000))
    scores = evaluate(
        references=talkers,
        estimates=[talkers[0], None],
        mixture=talkers.sum(axis=0),
        sample_rate=8000,
        metrics=METRICS,
    )
    assert scores.mixture.values == {"count_error": None}
    assert scores.mixture.reasons == {"count_error": "not_applicable: no record"}
    assert scores.mixture.tallies == {"n_estimates": 1, "n_louder": 0}


def test_scopes_reach_the_leaderboard_and_the_gate(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=3)
    estimates = make_estimates(folder)
    scores = score(folder, estimates, tmp_path / "scores", metrics=METRICS)
    whole = [row for row in scores.items if row.reference is None]
    assert [row.values for row in whole] == [{"count_error": 0.0}] * 3
    assert [row.tallies["n_estimates"] for row in whole] == [2, 2, 2]
    assert scores.run.counts.n_references == 6
    assert scores.run.set_scores == {"louder_share": 0.0}
    (row,) = rank([tmp_path / "scores"])
    assert (row["count_error_mean"], row["count_error_n"], row["louder_share"]) == (0.0, 3, 0.0)
    result = check(base=tmp_path / "scores", candidate=tmp_path / "scores")
    assert {column.metric for column in result.metrics} >= {"si_sdr", "count_error"}
    assert result.verdict == "pass"


def test_a_failed_mixture_has_no_value_and_counts_as_one_without_estimates(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path
) -> None:
    folder = make_set(n=2)
    estimates = make_estimates(folder)
    broken = next(estimates.glob("*/est1.wav"))
    broken.write_bytes(b"no audio")
    scores = score(folder, estimates, tmp_path / "scores", metrics=METRICS)
    failed = [row for row in scores.items if row.reference is None and row.status == "failed"]
    assert [row.values for row in failed] == [{"count_error": None}]
    assert failed[0].reasons["count_error"].startswith("missing_estimate")
    assert failed[0].tallies == {"n_estimates": 0, "n_louder": 0}
    assert scores.run.counts.n_failed == 1
    assert scores.n_failed("count_error") == 1
