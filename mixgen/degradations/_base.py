"""What all degradations share: the record in a manifest, the rule in a recipe, the draw between."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
from pydantic import BeforeValidator, Field, ValidationError

from mixgen.audio import Samples
from mixgen.errors import InputError
from mixgen.records import Record, explain
from mixgen.scene import sample

_LARGEST_SEED = 2**32

_Option = TypeVar("_Option")

Seed = Annotated[int, Field(ge=0, lt=_LARGEST_SEED)]


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


# One name, or a list of names to choose from.
Options = Annotated[tuple[_Option, ...], Field(min_length=1), BeforeValidator(_as_list)]


class BaseDegradation(Record, ABC):
    """A degradation as it stands in a manifest, with nothing random left in it.

    `name` has no default, so that no way of writing a record can leave it out.
    """

    name: str

    @abstractmethod
    def apply(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the degraded samples, of the same shape and aligned in time with the input.

        Args:
            samples: shape (channels, time), full scale 1.0; left as they are.
            sample_rate: in Hz.
        """


class Draws:
    """The random numbers of one rule: each parameter has its own, so that none shifts another."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def seed(self, purpose: str) -> int:
        """Return a seed for one purpose."""
        digest = hashlib.sha256(f"{self._seed}/{purpose}".encode()).hexdigest()
        return int(digest[:16], 16) % _LARGEST_SEED

    def number(self, purpose: str, distribution: Sequence[Any]) -> float:
        """Draw a number from a distribution."""
        return sample(distribution, self.seed(purpose))

    def optional(self, purpose: str, distribution: Sequence[Any] | None) -> float | None:
        """Draw a number where there is a distribution for it."""
        return None if distribution is None else self.number(purpose, distribution)

    def choice(self, purpose: str, options: Sequence[_Option]) -> _Option:
        """Draw one of the options, each as often as the others."""
        return options[np.random.RandomState(self.seed(purpose)).randint(len(options))]

    def happens(self, probability: float) -> bool:
        """Tell whether what has this probability happens."""
        return self.seed("probability") / _LARGEST_SEED < probability


class BaseRule(Record, ABC):
    """A degradation as it stands in a recipe: its parameters as distributions or choices."""

    name: str
    probability: float = Field(default=1.0, ge=0, le=1)

    def draw(self, seed: int) -> BaseDegradation | None:
        """Decide everything with `seed`; None where the probability says no.

        Raises:
            InputError: a distribution gave a value that the degradation does not take.
        """
        draws = Draws(seed)
        if not draws.happens(self.probability):
            return None
        try:
            return self._drawn(draws)
        except ValidationError as error:
            raise InputError(
                f"A draw for the degradation {self.name!r} is not allowed ({explain(error)}): "
                "change its distributions in the recipe."
            ) from None

    @abstractmethod
    def _drawn(self, draws: Draws) -> BaseDegradation:
        """Return the record with every parameter drawn."""
