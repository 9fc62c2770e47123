"""The page: one section for each group of the leaderboard, beside its CSV files and media."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from evalsuite.boards.leaderboard import Headline, Row, headline_of, identity_of, in_groups
from evalsuite.boards.show import level_warnings, number_text
from evalsuite.report import PAGE_FILE
from evalsuite.report.board import Board, System, in_csv, make_board
from evalsuite.report.counts import Confusion, confusions
from evalsuite.report.distributions import Distribution, distributions
from evalsuite.report.examples import Example, choose_examples
from evalsuite.report.improvement import Scatter, improvement_scatter
from evalsuite.report.inputs import Audio
from evalsuite.report.pairs import Comparison, compare_pairs, matrix, write_pairs
from evalsuite.report.players import Players, make_players
from evalsuite.report.slice_tables import SliceTable, slice_tables
from evalsuite.run import LEADERBOARD_FILE, write_boards
from evalsuite.scoring.folder import SystemScores
from evalsuite.scoring.records import ScoresRun
from mixgen.core.files import write_text
from mixgen.report.template import environment, read_script

PAIRS_FILE = "leaderboard_pairs.csv"
_TEMPLATES = Path(__file__).parent / "templates"
_LONGEST_NAME = 60


@dataclass(frozen=True)
class Section:
    """What the page shows of one group: one split of a set under one set of metric definitions."""

    name: str
    systems: list[System]
    headline: Headline
    board: Board
    warnings: list[str]
    distributions: list[Distribution]
    scatter: Scatter | None
    slices: list[SliceTable]
    comparisons: list[Comparison]
    counts: list[Confusion]
    examples: list[list[Example]]
    has_set: bool
    silent: list[str]
    """Names of systems whose estimates are not known."""

    @property
    def run(self) -> ScoresRun:
        """What was scored, which is the same for all systems."""
        return self.systems[0].scores.run

    @property
    def unit(self) -> str:
        """Of the headline."""
        return self.systems[0].scores.unit_of[self.headline.column]

    @property
    def matrix(self) -> list[tuple[System, list[Comparison | None]]]:
        """Every system compared with every other one."""
        return matrix(self.systems, self.comparisons)


def write_page(folder: Path, scores: Sequence[SystemScores], audio: Audio, examples: int) -> None:
    """Write the page, its CSV files and its media to an empty folder.

    Raises:
        InputError: two of the scores are of one system, or a folder of estimates has no audio.
    """
    rows = write_boards(folder / LEADERBOARD_FILE, scores)
    sections = [
        _section(name, members, [row for row in rows if row["group"] == name], audio, examples)
        for name, members in in_groups(scores).items()
    ]
    comparisons = [comparison for section in sections for comparison in section.comparisons]
    if comparisons:
        write_pairs(folder / PAIRS_FILE, comparisons)
    shown = [example for section in sections for chosen in section.examples for example in chosen]
    players = dict(zip(map(id, shown), make_players(shown, audio, folder), strict=True))
    tables = sorted(path.name for path in folder.glob("*.csv"))
    write_text(folder / PAGE_FILE, _render(sections, players, tables))


def _section(
    name: str, members: Sequence[SystemScores], rows: Sequence[Row], audio: Audio, examples: int
) -> Section:
    scores_of = {identity_of(entry): entry for entry in members}
    identity = ("group", "model", "checkpoint_sha256", "configuration_sha256")
    systems = [System(row, scores_of[tuple(row[key] for key in identity)]) for row in rows]
    headline = headline_of(members)
    has_set = audio.set_of(members[0]) is not None
    return Section(
        name=name,
        systems=systems,
        headline=headline,
        board=make_board(systems, headline),
        warnings=list(chain.from_iterable(level_warnings(system.scores) for system in systems)),
        distributions=distributions(systems, headline.column),
        scatter=improvement_scatter(systems, headline),
        slices=slice_tables(systems, headline),
        comparisons=compare_pairs(systems, headline),
        counts=confusions(systems),
        examples=[choose_examples(system, headline, examples) for system in systems],
        has_set=has_set,
        silent=[s.name for s in systems if has_set and s.scores.path not in audio.estimates],
    )


def _render(
    sections: Sequence[Section], players: Mapping[int, Players], tables: Sequence[str]
) -> str:
    templates = environment(
        _TEMPLATES,
        value=_value,
        short=_short,
        csv=in_csv,
        players=lambda example: players[id(example)],
    )
    return templates.get_template("page.html").render(
        sections=sections,
        tables=tables,
        script=read_script(Path("tables.js"), _TEMPLATES / "page.js"),
    )


def _value(value: float | None, digits: int = 2, *, signed: bool = False) -> str:
    """Return a number as the leaderboard shows it; a dash for None."""
    if value is None:
        return "–"
    sign = "+" if signed and value > 0 else ""
    return sign + number_text(value, digits).replace("-", "−")


def _short(name: str) -> str:
    """Return a name that does not fill the page."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"
