"""The metrics table: every `METRICS` row of every family file in this folder.

A new metric is a function and a row in a family file; nothing else has to be edited.
"""

import hashlib
import json
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

from evalsuite.metrics.metric import KINDS, Metric
from mixgen.core.errors import UsageError

# Run as a script in a process of its own; importing it would import the C code it isolates.
_SCRIPTS = {"pesq_worker"}


@cache
def table() -> dict[str, Metric]:
    """Return all metrics by name, sorted; refuse a name or column that is there twice."""
    rows: list[Metric] = []
    for module in sorted(m.name for m in pkgutil.iter_modules([str(Path(__file__).parent)])):
        if module not in _SCRIPTS:
            rows += getattr(import_module(f"{__package__}.{module}"), "METRICS", ())
    return by_name(rows)


def by_name(rows: Iterable[Metric]) -> dict[str, Metric]:
    """Return rows by name.

    Raises:
        UsageError: two rows share a name or a column.
    """
    metrics: dict[str, Metric] = {}
    owner: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.name):
        if row.name in metrics:
            raise UsageError(f"Two metrics are named {row.name}: rename one.")
        metrics[row.name] = row
        for column in row.all_columns:
            if column in owner:
                raise UsageError(f"{row.name} and {owner[column]} both fill {column}: rename one.")
            owner[column] = row.name
    return metrics


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
    unknown = [name for name in metrics if name not in table()]
    if unknown:
        allowed = ", ".join(table())
        raise UsageError(f"There is no metric {', '.join(unknown)}; allowed are {allowed}.")
    return tuple(table()[name] for name in dict.fromkeys(metrics))


def spec(metrics: Iterable[Metric] | None = None) -> list[dict[str, object]]:
    """Return the definitions of `metrics` (of all by default) as plain data, by name."""
    rows = table().values() if metrics is None else metrics
    return [row.spec() for row in sorted(rows, key=lambda row: row.name)]


def spec_sha256(metrics: Iterable[Metric] | None = None) -> str:
    """Return the hash of the definitions: numbers are compared only where it is the same."""
    text = json.dumps(spec(metrics), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
