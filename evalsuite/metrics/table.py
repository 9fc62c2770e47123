"""The metrics table: every row of `METRICS` in every family file of this folder.

To add a metric, write a function and a row in a family file; no other file changes.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache

from evalsuite.metrics.metric import Metric
from mixgen.core.errors import UsageError
from mixgen.core.registry import add, choose, collect, unknown
from mixgen.core.vocabulary import ALL_TASKS


@cache
def table() -> dict[str, Metric]:
    """Return all metrics by name, sorted.

    Raises:
        SuiteError: two metrics share a name or a column.
    """
    metrics = collect(__package__, Metric)
    check_columns(metrics.values())
    return metrics


def check_columns(metrics: Iterable[Metric]) -> None:
    """Check that every column belongs to one metric.

    Raises:
        SuiteError: two metrics share a column.
    """
    owner: dict[str, str] = {}
    for metric in metrics:
        for column in metric.all_columns:
            add(owner, column, metric.name, "the columns of the metrics")


def select(
    *,
    task: str,
    sample_rate: int,
    metrics: Sequence[str] | None = None,
    counts_vary: bool = False,
) -> tuple[Metric, ...]:
    """Return the metrics of these names, or by default those for a task and sample rate.

    Args:
        task: of the set, as in its recipe.
        sample_rate: in Hz; excludes defaults that are not defined at it, never named metrics.
        metrics: names of metrics.
        counts_vary: whether the mixtures of the set have different numbers of targets.

    Raises:
        UsageError: the task or a metric does not exist.
    """
    if task not in ALL_TASKS:
        raise UsageError(unknown(sorted(ALL_TASKS), task, "task"))
    if metrics is not None:
        return tuple(choose(table(), name, "metric") for name in dict.fromkeys(metrics))
    return tuple(
        metric
        for metric in table().values()
        if task in metric.tasks
        and metric.applies_at(sample_rate)
        and (counts_vary or not metric.counts_vary)
    )


def spec(metrics: Iterable[Metric] | None = None) -> list[dict[str, object]]:
    """Return the definitions of `metrics` (by default all) as plain data, sorted by name."""
    rows = table().values() if metrics is None else metrics
    return [row.spec() for row in sorted(rows, key=lambda row: row.name)]


def spec_sha256(metrics: Iterable[Metric] | None = None) -> str:
    """Return the hash of the definitions: scores are comparable only if it is equal."""
    text = json.dumps(spec(metrics), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
