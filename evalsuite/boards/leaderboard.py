"""The leaderboard: one row per model, checkpoint, set and split, made from score folders alone."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median, stdev
from typing import Any

from baselines.inference.costs import COSTS
from evalsuite.boards.paired import ranked_differences
from evalsuite.boards.statistics import Interval, mean_interval, median_interval
from evalsuite.scoring.folder import SystemScores, open_scores
from mixgen.core.errors import InputError
from mixgen.core.files import write_csv
from mixgen.core.vocabulary import ALL_TASKS, STEM_TASKS, Task

Row = dict[str, Any]

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")

SYSTEM_COLUMNS = ("group", "set", "split", "model", "checkpoint")
"""Those that `describe` returns."""

FIRST_COLUMNS = (
    "group",
    "set",
    "split",
    "rank",
    "tied_with_above",
    "model",
    "checkpoint",
    "n",
    "n_fail",
    "headline",
)
LAST_COLUMNS = (
    *(cost.name for cost in COSTS),
    "metric_spec_sha256",
    "manifest_sha256",
    "checkpoint_sha256",
    "configuration_sha256",
    "seed",
    "date",
)

_INTERVALS: dict[str, Callable[[list[float]], Interval | None]] = {
    "mean": mean_interval,
    "median": median_interval,
}
_AVERAGES: dict[str, Callable[[list[float]], float]] = {"mean": fmean, "median": median}


@dataclass(frozen=True)
class Headline:
    """A column and its average over mixtures: the mean, or museval's median over songs."""

    column: str
    average: str = "mean"

    @property
    def name(self) -> str:
        """The leaderboard column: `si_sdri_mean`, `sdr_v4_med_median`."""
        return f"{self.column}_{self.average}"

    def of(self, values: list[float]) -> float | None:
        """Return the average of one value per mixture; None without values."""
        return _AVERAGES[self.average](values) if values else None

    def interval(self, values: list[float]) -> Interval | None:
        """Return the 95 % interval of the average; None for fewer than two values."""
        return _INTERVALS[self.average](values)


HEADLINES: tuple[tuple[frozenset[Task], Headline], ...] = (
    (STEM_TASKS, Headline("sdr_v4_med", "median")),
    # An estimate is a stream, which takes utterances of any talker.
    (frozenset({"meetings"}), Headline("si_sdr_utt_best")),
    (ALL_TASKS, Headline("p_si_snr")),  # where counts vary
    (frozenset({"dereverberation"}), Headline("pesq_wb16k")),
    (frozenset({"dereverberation"}), Headline("pesq_nb8k")),  # below 16 kHz
    (ALL_TASKS, Headline("si_sdri")),
)


def headline_of(entries: Sequence[SystemScores]) -> Headline:
    """Return the first headline of a task whose column any of the scores has, else a first column.

    The scores are of one group: of one task, and with the same columns.

    Raises:
        InputError: no column ranks systems.
    """
    for tasks, headline in HEADLINES:
        known = entries[0].run.task in tasks and headline.column in entries[0].columns
        if known and any(scores.ranked(headline.column) for scores in entries):
            return headline
    if not entries[0].columns:
        raise InputError(
            f"The scores in {entries[0].path} have no column that ranks systems, but "
            f"{', '.join(m.name for m in entries[0].run.metrics)} only: score again with such a "
            "metric beside it (`evalsuite metrics` lists them)."
        )
    return Headline(entries[0].columns[0])


def rank(folders: Iterable[str | Path | SystemScores]) -> list[Row]:
    """Return the rows of the leaderboard, best first inside every group.

    A group is one split of one manifest under one set of metric definitions; only rows of one
    group are ranked against each other. `tied_with_above` is true where the 95 % interval of the
    paired differences to the row above includes 0.

    Raises:
        InputError: a folder holds no scores, or two folders of a group hold scores of one model.
    """
    return [row for scores in in_groups(folders).values() for row in _ranked(scores)]


def in_groups(folders: Iterable[str | Path | SystemScores]) -> dict[str, list[SystemScores]]:
    """Return the name of each group, sorted, and its scores; a folder that is given twice, once."""
    groups: dict[str, list[SystemScores]] = defaultdict(list)
    opened = (open_scores(folder) for folder in folders)
    for scores in {scores.path.resolve(): scores for scores in opened}.values():
        groups[group_of(scores)].append(scores)
    return dict(sorted(groups.items()))


def group_of(scores: SystemScores) -> str:
    """Return the name of the group in which scores are ranked."""
    run = scores.run
    hashes = f"{run.manifest_sha256[:8]}-{run.metric_spec_sha256[:8]}"
    return f"{run.set}/{run.split or 'all'}/{hashes}"


def identity_of(scores: SystemScores) -> tuple[str, str, str | None, str | None]:
    """Return what may stand in a leaderboard only once: a group, a model and its checkpoint."""
    run = scores.run
    return group_of(scores), run.model, run.checkpoint_sha256, run.configuration_sha256


def write_leaderboard(path: Path, rows: Sequence[Row]) -> None:
    """Write rows as CSV, with the same columns for all groups and empty cells without a value."""
    write_table(path, columns_of(rows), rows)


def write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write rows under these columns as CSV.

    A text that a spreadsheet would take for a formula gets an apostrophe in front.
    """
    safe = ({column: _no_formula(value) for column, value in row.items()} for row in rows)
    write_csv(path, columns, safe)


def _no_formula(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Return the union of the rows' columns: system and set, metrics, costs, hashes."""
    seen = dict.fromkeys(column for row in rows for column in row)
    edges = {*FIRST_COLUMNS, *LAST_COLUMNS}
    return [*FIRST_COLUMNS, *(column for column in seen if column not in edges), *LAST_COLUMNS]


def _ranked(entries: list[SystemScores]) -> list[Row]:
    _refuse_duplicates(entries)
    headline = headline_of(entries)
    entries = sorted(entries, key=lambda scores: _sort_key(scores, headline))
    rows = []
    for index, scores in enumerate(entries):
        above = entries[index - 1] if index else None
        rows.append(
            {
                "rank": index + 1,
                "tied_with_above": None if above is None else _tied(above, scores, headline),
                "headline": headline.name,
                **describe(scores),
                "n": scores.run.counts.n,
                "n_fail": scores.run.counts.n_failed,
                **_metrics(scores, headline),
                **_cost(scores),
            }
        )
    return rows


def _refuse_duplicates(entries: list[SystemScores]) -> None:
    seen: dict[tuple[str | None, ...], Path] = {}
    for scores in entries:
        key = identity_of(scores)
        if key in seen:
            raise InputError(
                f"{seen[key]} and {scores.path} both score {scores.run.model} on "
                f"{scores.run.set}: give only one of them."
            )
        seen[key] = scores.path


def _sort_key(scores: SystemScores, headline: Headline) -> tuple[float, str, str]:
    """Sort the best first, systems without a value last, equal ones by name and checkpoint."""
    value = headline.of(list(scores.ranked(headline.column).values()))
    sign = -1.0 if scores.definition_of[headline.column].higher_is_better else 1.0
    loss = math.inf if value is None else sign * value
    return loss, scores.run.model, scores.run.checkpoint_sha256 or ""


def _tied(above: SystemScores, below: SystemScores, headline: Headline) -> bool | None:
    """Return whether the interval of the differences includes 0; None without common mixtures."""
    differences = ranked_differences(
        base=above.ranked(headline.column),
        candidate=below.ranked(headline.column),
        higher_is_better=above.definition_of[headline.column].higher_is_better,
    )
    if not differences:
        return None
    interval = headline.interval(differences)
    return interval is None or interval[0] <= 0.0 <= interval[1]


def describe(scores: SystemScores) -> Row:
    """Return the columns that say what was scored: group, set, split, model and checkpoint."""
    run = scores.run
    return {
        "group": group_of(scores),
        "set": run.set,
        "split": run.split or "all",
        "model": run.model,
        "checkpoint": (run.checkpoint_sha256 or "")[:12],
    }


def _cost(scores: SystemScores) -> Row:
    run = scores.run
    return {
        **{cost.name: run.costs.get(cost.name) for cost in COSTS},
        "metric_spec_sha256": run.metric_spec_sha256,
        "manifest_sha256": run.manifest_sha256,
        "checkpoint_sha256": run.checkpoint_sha256,
        "configuration_sha256": run.configuration_sha256,
        "seed": run.seed,
        "date": run.date,
    }


def _metrics(scores: SystemScores, headline: Headline) -> Row:
    row: Row = {}
    if headline.average != "mean":
        row |= _average(scores, headline, prefix=headline.name)
    for column in scores.columns:
        row |= _average(scores, Headline(column), prefix=column)
        scored = list(scores.scored(column).values())
        row[f"{column}_scored_mean"] = fmean(scored) if scored else None
        row[f"{column}_n"] = len(scored)
        row[f"{column}_nfail"] = scores.n_failed(column)
    row |= scores.run.set_scores
    for column in scores.diagnostics:
        found = list(scores.scored(column).values())
        row[f"{column}_mean"] = fmean(found) if found else None
        row[f"{column}_spread"] = stdev(found) if len(found) > 1 else None
    for stem in scores.stems:
        values = scores.ranked(headline.column, [r for r in scores.items if r.reference == stem])
        row[f"{headline.name}_{stem}"] = headline.of(list(values.values()))
    return row


def _average(scores: SystemScores, headline: Headline, *, prefix: str) -> Row:
    values = list(scores.ranked(headline.column).values())
    interval: Interval | tuple[None, None] = headline.interval(values) or (None, None)
    return {
        headline.name: headline.of(values),
        f"{prefix}_ci_lo": interval[0],
        f"{prefix}_ci_hi": interval[1],
    }
