"""All metrics of one mixture: the one call that scoring is built from."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from evalsuite.metrics.diagnostics import leak_db
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import Metric, MixtureMetric, ReferenceMetric, SetMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores, reason_of
from evalsuite.metrics.permutation import Permutation, best_permutation, in_order
from evalsuite.metrics.table import select
from mixgen.core.errors import UsageError
from mixgen.manifest.mixture import Mixture


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
class MixtureScores:
    """What metrics with the scope of a mixture or a set give for one mixture.

    Attributes:
        values: column of a mixture to value.
        reasons: column to reason, for every None in `values`.
        tallies: number to its value; the sums over all mixtures give the columns of the set.
    """

    values: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    tallies: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class ItemScores:
    """Scores of one item.

    Attributes:
        status: "ok", or "failed" when no estimate could be scored.
        reason: why it failed.
        permutation: for each reference the index of its estimate, or None.
        references: one entry per reference.
        mixture: columns of the mixture as a whole.
        extra: estimates that no reference got.
        baseline: the mixture scored as the estimate of each reference; can be passed in again.
        notes: anything that a metric did differently from its definition.
    """

    status: Literal["ok", "failed"]
    reason: str | None
    permutation: tuple[int | None, ...]
    references: tuple[ReferenceScores, ...]
    mixture: MixtureScores = field(default_factory=MixtureScores)
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
    task: str = "speech_separation",
    metrics: Sequence[str] | None = None,
    baseline: Sequence[ReferenceScores] | None = None,
    record: Mixture | None = None,
    read: Callable[[str], Array] | None = None,
) -> ItemScores:
    """Score the estimates of one mixture with every metric, under one permutation.

    Args:
        references: shape (n_ref, channels, time), float.
        estimates: n_est arrays of shape (channels, time); None for one that is missing.
        mixture: shape (channels, time).
        sample_rate: in Hz.
        names: of the references, when estimate number i is known to be of reference number i; no
            permutation is searched then. By default the best one is.
        task: decides which metrics are on.
        metrics: names of metrics to compute instead.
        baseline: `evaluate_mixture` of the same item; computed here by default.
        record: of the mixture in its manifest, for metrics that need more than signals.
        read: returns another file of the mixture by its name.

    Raises:
        InputError: references or mixture are not what they should be. Bad estimates do not raise:
            the item fails with a reason.
        UsageError: no such task or metric, or names that do not fit.
    """
    item = ScoringItem.checked(
        references=references, mixture=mixture, sample_rate=sample_rate, record=record, read=read
    )
    chosen = select(task=task, sample_rate=sample_rate, metrics=metrics)
    labels = _labels(item, names)
    signals = [None if e is None else np.asarray(e, dtype=np.float64) for e in estimates]
    problem = _problem(item, signals, named=names is not None)
    if problem is not None:
        return _failed(labels, chosen, problem)
    if names is None:
        pairing = best_permutation(references=item.references, estimates=signals)
    else:
        pairing = in_order(signals)
    base = _baseline(item, chosen, labels) if baseline is None else tuple(baseline)
    _check_baseline(base, chosen, len(labels))
    scores = _score_matched(item, chosen, signals, pairing)
    for index, scored in scores.items():
        scored.update(_improvements(chosen, scored, base[index]))
    for index in pairing.missing:
        scores[index] = _nothing(of_reference(chosen), Missing(Reason.MISSING_ESTIMATE))
    return ItemScores(
        status="ok",
        reason=None,
        permutation=pairing.estimate_of,
        references=tuple(
            _written(label, pairing.estimate_of[i], scores[i]) for i, label in enumerate(labels)
        ),
        mixture=_score_mixture(item, chosen, signals),
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
    task: str = "speech_separation",
    metrics: Sequence[str] | None = None,
) -> tuple[ReferenceScores, ...]:
    """Score the unprocessed mixture against each reference, for `evaluate(baseline=...)`.

    It depends on the set and the metrics alone, so one result serves every system. Arguments and
    errors are those of `evaluate`.
    """
    item = ScoringItem.checked(references=references, mixture=mixture, sample_rate=sample_rate)
    chosen = select(task=task, sample_rate=sample_rate, metrics=metrics)
    return _baseline(item, chosen, _labels(item, None))


def of_reference(metrics: Iterable[Metric]) -> list[ReferenceMetric]:
    """Return the metrics that score a reference and its estimate."""
    return [metric for metric in metrics if isinstance(metric, ReferenceMetric)]


def _labels(item: ScoringItem, names: Sequence[str] | None) -> list[str]:
    n_ref = len(item.references)
    if names is None:
        return [f"s{number}" for number in range(1, n_ref + 1)]
    if len(set(names)) != n_ref:
        raise UsageError(
            f"The names are {', '.join(names)} for {n_ref} references; "
            "give one name to each, all different."
        )
    return list(names)


def _problem(
    item: ScoringItem, estimates: Sequence[Array | None], *, named: bool
) -> Missing | None:
    """Return what makes the whole item fail: a wrong number, a wrong shape, NaN or infinity."""
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


def _failed(labels: Sequence[str], metrics: Sequence[Metric], problem: Missing) -> ItemScores:
    nothing = _nothing(of_reference(metrics), problem)
    return ItemScores(
        status="failed",
        reason=str(problem),
        permutation=(None,) * len(labels),
        references=tuple(_written(label, None, nothing) for label in labels),
        mixture=failed_mixture(metrics, problem),
    )


def failed_mixture(metrics: Iterable[Metric], problem: Missing) -> MixtureScores:
    """Return the columns of a mixture of which no estimate could be scored."""
    of_mixture = [metric for metric in metrics if isinstance(metric, MixtureMetric)]
    return MixtureScores(*values_and_reasons(_nothing(of_mixture, problem)))


def _baseline(
    item: ScoringItem, metrics: Sequence[Metric], labels: Sequence[str]
) -> tuple[ReferenceScores, ...]:
    improved = [metric for metric in of_reference(metrics) if metric.improvements]
    scores = _score(item, improved, dict.fromkeys(range(len(labels)), item.mixture))
    columns = _improved_columns(improved)
    return tuple(
        _written(label, None, {column: scores[index][column] for column in columns})
        for index, label in enumerate(labels)
    )


def _check_baseline(base: Sequence[ReferenceScores], metrics: Sequence[Metric], n_ref: int) -> None:
    columns = set(_improved_columns(metrics))
    if len(base) != n_ref or any(columns - set(scores.values) for scores in base):
        raise UsageError(
            f"The baseline has {len(base)} references for {n_ref}, or lacks a column; pass what "
            "`evaluate_mixture` gave for the same item and metrics."
        )


def _score_matched(
    item: ScoringItem,
    metrics: Sequence[Metric],
    estimates: Sequence[Array | None],
    pairing: Permutation,
) -> dict[int, Scores]:
    matched = {
        index: estimate
        for index, number in enumerate(pairing.estimate_of)
        if number is not None and (estimate := estimates[number]) is not None
    }
    return _score(item, of_reference(metrics), matched)


def _score(
    item: ScoringItem, metrics: Iterable[ReferenceMetric], estimates: Mapping[int, Array]
) -> dict[int, Scores]:
    scores: dict[int, Scores] = {index: {} for index in estimates}
    for metric in metrics:
        if metric.applies_at(item.sample_rate):
            found = metric.score(item, estimates)
        else:
            found = dict.fromkeys(estimates, metric.not_applicable(item.sample_rate))
        for index, columns in found.items():
            scores[index].update(columns)
    return scores


def _score_mixture(
    item: ScoringItem, metrics: Iterable[Metric], estimates: Sequence[Array | None]
) -> MixtureScores:
    scores: Scores = {}
    tallies: dict[str, float] = {}
    for metric in metrics:
        if isinstance(metric, MixtureMetric):
            applies = metric.applies_at(item.sample_rate)
            scores |= (
                metric.score(item, estimates)
                if applies
                else metric.not_applicable(item.sample_rate)
            )
        elif isinstance(metric, SetMetric) and metric.applies_at(item.sample_rate):
            tallies |= metric.tally(item, estimates)
    return MixtureScores(*values_and_reasons(scores), tallies)


def _improvements(metrics: Iterable[Metric], scores: Scores, base: ReferenceScores) -> Scores:
    return {f"{c}i": _improvement(scores, base, c) for c in _improved_columns(metrics)}


def _improvement(scores: Scores, base: ReferenceScores, column: str) -> float | Missing:
    score, of_mixture = scores[column], base.values[column]
    if isinstance(score, Missing):
        return score
    if of_mixture is None:
        return Missing(Reason.NOT_APPLICABLE, f"the mixture scores {base.reasons[column]}")
    return score - of_mixture


def _improved_columns(metrics: Iterable[Metric]) -> list[str]:
    return [column for metric in metrics for column in metric.improvements]


def _nothing(metrics: Iterable[Metric], why: Missing) -> Scores:
    return {c: why for metric in metrics for c in metric.columns + metric.improvement_columns}


def _extra(item: ScoringItem, index: int, estimate: Array) -> ReferenceScores:
    level = {"leak_db": leak_db(estimate=estimate, mixture=item.mixture)}
    return _written(f"extra{index + 1}", index, level)


def _written(name: str, estimate: int | None, scores: Scores) -> ReferenceScores:
    return ReferenceScores(name, estimate, *values_and_reasons(scores))


def values_and_reasons(scores: Scores) -> tuple[dict[str, float | None], dict[str, str]]:
    """Return columns with None for what is missing, and the reasons for these."""
    values = {c: None if isinstance(s, Missing) else s for c, s in scores.items()}
    reasons = {c: str(s) for c, s in scores.items() if isinstance(s, Missing)}
    return values, reasons
