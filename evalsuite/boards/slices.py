"""Slices of a leaderboard: the headline by number of sources, overlap, SNR, T60 and stem."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.boards.leaderboard import (
    SYSTEM_COLUMNS,
    Headline,
    Row,
    describe,
    headline_of,
    in_groups,
    write_table,
)
from evalsuite.scoring.folder import SystemScores
from evalsuite.scoring.records import ItemRow

COLUMNS = (
    *SYSTEM_COLUMNS,
    "slice",
    "n",
    "headline",
    "value",
    "ci_lo",
    "ci_hi",
)

Bin = tuple[float, str]
"""A number that sorts the slices, and the label of the slice."""


@dataclass(frozen=True)
class Slicing:
    """A way to divide the rows of a set.

    Attributes:
        name: of the condition; a part of the file's name.
        of: row and its scores -> its slice; None for a row that is in none.
    """

    name: str
    of: Callable[[ItemRow, SystemScores], Bin | None]


def _bins(
    condition: str, width: float, most: float = math.inf
) -> Callable[[ItemRow, SystemScores], Bin | None]:
    """Return a function that slices by a condition, from each multiple of `width` to the next.

    A slice holds its lower end; the last one, up to `most`, holds both.
    """
    last = most if math.isinf(most) else round(most / width) - 1

    def bin_of(row: ItemRow, _scores: SystemScores) -> Bin | None:
        """Return the slice of a row; None where the condition is not known."""
        value = row.conditions.get(condition)
        if value is None:
            return None
        quotient = round(value / width, 9)  # 0.6 / 0.2 is 2.9999999999999996
        number = min(math.floor(quotient), last)
        low, high = number * width, (number + 1) * width
        return number, f"[{low:g}, {high:g}{']' if number == last else ')'}"

    return bin_of


def _stem(row: ItemRow, scores: SystemScores) -> Bin | None:
    return (0.0, row.reference) if row.reference in scores.stems else None


SLICINGS = (
    Slicing("count", lambda row, _: (row.n_ref, str(row.n_ref))),
    Slicing("overlap", _bins("overlap", 0.2, 1.0)),
    Slicing("snr", _bins("snr_db", 5.0)),
    Slicing("t60", _bins("t60_s", 0.2)),
    Slicing("stem", _stem),
)


def slice_rows(folders: Iterable[str | Path | SystemScores], slicing: Slicing) -> list[Row]:
    """Return one row per system and slice; empty where all rows are in one slice.

    The average of a slice is that of the headline over the references in it, with floors.
    """
    rows = []
    for group in in_groups(folders).values():
        headline = headline_of(group)
        of_group = [row for scores in group for row in rows_of(scores, slicing, headline)]
        if len({row["slice"] for row in of_group}) > 1:
            rows += of_group
    return rows


def members_of(scores: SystemScores, slicing: Slicing) -> dict[Bin, list[ItemRow]]:
    """Return the rows of scores in each slice."""
    members: dict[Bin, list[ItemRow]] = defaultdict(list)
    for row in scores.items:
        found = slicing.of(row, scores)
        if found is not None:
            members[found].append(row)
    return members


def rows_of(scores: SystemScores, slicing: Slicing, headline: Headline) -> list[Row]:
    """Return one row per slice of a system that has a value, in the order of the slices."""
    members = members_of(scores, slicing)
    rows = []
    for found in sorted(members):
        values = list(scores.ranked(headline.column, members[found]).values())
        if values:
            interval = headline.interval(values) or (None, None)
            rows.append(
                {
                    **describe(scores),
                    "slice": found[1],
                    "n": len(values),
                    "headline": headline.name,
                    "value": headline.of(values),
                    "ci_lo": interval[0],
                    "ci_hi": interval[1],
                }
            )
    return rows


def write_slices(
    leaderboard: Path,
    folders: Sequence[str | Path | SystemScores],
    more: Iterable[Slicing] = (),
) -> list[Path]:
    """Write LEADERBOARD_by_SLICING.csv beside a leaderboard for each slicing; return the files.

    Args:
        leaderboard: path of the leaderboard.
        folders: scores.
        more: slicings beside `SLICINGS`.
    """
    written = []
    for slicing in (*SLICINGS, *more):
        rows = slice_rows(folders, slicing)
        if rows:
            path = leaderboard.with_name(f"{leaderboard.stem}_by_{slicing.name}.csv")
            write_table(path, COLUMNS, rows)
            written.append(path)
    return written
