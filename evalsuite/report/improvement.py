"""What every system gained, against what the unprocessed mixture scored."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.boards.leaderboard import Headline
from evalsuite.report.board import System
from mixgen.report.axis import Axis, axis_over


@dataclass(frozen=True)
class Point:
    """One reference: the score of the mixture, and how much better the estimate is."""

    id: str
    reference: str
    mixture: float
    improvement: float


@dataclass(frozen=True)
class Cloud:
    """The points of one system, and the path of dots that draws them."""

    system: System
    points: list[Point]
    dots: str


@dataclass(frozen=True)
class Scatter:
    """All systems on the same axes."""

    column: str
    base: str
    unit: str
    across: Axis
    upwards: Axis
    clouds: list[Cloud]


def improvement_scatter(systems: Sequence[System], headline: Headline) -> Scatter | None:
    """Return the scatter of the headline's improvement, else of the first metric that has one.

    None where no reference has both values.
    """
    scores = systems[0].scores
    improvements = [c for metric in scores.run.metrics for c in metric.improvements]
    preferred = (headline.column, f"{headline.column}i")
    for column in sorted(improvements, key=lambda c: c not in preferred):
        base = column.removesuffix("i")
        points_of = [(system, _points(system, column, base)) for system in systems]
        points = [point for _, known in points_of for point in known]
        if points:
            across = axis_over((p.mixture for p in points), most_ticks=5)
            upwards = axis_over([0.0, *(p.improvement for p in points)])
            clouds = [Cloud(s, known, _dots(known, across, upwards)) for s, known in points_of]
            return Scatter(column, base, scores.unit_of[column], across, upwards, clouds)
    return None


def _points(system: System, column: str, base: str) -> list[Point]:
    found = []
    for row in system.scores.items:
        mixture, improvement = row.mixture.get(base), row.values.get(column)
        if row.reference is not None and mixture is not None and improvement is not None:
            found.append(Point(row.id, row.reference, mixture, improvement))
    return found


def _dots(points: Sequence[Point], across: Axis, upwards: Axis) -> str:
    """Return lines of no length, which round caps turn into dots; the origin is at the top."""
    return "".join(
        f"M{across.position(p.mixture):.1f} {100 - upwards.position(p.improvement):.1f}h0"
        for p in points
    )
