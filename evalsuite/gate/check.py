"""The gate: decide whether a candidate scores worse than a base, or whether it scores better.

Differences are paired by item, averaged per mixture, and judged by their 95 % interval. Not worse:

- fail: the interval lies below -tolerance, or an item failed that did not fail in the base;
- pass: the interval lies at or above -tolerance;
- inconclusive: neither. Fewer than six mixtures pass only if no item differs.

Of several columns, a failure counts only if Holm's correction for their number confirms it: a
candidate that got no worse fails in any of them as rarely as in a single one.

Better:

- pass: the interval lies above 0, over six mixtures or more;
- fail: the interval holds nothing above 0, or an item failed that did not fail in the base;
- inconclusive: neither.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from evalsuite.boards.leaderboard import headline_of
from evalsuite.boards.paired import Key, PairedColumn, WorstItem, pair_column
from evalsuite.boards.slices import SLICINGS, Slicing, members_of
from evalsuite.boards.statistics import (
    FEW,
    LEVEL,
    Interval,
    detectable_difference,
    holm,
    mean_interval,
    p_below,
    wilcoxon_p,
)
from evalsuite.scoring.folder import SystemScores, is_failure, is_perfect, open_scores
from mixgen.core.errors import InputError, UsageError
from mixgen.core.records import Record
from mixgen.core.registry import choose

Verdict = Literal["pass", "fail", "inconclusive"]
Question = Literal["not worse", "better"]

TOLERANCE_OF_UNIT = {"dB": 0.1, "MOS-LQO": 0.02, "MOS": 0.02, "1": 0.01}
"""Default tolerances: how much worse a metric may get, in its unit."""
_N_WORST = 10
_MUCH_WORSE_DB = 1.0


class MetricCheck(Record):
    """The comparison of one column; differences are candidate - base, below 0 is worse."""

    metric: str
    slice: str | None = None
    """Of the mixtures that are compared, such as `overlap [0, 0.2)`; None for all."""
    unit: str
    higher_is_better: bool
    verdict: Verdict
    why: str
    tolerance: float | None
    """None where the candidate has to be better."""
    n: int
    """Mixtures with a difference."""
    n_without: int
    """Items without a difference that neither failed anew nor recovered."""
    mean_difference: float | None
    ci_lo: float | None
    ci_hi: float | None
    p_value: float | None
    """Wilcoxon signed-rank test, two-sided; it does not decide the verdict."""
    p_holm: float | None = None
    """`p_value` adjusted by Holm for the number of metrics compared."""
    p_worse: float | None
    """One-sided p of Student's test that the loss is no more than the tolerance."""
    detectable: float | None
    """The mean difference that so many mixtures with this spread show four times in five."""
    share_worse_by_1_db: float | None
    new_failures: list[str]
    recovered: list[str]
    worst: list[WorstItem]


class CheckResult(Record):
    """The gate's answer: one verdict per metric, and the overall verdict."""

    verdict: Verdict
    base: str
    candidate: str
    set: str
    split: str | None
    manifest_sha256: str
    metric_spec_sha256: str
    question: Question
    metrics: list[MetricCheck]
    slices: list[MetricCheck]
    """The same metrics in slices of the set; see `evalsuite.boards.slices`."""
    left_out: list[str]
    """Columns that are not compared: neither folder has a value, a perfect item or a failure."""


def check(
    *,
    base: str | Path | SystemScores,
    candidate: str | Path | SystemScores,
    tolerances: Mapping[str, float] | None = None,
    columns: Sequence[str] | None = None,
    better: bool = False,
    by: Sequence[str] = (),
    slicings: Sequence[Slicing] = (),
) -> CheckResult:
    """Compare two systems on one set.

    Args:
        base: folder of the scores to compare with, or a pinned file.
        candidate: folder of the scores to judge.
        tolerances: column to how much worse it may get, in its unit; by default the tolerance of
            the unit.
        columns: to compare; by default all that are ranked except the improvements, whose
            differences equal those of the columns they come from, and with `better` the column by
            which the set is ranked.
        better: whether the candidate has to be better, instead of not worse.
        by: names of slicings: count, overlap, snr, t60, stem or one of `slicings`. Each slice is
            judged like the whole set, but fails only if it still does after Holm's correction for
            the number of slices.
        slicings: more of these, such as `talker_slicings`.

    Raises:
        InputError: the folders differ in manifest, split, metric definitions or items.
        UsageError: a column or a slicing does not exist, or a tolerance is negative or given
            with `better`.
    """
    base, candidate = open_scores(base), open_scores(candidate)
    _refuse_different_inputs(base, candidate)
    _refuse_bad_arguments(base, tolerances or {}, columns or ())
    if better and tolerances:
        raise UsageError("--better asks for any gain: leave out --tolerance.")
    if better:
        columns = columns or [_ranking_column(base, candidate)]
    compared, empty = _choose_columns(base, candidate, columns)
    defaults = {c: TOLERANCE_OF_UNIT.get(unit, 0.0) for c, unit in base.unit_of.items()}
    limits = dict.fromkeys(defaults, None) if better else defaults | dict(tolerances or {})
    checks = [_check_column(base, candidate, column, limits[column]) for column in compared]
    adjusted = holm([metric.p_value for metric in checks])
    checks = _corrected(
        [
            metric.model_copy(update={"p_holm": p})
            for metric, p in zip(checks, adjusted, strict=True)
        ]
    )
    slices = _corrected(
        [
            _check_column(base, candidate, column, limits[column], part, keys)
            for part, keys in _slices(base, by, slicings)
            for column in compared
        ]
    )
    return CheckResult(
        verdict=_overall_verdict([metric.verdict for metric in checks], slices),
        base=str(base.path),
        candidate=str(candidate.path),
        set=base.run.set,
        split=base.run.split,
        manifest_sha256=base.run.manifest_sha256,
        metric_spec_sha256=base.run.metric_spec_sha256,
        question="better" if better else "not worse",
        metrics=checks,
        slices=slices,
        left_out=empty,
    )


def _slices(
    base: SystemScores, by: Sequence[str], more: Sequence[Slicing]
) -> Iterable[tuple[str, list[Key]]]:
    """Yield the name and the items of each slice that does not hold all items."""
    slicings = {slicing.name: slicing for slicing in (*SLICINGS, *more)}
    for name in dict.fromkeys(by):
        members = members_of(base, choose(slicings, name, "slicing"))
        for found in sorted(members) if len(members) > 1 else ():
            yield f"{name} {found[1]}", [(row.id, row.reference) for row in members[found]]


def _corrected(checks: list[MetricCheck]) -> list[MetricCheck]:
    """Withdraw failures that Holm's correction for the number of checks does not confirm.

    New failures, and columns in which no item differs, do not come by chance and stay.
    """
    if len(checks) == 1:
        return checks
    adjusted = holm([check.p_worse for check in checks])
    withdrawn = {
        index
        for index, (check, p) in enumerate(zip(checks, adjusted, strict=True))
        if check.verdict == "fail"
        and not check.new_failures
        and check.ci_lo != check.ci_hi
        and (p or 0.0) >= (1 - LEVEL) / 2
    }
    why = f"worse, but not after Holm's correction for {len(checks)} comparisons"
    update = {"verdict": "inconclusive", "why": why}
    return [
        check.model_copy(update=update) if index in withdrawn else check
        for index, check in enumerate(checks)
    ]


def _ranking_column(base: SystemScores, candidate: SystemScores) -> str:
    """Return the column by which a set is ranked, without the mixture's part in it."""
    column = headline_of([base, candidate]).column
    return column if column in base.definition_of[column].columns else column.removesuffix("i")


def _refuse_different_inputs(base: SystemScores, candidate: SystemScores) -> None:
    for key, noun in (
        ("manifest_sha256", "manifests"),
        ("split", "splits"),
        ("metric_spec_sha256", "metric definitions"),
    ):
        pair = [getattr(scores.run, key) for scores in (base, candidate)]
        if pair[0] != pair[1]:
            shown = " and ".join("all" if value is None else value[:12] for value in pair)
            raise InputError(
                f"The two score folders have different {noun} ({shown}): "
                "score both on the same set, split and metrics with the same installation."
            )
    if base.rows.keys() != candidate.rows.keys():
        raise InputError("The two score folders hold different items: score both again.")


def _refuse_bad_arguments(
    base: SystemScores, tolerances: Mapping[str, float], columns: Sequence[str]
) -> None:
    for column in (*tolerances, *columns):
        if column not in base.columns:
            raise UsageError(
                f"The scores have no column {column!r}; allowed are {', '.join(base.columns)}."
            )
    if any(value < 0 for value in tolerances.values()):
        raise UsageError("A tolerance is how much worse a metric may get; give 0 or more.")


def _choose_columns(
    base: SystemScores, candidate: SystemScores, columns: Sequence[str] | None
) -> tuple[list[str], list[str]]:
    """Return the columns to compare, and the default columns that both folders lack."""
    if columns:
        return list(dict.fromkeys(columns)), []
    improvements = {c for metric in base.run.metrics for c in metric.improvements}
    defaults = [column for column in base.columns if column not in improvements]
    empty = [c for c in defaults if _is_empty(base, c) and _is_empty(candidate, c)]
    return [column for column in defaults if column not in empty], empty


def _is_empty(scores: SystemScores, column: str) -> bool:
    """Return whether a column has no value, and no perfect or failed estimate as the reason."""
    return all(
        row.values.get(column) is None
        and not is_failure(row, column)
        and not is_perfect(row, column)
        for row in scores.items
    )


def _check_column(
    base: SystemScores,
    candidate: SystemScores,
    column: str,
    tolerance: float | None,
    part: str | None = None,
    keys: Iterable[Key] | None = None,
) -> MetricCheck:
    """Judge one column, in the items of a part of the set or in all.

    Without a tolerance the candidate has to be better.
    """
    paired = pair_column(base=base, candidate=candidate, column=column, keys=keys)
    differences = np.array(list(paired.per_mixture().values()))
    interval = mean_interval(differences)
    verdict, why = _judge(paired, differences.size, interval, tolerance)
    low, high = interval or (None, None)
    unit = base.unit_of[column]
    return MetricCheck(
        metric=column,
        slice=part,
        unit=unit,
        higher_is_better=base.definition_of[column].higher_is_better,
        verdict=verdict,
        why=why,
        tolerance=tolerance,
        n=differences.size,
        n_without=paired.n_without,
        mean_difference=float(differences.mean()) if differences.size else None,
        ci_lo=low,
        ci_hi=high,
        p_value=wilcoxon_p(differences),
        p_worse=p_below(differences, -(tolerance or 0.0)),
        detectable=detectable_difference(differences),
        share_worse_by_1_db=paired.share_worse_by(_MUCH_WORSE_DB) if unit == "dB" else None,
        new_failures=paired.new_failures,
        recovered=paired.recovered,
        worst=paired.worst(_N_WORST),
    )


def _judge(
    paired: PairedColumn, n: int, interval: Interval | None, tolerance: float | None
) -> tuple[Verdict, str]:
    """Return the verdict on one column of `n` mixtures, and the reason for it."""
    if paired.new_failures:
        return "fail", f"{len(paired.new_failures)} items failed that did not fail in the base"
    if n == 0:
        return "inconclusive", "no item has a value in both folders"
    if not any(pair.difference for pair in paired.pairs):
        return ("fail" if tolerance is None else "pass"), "no item differs"
    if interval is None:
        return "inconclusive", "one mixture has no interval: score more mixtures"
    if tolerance is None:
        return _judge_gain(interval, n)
    return _judge_loss(interval, n, tolerance)


def _judge_loss(interval: Interval, n: int, tolerance: float) -> tuple[Verdict, str]:
    low, high = interval
    if high < -tolerance:
        return "fail", f"worse by more than {tolerance:g}"
    if low < -tolerance:
        return "inconclusive", f"the interval includes a loss of {tolerance:g}: score more mixtures"
    if n < FEW:
        return "inconclusive", f"fewer than {FEW} mixtures pass only if no item differs"
    return "pass", f"not worse by more than {tolerance:g}"


def _judge_gain(interval: Interval, n: int) -> tuple[Verdict, str]:
    low, high = interval
    if high <= 0:
        return "fail", "the interval holds no gain"
    if low <= 0:
        return "inconclusive", "the interval holds 0: score more mixtures"
    if n < FEW:
        return "inconclusive", f"fewer than {FEW} mixtures show no gain"
    return "pass", "the interval is above 0"


def _overall_verdict(verdicts: Sequence[Verdict], slices: Sequence[MetricCheck]) -> Verdict:
    """Return the verdict on all columns; slices are small, and only their failures count."""
    if "fail" in (*verdicts, *(check.verdict for check in slices)):
        return "fail"
    if "inconclusive" in verdicts or not verdicts:
        return "inconclusive"
    return "pass"


def parse_tolerances(words: Iterable[str], unit_of: Mapping[str, str]) -> dict[str, float]:
    """Return column to tolerance; a later word replaces an earlier one.

    Args:
        words: `column=number` for one column, `number` for all columns in dB.
        unit_of: column to unit, for every column of the scores.

    Raises:
        UsageError: a word has neither form, or its number is negative or not finite.
    """
    tolerances: dict[str, float] = {}
    for word in words:
        column, _, number = word.rpartition("=")
        tolerance = _parse_tolerance(word, number)
        if column:
            tolerances[column.strip()] = tolerance
        else:
            tolerances |= {name: tolerance for name, unit in unit_of.items() if unit == "dB"}
    return tolerances


def _parse_tolerance(word: str, number: str) -> float:
    try:
        tolerance = float(number)
    except ValueError:
        tolerance = math.nan
    if not (math.isfinite(tolerance) and tolerance >= 0.0):
        raise UsageError(
            f"The tolerance {word!r} is not allowed: write si_sdr=0.2 or 0.2, with 0 or more."
        )
    return tolerance
