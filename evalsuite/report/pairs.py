"""Is one system better than another? The paired differences of all systems of a group."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from evalsuite.boards.leaderboard import SYSTEM_COLUMNS, Headline, Row, describe, write_table
from evalsuite.boards.paired import ranked_differences
from evalsuite.boards.statistics import Interval, holm, wilcoxon_p
from evalsuite.report.board import System

LEVEL = 0.05
COLUMNS = (
    *SYSTEM_COLUMNS,
    "than_model",
    "than_checkpoint",
    "n",
    "headline",
    "difference",
    "ci_lo",
    "ci_hi",
    "p",
    "p_holm",
)


@dataclass(frozen=True)
class Comparison:
    """How much better a system is than another one; the values of mixtures are paired.

    Attributes:
        system: the one that is better where `difference` is above 0.
        other: the one that it is compared with.
        n: mixtures that both have a value for.
        difference: average over the mixtures; None without any.
        interval: 95 % interval of the difference; None for fewer than two mixtures.
        p: of Wilcoxon's signed-rank test.
        p_holm: the same adjusted for the number of pairs in the group.
    """

    system: System
    other: System
    n: int
    difference: float | None
    interval: Interval | None
    p: float | None
    p_holm: float | None

    @property
    def verdict(self) -> str:
        """`better` or `worse` where the adjusted p is below 5 % and the interval is without 0."""
        if self.interval is None or self.p_holm is None or self.p_holm >= LEVEL:
            return ""
        low, high = self.interval
        return "better" if low > 0 else "worse" if high < 0 else ""

    @property
    def turned(self) -> "Comparison":
        """The same from the other system's side."""
        difference = None if self.difference is None else -self.difference + 0.0
        interval = None if self.interval is None else (-self.interval[1], -self.interval[0])
        return Comparison(
            self.other, self.system, self.n, difference, interval, self.p, self.p_holm
        )


def compare_pairs(systems: Sequence[System], headline: Headline) -> list[Comparison]:
    """Compare every system with every one ranked below it, by the headline.

    The differences are those that the leaderboard's ties rest on: failures count as floors.
    """
    values = [system.scores.ranked(headline.column) for system in systems]
    higher = systems[0].scores.definition_of[headline.column].higher_is_better
    numbers = list(combinations(range(len(systems)), 2))
    differences = [
        ranked_differences(base=values[below], candidate=values[above], higher_is_better=higher)
        for above, below in numbers
    ]
    p_values = [wilcoxon_p(found) for found in differences]
    return [
        Comparison(
            systems[above],
            systems[below],
            len(found),
            headline.of(found),
            headline.interval(found),
            p,
            p_holm,
        )
        for (above, below), found, p, p_holm in zip(
            numbers, differences, p_values, holm(p_values), strict=True
        )
    ]


def matrix(
    systems: Sequence[System], comparisons: Sequence[Comparison]
) -> list[tuple[System, list[Comparison | None]]]:
    """Return a row for every system with its comparisons with all of them; None with itself."""
    cells: list[list[Comparison | None]] = [[None] * len(systems) for _ in systems]
    numbers = combinations(range(len(systems)), 2)
    for (above, below), comparison in zip(numbers, comparisons, strict=True):
        cells[above][below] = comparison
        cells[below][above] = comparison.turned
    return list(zip(systems, cells, strict=True))


def write_pairs(path: Path, comparisons: Iterable[Comparison]) -> None:
    """Write comparisons as CSV."""
    write_table(path, COLUMNS, map(_row, comparisons))


def _row(comparison: Comparison) -> Row:
    low, high = comparison.interval or (None, None)
    other = describe(comparison.other.scores)
    return {
        **describe(comparison.system.scores),
        "than_model": other["model"],
        "than_checkpoint": other["checkpoint"],
        "n": comparison.n,
        "headline": comparison.system.row["headline"],
        "difference": comparison.difference,
        "ci_lo": low,
        "ci_hi": high,
        "p": comparison.p,
        "p_holm": comparison.p_holm,
    }
