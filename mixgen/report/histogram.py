"""Counts of values in bins, and the few numbers that sum values up."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_BINS = 50
_DECIMALS = 4


def summary(values: ArrayLike) -> dict[str, Any] | None:
    """Return how many values are known, their least, mean and largest; None if none is known."""
    known = _known(values)
    if known.size == 0:
        return None
    return {
        "n": int(known.size),
        "min": round(float(known.min()), _DECIMALS),
        "mean": round(float(known.mean()), _DECIMALS),
        "max": round(float(known.max()), _DECIMALS),
    }


def histogram(series: Mapping[str, ArrayLike], finest: float) -> dict[str, Any] | None:
    """Count the values of each series in common bins centred on multiples of their width.

    The width is `finest`, or the next of 1, 2, 5, 10, 20, ... times it that needs at most 50 bins.
    A setting such as -25 dB and what is measured of it, -25.001, so fall into one bin.

    Returns:
        `width`, the centre of the `first` bin and the `counts` by series, series without values
        left out; None if there are no values.
    """
    known = {name: _known(values) for name, values in series.items()}
    known = {name: values for name, values in known.items() if values.size}
    if not known:
        return None
    width = _width([value for v in known.values() for value in (v.min(), v.max())], finest)
    places = {name: np.floor(v / width + 0.5).astype(int) for name, v in known.items()}
    first = min(int(place.min()) for place in places.values())
    last = max(int(place.max()) for place in places.values())
    return {
        "width": round(width, 6),
        "first": round(first * width, 6),
        "counts": {
            name: np.bincount(place - first, minlength=last - first + 1).tolist()
            for name, place in places.items()
        },
    }


def _known(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _width(ends: Sequence[float], finest: float) -> float:
    """Return the narrowest allowed width for values from the least to the largest of `ends`."""
    steps_needed = (max(ends) - min(ends)) / (finest * (_MOST_BINS - 1))
    if steps_needed <= 1:
        return finest
    power = 10.0 ** math.floor(math.log10(steps_needed))
    return finest * next((power * s for s in (1, 2, 5) if power * s >= steps_needed), power * 10)
