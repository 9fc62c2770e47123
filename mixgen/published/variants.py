"""The variants of a mixture in sets of several rates, lengths and types."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from mixgen.published.importing import suffix_of
from mixgen.published.options import MODES, RATES, chosen


@dataclass(frozen=True)
class Variant:
    """A rate in Hz, a length and a type of mixture, and whether stems on disk are to sum to it."""

    rate: int
    mode: str
    type: str
    fixed: bool = False

    @property
    def suffix(self) -> str:
        """What the variant of a mixture is called: `8k_min_both`."""
        words = suffix_of(self.rate, self.mode, self.type.removeprefix("mix_"))
        return f"{words}_fixed" if self.fixed else words


def variants_of(
    rates: list[int] | None, modes: list[str] | None, types: Sequence[str], *, fixed: bool = False
) -> list[Variant]:
    """Return all combinations of rates, modes and types; all rates and all modes without any.

    Raises:
        UsageError: there is no such rate or mode.
    """
    rates, modes = chosen(rates, RATES, "--sample-rate"), chosen(modes, MODES, "--mode")
    return [Variant(*choices, fixed=fixed) for choices in itertools.product(rates, modes, types)]
