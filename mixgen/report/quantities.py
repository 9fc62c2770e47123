"""Requested and measured values side by side: levels, overlap, durations."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

from mixgen.manifest.mixture import MIXTURE, Mixture, Source
from mixgen.manifest.overlap import planned_overlap
from mixgen.report.histogram import histogram, summary
from mixgen.report.rows import Rows, files_of

Pair = tuple[float | None, float | None]  # requested, measured

_UNKNOWN = float("nan")
_FINEST = {"dB": 1.0, "LUFS": 1.0, "s": 0.02, "": 0.05}


@dataclass
class _Values:
    """Requested and measured values of one split, and the file in which they differ most."""

    requested: "array[float]" = field(default_factory=lambda: array("d"))
    measured: "array[float]" = field(default_factory=lambda: array("d"))
    difference: float = -1.0
    differs_at: str = ""

    def add(self, pair: Pair, where: str) -> None:
        """Add the values of one file, whose path is `where`."""
        requested, measured = pair
        self.requested.append(_UNKNOWN if requested is None else requested)
        self.measured.append(_UNKNOWN if measured is None else measured)
        if requested is None or measured is None:
            return
        if abs(measured - requested) > self.difference:
            self.difference, self.differs_at = abs(measured - requested), where

    def as_dict(self) -> dict[str, Any]:
        """Return both summaries and the largest difference as plain data."""
        largest = {"value": round(self.difference, 4), "file": self.differs_at}
        return {
            "files": len(self.requested),
            "requested": summary(self.requested),
            "measured": summary(self.measured),
            "largest_difference": largest if self.differs_at else None,
        }


class Quantities:
    """Every quantity of rendered.jsonl, for mixtures, and for each kind of file and level rule.

    Without rendered files, levels and durations are those that the manifest requests.
    """

    def __init__(self) -> None:
        self._values: dict[tuple[str, str], dict[str, _Values]] = {}

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Add the values of one mixture."""
        for (group, name), pair, where in _pairs(mixture, rows):
            splits = self._values.setdefault((group, name), {})
            splits.setdefault(mixture.split, _Values()).add(pair, where)

    def as_data(self) -> list[dict[str, Any]]:
        """Return a summary by split and a histogram over all splits for each quantity."""
        return [
            _quantity(group, name, splits)
            for (group, name), splits in sorted(self._values.items(), key=_mixture_first)
        ]


def _mixture_first(item: tuple[tuple[str, str], Any]) -> tuple[bool, str]:
    """Sort by group; within a group, quantities keep the order in which they were added."""
    (group, _), _ = item
    return group != MIXTURE, group


def _quantity(group: str, name: str, splits: dict[str, _Values]) -> dict[str, Any]:
    unit = _unit(group, name)
    requested: array[float] = array("d")
    measured: array[float] = array("d")
    for values in splits.values():
        requested += values.requested
        measured += values.measured
    return {
        "of": group,
        "name": name,
        "unit": unit,
        "histogram": histogram({"requested": requested, "measured": measured}, _FINEST[unit]),
        "splits": [{"split": split, **values.as_dict()} for split, values in splits.items()],
    }


def _unit(group: str, name: str) -> str:
    if name == "level_db" and group.endswith("lufs"):
        return "LUFS"
    return {"db": "dB", "s": "s"}.get(name.rpartition("_")[2], "")


def _pairs(mixture: Mixture, rows: Rows) -> Iterator[tuple[tuple[str, str], Pair, str]]:
    """Yield ((group, quantity), (requested, measured), file) of one mixture."""
    whole = rows.get(MIXTURE)
    rendered_s = whole.frames / whole.sample_rate if whole else None
    yield (MIXTURE, "duration_s"), (mixture.duration_s, rendered_s), f"{mixture.id}/{MIXTURE}"
    if whole:
        yield (MIXTURE, "clip_gain_db"), (None, whole.clip_gain_db), whole.path
    groups = {
        name: f"{what}, {source.gain.rule}"
        for source in mixture.sources
        for name, what in files_of(source).items()
    }
    for name, row in rows.items():
        for quantity in dict.fromkeys([*row.requested, *row.measured]):
            pair = row.requested.get(quantity), row.measured.get(quantity)
            yield (groups.get(name, name), quantity), pair, row.path
    if not rows:
        yield (MIXTURE, "overlap"), (planned_overlap(mixture), None), f"{mixture.id}/{MIXTURE}"
        for source in mixture.sources:
            for quantity, value in _requested(mixture, source).items():
                yield (groups[source.name], quantity), (value, None), f"{mixture.id}/{source.name}"


def _requested(mixture: Mixture, source: Source) -> dict[str, float | None]:
    """Return what `mixgen.render.measure` calls requested, before the joint clip gain."""
    if mixture.is_exact:
        return {}
    if not source.events:
        return {"level_db": None, "snr_db": None}
    snr_db = fmean(event.snr for event in source.events)
    return {"level_db": mixture.level.reference_db + snr_db, "snr_db": snr_db}
