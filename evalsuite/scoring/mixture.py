"""Score one mixture: read its files, return its rows of items.jsonl. Runs in worker processes."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from evalsuite.metrics import (
    ItemScores,
    Metric,
    ReferenceScores,
    evaluate,
    evaluate_mixture,
    select,
)
from evalsuite.metrics.evaluation import MixtureScores, failed_mixture, of_reference
from evalsuite.metrics.item import Array
from evalsuite.metrics.outcome import Missing, Reason, reason_of
from evalsuite.scoring.estimates import Estimate, estimate_path, load_estimate
from evalsuite.scoring.records import ItemRow
from mixgen.audio.read import read_audio
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

Baseline = tuple[ReferenceScores, ...]


@dataclass(frozen=True)
class ScoringJob:
    """The part of a run that is the same for all mixtures.

    Attributes:
        set_folder: the rendered set.
        manifest_sha256: of that set; a worker opens the set again when it changes.
        estimates_folder: with one folder of estimates per mixture.
        estimate_names: file names of the estimates, without extension.
        named: the estimates carry the names of the targets and are not permuted.
        task: of the set.
        metrics: names of metrics.
    """

    set_folder: Path
    manifest_sha256: str
    estimates_folder: Path
    estimate_names: tuple[str, ...]
    named: bool
    task: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class PendingMixture:
    """One mixture to score: its id, why the separator failed on it, its baseline if known."""

    id: str
    failure: str | None = None
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
    rendered = _open_set(job.set_folder, job.manifest_sha256)
    return _MixtureScorer(job, rendered, rendered.manifest.by_id[pending.id]).score(pending)


@lru_cache(maxsize=1)
def _open_set(folder: Path, manifest_sha256: str) -> RenderedSet:  # noqa: ARG001 (part of the key)
    return RenderedSet(folder)


class _MixtureScorer:
    """Scores one mixture and builds its rows."""

    def __init__(self, job: ScoringJob, rendered: RenderedSet, mixture: Mixture) -> None:
        self._job = job
        self._rendered = rendered
        self._mixture = mixture
        self._names = tuple(mixture.targets) if job.named else job.estimate_names

    def score(self, pending: PendingMixture) -> Scored:
        """Return the rows, and the baseline of `pending` or the one computed for the rows."""
        if pending.failure is not None:
            problem = Missing(Reason.MISSING_ESTIMATE, f"the separator failed: {pending.failure}")
            return self._failed(0, problem, pending)
        estimates = [self._load(name) for name in self._names]
        n_est = sum(estimate is not None for estimate in estimates)
        unusable = next((e for e in estimates if isinstance(e, Missing)), None)
        if unusable is not None:
            return self._failed(n_est, unusable, pending)
        signals = [None if isinstance(e, Missing) else e for e in estimates]
        scores = self._evaluate(signals, pending.baseline)
        return Scored(pending.id, self._scored_rows(n_est, scores), scores.baseline)

    def _failed(self, n_est: int, problem: Missing, pending: PendingMixture) -> Scored:
        baseline = pending.baseline or self._baseline()
        return Scored(pending.id, self._failed_rows(n_est, problem, baseline), baseline)

    def _load(self, name: str) -> Estimate:
        if name not in self._job.estimate_names:
            return None
        path = estimate_path(self._job.estimates_folder, self._mixture.id, name)
        return load_estimate(path, self._mixture.sample_rate)

    def _evaluate(self, estimates: Sequence[Array | None], baseline: Baseline | None) -> ItemScores:
        mixture = self._mixture
        return evaluate(
            references=self._rendered.load_references(mixture.id),
            estimates=estimates,
            mixture=self._rendered.load_mixture(mixture.id),
            sample_rate=mixture.sample_rate,
            names=mixture.targets if self._job.named else None,
            task=self._job.task,
            metrics=self._job.metrics,
            baseline=baseline,
            record=mixture,
            read=self._read,
        )

    def _baseline(self) -> Baseline:
        return evaluate_mixture(
            references=self._rendered.load_references(self._mixture.id),
            mixture=self._rendered.load_mixture(self._mixture.id),
            sample_rate=self._mixture.sample_rate,
            task=self._job.task,
            metrics=self._job.metrics,
        )

    def _read(self, name: str) -> Array:
        """Return a file of the mixture, shape (channels, time)."""
        return read_audio(self._rendered.reference_path(self._mixture.id, name))[0]

    @cached_property
    def _metrics(self) -> tuple[Metric, ...]:
        return select(
            task=self._job.task,
            sample_rate=self._mixture.sample_rate,
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
        for name, (scored, base) in zip(self._mixture.targets, pairs, strict=True):
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
        scored = [
            column
            for metric in of_reference(self._metrics)
            for column in metric.columns + metric.improvement_columns
        ]
        permutation: list[int | None] = [None] * len(self._mixture.targets)
        rows = [
            self._row(
                name,
                n_est,
                estimate=None,
                permutation=permutation,
                reason=str(problem),
                values=dict.fromkeys(self._columns),
                reasons=dict.fromkeys(scored, str(problem)),
                mixture=base.values,
            )
            for name, base in zip(self._mixture.targets, baseline, strict=True)
        ]
        failed = failed_mixture(self._metrics, problem)
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
        labels = (s.label for s in self._mixture.sources if s.name == reference)
        failures = (text for text in reasons.values() if reason_of(text).is_failure)
        reason = reason or next(failures, None)
        return ItemRow(
            id=self._mixture.id,
            reference=reference,
            label=next(labels, reference or ""),
            estimate=estimate,
            n_ref=len(self._mixture.targets),
            n_est=n_est,
            permutation=permutation,
            duration_s=self._mixture.duration_s,
            status="ok" if reason is None else "failed",
            reason=reason,
            values=values,
            reasons=reasons,
            mixture=mixture or {},
            extra=extra or {},
            notes=notes or {},
            tallies=tallies or {},
        )
