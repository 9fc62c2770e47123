"""Score a folder of estimates against a rendered set: write SCORES/items.jsonl and run.json."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from evalsuite.metrics import Reason, SetMetric, reason_of, spec, spec_sha256
from evalsuite.metrics.evaluation import values_and_reasons
from evalsuite.metrics.outcome import Scores
from evalsuite.scoring.baseline import read_cache, write_cache
from evalsuite.scoring.folder import ScoreFolder
from evalsuite.scoring.journal import ScoreJournal
from evalsuite.scoring.mixture import PendingMixture, score_mixture
from evalsuite.scoring.plan import Plan, plan_score
from evalsuite.scoring.provenance import hardware, versions
from evalsuite.scoring.records import (
    ITEMS_FILE,
    RUN_FILE,
    Counts,
    ItemRow,
    MetricDefinition,
    ScoresRun,
    Separation,
)
from mixgen.core.files import sha256_file, write_json, write_jsonl
from mixgen.core.progress import print_status, track
from mixgen.core.workers import bounded_map

_INFINITE = {Reason.PERFECT, Reason.ORTHOGONAL_ESTIMATE}


def score(
    set_folder: str | Path,
    estimates: str | Path,
    out: str | Path,
    *,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    name: str | None = None,
    workers: int = 1,
) -> ScoreFolder:
    """Score estimates against the references of a set and write `out`/items.jsonl and run.json.

    Args:
        set_folder: a rendered set.
        estimates: folder written by `baselines separate`, or by another program in any layout of
            `mixgen.sets.trees`.
        out: folder to write the scores to.
        split: to score; by default the split that was separated, or the only one of which there
            are estimates.
        metrics: names of metrics; by default those for the set's task.
        name: of the system; by default that of run.json, or of the folder.
        workers: processes that score.

    Raises:
        InputError: estimates and set do not belong together, or a file of the set cannot be used.
        UsageError: a metric does not exist.
        MachineError: `out` cannot be written, or a worker process was killed.
    """
    plan = plan_score(Path(set_folder), Path(estimates), split=split, metrics=metrics, name=name)
    score_plan(plan, Path(out), workers=workers)
    return ScoreFolder(Path(out))


def score_plan(plan: Plan, out: Path, *, workers: int = 1) -> ScoresRun:
    """Score every mixture of the plan and write `out`/items.jsonl and `out`/run.json.

    A run that was killed continues where it stopped. The rows are in the order of the manifest,
    whatever the number of worker processes.

    Raises:
        InputError: a file of the set cannot be used.
        MachineError: `out` cannot be written, or a worker process was killed.
    """
    baselines = {} if plan.cache is None else read_cache(plan.cache)
    journal = ScoreJournal(out, plan.inputs_sha256)
    pending = [
        PendingMixture(scene, baselines.get(scene.id))
        for scene in plan.scenes
        if scene.id not in journal.done
    ]
    if journal.done:
        print_status(f"score: {len(journal.done)} mixtures are finished, {len(pending)} remain")
    workers = max(1, min(workers, len(pending)))
    try:
        results = bounded_map(partial(score_mixture, plan.job), pending, workers=workers)
        for _, scored in track(results, "score", total=len(pending)):
            journal.add(scored)
    finally:
        journal.close()
    computed = {i: scored.baseline for i, scored in journal.done.items()}
    if plan.cache is not None and computed.keys() - baselines.keys():
        write_cache(plan.cache, baselines | computed)
    rows = [row for scene in plan.scenes for row in journal.done[scene.id].rows]
    write_jsonl(out / ITEMS_FILE, (row.as_line() for row in rows))
    run = _run_record(plan, rows, sha256_file(out / ITEMS_FILE), workers)
    write_json(out / RUN_FILE, run.as_dict())
    journal.remove()
    return run


def _run_record(plan: Plan, rows: list[ItemRow], items_sha256: str, workers: int) -> ScoresRun:
    estimates = plan.estimates
    return ScoresRun(
        model=estimates.model,
        checkpoint_sha256=estimates.checkpoint_sha256,
        configuration_sha256=estimates.configuration_sha256,
        seed=estimates.seed,
        manifest_sha256=plan.manifest_sha256,
        set=plan.set_name,
        split=plan.split,
        task=plan.task,
        named=estimates.named,
        counted=estimates.counted,
        sample_rate=estimates.sample_rate,
        metric_spec_sha256=spec_sha256(plan.metrics),
        inputs_sha256=plan.inputs_sha256,
        items_sha256=items_sha256,
        counts=_counts(rows),
        costs=estimates.costs,
        separation=Separation(
            device=estimates.device,
            threads=estimates.threads,
            versions=estimates.versions,
        ),
        hardware=hardware(workers=workers),
        versions=versions(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        metrics=[MetricDefinition.model_validate(metric) for metric in spec(plan.metrics)],
        **_set_scores(plan, rows),
    )


def _set_scores(plan: Plan, rows: list[ItemRow]) -> dict[str, Any]:
    """Return the columns of the set, and the reasons for missing values."""
    tallies: Counter[str] = Counter()
    for row in rows:
        tallies.update(row.tallies)
    sample_rate = plan.estimates.sample_rate
    scores: Scores = {}
    for metric in plan.metrics:
        if isinstance(metric, SetMetric):
            scores |= metric.unavailable(sample_rate) or metric.score(tallies)
    values, reasons = values_and_reasons(scores)
    return {"set_scores": values, "set_reasons": reasons}


def _counts(rows: list[ItemRow]) -> Counts:
    of_references = [row for row in rows if row.reference is not None]
    return Counts(
        n=len({row.id for row in rows}),
        n_failed=len({row.id for row in rows if row.status == "failed"}),
        n_references=len(of_references),
        n_inf=sum(
            any(reason_of(text) in _INFINITE for text in row.reasons.values())
            for row in of_references
        ),
    )
