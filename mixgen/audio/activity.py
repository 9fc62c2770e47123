"""When there is sound in a file: spans of seconds, measured once and kept as text.

`0.0-3.2 4.1-9.9` says that there is sound in the first 3.2 s and from 4.1 s to 9.9 s.
"""

import re
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.levels import FRAME_S, active_frames
from mixgen.audio.read import Samples
from mixgen.core.errors import InputError

_STEPS_PER_S = 10  # spans begin and end on a grid of 0.1 s
_LEAST_GAP = 3  # steps; a shorter silence is part of the sound around it
_MOST_SPANS = 5000  # so that the text of a recording of many hours still fits into a CSV field
_TOLERANCE = 1e-6  # for sums of decimals; far below one sample

_SPAN = r"\d{1,7}\.\d-\d{1,7}\.\d"
_SPANS = re.compile(f"{_SPAN}( {_SPAN})*")

Spans = NDArray[np.int64]  # (spans, 2): the first step with sound, the first without


def active_spans(samples: Samples, sample_rate: int) -> str:
    """Tell when there is sound in (channels, time) samples; nothing for digital silence.

    A step of 0.1 s has sound if at least half of its frames of 20 ms are active by the rule of
    `levels.active_frames`; a last step cut short has fewer frames. Where no step reaches half, as
    among single clicks, those that come nearest count. Silences below 0.3 s count as sound.
    """
    active = active_frames(samples, sample_rate)
    width = max(1, int(FRAME_S * sample_rate))
    step = np.arange(len(active)) * width * _STEPS_PER_S // sample_rate  # (frames,)
    sounding = np.bincount(step, weights=active)
    least = np.minimum(np.bincount(step) / 2, sounding.max())
    spans = _spans((sounding > 0) & (sounding >= least))
    shown = (f"{start / _STEPS_PER_S:.1f}-{stop / _STEPS_PER_S:.1f}" for start, stop in spans)
    return " ".join(shown)


def _spans(active: NDArray[np.bool_]) -> Spans:
    turns = np.flatnonzero(np.diff(active, prepend=False, append=False))
    spans = np.asarray(turns.reshape(-1, 2), np.int64)
    least_gap = _LEAST_GAP
    spans = _merged(spans, least_gap)
    while len(spans) > _MOST_SPANS:
        least_gap *= 2
        spans = _merged(spans, least_gap)
    return spans


def _merged(spans: Spans, least_gap: int) -> Spans:
    """Join the spans that are less than `least_gap` steps apart."""
    if len(spans) == 0:
        return spans
    apart = spans[1:, 0] - spans[:-1, 1] >= least_gap
    return np.stack([spans[np.r_[True, apart], 0], spans[np.r_[apart, True], 1]], axis=1)


def check_active(text: str) -> str:
    """Return `text` if it is empty or spans in order, as `active_spans` writes them.

    Raises:
        InputError: it is neither.
    """
    if text:
        _bounds(text)
    return text


def _bounds(text: str) -> list[float]:
    """Return start and end of every span in turn, in seconds."""
    if _SPANS.fullmatch(text):
        bounds = [float(word) for word in re.split("[ -]", text)]
        if all(before < after for before, after in pairwise(bounds)):
            return bounds
    raise InputError(
        f"The spans with sound are written in order, like '0.0-3.2 4.1-9.9', not {text[:40]!r}."
    )


class Activity:
    """Says for any excerpt of a file how much of it has sound."""

    def __init__(self, text: str, duration_s: float) -> None:
        """Read what `active_spans` wrote about a file of `duration_s` seconds.

        Raises:
            InputError: the text is not of that form, or empty, so that nothing is known.
        """
        if not text:
            raise InputError("When there is sound in the file is not known: index it again.")
        self._duration_s = duration_s
        # The last step may end after the file.
        self._bounds_s = np.minimum(_bounds(text), duration_s)
        lengths_s = np.diff(self._bounds_s)
        lengths_s[1::2] = 0  # between spans
        self._sound_s = np.concatenate([[0.0], np.cumsum(lengths_s)])

    def share(self, start_s: float, duration_s: float) -> float:
        """Return which part of an excerpt has sound (0 to 1); it ends where the file ends."""
        length_s = min(duration_s, self._duration_s - start_s)
        if length_s <= 0:
            return 0.0
        return float(self._sound_in(np.array([start_s]), length_s)[0] / length_s)

    def starts(self, duration_s: float, least_share: float) -> list[float]:
        """Return the starts of all excerpts of which at least `least_share` has sound, in order.

        Starts are whole tenths of a second. The only excerpt that is as long as the file or longer
        is the whole file.
        """
        length_s = min(duration_s, self._duration_s)
        last = int((self._duration_s - length_s) * _STEPS_PER_S + _TOLERANCE)
        starts_s = np.arange(last + 1) / _STEPS_PER_S
        enough = self._sound_in(starts_s, length_s) >= least_share * length_s - _TOLERANCE
        return [float(start_s) for start_s in starts_s[enough]]

    def _sound_in(self, starts_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
        """Return how many seconds have sound in excerpts of one length, by their starts."""
        return self._sound_until(starts_s + length_s) - self._sound_until(starts_s)

    def _sound_until(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(times_s, self._bounds_s, self._sound_s))
