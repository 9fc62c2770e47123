"""Histograms count every value in its bin."""

import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixgen.report.histogram import histogram, summary

NUMBERS = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=60)


def test_bins_are_centred_on_multiples_of_their_width() -> None:
    counts = histogram({"requested": [-25.0, -25.0, -23.0], "measured": [-25.001, -24.9]}, 1.0)
    assert counts == {
        "width": 1.0,
        "first": -25.0,
        "counts": {"requested": [2, 0, 1], "measured": [2, 0, 0]},
    }


def test_values_that_are_not_finite_are_skipped() -> None:
    assert histogram({"a": [math.nan, 1.0], "b": [math.nan]}, 1.0) == {
        "width": 1.0,
        "first": 1.0,
        "counts": {"a": [1]},
    }
    assert histogram({"a": [math.nan], "b": []}, 1.0) is None
    assert summary([math.nan]) is None
    assert summary(array("d", [1.0, math.nan, 4.0])) == {
        "n": 2,
        "min": 1.0,
        "mean": 2.5,
        "max": 4.0,
    }


@pytest.mark.parametrize(("reach", "width"), [(49, 1), (50, 2), (99, 5), (400, 10), (4000, 100)])
def test_wide_ranges_get_round_wide_bins(reach: float, width: float) -> None:
    counts = histogram({"a": [0.0, reach]}, 1.0)
    assert counts is not None
    assert counts["width"] == width


@given(NUMBERS, NUMBERS, st.sampled_from([0.02, 0.05, 1.0]))
def test_every_value_is_in_its_bin(a: list[float], b: list[float], finest: float) -> None:
    counts = histogram({"a": a, "b": b}, finest)
    assert counts is not None
    width, first = counts["width"], counts["first"]
    assert width >= finest
    for name, values in (("a", a), ("b", b)):
        bins = counts["counts"][name]
        assert sum(bins) == len(values)
        assert len(bins) <= 51
        edges = first + width * (np.arange(len(bins) + 1) - 0.5)
        slack = 1e-6 * (1 + np.abs(edges).max())
        for index, count in enumerate(bins):
            inside = np.sum(
                (np.array(values) >= edges[index]) & (np.array(values) < edges[index + 1])
            )
            near = np.sum(np.min(np.abs(np.array(values)[:, None] - edges), axis=1) < slack)
            assert abs(int(inside) - count) <= near
