"""How often each source file and each label is used."""

from collections import Counter, defaultdict
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.manifest.uses import file_uses
from mixgen.report.histogram import histogram
from mixgen.report.rows import Rows

_SHOWN = 10


class Usage:
    """Uses by kind of sound: events and sources in rooms use files, sources use labels."""

    def __init__(self) -> None:
        self._files: dict[str, Counter[str]] = defaultdict(Counter)
        self._labels: dict[str, Counter[str]] = defaultdict(Counter)

    def add(self, mixture: Mixture, rows: Rows) -> None:  # noqa: ARG002 - one signature for all
        """Count one mixture."""
        for source in mixture.sources:
            self._labels[source.kind][source.label] += 1
        for use in file_uses(mixture):
            self._files[use.kind][use.name] += 1

    def as_data(self) -> list[dict[str, Any]]:
        """Return the distribution of uses for each kind, and the names used most and least."""
        return [
            {"kind": kind, "of": of, **_distribution(uses[kind])}
            for kind in sorted(self._files.keys() | self._labels.keys())
            for of, uses in (("files", self._files), ("labels", self._labels))
            if kind in uses
        ]


def _distribution(uses: Counter[str]) -> dict[str, Any]:
    commonest = sorted(uses, key=lambda name: (-uses[name], name))
    rarest = sorted(uses, key=lambda name: (uses[name], name))
    return {
        "names": len(uses),
        "uses": uses.total(),
        "min": uses[rarest[0]],
        "mean": round(uses.total() / len(uses), 2),
        "max": uses[commonest[0]],
        "histogram": histogram({"uses": list(uses.values())}, finest=1.0),
        "most": [{"name": name, "uses": uses[name]} for name in commonest[:_SHOWN]],
        "least": [{"name": name, "uses": uses[name]} for name in rarest[:_SHOWN]],
    }
