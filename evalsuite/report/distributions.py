"""The values of every metric, one per mixture, of all systems beside each other."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evalsuite.report.board import System
from mixgen.report.axis import Axis, axis_over
from mixgen.report.histogram import histogram

_FINEST = 1e-3
_QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Strip:
    """The values of one system.

    Attributes:
        system: the row of the leaderboard.
        values: one per mixture, as they are averaged.
        quantiles: 5, 25, 50, 75 and 95 %.
        outline: path of the mirrored histogram, in percent of axis and height.
    """

    system: System
    values: list[float]
    quantiles: list[float]
    outline: str


@dataclass(frozen=True)
class Distribution:
    """The values of one column."""

    column: str
    unit: str
    axis: Axis
    strips: list[Strip]


def distributions(systems: Sequence[System], first: str) -> list[Distribution]:
    """Return the distribution of every ranked column that has values; `first` is the first one."""
    columns = systems[0].scores.columns
    made = [_distribution(systems, c) for c in sorted(columns, key=lambda c: c != first)]
    return [distribution for distribution in made if distribution is not None]


def _distribution(systems: Sequence[System], column: str) -> Distribution | None:
    values_of = [(system, list(system.scores.per_mixture(column).values())) for system in systems]
    values_of = [(system, values) for system, values in values_of if values]
    binned = histogram({str(i): v for i, (_, v) in enumerate(values_of)}, _FINEST)
    if binned is None:
        return None
    axis = axis_over(value for _, values in values_of for value in values)
    strips = [
        Strip(
            system,
            values,
            [float(q) for q in np.quantile(values, _QUANTILES)],
            _outline(binned["counts"][str(i)], binned["first"], binned["width"], axis),
        )
        for i, (system, values) in enumerate(values_of)
    ]
    return Distribution(column, systems[0].scores.unit_of[column], axis, strips)


def _outline(counts: Sequence[int], first: float, width: float, axis: Axis) -> str:
    """Return a path around the counts, mirrored at half the height; empty bins at the ends go."""
    used = np.flatnonzero(counts)
    bins = range(int(used[0]) - 1, int(used[-1]) + 2)
    height = [counts[b] / max(counts) if 0 <= b < len(counts) else 0.0 for b in bins]
    upper = [(axis.at(first + width * b), 50 - 46 * h) for b, h in zip(bins, height, strict=True)]
    lower = [(x, 100 - y) for x, y in reversed(upper)]
    return "M" + "L".join(f"{x} {y:.1f}" for x, y in (*upper, *lower)) + "Z"
