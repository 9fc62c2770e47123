"""The gate: verdicts, pairing, tolerances, refusals."""

import json
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

import pytest

from evalsuite.gate import CheckResult, check, parse_tolerances
from evalsuite.scoring.folder import ScoreFolder
from evalsuite.statistics import mean_interval
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from tests.evalsuite.conftest import MakeEstimates, MakeScores, MakeSet


class MakePair(Protocol):
    """Scores a base and a candidate on a set of `n` mixtures; returns both folders.

    Keywords go to `make_estimates` for the candidate.
    """

    def __call__(self, n: int = 12, **candidate: Any) -> tuple[Path, Path]: ...


def compare(base: Path, candidate: Path, **options: Any) -> CheckResult:
    return check(base=base, candidate=candidate, **options)


@pytest.fixture
def pair(make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores) -> MakePair:
    """A base with noise at -10 dB; a candidate without keywords is equal."""

    def make(n: int = 12, **candidate: Any) -> tuple[Path, Path]:
        folder = make_set(n=n)
        base = make_estimates(folder, "base", noise_db=-10.0)
        other = make_estimates(folder, "candidate", **{"noise_db": -10.0, **candidate})
        return make_scores(folder, base), make_scores(folder, other)

    return make


@pytest.mark.parametrize("n", [1, 5, 12])
def test_the_same_scores_pass_whatever_their_number(pair: MakePair, n: int) -> None:
    result = compare(*pair(n))
    assert result.verdict == "pass"
    assert [m.mean_difference for m in result.metrics] == [0.0, 0.0]
    assert [m.metric for m in result.metrics] == ["si_sdr", "snr"]


def test_a_clear_loss_fails(pair: MakePair) -> None:
    """Differences are averaged per mixture before the mean and the interval."""
    base, candidate = pair(noise_db=-7.0, spread_db=0.5)
    result = compare(base, candidate)
    first = result.metrics[0]
    assert (result.verdict, first.verdict) == ("fail", "fail")
    differences = {
        row.id: fmean(
            new.values["si_sdr"] - old.values["si_sdr"]
            for old, new in zip(ScoreFolder(base).items, ScoreFolder(candidate).items, strict=True)
            if old.id == row.id
        )
        for row in ScoreFolder(base).items
    }
    assert first.n == 12
    assert first.mean_difference == pytest.approx(fmean(differences.values()))
    assert (first.ci_lo, first.ci_hi) == pytest.approx(mean_interval(list(differences.values())))
    assert first.share_worse_by_1_db == 1.0
    assert first.p_value == pytest.approx(2 / 2**12)
    assert first.p_holm == pytest.approx(2 * 2 / 2**12)
    assert len(first.worst) == 10
    assert first.worst[0].difference == min(item.difference for item in first.worst) < -2.0


def test_a_gain_passes(pair: MakePair) -> None:
    assert compare(*pair(noise_db=-14.0, spread_db=0.5)).verdict == "pass"


def test_five_noisy_mixtures_are_inconclusive(pair: MakePair) -> None:
    result = compare(*pair(5, spread_db=1.0))
    assert result.verdict == "inconclusive"
    assert {m.verdict for m in result.metrics} == {"inconclusive"}


def test_five_mixtures_never_pass_unless_nothing_differs(pair: MakePair) -> None:
    result = compare(*pair(5, noise_db=-10.0001))
    assert result.verdict == "inconclusive"
    assert "fewer than 6" in result.metrics[0].why


def test_five_mixtures_fail_where_all_lose_much(pair: MakePair) -> None:
    assert compare(*pair(5, noise_db=5.0, spread_db=1.0)).verdict == "fail"


def test_a_small_loss_passes_with_a_larger_tolerance(pair: MakePair) -> None:
    folders = pair(noise_db=-9.85)
    assert compare(*folders).verdict == "fail"
    assert compare(*folders, tolerances={"si_sdr": 0.2, "snr": 0.2}).verdict == "pass"


def test_many_mixtures_with_noise_are_inconclusive_rather_than_passed(pair: MakePair) -> None:
    assert compare(*pair(12, spread_db=2.0)).verdict == "inconclusive"


def test_a_new_failure_fails_however_good_the_rest(pair: MakePair) -> None:
    failures = [{"id": "test_004", "reason": "out of memory"}]
    result = compare(*pair(noise_db=-30.0, failures=failures))
    assert result.verdict == "fail"
    assert result.metrics[0].mean_difference > 10.0
    assert [line.split(":")[0] for line in result.metrics[0].new_failures] == [
        "test_004 s1",
        "test_004 s2",
    ]


def test_an_old_failure_is_no_regression(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=8)
    failures = [{"id": "test_004", "reason": "out of memory"}]
    base = make_scores(folder, make_estimates(folder, "base", failures=failures))
    candidate = make_scores(folder, make_estimates(folder, "candidate"))
    result = compare(base, candidate)
    assert result.verdict == "pass"
    assert result.metrics[0].recovered == ["test_004 s1", "test_004 s2"]
    assert compare(base, base).verdict == "pass"


def test_perfect_stays_perfect_or_fails(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=6)
    perfect = make_scores(folder, make_estimates(folder, "perfect", noise_db=-400.0))
    good = make_scores(folder, make_estimates(folder, "good", noise_db=-30.0))
    assert compare(perfect, perfect).verdict == "pass"
    assert compare(perfect, good).verdict == "fail"
    assert compare(good, perfect).verdict == "inconclusive"


def test_less_is_better_turns_the_sign(pair: MakePair) -> None:
    folders = pair(noise_db=-14.0)
    for folder in folders:
        path = folder / "run.json"
        run = json.loads(path.read_text())
        for metric in run["metrics"]:
            metric["higher_is_better"] = False
        path.write_text(json.dumps(run))
    result = compare(*folders)
    assert result.verdict == "fail"
    assert result.metrics[0].mean_difference == pytest.approx(-4.0, abs=0.2)


def test_columns_without_values_in_either_folder_are_skipped_unless_chosen(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    folder = make_set(n=1, names=("s1",))
    scores = make_scores(folder, make_estimates(folder), metrics=["si_sdr", "bss512"])
    result = compare(scores, scores)
    assert result.left_out == ["sir_bss512"]  # one reference: nothing interferes
    assert result.verdict == "pass"
    assert compare(scores, scores, columns=["sir_bss512"]).verdict == "inconclusive"


def test_chosen_columns_may_be_improvements(pair: MakePair) -> None:
    result = compare(*pair(), columns=["si_sdri"])
    assert [m.metric for m in result.metrics] == ["si_sdri"]


def test_refuses_other_manifests_and_definitions(
    make_set: MakeSet, make_estimates: MakeEstimates, make_scores: MakeScores
) -> None:
    one, two = make_set("one", n=2), make_set("two", n=2, seed=3)
    estimates = make_estimates(one, "a")
    scores = make_scores(one, estimates)
    with pytest.raises(InputError, match="different manifests"):
        compare(scores, make_scores(two, make_estimates(two, "b")))
    with pytest.raises(InputError, match="different metric definitions"):
        compare(scores, make_scores(one, estimates, "less", metrics=["si_sdr"]))


def test_refuses_other_splits_and_items(pair: MakePair) -> None:
    base, candidate = pair(2)
    items = candidate / "items.jsonl"
    items.write_text("".join(items.read_text().splitlines(keepends=True)[:2]))
    run = json.loads((candidate / "run.json").read_text())
    run["items_sha256"] = sha256_file(items)
    (candidate / "run.json").write_text(json.dumps(run))
    with pytest.raises(InputError, match="different items"):
        compare(base, candidate)
    (candidate / "run.json").write_text(json.dumps(run | {"split": "valid"}))
    with pytest.raises(InputError, match="different splits"):
        compare(base, candidate)


def test_refuses_unknown_columns(pair: MakePair) -> None:
    folders = pair(1)
    with pytest.raises(UsageError, match="no column 'sdr'"):
        compare(*folders, columns=["sdr"])
    with pytest.raises(UsageError, match="no column 'sdr'"):
        compare(*folders, tolerances={"sdr": 0.1})


def test_tolerances_are_parsed_as_typed() -> None:
    units = {"si_sdr": "dB", "snr": "dB", "stoi": "1"}
    assert parse_tolerances(["0.3", "stoi=0.02", "snr=0"], units) == {
        "si_sdr": 0.3,
        "snr": 0.0,
        "stoi": 0.02,
    }
    for word in ("si_sdr=", "much", "-1", "nan"):
        with pytest.raises(UsageError, match="is not allowed"):
            parse_tolerances([word], units)


@pytest.mark.parametrize(
    ("candidate", "verdict", "why"),
    [
        ({"noise_db": -11.0}, "pass", "the interval is above 0"),
        ({"noise_db": -10.0, "seed": 2, "spread_db": 2.0}, "inconclusive", "the interval holds 0"),
        ({"noise_db": -10.05, "n": 5}, "inconclusive", "fewer than 6 mixtures"),
        ({"noise_db": -9.0}, "fail", "the interval holds no gain"),
        ({}, "fail", "no item differs"),
        ({"noise_db": -30.0, "failures": [{"id": "test_004", "reason": "x"}]}, "fail", "2 items"),
    ],
)
def test_better_asks_for_an_interval_above_zero(
    pair: MakePair, candidate: dict[str, Any], verdict: str, why: str
) -> None:
    """By default of the column by which the set is ranked."""
    result = compare(*pair(**candidate), better=True)
    assert (result.verdict, result.question) == (verdict, "better")
    assert [(m.metric, m.tolerance) for m in result.metrics] == [("si_sdri", None)]
    assert result.metrics[0].why.startswith(why)
