"""The report as one HTML file with its styles, script, pictures and sounds; no network."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from mixgen.manifest.mixture import Mixture
from mixgen.report.chart import Chart, make_chart
from mixgen.report.examples import Excerpt
from mixgen.report.findings import by_the_clock, in_words, is_little
from mixgen.report.histogram import histogram
from mixgen.report.players import make_players
from mixgen.report.template import breakable, environment, number, read_script

_TEMPLATES = Path(__file__).parent / "templates"
_TITLES = {
    "duration_s": "duration",
    "clip_gain_db": "joint clip gain",
    "overlap": "overlap",
    "level_db": "level",
    "snr_db": "SNR",
    "energy_ratio_db": "energy ratio",
    "t60_s": "reverberation time",
    "drr_db": "direct-to-reverberant ratio",
    "rir": "room response",
}
_SHORT_TITLES = {"t60_s": "T60", "drr_db": "DRR"}
_UNITS = {"_db": "dB", "_s": "s"}


@dataclass(frozen=True)
class Column:
    """A column of the table of quantities: which value of a row, and how many decimals."""

    part: str
    key: str
    decimals: int

    def value(self, row: dict[str, Any]) -> Any:
        """Return the value of a row; None without one."""
        return (row[self.part] or {}).get(self.key)

    def is_needed(self, rows: Sequence[dict[str, Any]]) -> bool:
        """Return whether there are values, and numbers that are not those of the files."""
        values = [(self.value(row), row["files"]) for row in rows if row[self.part]]
        return any(value != files for value, files in values) if self.key == "n" else bool(values)


_COLUMNS = [
    *(
        Column(part, key, 0 if key == "n" else 2)
        for part in ("requested", "measured")
        for key in ("n", "min", "mean", "max")
    ),
    Column("largest_difference", "value", 3),
]


def render_page(facts: dict[str, Any], examples: Sequence[tuple[Mixture, list[Excerpt]]]) -> str:
    """Return the page, with all text from the manifest escaped.

    Args:
        facts: as `mixgen.report` writes them to report.json.
        examples: mixture and files of each example in facts["examples"], in the same order.
    """
    templates = environment(
        _TEMPLATES,
        counts=_counts,
        range=_range,
        title=_title,
        short_title=lambda name: _SHORT_TITLES.get(name, _title(name)),
        prose=_prose,
        unit=_unit,
        clock=by_the_clock,
        in_words=in_words,
    )
    quantities = _with_values(facts["quantities"])
    rows = [row for quantity in quantities for row in quantity["splits"]]
    return templates.get_template("page.html").render(
        **{**facts, "quantities": quantities},
        script=read_script(Path("tables.js"), Path("transport.js")),
        little=is_little(facts["total"]["hours"]),
        shown={example["id"]: f"e{n}" for n, example in enumerate(facts["examples"], 1)},
        columns=[column for column in _COLUMNS if column.is_needed(rows)],
        count_chart=_count_chart(facts["total"]),
        quantity_charts=[chart for q in quantities if (chart := _quantity_chart(q))],
        usage_charts=[(row, chart) for row in facts["usage"] if (chart := _usage_chart(row))],
        players={mixture.id: make_players(mixture, files) for mixture, files in examples},
    )


def _counts(counts: dict[str, int]) -> str:
    """Return a single value alone, and several values with the count of each."""
    if len(counts) == 1:
        return next(iter(counts))
    return (
        ", ".join(f"{value}\N{NO-BREAK SPACE}({count:,})" for value, count in counts.items()) or "–"
    )


def _range(ends: list[float] | None, decimals: int) -> str:
    """Return [low, high] as text, as one number where both round to it; a dash for None."""
    if ends is None:
        return "–"
    low, high = (number(end, decimals) for end in ends)
    return low if low == high else f"{low} to {high}"


def _prose(text: str) -> Markup:
    """Return a sentence, escaped, with what stands in backticks as code."""
    parts = [breakable(part) for part in text.split("`")]
    code = [Markup("<code>{}</code>").format(part) for part in parts[1::2]]
    return Markup().join(chain.from_iterable(zip_longest(parts[::2], code, fillvalue=Markup())))


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " "))


def _unit(name: str) -> str:
    return next((unit for end, unit in _UNITS.items() if name.endswith(end)), "")


def _with_values(quantities: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the quantities without those of which no split has a value."""
    return [
        quantity
        for quantity in quantities
        if any(row["requested"] or row["measured"] for row in quantity["splits"])
    ]


def _quantity_chart(quantity: dict[str, Any]) -> Chart | None:
    of = "mixtures" if quantity["of"] == "mixture" else "files"
    title = f"{quantity['of']}: {_title(quantity['name'])}"
    return make_chart(quantity["histogram"], title, of, unit=quantity["unit"])


def _usage_chart(row: dict[str, Any]) -> Chart | None:
    title = f"{_title(row['kind'])}: how often {row['of']} are used"
    return make_chart(row["histogram"], title, row["of"])


def _count_chart(total: dict[str, Any]) -> Chart | None:
    keys = {"all sources": "sources_per_mixture", "targets": "targets_per_mixture"}
    values = {
        name: np.repeat([int(value) for value in total[key]], list(total[key].values()))
        for name, key in keys.items()
    }
    counts = histogram(values, finest=1.0)
    return make_chart(counts, "sources in a mixture", "mixtures", lines="targets")
