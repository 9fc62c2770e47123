"""The metrics table: every `METRICS` row of every family file in this folder.

A new metric is a function and a row in a family file; nothing else has to be edited.
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
    """Return all metrics by name, sorted; refuse a name or column that is there twice."""
    metrics = collect(__package__, Metric)
    check_columns(metrics.values())
    return metrics


def check_columns(metrics: Iterable[Metric]) -> None:
    """Check that no two metrics fill one column.

    Raises:
        SuiteError: two of them do.
    """
    owner: dict[str, str] = {}
    for metric in metrics:
        for column in metric.all_columns:
            add(owner, column, metric.name, "the columns of the metrics")


def select(
    *, task: str, sample_rate: int, metrics: Sequence[str] | None = None
) -> tuple[Metric, ...]:
    """Return the metrics named, or those that are on by default for a task and rate.

    Args:
        task: of the set, as its recipe states it.
        sample_rate: in Hz; it decides among the defaults, never among named metrics.
        metrics: names of metrics.

    Raises:
        UsageError: there is no such task or metric.
    """
    if task not in ALL_TASKS:
        raise UsageError(unknown(sorted(ALL_TASKS), task, "task"))
    if metrics is not None:
        return tuple(choose(table(), name, "metric") for name in dict.fromkeys(metrics))
    on = (metric for metric in table().values() if task in metric.tasks)
    return tuple(metric for metric in on if metric.applies_at(sample_rate))


def spec(metrics: Iterable[Metric] | None = None) -> list[dict[str, object]]:
    """Return the definitions of `metrics` (of all by default) as plain data, by name."""
    rows = table().values() if metrics is None else metrics
    return [row.spec() for row in sorted(rows, key=lambda row: row.name)]


def spec_sha256(metrics: Iterable[Metric] | None = None) -> str:
    """Return the hash of the definitions: numbers are compared only where it is the same."""
    text = json.dumps(spec(metrics), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
