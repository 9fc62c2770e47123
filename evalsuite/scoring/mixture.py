"""Scoring of one mixture: files in, rows of items.jsonl out. Runs in worker processes too."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from evalsuite.metrics import ItemScores, ReferenceScores, evaluate, select
from evalsuite.metrics.item import Array
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.scoring.estimates import Estimate, estimate_path, load_estimate
from evalsuite.scoring.records import ItemRow
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

Baseline = tuple[ReferenceScores, ...]


@dataclass(frozen=True)
class Job:
    """What is the same for all mixtures of a run.

    Attributes:
        set_folder: the rendered set.
        manifest_sha256: of that set, so that a set rendered anew is not taken for the old one.
        estimates_folder: with one folder of estimates per mixture.
        estimate_names: file names of the estimates, without extension.
        named: the estimates carry the names of the targets and are not permuted.
        kind: of content: speech, music or sound.
        metrics: names of rows of the metrics table.
    """

    set_folder: Path
    manifest_sha256: str
    estimates_folder: Path
    estimate_names: tuple[str, ...]
    named: bool
    kind: str
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One mixture to score: its id, why the separator gave up on it, its known baseline."""

    id: str
    failure: str | None = None
    baseline: Baseline | None = None


@dataclass(frozen=True)
class Scored:
    """Rows of one mixture in the order of its references, and its baseline if one was needed."""

    id: str
    rows: tuple[ItemRow, ...]
    baseline: Baseline | None


def score_mixture(job: Job, task: Task) -> Scored:
    """Score the estimates of one mixture against its references.

    Raises:
        InputError: a file of the set cannot be used. Bad estimates make the item fail instead.
    """
    rendered = _opened(job.set_folder, job.manifest_sha256)
    mixture = rendered.manifest.by_id[task.id]
    names = tuple(mixture.targets) if job.named else job.estimate_names
    if task.failure is not None:
        why = Missing(Reason.MISSING_ESTIMATE, f"the separator failed: {task.failure}")
        return Scored(task.id, _failed_rows(job, mixture, 0, why), task.baseline)
    estimates = [_load(job, mixture, name) for name in names]
    n_est = sum(estimate is not None for estimate in estimates)
    unusable = next((e for e in estimates if isinstance(e, Missing)), None)
    if unusable is not None:
        return Scored(task.id, _failed_rows(job, mixture, n_est, unusable), task.baseline)
    signals = [None if isinstance(e, Missing) else e for e in estimates]
    scores = _evaluate(job, rendered, mixture, signals, task.baseline)
    rows = _scored_rows(job, mixture, names, n_est, scores)
    return Scored(task.id, rows, scores.baseline or task.baseline)


@lru_cache(maxsize=1)
def _opened(folder: Path, manifest_sha256: str) -> RenderedSet:  # noqa: ARG001 (part of the key)
    return RenderedSet(folder)


def _load(job: Job, mixture: Mixture, name: str) -> Estimate:
    if name not in job.estimate_names:
        return None
    path = estimate_path(job.estimates_folder, mixture.id, name)
    return load_estimate(path, mixture.sample_rate)


def _evaluate(
    job: Job,
    rendered: RenderedSet,
    mixture: Mixture,
    estimates: Sequence[Array | None],
    baseline: Baseline | None,
) -> ItemScores:
    return evaluate(
        references=rendered.load_references(mixture.id),
        estimates=estimates,
        mixture=rendered.load_mixture(mixture.id),
        sample_rate=mixture.sample_rate,
        names=mixture.targets if job.named else None,
        kind=job.kind,
        metrics=job.metrics,
        baseline=baseline,
    )


def _scored_rows(
    job: Job, mixture: Mixture, names: Sequence[str], n_est: int, scores: ItemScores
) -> tuple[ItemRow, ...]:
    columns = _columns(job, mixture)
    extra = {names[e.estimate]: e.values["leak_db"] for e in scores.extra if e.estimate is not None}
    rows = []
    for name, scored in zip(mixture.targets, scores.references, strict=True):
        missing = scored.estimate is None
        rows.append(
            ItemRow(
                id=mixture.id,
                reference=name,
                label=_label(mixture, name),
                estimate=None if scored.estimate is None else names[scored.estimate],
                n_ref=len(mixture.targets),
                n_est=n_est,
                permutation=list(scores.permutation),
                duration_s=mixture.duration_s,
                status="failed" if missing else "ok",
                reason=(scores.reason or str(Reason.MISSING_ESTIMATE)) if missing else None,
                values={column: scored.values.get(column) for column in columns},
                reasons=scored.reasons,
                extra=extra,
                notes=scores.notes,
            )
        )
    return tuple(rows)


def _failed_rows(job: Job, mixture: Mixture, n_est: int, why: Missing) -> tuple[ItemRow, ...]:
    """Rows of a mixture of which no estimate could be scored: nothing but the reason."""
    rows = select(kind=job.kind, sample_rate=mixture.sample_rate, metrics=job.metrics)
    scored = [column for row in rows for column in row.columns + row.improvement_columns]
    return tuple(
        ItemRow(
            id=mixture.id,
            reference=name,
            label=_label(mixture, name),
            estimate=None,
            n_ref=len(mixture.targets),
            n_est=n_est,
            permutation=[None] * len(mixture.targets),
            duration_s=mixture.duration_s,
            status="failed",
            reason=str(why),
            values=dict.fromkeys(_columns(job, mixture)),
            reasons=dict.fromkeys(scored, str(why)),
        )
        for name in mixture.targets
    )


def _columns(job: Job, mixture: Mixture) -> list[str]:
    rows = select(kind=job.kind, sample_rate=mixture.sample_rate, metrics=job.metrics)
    return [column for row in rows for column in row.all_columns]


def _label(mixture: Mixture, name: str) -> str:
    return next((s.label for s in mixture.sources if s.name == name), name)
