"""One mixture with its references: what every metric is given, checked once.

Axes: references (n_src, channels, time), mixture and every estimate (channels, time), float64.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mixgen.core.errors import InputError

Array = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Item:
    """References and mixture of one item, and what metrics work out from them only once."""

    references: Array
    mixture: Array
    sample_rate: int
    notes: dict[str, str] = field(default_factory=dict)
    _shared: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    @classmethod
    def checked(cls, *, references: ArrayLike, mixture: ArrayLike, sample_rate: int) -> "Item":
        """Build an item from arrays of any real type.

        Args:
            references: shape (n_src, channels, time).
            mixture: shape (channels, time).
            sample_rate: in Hz.

        Raises:
            InputError: a shape is wrong, nothing is there, or a sample is not finite.
        """
        item = cls(_floats(references), _floats(mixture), int(sample_rate))
        _check(item)
        return item

    def shared(self, make: Callable[["Item"], T]) -> T:
        """Return `make(self)`, computed at the first call and kept for all estimates."""
        if make not in self._shared:
            self._shared[make] = make(self)
        value: T = self._shared[make]
        return value


def _floats(samples: ArrayLike) -> Array:
    return np.asarray(samples, dtype=np.float64)


def _check(item: Item) -> None:
    shape = item.references.shape
    if item.references.ndim != 3 or item.references.size == 0:
        raise InputError(
            f"The references have shape {shape}; allowed is (n_src, channels, time), "
            "none of them zero: add the missing axis."
        )
    if item.mixture.shape != shape[1:]:
        raise InputError(
            f"The mixture has shape {item.mixture.shape} and the references {shape}; channels and "
            "time must be the same: cut or render them together."
        )
    if item.sample_rate <= 0:
        raise InputError(f"The sample rate is {item.sample_rate} Hz; it must be positive.")
    if not (np.isfinite(item.references).all() and np.isfinite(item.mixture).all()):
        raise InputError("A reference or the mixture holds NaN or infinity: render the set again.")
