"""When each utterance of a conversation begins, so that the wanted share of the time overlaps.

No more than two utterances are ever heard at once, and a talker never talks over itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class Turn:
    """One utterance of a conversation: whose it is, which of theirs, and when; in seconds."""

    talker: int
    utterance: int
    start_s: float
    duration_s: float

    @property
    def stop_s(self) -> float:
        """When the utterance ends."""
        return self.start_s + self.duration_s


def lay_turns(
    durations_s: Sequence[Sequence[float]],
    *,
    overlap: float,
    overlapping_turns: float,
    silences_s: Sequence[float],
    random: np.random.RandomState,
) -> list[Turn]:
    """Order the utterances of all talkers and place them in time, the first at zero.

    Args:
        durations_s: lengths of the utterances, by talker.
        overlap: wanted share of the time with speech in which two talk, 0 to below 1. Where the
            order of turns does not allow so much, it is as high as it can be.
        overlapping_turns: share of the changes of talker that overlap, as far as that suffices.
        silences_s: pause at every other change of turn; as many as there are utterances, less one.
        random: decides on the order and on which changes overlap.
    """
    order = _order([len(mine) for mine in durations_s], random)
    lengths = [durations_s[talker][utterance] for talker, utterance in order]
    room = [
        0.0 if before[0] == after[0] else _room(lengths, place)
        for place, (before, after) in enumerate(pairwise(order))
    ]
    overlaps = _overlaps(room, _seconds(overlap, lengths), overlapping_turns, random)
    turns: list[Turn] = []
    start_s = 0.0
    for place, (talker, utterance) in enumerate(order):
        if place > 0:
            shared_s = overlaps[place - 1]
            start_s = turns[-1].stop_s + (-shared_s if shared_s else silences_s[place - 1])
        turns.append(Turn(talker, utterance, start_s, lengths[place]))
    return turns


def _order(counts: Sequence[int], random: np.random.RandomState) -> list[tuple[int, int]]:
    """Return (talker, utterance) in order; a talker follows itself only where nobody else is left.

    Talkers with more utterances left are likelier to go on.
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


def _room(lengths: Sequence[float], place: int) -> float:
    """Return how long the utterances at `place` and after it can overlap.

    An utterance inside the conversation shares half of itself with each neighbour at most; the
    first and the last have one neighbour alone.
    """
    before = lengths[place] if place == 0 else lengths[place] / 2
    after = lengths[place + 1] if place + 2 == len(lengths) else lengths[place + 1] / 2
    return min(before, after)


def _seconds(overlap: float, lengths: Sequence[float]) -> float:
    """Return how much two-talker time makes `overlap` of the time with speech.

    With a sum S of lengths and O seconds heard twice there is speech for S - O seconds.
    """
    return sum(lengths) * overlap / (1 + overlap)


def _overlaps(
    room: Sequence[float], wanted_s: float, share: float, random: np.random.RandomState
) -> list[float]:
    """Spread the wanted overlap over some of the changes of talker, in proportion to their room."""
    order = [int(place) for place in random.permutation(len(room)) if room[place] > 0]
    chosen = order[: round(share * len(order))]
    for place in order[len(chosen) :]:
        if sum(room[p] for p in chosen) >= wanted_s:
            break
        chosen.append(place)
    total = sum(room[place] for place in chosen)
    factor = min(1.0, wanted_s / total) if total else 0.0
    return [factor * room[place] if place in chosen else 0.0 for place in range(len(room))]
