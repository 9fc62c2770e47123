"""All metrics of one mixture: the one call that scoring is built from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from evalsuite.metrics.diagnostics import leak_db
from evalsuite.metrics.item import Array, Item
from evalsuite.metrics.metric import Metric
from evalsuite.metrics.outcome import Missing, Reason, Scores, reason_of
from evalsuite.metrics.permutation import Permutation, best_permutation, in_order
from evalsuite.metrics.table import select
from mixgen.core.errors import UsageError


@dataclass(frozen=True)
class ReferenceScores:
    """The columns of one reference; each is a finite value, or None with a reason.

    Attributes:
        name: of the reference.
        estimate: index of the estimate that was scored, None where there was none.
        values: column to value.
        reasons: column to reason (`code` or `code: detail`), for every None in `values`.
    """

    name: str
    estimate: int | None
    values: dict[str, float | None]
    reasons: dict[str, str]

    @property
    def failures(self) -> dict[str, str]:
        """The reasons that count against the system."""
        return {c: text for c, text in self.reasons.items() if reason_of(text).is_failure}


@dataclass(frozen=True)
class ItemScores:
    """Scores of one item.

    Attributes:
        status: "ok", or "failed" when no estimate could be scored.
        reason: why it failed.
        permutation: for each reference the index of its estimate, or None.
        references: one entry per reference.
        extra: estimates that no reference got.
        baseline: the mixture scored as the estimate of each reference; can be passed in again.
        notes: anything a metric did that it does not do as a rule.
    """

    status: Literal["ok", "failed"]
    reason: str | None
    permutation: tuple[int | None, ...]
    references: tuple[ReferenceScores, ...]
    extra: tuple[ReferenceScores, ...] = ()
    baseline: tuple[ReferenceScores, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


def evaluate(
    *,
    references: ArrayLike,
    estimates: Sequence[ArrayLike | None],
    mixture: ArrayLike,
    sample_rate: int,
    names: Sequence[str] | None = None,
    kind: str = "speech",
    metrics: Sequence[str] | None = None,
    baseline: Sequence[ReferenceScores] | None = None,
) -> ItemScores:
    """Score the estimates of one mixture with every metric, under one permutation.

    Args:
        references: shape (n_ref, channels, time), float.
        estimates: n_est arrays of shape (channels, time); None for one that is not there.
        mixture: shape (channels, time).
        sample_rate: in Hz.
        names: of the references, when estimate number i is known to be of reference number i; no
            permutation is searched then. By default the best one is.
        kind: speech, music or sound; it decides which metrics are on.
        metrics: names of metrics to compute instead.
        baseline: `evaluate_mixture` of the same item; computed here by default.

    Raises:
        InputError: references or mixture are not what they should be. Bad estimates do not raise:
            the item fails and says why.
        UsageError: no such kind or metric, or names that do not fit.
    """
    item = Item.checked(references=references, mixture=mixture, sample_rate=sample_rate)
    rows = select(kind=kind, sample_rate=sample_rate, metrics=metrics)
    labels = _labels(item, names)
    signals = [None if e is None else np.asarray(e, dtype=np.float64) for e in estimates]
    problem = _problem(item, signals, named=names is not None)
    if problem is not None:
        return _failed(labels, rows, problem)
    pairing = _pairing(item, signals, named=names is not None)
    base = _baseline(item, rows, labels) if baseline is None else tuple(baseline)
    _check_baseline(base, rows, len(labels))
    scores = _score_matched(item, rows, signals, pairing)
    for index, scored in scores.items():
        scored.update(_improvements(rows, scored, base[index]))
    for index in pairing.missing:
        scores[index] = _nothing(rows, Missing(Reason.MISSING_ESTIMATE))
    return ItemScores(
        status="ok",
        reason=None,
        permutation=pairing.estimate_of,
        references=tuple(
            _written(label, pairing.estimate_of[i], scores[i]) for i, label in enumerate(labels)
        ),
        extra=tuple(
            _extra(item, i, e)
            for i, e in enumerate(signals)
            if i in pairing.extra and e is not None
        ),
        baseline=base,
        notes=item.notes,
    )


def evaluate_mixture(
    *,
    references: ArrayLike,
    mixture: ArrayLike,
    sample_rate: int,
    kind: str = "speech",
    metrics: Sequence[str] | None = None,
) -> tuple[ReferenceScores, ...]:
    """Score the unprocessed mixture against each reference, for `evaluate(baseline=...)`.

    It depends on the set and the metrics alone, so one result serves every system. Arguments and
    errors are those of `evaluate`.
    """
    item = Item.checked(references=references, mixture=mixture, sample_rate=sample_rate)
    rows = select(kind=kind, sample_rate=sample_rate, metrics=metrics)
    return _baseline(item, rows, _labels(item, None))


def _labels(item: Item, names: Sequence[str] | None) -> list[str]:
    n_ref = len(item.references)
    if names is None:
        return [f"s{number}" for number in range(1, n_ref + 1)]
    if len(set(names)) != n_ref:
        raise UsageError(
            f"The names are {', '.join(names)} for {n_ref} references; "
            "give one name to each, all different."
        )
    return list(names)


def _problem(item: Item, estimates: Sequence[Array | None], *, named: bool) -> Missing | None:
    """What makes the whole item fail: a wrong number, a wrong shape, NaN or infinity."""
    n_ref = len(item.references)
    if named and len(estimates) != n_ref:
        return Missing(Reason.WRONG_COUNT, f"{len(estimates)} estimates of {n_ref} names")
    for number, estimate in enumerate(estimates, start=1):
        if estimate is None:
            continue
        if estimate.shape != item.mixture.shape:
            shapes = f"estimate {number} is {estimate.shape}, the mixture {item.mixture.shape}"
            return Missing(Reason.WRONG_SHAPE, f"{shapes} (channels, time)")
        if not np.isfinite(estimate).all():
            return Missing(Reason.NON_FINITE_ESTIMATE, f"estimate {number}")
    return None


def _failed(labels: Sequence[str], rows: Sequence[Metric], problem: Missing) -> ItemScores:
    nothing = _nothing(rows, problem)
    references = tuple(_written(label, None, nothing) for label in labels)
    return ItemScores("failed", str(problem), (None,) * len(labels), references)


def _pairing(item: Item, estimates: Sequence[Array | None], *, named: bool) -> Permutation:
    if named:
        return in_order(estimates)
    return best_permutation(references=item.references, estimates=estimates)


def _baseline(
    item: Item, rows: Sequence[Metric], labels: Sequence[str]
) -> tuple[ReferenceScores, ...]:
    improved = [row for row in rows if row.improvements]
    scores = _score(item, improved, dict.fromkeys(range(len(labels)), item.mixture))
    columns = _improved_columns(improved)
    return tuple(
        _written(label, None, {column: scores[index][column] for column in columns})
        for index, label in enumerate(labels)
    )


def _check_baseline(base: Sequence[ReferenceScores], rows: Sequence[Metric], n_ref: int) -> None:
    columns = set(_improved_columns(rows))
    if len(base) != n_ref or any(columns - set(scores.values) for scores in base):
        raise UsageError(
            f"The baseline has {len(base)} references for {n_ref}, or lacks a column; pass what "
            "`evaluate_mixture` gave for the same item and metrics."
        )


def _score_matched(
    item: Item, rows: Sequence[Metric], estimates: Sequence[Array | None], pairing: Permutation
) -> dict[int, Scores]:
    matched = {
        index: estimate
        for index, number in enumerate(pairing.estimate_of)
        if number is not None and (estimate := estimates[number]) is not None
    }
    return _score(item, rows, matched)


def _score(item: Item, rows: Iterable[Metric], estimates: dict[int, Array]) -> dict[int, Scores]:
    scores: dict[int, Scores] = {index: {} for index in estimates}
    for row in rows:
        if row.applies_at(item.sample_rate):
            found = row.score(item, estimates)
        else:
            found = dict.fromkeys(estimates, _not_applicable(row, item.sample_rate))
        for index, columns in found.items():
            scores[index].update(columns)
    return scores


def _not_applicable(row: Metric, sample_rate: int) -> Scores:
    below = "" if row.highest_rate is None else f" and below {row.highest_rate} Hz"
    detail = f"defined from {row.lowest_rate} Hz on{below}, given {sample_rate} Hz"
    why = Missing(Reason.NOT_APPLICABLE, detail)
    return {column: why for column in row.columns}


def _improvements(rows: Iterable[Metric], scores: Scores, base: ReferenceScores) -> Scores:
    return {f"{c}i": _improvement(scores, base, c) for c in _improved_columns(rows)}


def _improvement(scores: Scores, base: ReferenceScores, column: str) -> float | Missing:
    score, of_mixture = scores[column], base.values[column]
    if isinstance(score, Missing):
        return score
    if of_mixture is None:
        return Missing(Reason.NOT_APPLICABLE, f"the mixture scores {base.reasons[column]}")
    return score - of_mixture


def _improved_columns(rows: Iterable[Metric]) -> list[str]:
    return [column for row in rows for column in row.improvements]


def _nothing(rows: Iterable[Metric], why: Missing) -> Scores:
    return {column: why for row in rows for column in row.columns + row.improvement_columns}


def _extra(item: Item, index: int, estimate: Array) -> ReferenceScores:
    level = {"leak_db": leak_db(estimate=estimate, mixture=item.mixture)}
    return _written(f"extra{index + 1}", index, level)


def _written(name: str, estimate: int | None, scores: Scores) -> ReferenceScores:
    values = {c: None if isinstance(s, Missing) else s for c, s in scores.items()}
    reasons = {c: str(s) for c, s in scores.items() if isinstance(s, Missing)}
    return ReferenceScores(name, estimate, values, reasons)
