"""The report as one HTML file with its styles, pictures and sounds; no scripts, no network."""

import base64
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.report.examples import Excerpt, to_wav
from mixgen.report.findings import by_the_clock, in_words, is_little
from mixgen.report.histogram import histogram
from mixgen.report.pictures import draw_histogram, draw_spectrogram, level_picture
from mixgen.report.template import environment, number

_HERE = Path(__file__).parent
_TEMPLATE = "page.html"
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


def render_page(facts: dict[str, Any], excerpts: list[list[Excerpt]]) -> str:
    """Return the page, with all text from the manifest escaped.

    Args:
        facts: as `mixgen.report` writes them to report.json.
        excerpts: the files of each example in facts["examples"], in the same order.
    """
    templates = environment(
        _HERE,
        counts=_counts,
        range=_range,
        title=_title,
        unit=_in_unit,
        clock=by_the_clock,
        in_words=in_words,
    )
    return templates.get_template(_TEMPLATE).render(
        **facts,
        little=is_little(facts["total"]["hours"]),
        count_figure=_count_figure(facts["total"]),
        quantity_figures=[_quantity_figure(q) for q in facts["quantities"] if q["histogram"]],
        usage_figures=[
            _png(draw_histogram(row["histogram"], "times used", row["of"]))
            for row in facts["usage"]
        ],
        players=[_players(files) for files in excerpts],
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


def _title(name: str) -> str:
    return _TITLES.get(name, name.replace("_", " "))


def _in_unit(unit: str) -> str:
    return f"[{unit}]" if unit else ""


def _quantity_figure(quantity: dict[str, Any]) -> dict[str, str]:
    title = _title(quantity["name"])
    label = f"{title} {_in_unit(quantity['unit'])}".strip()
    of = "mixtures" if quantity["of"] == "mixture" else "sources"
    picture = draw_histogram(quantity["histogram"], label, of)
    return {"title": f"{quantity['of']}: {title}", "source": _png(picture)}


def _count_figure(total: dict[str, Any]) -> str | None:
    keys = {"all sources": "sources_per_mixture", "targets": "targets_per_mixture"}
    values = {
        name: np.repeat([int(value) for value in total[key]], list(total[key].values()))
        for name, key in keys.items()
    }
    counts = histogram(values, finest=1.0)
    return _png(draw_histogram(counts, "number in a mixture", "mixtures")) if counts else None


def _players(files: list[Excerpt]) -> list[dict[str, str]]:
    """Return picture, sound and problem of each file of a mixture, with one scale for all."""
    levels = {
        f.name: level_picture(f.samples, f.sample_rate) for f in files if f.samples is not None
    }
    top_db = max((float(picture.max()) for picture in levels.values()), default=0.0)
    shown = []
    for file in files:
        picture = sound = ""
        if file.samples is not None:
            rate = file.sample_rate
            seconds = file.samples.shape[1] / rate
            drawn = draw_spectrogram(levels[file.name], top_db, seconds, rate)
            picture = _data("image/webp", drawn)
            sound = _data("audio/wav", to_wav(file.samples, rate))
        shown.append({"picture": picture, "sound": sound, "problem": file.problem})
    return shown


def _png(content: bytes) -> str:
    return _data("image/png", content)


def _data(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
