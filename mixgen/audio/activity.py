"""Activity: the spans of a file that have sound, measured once and kept as text.

`0.0-3.2 4.1-9.9` means sound from 0 s to 3.2 s and from 4.1 s to 9.9 s.
"""

import re
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.levels import ACTIVE_RANGE_DB, active_frames, frame_width
from mixgen.audio.read import Samples
from mixgen.core.errors import InputError

_STEPS_PER_S = 10  # spans begin and end on a grid of 0.1 s
LEAST_GAP_S = 0.3  # a shorter silence is part of the sound around it
_LEAST_GAP = round(LEAST_GAP_S * _STEPS_PER_S)
_MOST_SPANS = 5000  # the text for a recording of many hours still fits into a CSV field
_TOLERANCE = 1e-6  # for sums of decimals; far below one sample

_SPAN = r"\d{1,7}\.\d-\d{1,7}\.\d"
_SPANS = re.compile(f"{_SPAN}( {_SPAN})*")

Spans = NDArray[np.int64]  # (spans, 2): the first step or sample with sound, the first without


def active_spans(samples: Samples, sample_rate: int) -> str:
    """Return the spans with sound in (channels, time) samples; empty text for digital silence.

    A step of 0.1 s has sound if at least half of its frames of 20 ms are active by the rule of
    `levels.active_frames`; the last step may have fewer frames. If no step reaches half, as with
    single clicks, the steps with the most active frames have sound. Silences below 0.3 s count as
    sound.
    """
    active = active_frames(samples, sample_rate)
    width = frame_width(sample_rate)
    step = np.arange(len(active)) * width * _STEPS_PER_S // sample_rate  # (frames,)
    sounding = np.bincount(step, weights=active)
    least = np.minimum(np.bincount(step) / 2, sounding.max())
    spans = _spans((sounding > 0) & (sounding >= least))
    return " ".join(
        f"{start / _STEPS_PER_S:.1f}-{stop / _STEPS_PER_S:.1f}" for start, stop in spans
    )


def _spans(active: NDArray[np.bool_]) -> Spans:
    """Return the spans of active steps, closing wider gaps while the text would be too long."""
    least_gap = _LEAST_GAP
    spans = _merged(_runs(active), least_gap)
    while len(spans) > _MOST_SPANS:
        least_gap *= 2
        spans = _merged(spans, least_gap)
    return spans


def _runs(active: NDArray[np.bool_]) -> Spans:
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    return np.asarray(edges.reshape(-1, 2), np.int64)


def _merged(spans: Spans, least_gap: int) -> Spans:
    """Join the spans that are less than `least_gap` steps apart."""
    if len(spans) == 0:
        return spans
    apart = spans[1:, 0] - spans[:-1, 1] >= least_gap
    return np.stack([spans[np.r_[True, apart], 0], spans[np.r_[apart, True], 1]], axis=1)


def sounding_spans(
    samples: Samples, sample_rate: int, *, range_db: float = ACTIVE_RANGE_DB
) -> Spans:
    """Return the first sample of every span with sound, and the first one after it: (spans, 2).

    Frames of 20 ms within `range_db` of the loudest one have sound, and silences below 0.3 s count
    as sound.

    Args:
        samples: shape (channels, time).
        sample_rate: in Hz.
        range_db: in dB, positive.
    """
    width = frame_width(sample_rate)
    runs = _runs(active_frames(samples, sample_rate, range_db=range_db)) * width
    return _merged(np.minimum(runs, samples.shape[1]), round(LEAST_GAP_S * sample_rate))


def check_active(text: str) -> str:
    """Return `text` if it is empty, or spans in order as `active_spans` writes them.

    Raises:
        InputError: it is neither.
    """
    if text:
        _bounds(text)
    return text


def _bounds(text: str) -> list[float]:
    """Return the start and end of every span, one after the other, in seconds."""
    if _SPANS.fullmatch(text):
        bounds = [float(word) for word in re.split("[ -]", text)]
        if all(before < after for before, after in pairwise(bounds)):
            return bounds
    raise InputError(
        f"The spans with sound are written in order, like '0.0-3.2 4.1-9.9', not {text[:40]!r}."
    )


class Activity:
    """Where a file has sound, and how much of any excerpt of it has."""

    def __init__(self, text: str, duration_s: float) -> None:
        """Read the text from `active_spans` for a file of `duration_s` seconds.

        Raises:
            InputError: the text has another form, or is empty because the file was not measured.
        """
        if not text:
            raise InputError("The spans with sound in this file are not known: index it again.")
        self._duration_s = duration_s
        # The last step may end after the file.
        self._bounds_s = np.minimum(_bounds(text), duration_s)
        lengths_s = np.diff(self._bounds_s)
        lengths_s[1::2] = 0  # between spans
        self._sound_s = np.concatenate([[0.0], np.cumsum(lengths_s)])

    def share(self, start_s: float, duration_s: float) -> float:
        """Return the share of an excerpt that has sound, 0 to 1; the excerpt ends with the file."""
        length_s = min(duration_s, self._duration_s - start_s)
        if length_s <= 0:
            return 0.0
        return float(self._sound_in(np.array([start_s]), length_s)[0] / length_s)

    def starts(self, duration_s: float, least_share: float) -> list[float]:
        """Return the starts of all excerpts with a share of sound of at least `least_share`.

        Starts are in order, on a grid of 0.1 s. If `duration_s` is at least that of the file, the
        only excerpt is the whole file.
        """
        length_s = min(duration_s, self._duration_s)
        last = int((self._duration_s - length_s) * _STEPS_PER_S + _TOLERANCE)
        starts_s = np.arange(last + 1) / _STEPS_PER_S
        enough = self._sound_in(starts_s, length_s) >= least_share * length_s - _TOLERANCE
        return [float(start_s) for start_s in starts_s[enough]]

    def _sound_in(self, starts_s: NDArray[np.float64], length_s: float) -> NDArray[np.float64]:
        """Return the seconds of sound in excerpts of one length, one value for each start."""
        return self._sound_until(starts_s + length_s) - self._sound_until(starts_s)

    def _sound_until(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the seconds of sound before each time."""
        return np.asarray(np.interp(times_s, self._bounds_s, self._sound_s))
