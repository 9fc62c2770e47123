"""The bulk delay: from 0 to 500 ms, in double talk, and while a clock drifts."""

import numpy as np
import pytest

from baselines.layers.bulk_delay import DelayTracker
from tests.baselines.echoes import SAMPLE_RATE, speech_like, syllables

DELAYS_MS = (0, 5, 40, 120, 250, 400, 500)


@pytest.mark.parametrize("delay_ms", DELAYS_MS)
@pytest.mark.parametrize("double_talk", [False, True])
def test_delays_from_0_to_500_ms(delay_ms: int, *, double_talk: bool) -> None:
    """Right to a sample in 9 of 10 blocks after the first second, and stable."""
    delay = delay_ms * SAMPLE_RATE // 1000
    far_end, echo = speech_like(8, delay=delay)
    near = syllables(8, np.random.default_rng(9)) if double_talk else 0.0
    tracker = DelayTracker(SAMPLE_RATE)
    peaks = tracker.peaks(echo + near, far_end)[16:]
    assert np.mean(np.abs(peaks - delay) <= 1) > 0.9
    delays = tracker.delays(echo + near, far_end)[20:]
    assert np.ptp(delays) == 0
    assert 0 <= delay - delays[-1] <= tracker.headroom + round(0.004 * SAMPLE_RATE)


def test_a_drifting_clock_is_followed() -> None:
    """300 ppm over 20 s are 48 samples: the filter's first tap stays 2 to 10 ms before the echo."""
    far_end, echo = speech_like(20, delay=800)
    time = np.arange(len(echo))
    slower = np.interp(time * (1 - 300e-6), time, echo)
    tracker = DelayTracker(SAMPLE_RATE)
    delays = tracker.delays(slower, far_end)[:-1]
    true = 800 + 300e-6 * np.arange(len(delays)) * tracker.hop
    ahead_ms = (true - delays)[30:] / SAMPLE_RATE * 1000
    assert ahead_ms.min() >= 1.5
    assert ahead_ms.max() <= 10.5
    assert delays[-1] > delays[30]


def test_a_delay_that_changes_is_found_again() -> None:
    """Within two seconds."""
    far_end, early = speech_like(10, delay=160)
    _, late = speech_like(10, delay=1600)
    half = len(far_end) // 2
    tracker = DelayTracker(SAMPLE_RATE)
    delays = tracker.delays(np.concatenate([early[:half], late[half:]]), far_end)
    middle = half // tracker.hop
    assert delays[middle] == 160 - tracker.headroom
    assert delays[middle + round(2 / 0.064)] == 1600 - tracker.headroom


def test_delays_are_known_from_the_past_alone() -> None:
    far_end, echo = speech_like(4, delay=300)
    tracker = DelayTracker(SAMPLE_RATE)
    whole = tracker.delays(echo, far_end)
    for end in (5, 20, 40):
        stop = end * tracker.hop
        changed, other = echo.copy(), far_end.copy()
        changed[stop:], other[stop:] = 1.0, -1.0
        np.testing.assert_array_equal(tracker.delays(changed, other)[: end + 1], whole[: end + 1])


def test_silence_has_no_delay() -> None:
    far_end, _ = speech_like(2)
    tracker = DelayTracker(SAMPLE_RATE)
    assert not tracker.delays(np.zeros(len(far_end)), far_end).any()
    assert (tracker.peaks(far_end, np.zeros(len(far_end))) == -1).all()
    assert tracker.delays(np.zeros(3), np.zeros(3)).tolist() == [0]


def test_talk_that_is_no_echo_moves_nothing() -> None:
    """A near end without an echo: no block in twenty has a clear peak."""
    near = syllables(20, np.random.default_rng(3))
    far_end = syllables(20, np.random.default_rng(4))
    assert np.mean(DelayTracker(SAMPLE_RATE).peaks(near, far_end) >= 0) < 0.05
