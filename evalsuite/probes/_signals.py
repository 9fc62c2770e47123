"""Signals as judges take them: one channel, float32, at the rate that the judge was trained at."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from evalsuite.metrics.item import Array
from evalsuite.metrics.outcome import Missing, Reason
from mixgen.audio.read import resample

Signal = NDArray[np.float32]

JUDGE_RATE = 16000
"""The rate in Hz of all judges here."""

_MOST_REMEMBERED = 1024

Answer = TypeVar("Answer")


def judged(samples: Array, sample_rate: int) -> Signal:
    """Return one channel as a judge hears it: at 16 kHz, within full scale, float32.

    A signal beyond full scale is scaled to it; no other level is changed.

    Args:
        samples: shape (time,), float64.
        sample_rate: in Hz.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    within = samples / peak if peak > 1.0 else samples
    (resampled,) = resample(within[None], sample_rate, JUDGE_RATE)
    return np.asarray(np.clip(resampled, -1.0, 1.0), dtype=np.float32)


def unjudged(*, reference: NDArray[np.floating], heard: Signal, least_s: float) -> Missing | None:
    """Return why a judge says nothing of a signal; None where it does.

    Args:
        reference: one channel, (time,).
        heard: the same channel of the estimate, as `judged` returns it.
        least_s: seconds below which the judge has no answer.
    """
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not heard.any():
        return Missing(Reason.SILENT_ESTIMATE)
    if len(heard) < least_s * JUDGE_RATE:
        return Missing(Reason.TOO_SHORT, f"less than {least_s:g} s")
    return None


def remembered(judge: Callable[[Signal], Answer]) -> Callable[[Signal], Answer]:
    """Return a judge that remembers its last answers: references, and what two metrics ask for."""
    answers: dict[bytes, Answer] = {}

    def answer(samples: Signal) -> Answer:
        """Return what the judge says of a signal, (time,)."""
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in answers:
            if len(answers) >= _MOST_REMEMBERED:
                answers.clear()
            answers[key] = judge(samples)
        return answers[key]

    return answer
