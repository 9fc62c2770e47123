"""Base classes of degradations: records in manifests, and rules in recipes that draw them."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationError

from mixgen.audio.read import Samples
from mixgen.core.errors import InputError
from mixgen.core.records import ExactRecord, Record, explain
from mixgen.scenes.draws import LARGEST_SEED, Draws

_Option = TypeVar("_Option")

Seed = Annotated[int, Field(ge=0, lt=LARGEST_SEED)]


# One name, or a list of names to choose from.
Options = Annotated[
    tuple[_Option, ...],
    Field(min_length=1),
    BeforeValidator(lambda value: [value] if isinstance(value, str) else value),
]


class BaseDegradation(ExactRecord, ABC):
    """A degradation in a manifest, without any randomness left.

    `name` has no default, so that writing a record without its defaults keeps it.
    """

    name: str

    @abstractmethod
    def apply(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the degraded samples, of the same shape and aligned in time with the input.

        Args:
            samples: shape (channels, time), full scale 1.0; not changed in place.
            sample_rate: in Hz.
        """


class BaseRule(Record, ABC):
    """A degradation in a recipe: distributions or choices for its parameters."""

    name: str
    probability: float = Field(default=1.0, ge=0, le=1)

    def draw(self, seed: int) -> BaseDegradation | None:
        """Draw a record from `seed`; None if its probability decides against it.

        Raises:
            InputError: a distribution gave a value that the degradation does not allow.
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


@dataclass(frozen=True)
class DegradationKind:
    """What the module of a degradation registers: its record, and the rule that draws it."""

    record: type[BaseDegradation]
    rule: type[BaseRule]

    @property
    def name(self) -> str:
        """The name of all records and rules of this kind."""
        (name,) = get_args(self.record.model_fields["name"].annotation)
        return str(name)
