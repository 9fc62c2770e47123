"""The size of each split: mixtures, hours, sources, sample rates."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.report.rows import Rows


@dataclass
class _Split:
    """The sums over the mixtures of one split."""

    mixtures: int = 0
    rendered: int = 0
    seconds: float = 0.0
    events: int = 0
    targets: Counter[int] = field(default_factory=Counter)
    sources: Counter[int] = field(default_factory=Counter)
    sample_rates: Counter[int] = field(default_factory=Counter)
    channels: Counter[int] = field(default_factory=Counter)

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Count one mixture, as rendered if all of its files are."""
        self.mixtures += 1
        self.rendered += set(mixture.file_names) <= rows.keys()
        self.seconds += mixture.duration_s
        self.events += sum(len(source.events) for source in mixture.sources)
        self.targets[len(mixture.targets)] += 1
        self.sources[len(mixture.sources)] += 1
        self.sample_rates[mixture.sample_rate] += 1
        self.channels[mixture.channels] += 1

    def as_dict(self) -> dict[str, Any]:
        """Return the sums as plain data."""
        return {
            "mixtures": self.mixtures,
            "rendered": self.rendered,
            "hours": round(self.seconds / 3600, 4),
            "events": self.events,
            "targets_per_mixture": _counts(self.targets),
            "sources_per_mixture": _counts(self.sources),
            "sample_rates": _counts(self.sample_rates),
            "channels": _counts(self.channels),
        }


class Splits:
    """Counts of every split, in the order of the manifest, and of all splits together."""

    def __init__(self) -> None:
        self._splits: dict[str, _Split] = {}
        self._all = _Split()

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Count one mixture."""
        self._splits.setdefault(mixture.split, _Split()).add(mixture, rows)
        self._all.add(mixture, rows)

    def as_data(self) -> dict[str, Any]:
        """Return the counts of each split in `splits`, and of all mixtures in `total`."""
        splits = [{"split": name, **split.as_dict()} for name, split in self._splits.items()]
        return {"total": self._all.as_dict(), "splits": splits}


def _counts(counter: Counter[int]) -> dict[str, int]:
    return {str(value): counter[value] for value in sorted(counter)}
