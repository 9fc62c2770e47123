"""The declaration of a metric, and the helpers that turn functions of arrays into metrics.

A metric has a scope. Most metrics score one reference and its estimate. Some score a whole mixture
(the number of talkers that a system found), and some a whole set (a diarisation error is a ratio of
sums over all mixtures).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import ClassVar, Protocol

import numpy as np

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from mixgen.core.vocabulary import Kind, Task

Value = str | int | float

NOT_INSTALLED = "not installed"


@dataclass(frozen=True, kw_only=True)
class Metric:
    """One metric: the columns that it fills, and its definition.

    Attributes:
        scope: what one value describes: a reference, a mixture or a set.
        name: by which users select the metric.
        columns: the values that are ranked.
        unit: of every column in `columns`.
        tasks: for which the metric is on by default.
        counts_vary: whether it is on by default only where the number of targets varies in a set.
        floor: the worst value that counts in ranked means: what silence scores, where that is
            finite. It stands for failures and for what is worse, so that no system gains by
            silencing what it separates badly. None where no column is ranked.
        parameters: every number that the definition depends on.
        source: the paper or standard.
        improvements: columns that also get `<column>i`, the gain over the unprocessed mixture.
        diagnostics: columns that explain the others and are not ranked.
        higher_is_better: whether more is better.
        lowest_rate: lowest sample rate in Hz for which the metric is defined.
        highest_rate: sample rate in Hz at and above which it is not defined; None for no bound.
        libraries: distributions whose version is a part of the definition.
        requires: other distributions that the metric cannot do without.
        install: the command that installs them all; by default `pip install` with their names.
        ratios: columns that are a ratio, to the diagnostics that hold its two parts. A mean of
            them over references is the ratio of the sums of the parts, and has no floor.
        variant: returns the metric under a choice of the user, which `NAME@CHOICE` names.
    """

    scope: ClassVar[str]

    name: str
    columns: tuple[str, ...]
    unit: str
    tasks: frozenset[Task]
    parameters: Mapping[str, Value]
    source: str
    floor: float | None
    improvements: tuple[str, ...] = ()
    diagnostics: tuple[str, ...] = ()
    higher_is_better: bool = True
    lowest_rate: int = 1
    highest_rate: int | None = None
    libraries: tuple[str, ...] = ()
    counts_vary: bool = False
    requires: tuple[str, ...] = ()
    install: str = ""
    ratios: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    variant: "Callable[[str], Metric] | None" = None

    def applies_at(self, sample_rate: int) -> bool:
        """Return whether the metric is defined at `sample_rate` (Hz)."""
        below = self.highest_rate is None or sample_rate < self.highest_rate
        return self.lowest_rate <= sample_rate and below

    @property
    def lacks(self) -> list[str]:
        """The distributions that the metric needs and that are not installed."""
        needed = (*self.libraries, *self.requires)
        return [name for name in needed if installed_version(name) == NOT_INSTALLED]

    @property
    def how_to_install(self) -> str:
        """The command that installs what the metric needs."""
        return self.install or " ".join(["pip install", *self.libraries, *self.requires])

    def unavailable(self, sample_rate: int) -> Scores:
        """Return, for every column, why the metric cannot be computed at `sample_rate` (Hz).

        Empty where it can.
        """
        if not self.applies_at(sample_rate):
            below = "" if self.highest_rate is None else f" and below {self.highest_rate} Hz"
            detail = f"defined from {self.lowest_rate} Hz on{below}, given {sample_rate} Hz"
            return dict.fromkeys(self.columns, Missing(Reason.NOT_APPLICABLE, detail))
        if self.lacks:
            return dict.fromkeys(self.columns, Missing(Reason.NOT_INSTALLED, self.how_to_install))
        return {}

    @property
    def improvement_columns(self) -> tuple[str, ...]:
        """Names of the columns that hold the gain over the mixture."""
        return tuple(f"{column}i" for column in self.improvements)

    @property
    def all_columns(self) -> tuple[str, ...]:
        """Every column that this metric fills."""
        return self.columns + self.improvement_columns + self.diagnostics

    def spec(self) -> dict[str, object]:
        """Return the definition as plain data; equal definitions give comparable numbers."""
        ratios = {column: list(parts) for column, parts in self.ratios.items()}
        return {
            **({"ratios": ratios} if ratios else {}),
            "name": self.name,
            "scope": self.scope,
            "columns": list(self.columns),
            "improvements": list(self.improvement_columns),
            "diagnostics": list(self.diagnostics),
            "unit": self.unit,
            "higher_is_better": self.higher_is_better,
            "lowest_rate": self.lowest_rate,
            "highest_rate": self.highest_rate,
            "floor": self.floor,
            "parameters": dict(sorted(self.parameters.items())),
            "source": self.source,
            "libraries": {name: installed_version(name) for name in self.libraries},
        }


@dataclass(frozen=True, kw_only=True)
class ReferenceMetric(Metric):
    """A metric of a reference and its estimate.

    Attributes:
        score: (item, reference index to its estimate, shape (channels, time)) -> reference index
            to columns, for the same references.
        kinds: of the references that the metric is for; None for all.
        lost: (item, references without an estimate that can be scored) -> the parts of the ratios
            that count for each, for a metric with `ratios`.
    """

    scope: ClassVar[str] = "reference"

    score: "ReferenceFunction"
    kinds: frozenset[Kind] | None = None
    lost: "Callable[[ScoringItem, Sequence[int]], dict[int, Scores]] | None" = None

    def is_for(self, kind: Kind | None) -> bool:
        """Return whether the metric is for references of a kind, which may be unknown."""
        return self.kinds is None or kind is None or kind in self.kinds

    def not_for(self, kind: Kind | None) -> Scores:
        """Return, for every column, that the metric has no value for references of this kind."""
        detail = f"for {' and '.join(sorted(self.kinds or ()))}, and the reference is {kind}"
        return dict.fromkeys(self.columns, Missing(Reason.NOT_APPLICABLE, detail))

    def spec(self) -> dict[str, object]:
        """Return the definition as plain data, with the kinds of references."""
        return {**super().spec(), "kinds": None if self.kinds is None else sorted(self.kinds)}


@dataclass(frozen=True, kw_only=True)
class MixtureMetric(Metric):
    """A metric of all estimates of a mixture together.

    Attributes:
        score: (item, all estimates in the order of the system's outputs, each of shape (channels,
            time), None where one is missing) -> columns of the mixture.
    """

    scope: ClassVar[str] = "mixture"

    score: Callable[[ScoringItem, Sequence[Array | None]], Scores]


@dataclass(frozen=True, kw_only=True)
class SetMetric(Metric):
    """A metric of a whole set, from sums over its mixtures.

    Attributes:
        tally: (item, all estimates as in `MixtureMetric`) -> numbers to add up over mixtures. It
            gets no estimates of a mixture whose estimates cannot be scored.
        score: sums of these numbers over all mixtures -> columns of the set.
    """

    scope: ClassVar[str] = "set"

    tally: Callable[[ScoringItem, Sequence[Array | None]], Mapping[str, float]]
    score: Callable[[Mapping[str, float]], Scores]


ReferenceFunction = Callable[[ScoringItem, Mapping[int, Array]], dict[int, Scores]]

# Scores the estimate (time,) of reference number `index` in channel number `channel`.
ChannelFunction = Callable[[ScoringItem, int, int, Array], Scores]


class PairFunction(Protocol):
    """A function of one reference and its estimate, both (channels, time)."""

    def __call__(self, *, reference: Array, estimate: Array) -> Score: ...


def each_pair(column: str, function: PairFunction) -> ReferenceFunction:
    """Return a metric function that fills `column` with the score of every pair."""

    def score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        return {
            index: {column: function(reference=item.references[index], estimate=estimate)}
            for index, estimate in estimates.items()
        }

    return score


class ChannelPairFunction(Protocol):
    """A function of one channel of a reference and its estimate, both (time,)."""

    def __call__(self, *, reference: Array, estimate: Array, sample_rate: int) -> Score: ...


def each_channel(column: str, function: ChannelPairFunction) -> ReferenceFunction:
    """Return a metric function that fills `column` with the mean over the channels of a pair."""

    def score(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
        reference = item.references[index, channel]
        value = function(reference=reference, estimate=estimate, sample_rate=item.sample_rate)
        return {column: value}

    return mean_over_channels(score)


def mean_over_channels(function: ChannelFunction) -> ReferenceFunction:
    """Return a metric function that averages over channels; a missing channel makes it missing."""

    def score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        scores: dict[int, Scores] = {}
        for index, estimate in estimates.items():
            per_channel = [function(item, channel, index, e) for channel, e in enumerate(estimate)]
            scores[index] = {c: mean_score([s[c] for s in per_channel]) for c in per_channel[0]}
        return scores

    return score


def mean_score(scores: Sequence[Score]) -> Score:
    """Return the mean, or the first reason for a missing score."""
    values = [score for score in scores if not isinstance(score, Missing)]
    missing = [score for score in scores if isinstance(score, Missing)]
    return missing[0] if missing else float(np.mean(values))


def installed_version(distribution: str) -> str:
    """Return the version of an installed distribution without importing it."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return NOT_INSTALLED
