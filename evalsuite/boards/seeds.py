"""Rows that differ in the seed of training alone, as one: public replications vary by 0.7 dB."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import fmean, stdev

from evalsuite.boards.leaderboard import Row, write_table

COLUMNS = (
    "group",
    "set",
    "split",
    "model",
    "configuration_sha256",
    "n_seeds",
    "headline",
    "mean",
    "spread",
    "lowest",
    "highest",
)


def seed_rows(rows: Iterable[Row]) -> list[Row]:
    """Return a row for each system with two seeds or more, in the order of the leaderboard.

    `spread` is the standard deviation of the headline over the seeds.
    """
    members: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        if row["configuration_sha256"] and row[row["headline"]] is not None:
            members[row["group"], row["configuration_sha256"]].append(row)
    grouped = []
    for first, *others in members.values():
        values = [row[first["headline"]] for row in (first, *others)]
        if len({row["seed"] for row in (first, *others)}) > 1:
            grouped.append(
                {
                    **{column: first[column] for column in COLUMNS[:5]},
                    "n_seeds": len(values),
                    "headline": first["headline"],
                    "mean": fmean(values),
                    "spread": stdev(values),
                    "lowest": min(values),
                    "highest": max(values),
                }
            )
    return grouped


def write_seeds(leaderboard: Path, rows: Iterable[Row]) -> None:
    """Write LEADERBOARD_seeds.csv beside a leaderboard, if a system has two seeds or more."""
    grouped = seed_rows(rows)
    if grouped:
        write_table(leaderboard.with_name(f"{leaderboard.stem}_seeds.csv"), COLUMNS, grouped)
