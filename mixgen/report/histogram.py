"""Counts of values in bins, and the minimum, mean and maximum of values."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_MOST_BINS = 50
_DECIMALS = 4


def summary(values: ArrayLike) -> dict[str, Any] | None:
    """Return the number, minimum, mean and maximum of the finite values; None if none is finite."""
    finite = _finite(values)
    if finite.size == 0:
        return None
    return {
        "n": int(finite.size),
        "min": round(float(finite.min()), _DECIMALS),
        "mean": round(float(finite.mean()), _DECIMALS),
        "max": round(float(finite.max()), _DECIMALS),
    }


def histogram(series: Mapping[str, ArrayLike], finest: float) -> dict[str, Any] | None:
    """Count the finite values of each series in bins that all series share.

    Bins are as wide as `finest`, or as the next of 1, 2, 5, 10, 20, ... times `finest` that needs
    at most 50 of them. They are centred on multiples of their width, so that a requested -25 dB and
    a measured -25.001 dB fall into one bin.

    Returns:
        `width`, the centre of the `first` bin, and the `counts` of each series that has finite
        values; None if no series has any.
    """
    finite = {name: _finite(values) for name, values in series.items()}
    finite = {name: values for name, values in finite.items() if values.size}
    if not finite:
        return None
    width = _width([end for v in finite.values() for end in (v.min(), v.max())], finest)
    bins = {name: np.floor(v / width + 0.5).astype(int) for name, v in finite.items()}
    first = min(int(indices.min()) for indices in bins.values())
    last = max(int(indices.max()) for indices in bins.values())
    return {
        "width": round(width, 6),
        "first": round(first * width, 6),
        "counts": {
            name: np.bincount(indices - first, minlength=last - first + 1).tolist()
            for name, indices in bins.items()
        },
    }


def _finite(values: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(values, dtype=np.float64)
    return array[np.isfinite(array)]


def _width(ends: Sequence[float], finest: float) -> float:
    """Return the narrowest allowed width for values from the minimum to the maximum of `ends`."""
    steps_needed = (max(ends) - min(ends)) / (finest * (_MOST_BINS - 1))
    if steps_needed <= 1:
        return finest
    power = 10.0 ** math.floor(math.log10(steps_needed))
    return finest * next((power * s for s in (1, 2, 5) if power * s >= steps_needed), power * 10)
