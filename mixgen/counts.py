"""Numbers of sources or utterances: fixed, or drawn from a distribution of whole numbers."""

from typing import Annotated, Any

from pydantic import AfterValidator

from mixgen.distributions import check_distribution, constant

_MOST_SOURCES = 32


def _check_count(count: int | list[Any]) -> int | list[Any]:
    """Check a number of sources or a distribution of it."""
    distribution = constant(count) if isinstance(count, int) else check_distribution(count)
    if distribution[0] not in ("const", "choose", "choose_weighted"):
        raise ValueError("a count is a number, or const, choose or choose_weighted of numbers")
    if not all(value in range(_MOST_SOURCES + 1) for value in values_of(distribution)):
        raise ValueError(f"a count is a whole number from 0 to {_MOST_SOURCES}")
    return count if isinstance(count, int) else distribution


def _check_some(count: int | list[Any]) -> int | list[Any]:
    """Check that a count is never 0."""
    if 0 in ([count] if isinstance(count, int) else values_of(count)):
        raise ValueError("a talker has at least one utterance")
    return count


def values_of(distribution: list[Any]) -> list[float]:
    """Return the values that a const, choose or choose_weighted distribution can take."""
    values = distribution[1]
    return values if isinstance(values, list) else [values]


Count = Annotated[int | list[Any], AfterValidator(_check_count)]
CountOfSome = Annotated[Count, AfterValidator(_check_some)]
