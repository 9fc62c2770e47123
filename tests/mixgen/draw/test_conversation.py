"""Conversations: the overlap that was asked for, never three at once, nobody over themselves."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mixgen.draw.conversation import Turn, schedule_turns

Lengths = list[list[float]]

lengths = st.floats(0.3, 20.0)
conversations = st.lists(st.lists(lengths, min_size=0, max_size=6), min_size=0, max_size=5)


def lay(durations: Lengths, overlap: float = 0.0, share: float = 1.0, seed: int = 0) -> list[Turn]:
    many = sum(map(len, durations))
    return schedule_turns(
        durations,
        overlap=overlap,
        overlapping_turns=share,
        silences_s=[0.25] * max(0, many - 1),
        random=np.random.RandomState(seed),
    )


def spoken(turns: Sequence[Turn]) -> tuple[float, float, int]:
    """Seconds with anybody, seconds with two or more, and how many at once at most."""
    edges = sorted({edge for turn in turns for edge in (turn.start_s, turn.stop_s)})
    anybody = several = 0.0
    most = 0
    for start, stop in pairwise(edges):
        middle = (start + stop) / 2
        at_once = sum(turn.start_s <= middle < turn.stop_s for turn in turns)
        anybody += (stop - start) * (at_once > 0)
        several += (stop - start) * (at_once > 1)
        # Sums of floats leave slivers of time that nobody would hear.
        most = max(most, at_once if stop - start > 1e-9 else 0)
    return anybody, several, most


@given(conversations, st.floats(0, 0.95), st.floats(0, 1), st.integers(0, 99))
def test_every_utterance_once_and_no_three_at_once(
    durations: Lengths, overlap: float, share: float, seed: int
) -> None:
    turns = lay(durations, overlap, share, seed)
    found = sorted((turn.talker, turn.utterance, turn.duration_s) for turn in turns)
    wanted = [(t, u, d) for t, mine in enumerate(durations) for u, d in enumerate(mine)]
    assert found == wanted
    anybody, several, most = spoken(turns)
    assert most <= 2
    assert several <= overlap * anybody + 1e-6
    for talker in range(len(durations)):
        mine = sorted((t.start_s, t.stop_s) for t in turns if t.talker == talker)
        assert all(b[0] >= a[1] - 1e-9 for a, b in pairwise(mine))


@pytest.mark.parametrize("overlap", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_overlap_as_asked_for(overlap: float, share: float) -> None:
    durations = [[3.0, 5.0, 4.0, 6.0], [2.5, 7.0, 4.0], [6.0, 3.0, 3.0, 5.0]]
    anybody, several, _ = spoken(lay(durations, overlap, share))
    assert several / anybody == pytest.approx(overlap, abs=1e-9)


@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
def test_two_utterances_overlap_by_any_share(overlap: float) -> None:
    anybody, several, _ = spoken(lay([[4.0], [4.0]], overlap))
    assert several / anybody == pytest.approx(overlap, abs=1e-9)


def test_turns_that_do_not_overlap_are_apart_by_the_silence() -> None:
    turns = lay([[2.0, 2.0], [1.0, 1.0]])
    gaps = [b.start_s - a.stop_s for a, b in pairwise(turns)]
    assert gaps == pytest.approx([0.25] * 3)


def test_few_overlapping_turns_carry_all_of_the_overlap() -> None:
    durations = [[4.0] * 10, [4.0] * 10]
    turns = lay(durations, overlap=0.05, share=0.25)
    overlapping = sum(b.start_s < a.stop_s for a, b in pairwise(turns))
    assert overlapping == 5
    anybody, several, _ = spoken(turns)
    assert several / anybody == pytest.approx(0.05, abs=1e-9)


def test_talkers_take_turns_while_others_are_left() -> None:
    order = [turn.talker for turn in lay([[1.0] * 5, [1.0] * 5], seed=3)]
    assert order in ([0, 1] * 5, [1, 0] * 5)
    assert [turn.talker for turn in lay([[1.0, 2.0]])] == [0, 0]
