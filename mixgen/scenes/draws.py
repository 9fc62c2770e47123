"""The random numbers of a mixture, with a separate seed for each purpose."""

import hashlib
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from mixgen.scenes.scene import sample

LARGEST_SEED = 2**32

_Option = TypeVar("_Option")


class Draws:
    """The random numbers of one rule; no parameter shifts another, because each has a seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def seed(self, purpose: str) -> int:
        """Return a seed for one purpose."""
        digest = hashlib.sha256(f"{self._seed}/{purpose}".encode()).hexdigest()
        return int(digest[:16], 16) % LARGEST_SEED

    def number(self, purpose: str, distribution: Sequence[Any]) -> float:
        """Draw a number from a distribution."""
        return sample(distribution, self.seed(purpose))

    def optional(self, purpose: str, distribution: Sequence[Any] | None) -> float | None:
        """Draw a number from a distribution; None without one."""
        return None if distribution is None else self.number(purpose, distribution)

    def choice(self, purpose: str, options: Sequence[_Option]) -> _Option:
        """Draw one of the options, all with the same probability."""
        return options[np.random.RandomState(self.seed(purpose)).randint(len(options))]

    def happens(self, probability: float) -> bool:
        """Return whether an event of this probability happens."""
        return self.seed("probability") / LARGEST_SEED < probability


def seconds_of(frames: int, sample_rate: int) -> float:
    """Return the duration for which Scaper's int(duration * sample_rate) gives `frames`."""
    duration_s = frames / sample_rate
    while int(duration_s * sample_rate) < frames:
        duration_s = math.nextafter(duration_s, math.inf)
    return duration_s
