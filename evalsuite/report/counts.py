"""How many sources each system found in mixtures of each number of sources."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.report.board import System
from evalsuite.scoring.records import ItemRow


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
    """Return the confusion of every system; empty where the sources were not counted.

    As in the metric `counting`, silent references are no sources. In a mixture that failed the
    references are counted.
    """
    return [_confusion(system) for system in systems if "count_right" in system.scores.columns]


def _confusion(system: System) -> Confusion:
    rows = [row for row in system.scores.items if row.reference is None]
    cells = Counter(map(_cell, rows))
    known = {number for cell in cells for number in cell if number is not None}
    found = list(range(min(known, default=0), max(known, default=0) + 1))
    table = [
        (true, [cells[true, number] for number in found], cells[true, None])
        for true in sorted({true for true, _ in cells})
    ]
    return Confusion(system, found, table)


def _cell(row: ItemRow) -> tuple[int, int | None]:
    """Return the true and the found number of sources of a mixture; None found if it failed."""
    found, missed, extra = (row.values.get(c) for c in ("n_found", "n_missed", "n_extra"))
    if found is None or missed is None or extra is None:
        return row.n_ref, None
    return round(found + missed - extra), round(found)
