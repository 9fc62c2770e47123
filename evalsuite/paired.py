"""One column of two score folders, item by item: differences, new failures, recoveries."""

from collections import defaultdict
from dataclasses import dataclass, field
from statistics import fmean

from evalsuite.records import ItemRow
from evalsuite.score_folder import ScoreFolder, is_failure, is_perfect


@dataclass(frozen=True)
class Pair:
    """One reference of one mixture, scored in both folders.

    `difference` is candidate - base, with the sign turned where less is better: negative is worse.
    Both values are None where both estimates are perfect.
    """

    id: str
    reference: str
    base: float | None
    candidate: float | None
    difference: float


@dataclass
class PairedColumn:
    """A column of two folders.

    Attributes:
        pairs: items that have a value in both.
        new_failures: items with a value in the base, and in the candidate a reason that counts
            against it.
        recovered: items that failed in the base alone.
        n_without: items without a value in at least one folder for which nobody is to blame.
    """

    pairs: list[Pair] = field(default_factory=list)
    new_failures: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    n_without: int = 0

    def per_mixture(self) -> dict[str, float]:
        """Return the mean difference over the references of every mixture."""
        found: dict[str, list[float]] = defaultdict(list)
        for pair in self.pairs:
            found[pair.id].append(pair.difference)
        return {mixture_id: fmean(values) for mixture_id, values in found.items()}


def pair_column(*, base: ScoreFolder, candidate: ScoreFolder, column: str) -> PairedColumn:
    """Pair the two folders by (mixture id, reference); both must hold the same ones."""
    paired = PairedColumn()
    sign = 1.0 if base.higher_is_better[column] else -1.0
    for key, row in base.rows.items():
        _add(paired, row, candidate.rows[key], column, sign)
    return paired


def _add(paired: PairedColumn, base: ItemRow, candidate: ItemRow, column: str, sign: float) -> None:
    old, new = base.values.get(column), candidate.values.get(column)
    if old is not None and new is not None:
        pair = Pair(base.id, base.reference, old, new, sign * (new - old))
        paired.pairs.append(pair)
    elif is_perfect(base, column) and is_perfect(candidate, column):
        paired.pairs.append(Pair(base.id, base.reference, None, None, 0.0))
    elif is_perfect(base, column) and new is not None:
        paired.new_failures.append(f"{base.id} {base.reference}: perfect in the base")
    elif is_failure(candidate, column) and not is_failure(base, column):
        why = candidate.reasons[column]
        paired.new_failures.append(f"{base.id} {base.reference}: {why}")
    elif is_failure(base, column) and not is_failure(candidate, column):
        paired.recovered.append(f"{base.id} {base.reference}")
    else:
        paired.n_without += 1
