"""Tolerances of the gate as they are typed: `si_sdr=0.2`, or `0.2` for every metric in dB."""

import math
from collections.abc import Iterable, Mapping

from mixgen.errors import UsageError


def parse_tolerances(words: Iterable[str], unit_of: Mapping[str, str]) -> dict[str, float]:
    """Return column to tolerance; later words win over earlier ones.

    Args:
        words: `column=number` or `number`.
        unit_of: the unit of every column there is.

    Raises:
        UsageError: a word is neither, or its number is negative or not finite.
    """
    tolerances: dict[str, float] = {}
    for word in words:
        column, _, text = word.rpartition("=")
        value = _number(word, text)
        if column:
            tolerances[column.strip()] = value
        else:
            tolerances |= {name: value for name, unit in unit_of.items() if unit == "dB"}
    return tolerances


def _number(word: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise UsageError(f"The tolerance {word!r} is not allowed: write si_sdr=0.2 or 0.2, from 0.")
    return value
