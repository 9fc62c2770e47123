"""The leaderboard as a table: cells hold the text of the CSV, and show less of it."""

from collections.abc import Sequence
from dataclasses import dataclass

from baselines.inference.costs import COSTS
from evalsuite.boards.leaderboard import Headline, Row
from evalsuite.boards.show import cost_text, interval_text, number_text
from evalsuite.report.inputs import name_of
from evalsuite.scoring.folder import SystemScores
from mixgen.report.axis import Axis, axis_over

_COSTS = {cost.name: cost for cost in COSTS if cost.title}


@dataclass(frozen=True)
class System:
    """One row of a leaderboard, and the scores that it was made from."""

    row: Row
    scores: SystemScores

    @property
    def name(self) -> str:
        """The model and its checkpoint."""
        return name_of(self.scores)

    @property
    def rank(self) -> str:
        """The rank, with `=` where the system is tied with the one above."""
        return f"{'=' if self.row['tied_with_above'] else ''}{self.row['rank']}"


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        name: of the CSV.
        title: that the page shows.
        unit: of the values; may be empty.
        bounds: the CSV's columns with the 95 % interval; None without one.
        descending: whether the first click sorts the largest value to the top.
    """

    name: str
    title: str
    unit: str = ""
    bounds: tuple[str, str] | None = None
    descending: bool = True


@dataclass(frozen=True)
class Cell:
    """A value as the CSV holds it and as the page shows it, and its interval."""

    column: str
    value: str
    text: str
    interval: str = ""


@dataclass(frozen=True)
class Board:
    """A leaderboard: its columns, its rows of cells, and the axis of the intervals.

    `bars` holds the positions of value, lower and upper bound of each row's headline, or None.
    """

    columns: list[Column]
    rows: list[tuple[System, list[Cell]]]
    axis: Axis | None
    bars: list[tuple[str, str, str] | None]


def make_board(systems: Sequence[System], headline: Headline) -> Board:
    """Return the table of systems, which are in the order of their ranks.

    It has the headline, all ranked columns, those of sets and stems, the level, and the costs.
    """
    columns = _columns(systems, headline)
    rows = [(system, [_cell(system.row, column) for column in columns]) for system in systems]
    low, high = _bounds(headline.name)
    values = [
        (row[headline.name], row[low], row[high])
        for row in (system.row for system in systems)
        if row[headline.name] is not None and row[low] is not None
    ]
    axis = axis_over([0.0, *(v for value in values for v in value)]) if values else None
    return Board(columns, rows, axis, [_bar(system.row, headline, axis) for system in systems])


def _columns(systems: Sequence[System], headline: Headline) -> list[Column]:
    definitions = systems[0].scores.definition_of
    unit = definitions[headline.column].unit
    first = [
        Column(
            headline.name,
            headline.column,
            unit,
            _bounds(headline.name),
            definitions[headline.column].higher_is_better,
        )
    ]
    stems = [
        Column(f"{headline.name}_{stem}", f"{headline.column} {stem}", unit)
        for stem in systems[0].scores.stems
    ]
    ranked = [
        Column(
            f"{column}_mean",
            column,
            definitions[column].unit,
            _bounds(f"{column}_mean"),
            definitions[column].higher_is_better,
        )
        for column in systems[0].scores.columns
        if f"{column}_mean" != headline.name
    ]
    sets = [Column(column, column) for column in systems[0].scores.run.set_scores]
    level = [Column("gain_db_mean", "gain", "dB")]
    costs = [Column(cost.name, cost.title or cost.name, "", None, False) for cost in COSTS]
    counts = [Column("n", "n"), Column("n_fail", "n_fail")]
    # Stems of some systems alone, such as oracles, are left to the CSV.
    stems = [c for c in stems if all(system.row.get(c.name) is not None for system in systems)]
    shown = [*first, *stems, *ranked, *sets, *level, *costs]
    return [c for c in shown if any(s.row.get(c.name) is not None for s in systems)] + counts


def _bounds(average: str) -> tuple[str, str]:
    """Return the columns with the interval of an average."""
    prefix = average.removesuffix("_mean")
    return f"{prefix}_ci_lo", f"{prefix}_ci_hi"


def _cell(row: Row, column: Column) -> Cell:
    value = row.get(column.name)
    interval = ""
    if column.bounds is not None and value is not None:
        interval = interval_text(*(row[name] for name in column.bounds))
    if column.name in _COSTS:
        text = cost_text(_COSTS[column.name], value)
    else:
        text = str(value) if isinstance(value, int) else number_text(value)
    shown = text.replace("-", "−") if value is not None else "–"
    return Cell(column.name, in_csv(value), shown, interval.replace("-", "−").replace("..", " to "))


def in_csv(value: object) -> str:
    """Return a value as the CSV holds it."""
    return "" if value is None else str(value)


def _bar(row: Row, headline: Headline, axis: Axis | None) -> tuple[str, str, str] | None:
    values = [row[name] for name in (headline.name, *_bounds(headline.name))]
    if axis is None or None in values:
        return None
    value, low, high = map(axis.at, values)
    return value, low, high
