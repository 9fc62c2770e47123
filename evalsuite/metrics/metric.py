"""The row of the metrics table: what a family file declares for each of its metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Protocol

import numpy as np

from evalsuite.metrics.item import Array, Item
from evalsuite.metrics.outcome import Missing, Score, Scores

# Gives every reference index of `estimates` its scores; estimates are (channels, time).
ScoreFunction = Callable[[Item, Mapping[int, Array]], dict[int, Scores]]
Value = str | int | float

KINDS = ("speech", "music", "sound")


@dataclass(frozen=True)
class Metric:
    """One metric: its function, the columns that the function fills, and its definition.

    Attributes:
        name: what a user asks for.
        columns: the values that can be ranked; more is better in all of them.
        score: the function.
        unit: of every column in `columns`.
        kinds: for which kinds of content it is on by default.
        parameters: every number that the definition depends on.
        source: the paper or standard.
        improvements: columns that also get `<column>i`, the gain over the unprocessed mixture.
        diagnostics: columns that explain the others and are not ranked.
        lowest_rate: sample rate in Hz below which the metric is not defined.
        highest_rate: sample rate in Hz from which on it is not defined; None for no bound.
        libraries: distributions whose version is a part of the definition.
    """

    name: str
    columns: tuple[str, ...]
    score: ScoreFunction
    unit: str
    kinds: frozenset[str]
    parameters: Mapping[str, Value]
    source: str
    improvements: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()
    higher_is_better: bool = True
    lowest_rate: int = 1
    highest_rate: int | None = None
    libraries: tuple[str, ...] = field(default=())

    def applies_at(self, sample_rate: int) -> bool:
        """Tell whether the metric is defined at `sample_rate` (Hz)."""
        below = self.highest_rate is None or sample_rate < self.highest_rate
        return self.lowest_rate <= sample_rate and below

    @property
    def improvement_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold the gain over the mixture."""
        return tuple(f"{column}i" for column in self.improvements)

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Every column of a result row that belongs to this metric."""
        return self.columns + self.improvement_columns + self.diagnostics

    def spec(self) -> dict[str, object]:
        """Return the definition as plain data: two equal ones give comparable numbers."""
        return {
            "name": self.name,
            "columns": list(self.columns),
            "improvements": list(self.improvement_columns),
            "diagnostics": list(self.diagnostics),
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "kinds": sorted(self.kinds),
            "lowest_rate": self.lowest_rate,
            "highest_rate": self.highest_rate,
            "parameters": dict(sorted(self.parameters.items())),
            "source": self.source,
            "libraries": {name: installed_version(name) for name in self.libraries},
        }


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution without importing it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return "not installed"


# Scores the estimate (time,) of reference number `index` in channel number `channel`.
ChannelFunction = Callable[[Item, int, int, Array], Scores]


class PairFunction(Protocol):
    """A function of one reference and its estimate, both (channels, time)."""

    def __call__(self, *, reference: Array, estimate: Array) -> Score: ...


def each_pair(column: str, function: PairFunction) -> ScoreFunction:
    """Fill `column` with the value of every pair."""

    def score(item: Item, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        return {
            index: {column: function(reference=item.references[index], estimate=estimate)}
            for index, estimate in estimates.items()
        }

    return score


def mean_over_channels(function: ChannelFunction) -> ScoreFunction:
    """Score every channel by itself and take the mean; one missing channel makes it missing."""

    def score(item: Item, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        return {
            index: _mean([function(item, channel, index, e) for channel, e in enumerate(estimate)])
            for index, estimate in estimates.items()
        }

    return score


def _mean(per_channel: list[Scores]) -> Scores:
    return {column: _mean_score([s[column] for s in per_channel]) for column in per_channel[0]}


def _mean_score(scores: list[Score]) -> Score:
    values = [score for score in scores if not isinstance(score, Missing)]
    missing = [score for score in scores if isinstance(score, Missing)]
    return missing[0] if missing else float(np.mean(values))
