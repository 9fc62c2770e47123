"""How many sources each system found, by how many there are: a confusion matrix of counts."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from evalsuite.boards.leaderboard import Row, describe, in_groups, write_table
from evalsuite.boards.show import markdown_table, plain
from evalsuite.scoring.folder import SystemScores

COLUMNS = ("group", "set", "split", "model", "checkpoint", "n_ref", "n_found", "n")

Counts = Mapping[tuple[int, int | None], int]


def count_confusion(scores: SystemScores) -> Counts:
    """Return (sources that sound, sources found) to the number of mixtures, sorted.

    A mixture counts once, so the values add up to the mixtures of the set. The second number is
    None where the mixture failed; the first is then the number of its references. Empty where the
    metric `counting` was not scored.
    """
    counts: Counter[tuple[int, int | None]] = Counter()
    for row in scores.items:
        if row.reference is None and "count_right" in row.values:
            found, missed, extra = map(row.values.get, ("n_found", "n_missed", "n_extra"))
            if found is None or missed is None or extra is None:
                counts[row.n_ref, None] += 1
            else:
                counts[round(found + missed - extra), round(found)] += 1
    return dict(sorted(counts.items(), key=_in_order))


def _in_order(count: tuple[tuple[int, int | None], int]) -> tuple[int, bool, int]:
    """Sort failed mixtures behind all others with as many sources."""
    (n_ref, n_found), _ = count
    return n_ref, n_found is None, n_found or 0


def count_rows(folders: Iterable[str | Path | SystemScores]) -> list[Row]:
    """Return one row per system, number of sources and number found; `n` mixtures have both."""
    return [
        {**describe(scores), "n_ref": n_ref, "n_found": n_found, "n": n}
        for group in in_groups(folders).values()
        for scores in group
        for (n_ref, n_found), n in count_confusion(scores).items()
    ]


def write_counts(leaderboard: Path, folders: Iterable[str | Path | SystemScores]) -> None:
    """Write LEADERBOARD_counts.csv beside a leaderboard, if counts were scored."""
    rows = count_rows(folders)
    if rows:
        write_table(leaderboard.with_name(f"{leaderboard.stem}_counts.csv"), COLUMNS, rows)


def counts_markdown(folders: Iterable[str | Path | SystemScores]) -> str:
    """Return a table per group in Markdown: mixtures by the sources they have and those found."""
    parts = []
    for group, members in in_groups(folders).items():
        counts_of = [(scores.run.model, count_confusion(scores)) for scores in members]
        found = {n_found for _, counts in counts_of for _, n_found in counts}
        columns = sorted(n for n in found if n is not None)
        header = ["model", "sources", *(f"{n} found" for n in columns)]
        header += ["failed"] if None in found else []
        cells = [
            [model, str(n_ref), *(str(counts.get((n_ref, n), 0)) for n in columns)]
            + ([str(counts.get((n_ref, None), 0))] if None in found else [])
            for model, counts in counts_of
            for n_ref in dict.fromkeys(n_ref for n_ref, _ in counts)
        ]
        if cells:
            parts.append(f"### {plain(group)}: counts\n\n{markdown_table(header, cells)}\n")
    return "\n".join(parts)
