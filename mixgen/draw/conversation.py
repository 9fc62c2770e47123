"""When each utterance of a conversation begins, so that the requested share of the time overlaps.

Two utterances at most sound at once, and a talker never overlaps with itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Turn:
    """One utterance of a conversation: its talker, its number among theirs, its time in seconds."""

    talker: int
    utterance: int
    start_s: float
    duration_s: float

    @property
    def stop_s(self) -> float:
        """When the utterance ends."""
        return self.start_s + self.duration_s


def schedule_turns(
    durations_s: Sequence[Sequence[float]],
    *,
    overlap: float,
    overlapping_turns: float,
    silences_s: Sequence[float],
    random: np.random.RandomState,
) -> list[Turn]:
    """Order the utterances of all talkers and give each its time, the first at zero.

    Args:
        durations_s: lengths of the utterances, by talker.
        overlap: share of the time with speech in which two talk, 0 to below 1. Where the order of
            turns does not allow as much, it is as high as possible.
        overlapping_turns: share of the changes of talker that overlap; more do where that does not
            suffice for `overlap`.
        silences_s: pause at every other change of turn; one fewer than there are utterances.
        random: decides the order and which changes overlap.
    """
    order = _order([len(utterances) for utterances in durations_s], random)
    lengths = [durations_s[talker][utterance] for talker, utterance in order]
    limits = [
        0.0 if before[0] == after[0] else _longest_overlap(lengths, index)
        for index, (before, after) in enumerate(pairwise(order))
    ]
    # With a sum S of lengths and O seconds of overlap there is speech for S - O seconds.
    wanted_s = sum(lengths) * overlap / (1 + overlap)
    overlaps = _overlaps(limits, wanted_s, overlapping_turns, random)
    turns: list[Turn] = []
    start_s = 0.0
    for index, (talker, utterance) in enumerate(order):
        if index > 0:
            shared_s = overlaps[index - 1]
            start_s = turns[-1].stop_s + (-shared_s if shared_s else silences_s[index - 1])
        turns.append(Turn(talker, utterance, start_s, lengths[index]))
    return turns


def _order(counts: Sequence[int], random: np.random.RandomState) -> list[tuple[int, int]]:
    """Return (talker, utterance) in order; a talker follows itself only where nobody else is left.

    Talkers with more utterances left are more likely to be next.
    """
    left = list(counts)
    order: list[tuple[int, int]] = []
    while any(left):
        last = order[-1][0] if order else None
        weights = np.array([0 if talker == last else many for talker, many in enumerate(left)])
        if not weights.any():
            weights = np.array(left)
        talker = int(random.choice(len(left), p=weights / weights.sum()))
        order.append((talker, counts[talker] - left[talker]))
        left[talker] -= 1
    return order


def _longest_overlap(lengths: Sequence[float], index: int) -> float:
    """Return how long the utterances at `index` and after it can overlap.

    An utterance inside the conversation shares at most half of itself with each neighbour; the
    first and the last have one neighbour and may share all.
    """
    before = lengths[index] if index == 0 else lengths[index] / 2
    after = lengths[index + 1] if index + 2 == len(lengths) else lengths[index + 1] / 2
    return min(before, after)


def _overlaps(
    limits: Sequence[float], wanted_s: float, share: float, random: np.random.RandomState
) -> list[float]:
    """Spread the overlap over some of the changes of talker, in proportion to their limits."""
    order = [int(index) for index in random.permutation(len(limits)) if limits[index] > 0]
    chosen = order[: round(share * len(order))]
    for index in order[len(chosen) :]:
        if sum(limits[i] for i in chosen) >= wanted_s:
            break
        chosen.append(index)
    total = sum(limits[index] for index in chosen)
    factor = min(1.0, wanted_s / total) if total else 0.0
    return [factor * limit if index in chosen else 0.0 for index, limit in enumerate(limits)]
