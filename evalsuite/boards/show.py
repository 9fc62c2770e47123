"""The leaderboard as text: aligned for the terminal, in Markdown, and what to warn of."""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import fmean, median

from baselines.inference.costs import COSTS, Cost
from evalsuite.boards.leaderboard import Row
from evalsuite.boards.seeds import seed_rows
from evalsuite.metrics import Reason
from evalsuite.scoring.folder import SystemScores
from mixgen.core.console import aligned
from mixgen.core.progress import printable

_MORE_METRICS = (
    # Of echo cancellers, side by side: silence has the best ERLE.
    "erle_db_mean",
    "si_sdr_dti_mean",
    # Of extractors: a low mean of SI-SDR may be a bad separation or a wrong talker.
    "wrong_talker_mean",
    "si_sdr_mean",
    "si_sdri_mean",
    # Judges are there because somebody named them.
    "dwer_mean",
    "wer_mean",
    "talker_confusion_mean",
    "talker_sim_mean",
    "distillmos_mean",
    "dnsmos_ovrl_mean",
    "visqol_mean",
    "aecmos_echo_mean",
    "aecmos_degradation_mean",
    "sdr_bss512i_mean",
    "sdr_v4_strict_med_mean",
    "pesq_nb8k_mean",
    "pesq_wb16k_mean",
    "stoi_mean",
)
_MOST_METRICS = 4
_SHOWN_COSTS = [cost for cost in COSTS if cost.title]
_MOST_LINES = 10
_FAR_DB = 6.0
_HUGE = 1e15
_TERMINAL = 100
_LONGEST_NAME = 40


def leaderboard_text(rows: Sequence[Row]) -> str:
    """Return one table per group of the leaderboard; `=` marks a tie with the row above.

    Columns for which a terminal is too narrow are left out; the CSV has them all.
    """
    tables = []
    for group, header, cells in _tables(rows):
        kept = _narrowed(header, cells)
        lines = [[line[column] for column in kept] for line in (header, *cells)]
        tables.append(f"{group}\n{aligned(lines[0], lines[1:], left=['model'])}")
    seeds = [
        f"{row['model']} on {row['set']}: {row['n_seeds']} seeds, {row['headline']} "
        f"{row['mean']:z.2f} with a spread of {row['spread']:z.2f}"
        for row in seed_rows(rows)
    ]
    return "\n\n".join([*tables, *map(printable, seeds)])


def _narrowed(header: list[str], cells: list[list[str]]) -> list[int]:
    """Return the columns that fit in a terminal.

    Empty columns are left out first, then metrics but two, costs and these two, each from the last
    one on. Model, rank, headline, interval and counts stay.
    """
    widths = [max(len(line[column]) for line in (header, *cells)) for column in range(len(header))]
    costs = {cost.title for cost in _SHOWN_COSTS}
    free = range(4, len(header) - 2)
    empty = [c for c in free if all(line[c] == "-" for line in cells)]
    metrics = [c for c in reversed(free) if header[c] not in costs]
    kept = list(range(len(header)))
    for column in [*empty, *metrics[:-2], *reversed(free)]:
        if sum(widths[c] + 2 for c in kept) - 2 <= _TERMINAL:
            break
        if column in kept:
            kept.remove(column)
    return kept


def leaderboard_markdown(rows: Sequence[Row]) -> str:
    """Return the same tables in Markdown, with all columns."""
    parts = [
        f"### {plain(group)}\n\n{markdown_table(header, cells)}"
        for group, header, cells in _tables(rows)
    ]
    return "\n\n".join(parts) + "\n"


def markdown_table(header: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown, numbers to the right."""
    rule = ["---", *("---:" for _ in header[1:])]
    lines = [header, rule, *([plain(cell) for cell in line] for line in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Return text in which Markdown and HTML find no markup."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", printable(text))


def _tables(rows: Sequence[Row]) -> Iterator[tuple[str, list[str], list[list[str]]]]:
    """Yield the name of each group, and the header and the cells of its table."""
    for group, members in groupby(rows, lambda row: row["group"]):
        yield group, *_table(list(members))


def _table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    headline = rows[0]["headline"]
    more = [c for c in _MORE_METRICS if c != headline and any(r.get(c) is not None for r in rows)]
    stems = [column for column in rows[0] if column.startswith(f"{headline}_")]
    stems = [column for column in stems if not column.endswith(("_ci_lo", "_ci_hi"))]
    more = [*more[:_MOST_METRICS], *stems]
    header = ["model", "rank", headline, "95 %", *(c.removesuffix("_mean") for c in more)]
    header += [*(cost.title for cost in _SHOWN_COSTS), "n", "n_fail"]
    return header, [_row_cells(row, headline, more) for row in rows]


def _row_cells(row: Row, headline: str, more: Sequence[str]) -> list[str]:
    checkpoint = f"@{row['checkpoint'][:6]}" if row["checkpoint"] else ""
    model = row["model"]
    if len(model) > _LONGEST_NAME:
        model = f"{model[: _LONGEST_NAME - 3]}..."
    prefix = headline.removesuffix("_mean")
    interval = interval_text(row[f"{prefix}_ci_lo"], row[f"{prefix}_ci_hi"])
    return [
        model + checkpoint,
        f"{'=' if row['tied_with_above'] else ''}{row['rank']}",
        number_text(row[headline]),
        interval,
        *(number_text(row.get(column)) for column in more),
        *(cost_text(cost, row[cost.name]) for cost in _SHOWN_COSTS),
        str(row["n"]),
        str(row["n_fail"]),
    ]


def number_text(value: float | None, digits: int = 2) -> str:
    """Return a number with a fixed number of digits, or a dash."""
    if value is None:
        return "-"
    return f"{value:z.{digits}f}" if abs(value) < _HUGE else f"{value:.{digits}e}"


def cost_text(cost: Cost, value: float | None) -> str:
    """Return a cost as its column shows it, or a dash."""
    if value is None or abs(value) >= _HUGE:
        return number_text(value)
    return cost.text(value)


def interval_text(low: float | None, high: float | None, digits: int = 2) -> str:
    """Return `low..high`, or a dash."""
    return "-" if low is None or high is None else f"{low:z.{digits}f}..{high:z.{digits}f}"


def lag_warnings(scores: SystemScores) -> list[str]:
    """Return a sentence on estimates that are late or early, most of them by the same time."""
    lags = [row.values["lag_samples"] for row in scores.items if "lag_samples" in row.values]
    known = [lag for lag in lags if lag is not None]
    usual = median(known) if known else 0.0
    if not usual or sum(abs(lag - usual) <= 1 for lag in known) <= len(known) / 2:
        return []
    late_s = abs(usual) / scores.run.sample_rate
    return [
        f"The estimates of {scores.run.model} on {scores.run.set} are {abs(usual):g} samples "
        f"{'late' if usual > 0 else 'early'} (median), and one sample can cost 10 dB of SI-SDR: "
        + (
            f"declare the latency of the program, NAME@{late_s:g}s=..., or shift its files."
            if usual > 0
            else "shift its files."
        )
    ]


def level_warnings(scores: SystemScores) -> list[str]:
    """Return a sentence on estimates far from their references' level, and one on clipping."""
    warnings = []
    gains = scores.scored("gain_db").values()
    if gains and abs(fmean(gains)) > _FAR_DB:
        warnings.append(
            f"{scores.run.model} is {fmean(gains):+.1f} dB from the level of its references on "
            f"{scores.run.set}: SI-SDR does not see it, a listener does."
        )
    peaks = [(row.values.get("peak_dbfs"), row.id) for row in scores.items]
    over = {mixture_id: peak for peak, mixture_id in peaks if peak is not None and peak > 0}
    if over:
        warnings.append(
            f"{scores.run.model} is beyond full scale in {len(over)} of {scores.run.counts.n} "
            f"mixtures of {scores.run.set}, up to {max(over.values()):.1f} dB: players clip it."
        )
    return warnings


def install_warnings(scores: SystemScores) -> list[str]:
    """Return a sentence on the columns that lack a package, for each way to install one."""
    columns_of: dict[str, dict[str, None]] = {}
    for reasons in (scores.run.set_reasons, *(row.reasons for row in scores.items)):
        for column, text in reasons.items():
            code, _, remedy = text.partition(": ")
            if code == Reason.NOT_INSTALLED:
                columns_of.setdefault(remedy, {})[column] = None
    return [
        f"{', '.join(columns)} on {scores.run.set}: not installed ({remedy})."
        for remedy, columns in columns_of.items()
    ]


def first_lines(lines: Sequence[str]) -> list[str]:
    """Return the first ten lines, and a line that counts the rest."""
    more = len(lines) - _MOST_LINES
    return [*lines[:_MOST_LINES], *([f"... and {more} more"] if more > 0 else [])]
