"""Charts stand for the counts of a histogram, and are left out where there is one bar."""

import re

import numpy as np
import pytest

from mixgen.report.axis import axis_over
from mixgen.report.chart import make_chart
from mixgen.report.histogram import histogram


def _points(outline: str) -> list[tuple[float, float]]:
    """Return the horizontal steps of an outline: the right end and the height of each."""
    steps = re.findall(r"V([\d.-]+)H([\d.-]+)", outline)
    return [(float(right), float(height)) for height, right in steps]


def test_an_outline_has_the_counts_of_the_bins() -> None:
    counts = histogram({"requested": [1, 1, 2, 3], "measured": [2, 2, 2, 2, 3]}, finest=1.0)
    chart = make_chart(counts, "speed", "files", unit="m/s")
    assert chart is not None
    # From 0.5 to 3.5 with ticks at 0 to 4; up to 4 files.
    assert chart.across.ticks == (0, 1, 2, 3, 4)
    assert chart.upwards.ticks == (0, 2, 4)
    assert chart.filled.startswith("M12.50 100")
    assert _points(chart.filled) == [(37.5, 50.0), (62.5, 75.0), (87.5, 75.0)]
    assert _points(chart.line) == [(37.5, 100.0), (62.5, 0.0), (87.5, 75.0)]
    assert (chart.title, chart.of, chart.unit) == ("speed", "files", "m/s")


def test_one_series_is_filled_unless_it_is_measured() -> None:
    values = np.arange(8.0)
    used = make_chart(histogram({"uses": values}, finest=1.0), "", "")
    measured = make_chart(histogram({"measured": values}, finest=1.0), "", "")
    assert used
    assert measured
    assert (used.filled, used.line) == (measured.line, measured.filled)
    assert used.line == ""


@pytest.mark.parametrize("series", [{}, {"requested": [3.0, 3.01]}, {"a": [1.0], "b": [5.0, 5.0]}])
def test_one_bar_is_no_chart(series: dict[str, list[float]]) -> None:
    assert make_chart(histogram(series, finest=1.0), "", "") is None


def test_ticks_of_counts_are_whole_numbers() -> None:
    assert axis_over([1.5, 3.5], integer=True).ticks == (1, 2, 3, 4)
    assert 2.5 in axis_over([1.5, 3.5]).ticks
