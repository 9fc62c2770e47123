"""The metrics table: every `METRICS` row of every family file in this folder.

A new metric is a function and a row in a family file; nothing else has to be edited.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from functools import cache

from evalsuite.metrics.metric import KINDS, Metric
from mixgen.core.errors import UsageError
from mixgen.core.registry import add, choose, collect


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
    *, kind: str, sample_rate: int, metrics: Sequence[str] | None = None
) -> tuple[Metric, ...]:
    """Return the metrics named, or those that are on by default for a kind of content and rate.

    Args:
        kind: speech, music or sound.
        sample_rate: in Hz; it decides among the defaults, never among named metrics.
        metrics: names of rows of the table.

    Raises:
        UsageError: there is no such kind or metric.
    """
    if kind not in KINDS:
        raise UsageError(f"There is no kind {kind!r}; allowed are {', '.join(KINDS)}.")
    if metrics is None:
        rows = table().values()
        return tuple(row for row in rows if kind in row.kinds and row.applies_at(sample_rate))
    return tuple(choose(table(), name, "metric") for name in dict.fromkeys(metrics))


def spec(metrics: Iterable[Metric] | None = None) -> list[dict[str, object]]:
    """Return the definitions of `metrics` (of all by default) as plain data, by name."""
    rows = table().values() if metrics is None else metrics
    return [row.spec() for row in sorted(rows, key=lambda row: row.name)]


def spec_sha256(metrics: Iterable[Metric] | None = None) -> str:
    """Return the hash of the definitions: numbers are compared only where it is the same."""
    text = json.dumps(spec(metrics), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
