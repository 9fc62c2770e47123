"""The best, the median and the worst mixtures of a system, and what is known of each."""

from dataclasses import dataclass
from functools import cached_property

from evalsuite.boards.leaderboard import Headline
from evalsuite.report.board import System
from evalsuite.scoring.records import ItemRow


@dataclass(frozen=True)
class Example:
    """A mixture and its place among all mixtures of the system.

    Attributes:
        system: the row of the leaderboard.
        id: of the mixture.
        places: `best`, `median`, `worst`.
        value: of the headline.
        rows: of items.jsonl, one per reference.
    """

    system: System
    id: str
    places: tuple[str, ...]
    value: float
    rows: list[ItemRow]

    @cached_property
    def extra(self) -> list[str]:
        """Names of estimates that are assigned to no reference."""
        return list(dict.fromkeys(name for row in self.rows for name in row.extra))

    def values(self, row: ItemRow) -> list[tuple[str, float]]:
        """Return the first ranked column of each metric that a row has, and its value."""
        firsts = [metric.columns[0] for metric in self.system.scores.run.metrics if metric.columns]
        known = [(column, row.values.get(column)) for column in firsts]
        return [(column, value) for column, value in known if value is not None]


def choose_examples(system: System, headline: Headline, each: int) -> list[Example]:
    """Return up to `each` of the best, the median and the worst mixtures, best first.

    Equal values are sorted by the id of the mixture; a mixture may have several places.
    """
    values = system.scores.per_mixture(headline.column)
    higher = system.scores.definition_of[headline.column].higher_is_better
    order = sorted(values, key=lambda i: (-values[i] if higher else values[i], i))
    each = min(each, len(order))
    middle = (len(order) - each) // 2
    places: dict[str, list[str]] = {}
    for place, begin in (("best", 0), ("median", middle), ("worst", len(order) - each)):
        for mixture_id in order[begin : begin + each]:
            places.setdefault(mixture_id, []).append(place)
    rows: dict[str, list[ItemRow]] = {mixture_id: [] for mixture_id in places}
    for row in system.scores.items:
        if row.id in rows and row.reference is not None:
            rows[row.id].append(row)
    return [Example(system, i, tuple(places[i]), values[i], rows[i]) for i in order if i in places]
