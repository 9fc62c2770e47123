"""Two systems on one set, item by item: differences, new failures, the items that lost most."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import fmean

import numpy as np

from evalsuite.scoring.folder import (
    SystemScores,
    is_failure,
    is_perfect,
    linearised,
    ratio_parts,
)
from evalsuite.scoring.records import ItemRow, item_name
from mixgen.core.records import Record

Key = tuple[str, str | None]
"""Mixture id and reference; None for a row of the whole mixture."""


class WorstItem(Record):
    """An item that lost much; `difference` below 0 is worse."""

    id: str
    reference: str | None
    base: float
    candidate: float
    difference: float

    @property
    def text(self) -> str:
        """The item, and its value in the base and in the candidate."""
        name = item_name(self.id, self.reference)
        return f"{name} {self.base:.2f} -> {self.candidate:.2f}"


@dataclass(frozen=True)
class Pair:
    """One reference of one mixture, scored in both folders.

    `difference` is candidate - base, with the sign turned where less is better: negative is worse.
    Both values are None where both estimates are perfect. In a ratio the difference is that of the
    numerators, and `parts` are numerator and denominator in the base and in the candidate.
    """

    id: str
    reference: str | None
    base: float | None
    candidate: float | None
    difference: float
    parts: tuple[tuple[float, float], tuple[float, float]] | None = None


@dataclass
class PairedColumn:
    """One column of two folders, item by item.

    Attributes:
        pairs: items that have a value in both folders, or are perfect in both.
        new_failures: items with a value or perfect in the base, and with a failure in the
            candidate or no longer perfect.
        recovered: items that failed in the base alone.
        n_without: all other items.
        sign: -1 where less is better.
    """

    pairs: list[Pair] = field(default_factory=list)
    new_failures: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    n_without: int = 0
    sign: float = 1.0

    def per_mixture(self) -> dict[str, float]:
        """Return the mean difference over the references of every mixture.

        Of a ratio it is the difference of the `linearised` values, whose mean is the difference of
        the ratios.
        """
        of_ratio = [(pair.id, pair.parts) for pair in self.pairs if pair.parts is not None]
        if of_ratio:
            base, candidate = (linearised((i, parts[n]) for i, parts in of_ratio) for n in range(2))
            return {i: self.sign * (candidate[i] - base[i]) for i in base if i in candidate}
        differences: dict[str, list[float]] = defaultdict(list)
        for pair in self.pairs:
            differences[pair.id].append(pair.difference)
        return {mixture_id: fmean(values) for mixture_id, values in differences.items()}

    def share_worse_by(self, loss: float) -> float | None:
        """Return the share of pairs that lost more than `loss`; None without pairs."""
        if not self.pairs:
            return None
        return float(np.mean([pair.difference < -loss for pair in self.pairs]))

    def worst(self, n: int) -> list[WorstItem]:
        """Return at most `n` items that lost, the largest loss first."""
        lost = [pair for pair in self.pairs if pair.difference < 0]
        lost.sort(key=lambda pair: pair.difference)
        return [
            WorstItem(
                id=pair.id,
                reference=pair.reference,
                base=pair.base,
                candidate=pair.candidate,
                difference=pair.difference,
            )
            for pair in lost[:n]
            if pair.base is not None and pair.candidate is not None
        ]


def ranked_differences(
    *, base: Mapping[str, float], candidate: Mapping[str, float], higher_is_better: bool
) -> list[float]:
    """Return candidate - base of every mixture that both have; negative is worse.

    Args:
        base: mixture id to value, as `SystemScores.ranked` returns them: failures are floors.
        candidate: the same of the other system.
        higher_is_better: whether more is better, else the sign is turned.
    """
    sign = 1.0 if higher_is_better else -1.0
    return [sign * (candidate[key] - base[key]) for key in base if key in candidate]


def pair_column(
    *, base: SystemScores, candidate: SystemScores, column: str, keys: Iterable[Key] | None = None
) -> PairedColumn:
    """Pair two scores by (mixture id, reference), or these keys of them.

    Both must hold the same items.
    """
    paired = PairedColumn(sign=1.0 if base.definition_of[column].higher_is_better else -1.0)
    parts = base.parts_of(column)
    for key in base.rows if keys is None else keys:
        old, new = base.rows[key], candidate.rows[key]
        if parts is None or is_failure(old, column) or is_failure(new, column):
            _add_item(paired, old, new, column)
        else:
            _add_ratio(paired, old, new, column, parts)
    return paired


def _add_ratio(
    paired: PairedColumn, base: ItemRow, candidate: ItemRow, column: str, parts: tuple[str, str]
) -> None:
    old, new = ratio_parts(base, parts), ratio_parts(candidate, parts)
    if old is None or new is None:
        paired.n_without += 1
        return
    values = base.values.get(column), candidate.values.get(column)
    difference = paired.sign * (new[0] - old[0])
    paired.pairs.append(Pair(base.id, base.reference, *values, difference, (old, new)))


def _add_item(paired: PairedColumn, base: ItemRow, candidate: ItemRow, column: str) -> None:
    item = item_name(base.id, base.reference)
    old, new = base.values.get(column), candidate.values.get(column)
    if old is not None and new is not None:
        paired.pairs.append(Pair(base.id, base.reference, old, new, paired.sign * (new - old)))
    elif is_perfect(base, column) and is_perfect(candidate, column):
        paired.pairs.append(Pair(base.id, base.reference, None, None, 0.0))
    elif is_perfect(base, column) and new is not None:
        paired.new_failures.append(f"{item}: perfect in the base")
    elif is_failure(candidate, column) and not is_failure(base, column):
        paired.new_failures.append(f"{item}: {candidate.reasons[column]}")
    elif is_failure(base, column) and not is_failure(candidate, column):
        paired.recovered.append(item)
    else:
        paired.n_without += 1
