"""The way of a source that walks: places along it, and how its sound is cut into parts for them."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from mixgen.audio import Samples
from mixgen.records import Record
from mixgen.rooms.geometry import Point

STEP_M = 0.01
STRIDE = 5  # so many steps lie between two places with a whole response


class Way(Record):
    """A straight way at one speed, from the first sample of a mixture to its last.

    It is taken in equal steps of 1 cm at most, a multiple of 5 of them, from place 0 to `steps`.
    """

    start_m: Point
    end_m: Point
    frames: int

    @property
    def steps(self) -> int:
        """How many steps the way has; 0 where it ends at its start."""
        return STRIDE * math.ceil(math.dist(self.start_m, self.end_m) / (STRIDE * STEP_M))

    def place(self, number: int) -> Point:
        """Return one of the places from 0 to `steps`, in metres."""
        share = number / max(self.steps, 1)
        x, y, z = (a + share * (b - a) for a, b in zip(self.start_m, self.end_m, strict=True))
        return x, y, z

    def cut(self, samples: Samples, start: int) -> Iterator[tuple[int, int, Samples]]:
        """Yield the parts of samples (1, time) that begin with sample `start` of the mixture.

        Each is the number of a place, the first of the samples that count there, and these samples,
        faded from the place before and to the next. All parts together are the samples.
        """
        progress = self._progress(start + np.arange(samples.shape[1]))
        for number in range(self.steps + 1):
            first = int(np.searchsorted(progress, number - 1, side="right"))
            stop = int(np.searchsorted(progress, number + 1, side="left"))
            if first < stop:
                window = 1.0 - np.abs(progress[first:stop] - number)
                yield number, first, samples[:, first:stop] * window

    def _progress(self, times: NDArray[np.intp]) -> NDArray[np.float64]:
        """Return the number of the place at each sample of the mixture, with fractions."""
        return self.steps * np.minimum(times / self.frames, 1.0)
