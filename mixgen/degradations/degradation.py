"""What all degradations share: the record in a manifest, the rule in a recipe, the draw between."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, get_args

from pydantic import BeforeValidator, Field, ValidationError

from mixgen.audio.read import Samples
from mixgen.core.errors import InputError
from mixgen.core.records import Record, explain
from mixgen.scenes.draws import LARGEST_SEED, Draws

_Option = TypeVar("_Option")

Seed = Annotated[int, Field(ge=0, lt=LARGEST_SEED)]


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


@dataclass(frozen=True)
class DegradationKind:
    """What a degradation's file registers: its record, and the rule that draws such records."""

    record: type[BaseDegradation]
    rule: type[BaseRule]

    @property
    def name(self) -> str:
        """The one name that records and rules of this kind have."""
        (name,) = get_args(self.record.model_fields["name"].annotation)
        return str(name)
