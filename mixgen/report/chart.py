"""Histograms as outlines that a page draws in its own colours."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from mixgen.report.axis import Axis, axis_over

REQUESTED, MEASURED = "requested", "measured"


@dataclass(frozen=True)
class Chart:
    """A histogram: its outlines in percent of the axes, as SVG paths, and what is on the axes.

    Attributes:
        title: what the values are.
        unit: of the values, may be empty.
        of: what is counted.
        across: axis of the values.
        upwards: axis of the counts.
        filled: outline of the first series; empty if it has no values.
        line: outline of the second series.
    """

    title: str
    unit: str
    of: str
    across: Axis
    upwards: Axis
    filled: str
    line: str


def make_chart(
    counts: dict[str, Any] | None, title: str, of: str, *, unit: str = "", lines: str = MEASURED
) -> Chart | None:
    """Return a chart of `histogram.histogram`; None where each series falls into one bin.

    The series called `lines` is drawn as a line over the other one.
    """
    if counts is None or all(np.count_nonzero(series) < 2 for series in counts["counts"].values()):
        return None
    width, first, series = counts["width"], counts["first"], counts["counts"]
    edges = first + width * (np.arange(len(next(iter(series.values()))) + 1) - 0.5)
    across = axis_over([*edges[[0, -1]]], integer=width >= 1)
    upwards = axis_over([0, max(map(max, series.values()))], most_ticks=4, integer=True)
    outlines = {name: _outline(values, edges, across, upwards) for name, values in series.items()}
    line = outlines.pop(lines, "")
    return Chart(title, unit, of, across, upwards, "".join(outlines.values()), line)


def _outline(values: list[int], edges: np.ndarray, across: Axis, upwards: Axis) -> str:
    """Return a stair through the counts, from the ground to the ground."""
    steps = [
        f"V{100 - upwards.position(count):.2f}H{across.at(edge)}"
        for count, edge in zip(values, edges[1:], strict=True)
    ]
    return f"M{across.at(edges[0])} 100{''.join(steps)}V100"
