"""How a function of one pair or one channel becomes the function of a metrics-table row."""

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from evalsuite.metrics.item import Array, Item
from evalsuite.metrics.metric import ScoreFunction
from evalsuite.metrics.outcome import Missing, Score, Scores

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
