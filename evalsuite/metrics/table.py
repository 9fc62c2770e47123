"""The metrics table: every row of `METRICS` in every family file here and in `evalsuite/probes`.

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
    metrics = dict(collect(__package__, Metric))
    for judge in judges().values():
        add(metrics, judge.name, judge, "the metrics")
    check_columns(metrics.values())
    return dict(sorted(metrics.items()))


@cache
def judges() -> dict[str, Metric]:
    """Return by name the metrics that a trained judge gives, which are on by name alone."""
    return collect("evalsuite.probes", Metric)


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
        metrics: names of metrics; `NAME@CHOICE` is one under a choice, such as another recogniser.
        counts_vary: whether the mixtures of the set have different numbers of targets.

    Raises:
        UsageError: the task or a metric does not exist, a metric takes no such choice, two of
            them fill the same column, or `metrics` names none.
    """
    if task not in ALL_TASKS:
        raise UsageError(unknown(sorted(ALL_TASKS), task, "task"))
    if metrics is not None:
        return named_metrics(metrics)
    return tuple(
        metric
        for metric in table().values()
        if task in metric.tasks
        and metric.applies_at(sample_rate)
        and (counts_vary or not metric.counts_vary)
    )


def named_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """Return the metrics of these names, each once; see `select`.

    Raises:
        UsageError: as in `select`.
    """
    chosen = tuple(_named(name) for name in dict.fromkeys(names))
    if not chosen:
        raise UsageError("No metric is named: name one or more, or leave out the option.")
    _check_apart(chosen)
    return chosen


def _check_apart(metrics: Iterable[Metric]) -> None:
    """Check that no two of the named metrics fill one column, as two choices of one metric do."""
    owner: dict[str, str] = {}
    for metric in metrics:
        for column in metric.all_columns:
            if column in owner:
                raise UsageError(
                    f"{owner[column]} and {metric.name} both fill the column {column!r}: name one "
                    "of them."
                )
            owner[column] = metric.name


def _named(name: str) -> Metric:
    """Return the metric of a name, or under the choice that stands behind an @."""
    word, at, choice = name.partition("@")
    metric = choose(table(), word, "metric")
    if not at:
        return metric
    if metric.variant is None:
        raise UsageError(f"The metric {word!r} takes no choice: leave out @{choice}.")
    return metric.variant(choice)


def spec(metrics: Iterable[Metric] | None = None) -> list[dict[str, object]]:
    """Return the definitions of `metrics` (by default all) as plain data, sorted by name."""
    rows = table().values() if metrics is None else metrics
    return [row.spec() for row in sorted(rows, key=lambda row: row.name)]


def spec_sha256(metrics: Iterable[Metric] | None = None) -> str:
    """Return the hash of the definitions: scores are comparable only if it is equal."""
    text = json.dumps(spec(metrics), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
