"""Score one mixture: read its files, return its rows of items.jsonl. Runs in worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from evalsuite.metrics import (
    ItemScores,
    Metric,
    ReferenceScores,
    evaluate,
    evaluate_mixture,
    select,
)
from evalsuite.metrics.evaluation import (
    MixtureScores,
    failed_mixture,
    lost_references,
    of_reference,
    values_and_reasons,
)
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.outcome import Missing, Reason, reason_of
from evalsuite.scoring.records import ItemRow
from evalsuite.scoring.scene import Scene

Baseline = tuple[ReferenceScores, ...]

_MISSED = {Reason.SILENT_ESTIMATE, Reason.MISSING_ESTIMATE}


@dataclass(frozen=True)
class ScoringJob:
    """The part of a run that is the same for all mixtures.

    Attributes:
        named: the estimates carry the names of the targets and are not permuted.
        task: of the set.
        metrics: names of metrics.
        counted: every estimate that is not silent counts as found.
    """

    named: bool
    task: str
    metrics: tuple[str, ...]
    counted: bool = False


@dataclass(frozen=True)
class PendingMixture:
    """One mixture to score, and its baseline if it is known."""

    scene: Scene
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Scored:
    """Rows of one mixture in the order of its references, and its baseline."""

    id: str
    rows: tuple[ItemRow, ...]
    baseline: Baseline


def score_mixture(job: ScoringJob, pending: PendingMixture) -> Scored:
    """Score the estimates of one mixture against its references.

    Raises:
        InputError: a file of the set cannot be used. Bad estimates make the mixture fail instead.
    """
    return _MixtureScorer(job, pending).score()


class _MixtureScorer:
    """Scores one mixture and builds its rows."""

    def __init__(self, job: ScoringJob, pending: PendingMixture) -> None:
        self._job = job
        self._scene = pending.scene
        self._known_baseline = pending.baseline
        self._names = tuple(pending.scene.estimates)

    def score(self) -> Scored:
        """Return the rows, and the baseline that is known or the one computed for the rows."""
        failure = self._scene.failure
        if failure is not None:
            problem = Missing(Reason.MISSING_ESTIMATE, f"the separator failed: {failure}")
            return self._failed(0, problem)
        estimates = self._scene.load_estimates()
        n_est = sum(estimate is not None for estimate in estimates)
        unusable = next((e for e in estimates if isinstance(e, Missing)), None)
        if unusable is not None:
            return self._failed(n_est, unusable)
        signals = [None if isinstance(e, Missing) else e for e in estimates]
        scores = self._evaluate(signals)
        return Scored(self._scene.id, self._scored_rows(n_est, scores), scores.baseline)

    def _failed(self, n_est: int, problem: Missing) -> Scored:
        baseline = self._known_baseline or self._baseline()
        return Scored(self._scene.id, self._failed_rows(n_est, problem, baseline), baseline)

    def _evaluate(self, estimates: Sequence[Array | None]) -> ItemScores:
        scene = self._scene
        return evaluate(
            references=scene.load_references(),
            estimates=estimates,
            mixture=scene.load_mixture(),
            sample_rate=scene.sample_rate,
            names=list(scene.references) if self._job.named else None,
            task=self._job.task,
            metrics=self._job.metrics,
            baseline=self._known_baseline,
            record=scene.record,
            read=scene.read,
            counted=self._job.counted,
        )

    def _item(self) -> ScoringItem:
        return ScoringItem.checked(
            references=self._scene.load_references(),
            mixture=self._scene.load_mixture(),
            sample_rate=self._scene.sample_rate,
            record=self._scene.record,
            read=self._scene.read,
        )

    def _baseline(self) -> Baseline:
        return evaluate_mixture(
            references=self._scene.load_references(),
            mixture=self._scene.load_mixture(),
            sample_rate=self._scene.sample_rate,
            task=self._job.task,
            metrics=self._job.metrics,
            record=self._scene.record,
            read=self._scene.read,
        )

    @cached_property
    def _metrics(self) -> tuple[Metric, ...]:
        return select(
            task=self._job.task,
            sample_rate=self._scene.sample_rate,
            metrics=self._job.metrics,
        )

    @cached_property
    def _columns(self) -> list[str]:
        """Every column of a reference's row."""
        return [c for metric in of_reference(self._metrics) for c in metric.all_columns]

    def _scored_rows(self, n_est: int, scores: ItemScores) -> tuple[ItemRow, ...]:
        extra = {
            self._names[e.estimate]: e.values["leak_db"]
            for e in scores.extra
            if e.estimate is not None
        }
        permutation = list(scores.permutation)
        rows = []
        pairs = zip(scores.references, scores.baseline, strict=True)
        for name, (scored, base) in zip(self._scene.references, pairs, strict=True):
            rows.append(
                self._row(
                    name,
                    n_est,
                    estimate=None if scored.estimate is None else self._names[scored.estimate],
                    permutation=permutation,
                    reason=scores.reason,
                    values={column: scored.values.get(column) for column in self._columns},
                    reasons=scored.reasons,
                    mixture=base.values,
                    extra=extra,
                    notes=scores.notes,
                )
            )
        return (*rows, *self._mixture_row(n_est, scores.mixture, permutation, None))

    def _failed_rows(self, n_est: int, problem: Missing, baseline: Baseline) -> tuple[ItemRow, ...]:
        """Return the rows of a mixture without a scored estimate: the reason in every column."""
        item, n_ref = self._item(), len(self._scene.references)
        lost = lost_references(item, of_reference(self._metrics), range(n_ref), problem)
        permutation: list[int | None] = [None] * n_ref
        rows = []
        for index, name in enumerate(self._scene.references):
            values, reasons = values_and_reasons(lost[index])
            rows.append(
                self._row(
                    name,
                    n_est,
                    estimate=None,
                    permutation=permutation,
                    reason=str(problem),
                    values=dict.fromkeys(self._columns) | values,
                    reasons=reasons,
                    mixture=baseline[index].values,
                )
            )
        failed = failed_mixture(item, self._metrics, problem)
        return (*rows, *self._mixture_row(n_est, failed, permutation, str(problem)))

    def _mixture_row(
        self,
        n_est: int,
        scores: MixtureScores,
        permutation: list[int | None],
        reason: str | None,
    ) -> list[ItemRow]:
        """Return the row of the whole mixture if a metric scores mixtures or sets, else nothing."""
        if all(metric.scope == "reference" for metric in self._metrics):
            return []
        row = self._row(
            None,
            n_est,
            estimate=None,
            permutation=permutation,
            reason=reason,
            values=scores.values,
            reasons=scores.reasons,
            tallies=scores.tallies,
        )
        return [row]

    def _row(
        self,
        reference: str | None,
        n_est: int,
        *,
        estimate: str | None,
        permutation: list[int | None],
        reason: str | None,
        values: dict[str, float | None],
        reasons: dict[str, str],
        mixture: dict[str, float | None] | None = None,
        extra: dict[str, float | None] | None = None,
        notes: dict[str, str] | None = None,
        tallies: dict[str, float] | None = None,
    ) -> ItemRow:
        # A system that tells how many sources there are misses one; it does not fail.
        missed = _MISSED if self._job.counted else set()
        found = ((reason_of(text), text) for text in reasons.values())
        failures = (text for code, text in found if code.is_failure and code not in missed)
        reason = reason or next(failures, None)
        return ItemRow(
            id=self._scene.id,
            reference=reference,
            label=self._scene.labels.get(reference or "", reference or ""),
            estimate=estimate,
            n_ref=len(self._scene.references),
            n_est=n_est,
            permutation=permutation,
            duration_s=self._scene.duration_s,
            conditions=self._scene.conditions.get(reference, {}),
            status="ok" if reason is None else "failed",
            reason=reason,
            values=values,
            reasons=reasons,
            mixture=mixture or {},
            extra=extra or {},
            notes=notes or {},
            tallies=tallies or {},
        )
