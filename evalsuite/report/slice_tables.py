"""The headline in each slice of a set, one table for every way to divide it."""

from collections.abc import Sequence
from dataclasses import dataclass

from evalsuite.boards.leaderboard import Headline, Row
from evalsuite.boards.slices import SLICINGS, members_of, rows_of
from evalsuite.report.board import System

_TITLES = {
    "count": "number of sources",
    "overlap": "overlap",
    "snr": "SNR of the reference [dB]",
    "t60": "reverberation time T60 [s]",
    "stem": "stem",
}


@dataclass(frozen=True)
class SliceTable:
    """One way to divide a set.

    Attributes:
        name: of the condition; a part of the CSV's name.
        title: of the table.
        slices: that are columns.
        rows: the slices of every system as `evalsuite.boards.slices` returns them; None without
            a value.
    """

    name: str
    title: str
    slices: list[str]
    rows: list[tuple[System, list[Row | None]]]

    def shade(self, value: float) -> int:
        """Return where a value lies between the smallest and the largest one, in percent."""
        values = [row["value"] for _, cells in self.rows for row in cells if row is not None]
        low, high = min(values), max(values)
        return 50 if high == low else round(100 * (value - low) / (high - low))


def slice_tables(systems: Sequence[System], headline: Headline) -> list[SliceTable]:
    """Return a table for each condition that divides the set."""
    tables = []
    for slicing in SLICINGS:
        found = [
            (system, {row["slice"]: row for row in rows_of(system.scores, slicing, headline)})
            for system in systems
        ]
        bins = sorted({b for system in systems for b in members_of(system.scores, slicing)})
        names = [name for _, name in bins if any(name in rows for _, rows in found)]
        if len(names) > 1:
            of_systems = [(system, [rows.get(name) for name in names]) for system, rows in found]
            title = _TITLES.get(slicing.name, slicing.name)
            tables.append(SliceTable(slicing.name, title, names, of_systems))
    return tables
