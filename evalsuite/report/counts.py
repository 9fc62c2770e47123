"""How many sources each system found in mixtures of each number of sources."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.boards.counts import count_confusion
from evalsuite.report.board import System


@dataclass(frozen=True)
class Confusion:
    """Numbers of mixtures, by true and found number of sources.

    Attributes:
        system: the row of the leaderboard.
        found: the numbers of sources that are columns.
        rows: true number, the mixtures in each column, and the mixtures that failed.
    """

    system: System
    found: list[int]
    rows: list[tuple[int, list[int], int]]

    @property
    def n(self) -> int:
        """All mixtures."""
        return sum(sum(counts) + failed for _, counts, failed in self.rows)

    @property
    def right(self) -> int:
        """Mixtures of which the number of sources was found."""
        return sum(counts[self.found.index(true)] for true, counts, _ in self.rows)


def confusions(systems: Sequence[System]) -> list[Confusion]:
    """Return the confusion of every system, empty where the sources were not counted."""
    return [_confusion(system) for system in systems if "count_right" in system.scores.columns]


def _confusion(system: System) -> Confusion:
    counts = count_confusion(system.scores)
    known = {number for numbers in counts for number in numbers if number is not None}
    found = list(range(min(known, default=0), max(known, default=0) + 1))
    table = [
        (true, [counts.get((true, number), 0) for number in found], counts.get((true, None), 0))
        for true in sorted({true for true, _ in counts})
    ]
    return Confusion(system, found, table)
