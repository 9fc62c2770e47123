"""Distributions in Scaper's notation, checked on reading; `mixgen.scenes.scene` draws from them."""

import math
from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from mixgen.core.records import shown

_LARGEST_NUMBER = 1e12
_MOST_SOURCES = 32

_ARGUMENTS = {
    "const": 1,
    "choose": 1,
    "choose_weighted": 2,
    "uniform": 2,
    "normal": 2,
    "truncnorm": 4,
}


def check_distribution(value: list[Any]) -> list[Any]:
    """Return a distribution with its numbers as floats.

    Raises:
        ValueError: Scaper does not allow its name, or the number, type or range of its arguments.
    """
    name, *given = value
    if name not in list(_ARGUMENTS):  # a list, because a name in a recipe may not be hashable
        raise ValueError(f"{shown(name)} is not a distribution: use one of {', '.join(_ARGUMENTS)}")
    if len(given) != _ARGUMENTS[name]:
        raise ValueError(f"{name} takes {_ARGUMENTS[name]} argument(s), not {len(given)}")
    if name in ("choose", "choose_weighted"):
        if not all(isinstance(argument, list) for argument in given):
            raise ValueError(f"the arguments of {name} must be lists")
        lists = [[_number(item) for item in argument] for argument in given]
        _check_choices(name, *lists)
        return [name, *lists]
    arguments = [_number(argument) for argument in given]
    _check_range(name, arguments)
    return [name, *arguments]


def _number(value: Any) -> float:
    usable = isinstance(value, int | float) and not isinstance(value, bool)
    if not usable or not abs(value) < _LARGEST_NUMBER:
        raise ValueError(f"{shown(value)} is not a finite number")
    return float(value)


def _check_range(name: str, arguments: list[float]) -> None:
    if name == "uniform" and arguments[0] > arguments[1]:
        raise ValueError("uniform needs its lower bound first")
    if name in ("normal", "truncnorm") and arguments[1] < 0:
        raise ValueError(f"the standard deviation of {name} cannot be negative")
    if name == "truncnorm" and arguments[2] >= arguments[3]:
        raise ValueError("truncnorm needs a lower bound below its upper bound")


def _check_choices(name: str, values: list[float], weights: list[float] | None = None) -> None:
    if not values:
        raise ValueError(f"{name} needs at least one value to choose from")
    if len(set(values)) < len(values):  # Scaper would count them once
        raise ValueError(f"{name} names a value twice: give weights with choose_weighted")
    if weights is None:
        return
    if len(weights) != len(values):
        raise ValueError(f"{name} needs as many weights as values")
    if min(weights) < 0 or not math.isclose(sum(weights), 1, abs_tol=1e-6):
        raise ValueError(f"the weights of {name} must be 0 or more and add up to 1")


def bounds_of(distribution: list[Any]) -> tuple[float, float]:
    """Return the smallest and the largest value that a distribution can give."""
    name, *arguments = distribution
    if name == "normal":
        mean, deviation = arguments
        return (-math.inf, math.inf) if deviation > 0 else (mean, mean)
    if name == "choose_weighted":
        likely = [value for value, weight in zip(*arguments, strict=True) if weight > 0]
        return min(likely), max(likely)
    values = arguments[0] if name == "choose" else arguments[-2:]
    return min(values), max(values)


def within(low: float, high: float, who: str) -> Callable[[list[Any]], list[Any]]:
    """Return a check that a distribution gives no value that `who` does not take.

    A normal distribution has no bounds, so its draws are checked instead.
    """

    def check(distribution: list[Any]) -> list[Any]:
        """Return the distribution if its values fit."""
        smallest, largest = bounds_of(distribution)
        if distribution[0] != "normal" and (smallest < low or largest > high):
            raise ValueError(
                f"gives {smallest:g} to {largest:g}, and {who} takes {low:g} to {high:g}"
            )
        return distribution

    return check


# As in [const, 3], [uniform, 0, 5], [choose, [1, 2]] and [truncnorm, mean, sd, low, high].
Distribution = Annotated[list[Any], Field(min_length=2), AfterValidator(check_distribution)]


def constant(value: float) -> list[Any]:
    """Return the distribution that always gives `value`."""
    return ["const", value]


def _check_count(count: int | list[Any]) -> int | list[Any]:
    """Return a number of sources, or a distribution of it, if it is allowed."""
    distribution = constant(count) if isinstance(count, int) else check_distribution(count)
    if distribution[0] not in ("const", "choose", "choose_weighted"):
        raise ValueError("a count is a number, or const, choose or choose_weighted of numbers")
    if not all(value in range(_MOST_SOURCES + 1) for value in values_of(distribution)):
        raise ValueError(f"a count is a whole number from 0 to {_MOST_SOURCES}")
    return count if isinstance(count, int) else distribution


def _check_above_zero(count: int | list[Any]) -> int | list[Any]:
    """Return a count if it is never 0."""
    if 0 in ([count] if isinstance(count, int) else values_of(count)):
        raise ValueError("a talker has at least one utterance")
    return count


def values_of(distribution: list[Any]) -> list[float]:
    """Return the values that a const, choose or choose_weighted distribution can take."""
    values = distribution[1]
    return values if isinstance(values, list) else [values]


Count = Annotated[int | list[Any], AfterValidator(_check_count)]
CountOfSome = Annotated[Count, AfterValidator(_check_above_zero)]
