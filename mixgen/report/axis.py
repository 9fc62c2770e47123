"""The axis of a chart: round ticks, and where a value lies between them."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from matplotlib.ticker import MaxNLocator

_NARROWEST = 1e-6  # narrower ranges, in parts of the values, are widened


@dataclass(frozen=True)
class Axis:
    """An axis from its first tick to its last; positions are in percent of its length."""

    ticks: tuple[float, ...]

    @cached_property
    def labels(self) -> list[tuple[str, str]]:
        """The text of every tick and its position."""
        return [(f"{tick:g}".replace("-", "−"), self.at(tick)) for tick in self.ticks]

    def position(self, value: float) -> float:
        """Return where a value lies, in percent; values beyond the ends lie outside 0 to 100."""
        low, high = self.ticks[0], self.ticks[-1]
        return 100.0 * (value - low) / (high - low)

    def at(self, value: float) -> str:
        """Return the position as text."""
        return f"{self.position(value):.2f}"


def axis_over(values: Iterable[float], *, most_ticks: int = 6, integer: bool = False) -> Axis:
    """Return an axis that holds all values, of which there is at least one.

    With `integer`, its ticks are whole numbers.
    """
    known = list(values)
    low, high = min(known), max(known)
    if high - low < _NARROWEST * max(1.0, abs(low), abs(high)):
        low, high = low - max(0.5, 0.1 * abs(low)), high + max(0.5, 0.1 * abs(high))
    ticks = MaxNLocator(most_ticks - 1, steps=[1, 2, 5, 10], integer=integer).tick_values(low, high)
    # Without the rounding, a tick at zero may be -1e-17.
    return Axis(tuple(float(tick) for tick in np.round(ticks, 12) + 0.0))
