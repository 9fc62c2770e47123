"""Evaluate all metrics of one mixture under one permutation."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from threadpoolctl import ThreadpoolController

from evalsuite.metrics.diagnostics import leak_db
from evalsuite.metrics.item import Array, ScoringItem, as_array
from evalsuite.metrics.metric import Metric, MixtureMetric, ReferenceMetric, SetMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, reason_of
from evalsuite.metrics.permutation import Permutation, best_permutation, in_order
from evalsuite.metrics.table import select
from mixgen.core.errors import UsageError
from mixgen.core.memory import keep_freed_memory
from mixgen.manifest.mixture import Mixture


@dataclass(frozen=True)
class ReferenceScores:
    """The columns of one reference; each holds a finite value, or None with a reason.

    Attributes:
        name: of the reference.
        estimate: index of the estimate that was scored; None without one.
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
class MixtureScores:
    """The results of metrics with the scope of a mixture or a set, for one mixture.

    Attributes:
        values: column of a mixture to value.
        reasons: column to reason, for every None in `values`.
        tallies: name to number; the sums over all mixtures give the columns of the set.
    """

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    tallies: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemScores:
    """Scores of one item.

    Attributes:
        status: "ok", or "failed" when no estimate could be scored.
        reason: why it failed; None if it did not.
        permutation: for each reference the index of its estimate, or None.
        references: one entry per reference.
        mixture: columns of the whole mixture.
        extra: estimates that are assigned to no reference.
        baseline: the mixture scored as the estimate of each reference; `evaluate` accepts it again.
        notes: what a metric did differently from its definition.
    """

    status: Literal["ok", "failed"]
    reason: str | None
    permutation: tuple[int | None, ...]
    references: tuple[ReferenceScores, ...]
    mixture: MixtureScores = field(default_factory=MixtureScores)
    extra: tuple[ReferenceScores, ...] = ()
    baseline: tuple[ReferenceScores, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@contextmanager
def _prepared_process() -> Iterator[None]:
    """Keep freed memory, and BLAS to one thread: matrices are small, and waiting burns CPU time."""
    keep_freed_memory()
    with _libraries().limit(limits=1, user_api="blas"):
        yield


@_prepared_process()
def evaluate(
    *,
    references: ArrayLike,
    estimates: Sequence[ArrayLike | None],
    mixture: ArrayLike | None = None,
    sample_rate: int,
    names: Sequence[str] | None = None,
    task: str = "speech_separation",
    metrics: Sequence[str] | None = None,
    baseline: Sequence[ReferenceScores] | None = None,
    record: Mixture | None = None,
    read: Callable[[str], Array] | None = None,
    counted: bool = False,
) -> ItemScores:
    """Score the estimates of one mixture with every metric, under one permutation.

    Signals are arrays or torch tensors of any real type.

    Args:
        references: shape (n_ref, channels, time), float.
        estimates: n_est arrays of shape (channels, time); None for one that is missing.
        mixture: shape (channels, time); without one there are no improvements.
        sample_rate: in Hz.
        names: of the references, if estimate number i belongs to reference number i. By default
            the best permutation is searched.
        task: decides which metrics are on by default.
        metrics: names of metrics to compute instead of the defaults.
        baseline: `evaluate_mixture` of the same item; computed here by default.
        record: of the mixture in its manifest, for metrics that need more than signals.
        read: returns another file of the mixture by its name.
        counted: whether every estimate that is not silent counts as a source that was found.

    Raises:
        InputError: references or mixture have a wrong shape, or hold NaN or infinity. Bad
            estimates do not raise: the item fails with a reason.
        UsageError: the task or a metric does not exist, or the names do not fit the references.
    """
    item = ScoringItem.checked(
        references=references,
        mixture=mixture,
        sample_rate=sample_rate,
        record=record,
        read=read,
        named=names is not None,
        counted=counted,
        n_est=len(estimates),
    )
    chosen = select(task=task, sample_rate=sample_rate, metrics=metrics)
    labels = _labels(item, names)
    signals = [None if e is None else as_array(e) for e in estimates]
    problem = _problem(item, signals, named=names is not None)
    base = _baseline(item, chosen, labels) if baseline is None else tuple(baseline)
    _check_baseline(base, chosen, len(labels))
    if problem is not None:
        return _failed(item, labels, chosen, problem, base)
    if names is None:
        pairing = best_permutation(references=item.references, estimates=signals)
    else:
        pairing = in_order(signals)
    scores = _score_references(item, of_reference(chosen), signals, pairing, base)
    return ItemScores(
        status="ok",
        reason=None,
        permutation=pairing.estimate_of,
        references=tuple(
            _reference_scores(label, pairing.estimate_of[i], scores[i])
            for i, label in enumerate(labels)
        ),
        mixture=_score_mixture(item, chosen, signals),
        extra=_score_extra(item, signals, pairing),
        baseline=base,
        notes=item.notes,
    )


@_prepared_process()
def evaluate_mixture(
    *,
    references: ArrayLike,
    mixture: ArrayLike | None,
    sample_rate: int,
    task: str = "speech_separation",
    metrics: Sequence[str] | None = None,
    record: Mixture | None = None,
    read: Callable[[str], Array] | None = None,
) -> tuple[ReferenceScores, ...]:
    """Score the unprocessed mixture against each reference, for `evaluate(baseline=...)`.

    The result depends on the set and the metrics alone: all systems can share it. Arguments and
    errors are those of `evaluate`.
    """
    item = ScoringItem.checked(
        references=references, mixture=mixture, sample_rate=sample_rate, record=record, read=read
    )
    chosen = select(task=task, sample_rate=sample_rate, metrics=metrics)
    return _baseline(item, chosen, _labels(item, None))


def of_reference(metrics: Iterable[Metric]) -> list[ReferenceMetric]:
    """Return the metrics that score a reference and its estimate."""
    return [metric for metric in metrics if isinstance(metric, ReferenceMetric)]


def _labels(item: ScoringItem, names: Sequence[str] | None) -> list[str]:
    n_ref = len(item.references)
    if names is None:
        return [f"s{number}" for number in range(1, n_ref + 1)]
    if not len(names) == len(set(names)) == n_ref:
        raise UsageError(
            f"The names are {', '.join(names)} for {n_ref} references; "
            "give one name to each, all different."
        )
    return list(names)


def _problem(
    item: ScoringItem, estimates: Sequence[Array | None], *, named: bool
) -> Missing | None:
    """Return why the whole item fails: a wrong number, a wrong shape, NaN or infinity."""
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


def _failed(
    item: ScoringItem,
    labels: Sequence[str],
    metrics: Sequence[Metric],
    problem: Missing,
    base: tuple[ReferenceScores, ...],
) -> ItemScores:
    lost = lost_references(item, of_reference(metrics), range(len(labels)), problem)
    references = [_reference_scores(label, None, lost[i]) for i, label in enumerate(labels)]
    return ItemScores(
        status="failed",
        reason=str(problem),
        permutation=(None,) * len(labels),
        references=tuple(references),
        mixture=failed_mixture(item, metrics, problem),
        baseline=base,
    )


def lost_references(
    item: ScoringItem,
    metrics: Sequence[ReferenceMetric],
    indices: Sequence[int],
    problem: Missing,
) -> dict[int, Scores]:
    """Return the columns of references without an estimate that can be scored.

    `problem` stands in each, but for the parts of ratios that count all the same.
    """
    scores = {index: _all_missing(metrics, problem) for index in indices}
    for metric in metrics if indices else ():
        if metric.lost is not None and not metric.unavailable(item.sample_rate):
            fitting = [index for index in indices if metric.is_for(item.kind(index))]
            for index, parts in metric.lost(item, fitting).items():
                scores[index] |= parts
    return scores


def failed_mixture(item: ScoringItem, metrics: Sequence[Metric], problem: Missing) -> MixtureScores:
    """Return the columns of a mixture whose estimates cannot be scored, with `problem` in each.

    Metrics of the set count it as a mixture without estimates.
    """
    of_mixture = [metric for metric in metrics if isinstance(metric, MixtureMetric)]
    scores = values_and_reasons(_all_missing(of_mixture, problem))
    return MixtureScores(*scores, _tallies(item, metrics, []))


def _baseline(
    item: ScoringItem, metrics: Sequence[Metric], labels: Sequence[str]
) -> tuple[ReferenceScores, ...]:
    improved = [metric for metric in of_reference(metrics) if metric.improvements]
    columns = _improved_columns(improved)
    if item.has_mixture:
        scores = _score(item, improved, dict.fromkeys(range(len(labels)), item.mixture))
    else:
        unknown: Scores = dict.fromkeys(columns, Missing(Reason.NOT_APPLICABLE, "no mixture"))
        scores = dict.fromkeys(range(len(labels)), unknown)
    return tuple(
        _reference_scores(label, None, {column: scores[index][column] for column in columns})
        for index, label in enumerate(labels)
    )


def _check_baseline(base: Sequence[ReferenceScores], metrics: Sequence[Metric], n_ref: int) -> None:
    columns = set(_improved_columns(metrics))
    if len(base) != n_ref or any(columns - set(scores.values) for scores in base):
        raise UsageError(
            f"The baseline has {len(base)} references for {n_ref}, or lacks a column; pass the "
            "result of `evaluate_mixture` for the same item and metrics."
        )


def _score_references(
    item: ScoringItem,
    metrics: Sequence[ReferenceMetric],
    estimates: Sequence[Array | None],
    pairing: Permutation,
    base: Sequence[ReferenceScores],
) -> dict[int, Scores]:
    """Return every column of every reference, improvements over `base` included."""
    matched = {
        index: estimate
        for index, number in enumerate(pairing.estimate_of)
        if number is not None and (estimate := estimates[number]) is not None
    }
    scores = _score(item, metrics, matched)
    for index, columns in scores.items():
        for column in _improved_columns(metrics):
            columns[f"{column}i"] = _improvement(columns[column], base[index], column)
    missing = Missing(Reason.MISSING_ESTIMATE)
    return scores | lost_references(item, metrics, pairing.missing, missing)


def _score(
    item: ScoringItem, metrics: Iterable[ReferenceMetric], estimates: Mapping[int, Array]
) -> dict[int, Scores]:
    scores: dict[int, Scores] = {index: {} for index in estimates}
    for metric in metrics:
        if unavailable := metric.unavailable(item.sample_rate):
            for columns in scores.values():
                columns |= unavailable
            continue
        fitting = {i: e for i, e in estimates.items() if metric.is_for(item.kind(i))}
        scored = metric.score(item, fitting) if fitting else {}
        for index, columns in scores.items():
            columns |= scored[index] if index in fitting else metric.not_for(item.kind(index))
    return scores


def _score_mixture(
    item: ScoringItem, metrics: Sequence[Metric], estimates: Sequence[Array | None]
) -> MixtureScores:
    scores: Scores = {}
    for metric in metrics:
        if isinstance(metric, MixtureMetric):
            scores |= metric.unavailable(item.sample_rate) or metric.score(item, estimates)
    return MixtureScores(*values_and_reasons(scores), _tallies(item, metrics, estimates))


def _tallies(
    item: ScoringItem, metrics: Iterable[Metric], estimates: Sequence[Array | None]
) -> dict[str, float]:
    tallies: dict[str, float] = {}
    for metric in metrics:
        if isinstance(metric, SetMetric) and not metric.unavailable(item.sample_rate):
            tallies |= metric.tally(item, estimates)
    return tallies


def _score_extra(
    item: ScoringItem, estimates: Sequence[Array | None], pairing: Permutation
) -> tuple[ReferenceScores, ...]:
    """Return the level of each estimate that is assigned to no reference."""
    extra = [(i, e) for i, e in enumerate(estimates) if i in pairing.extra and e is not None]
    return tuple(
        _reference_scores(
            f"extra{i + 1}", i, {"leak_db": leak_db(estimate=e, mixture=item.mixture)}
        )
        for i, e in extra
    )


def _improvement(score: Score, base: ReferenceScores, column: str) -> Score:
    mixture_score = base.values[column]
    if isinstance(score, Missing):
        return score
    if mixture_score is None:
        return Missing(Reason.NOT_APPLICABLE, f"the mixture scores {base.reasons[column]}")
    return score - mixture_score


def _improved_columns(metrics: Iterable[Metric]) -> list[str]:
    return [column for metric in metrics for column in metric.improvements]


def _all_missing(metrics: Iterable[Metric], problem: Missing) -> Scores:
    return {c: problem for metric in metrics for c in metric.columns + metric.improvement_columns}


def _reference_scores(name: str, estimate: int | None, scores: Scores) -> ReferenceScores:
    return ReferenceScores(name, estimate, *values_and_reasons(scores))


def values_and_reasons(scores: Scores) -> tuple[dict[str, float | None], dict[str, str]]:
    """Split scores into column to value, None where it is missing, and column to reason."""
    values = {c: None if isinstance(s, Missing) else s for c, s in scores.items()}
    reasons = {c: str(s) for c, s in scores.items() if isinstance(s, Missing)}
    return values, reasons
