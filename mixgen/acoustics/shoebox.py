"""Responses of shoebox rooms as pyroomacoustics 0.3.1 made them, for sets that were made with it.

Scheibler, Bezzam and Dokmanić, "Pyroomacoustics: A Python package for audio room simulation and
array processing algorithms", ICASSP 2018, arXiv 1710.04196; the method is that of Allen and
Berkley, JASA 65(4), 1979. Later versions of the package give other responses: louder by 4 pi, with
walls that absorb energy instead of amplitude, and high-passed.

Each image of the source arrives as a sinc of 81 taps under a Hann window, 40 taps late. Positions,
attenuations and arrival times are rounded to 32-bit floats where that version does it, and the sinc
is interpolated linearly in its table of 20 points per tap. The images that share a row of the table
are collected first, and their taps are added up together, which takes a fraction of the time.
"""

import functools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.room import Point
from mixgen.audio.read import Samples

SPEED_OF_SOUND = 343.0  # in m/s, as in the package

_TAPS = 81
_DELAY = _TAPS // 2
_TABLE_ROWS = 20  # points of the sinc table per tap

Reals = NDArray[np.floating]


@dataclass(frozen=True)
class ShoeBox:
    """A room of one absorption, and a source and a microphone in it; lengths in metres.

    Attributes:
        size_m: of the room.
        absorption: of the amplitude, by each wall.
        source_m: position of the source.
        microphone_m: position of the microphone.
    """

    size_m: Point
    absorption: float
    source_m: Point
    microphone_m: Point


def shoebox_response(room: ShoeBox, order: int, sample_rate: int, longest: int) -> Samples:
    """Return the response of a room: shape (taps,), full scale 1.0.

    Args:
        room: with its source and microphone.
        order: the highest number of reflections at walls; 0 for the direct sound alone.
        sample_rate: in Hz.
        longest: number of taps after which it is cut.
    """
    late_s = _DELAY / sample_rate
    distance_m, damping = _images(room, order)
    arrival_s = distance_m / SPEED_OF_SOUND + late_s
    response = np.zeros(min(_count(float(arrival_s.max()), late_s, sample_rate), longest))
    heard = arrival_s * sample_rate < len(response) + _DELAY
    amplitude = damping[heard] / (4.0 * np.pi * distance_m[heard])
    pulses = _pulses(arrival_s[heard] * sample_rate, amplitude)
    taps = np.einsum("krt,krn->tn", _sinc_table(), pulses)
    for late, values in enumerate(taps, start=-_DELAY):
        shown = values[max(0, -late) : max(0, len(response) - late)]
        response[max(0, late) : max(0, late) + len(shown)] += shown
    return response


def direct_taps(room: ShoeBox, sample_rate: int) -> int:
    """Return how many taps the response of order 0 has at a rate in Hz, if it is not cut."""
    late_s = _DELAY / sample_rate
    (distance_m,), _ = _images(room, 0)
    return _count(distance_m / SPEED_OF_SOUND + late_s, late_s, sample_rate)


def _count(last_s: float, late_s: float, sample_rate: int) -> int:
    """Return how many taps a response has whose last arrival is known."""
    return math.ceil((1.05 * last_s - late_s) * sample_rate) + _TAPS


@dataclass(frozen=True)
class _Axis:
    """Images along one axis, by their numbers from -order to order.

    Attributes:
        offsets_m: from the microphone.
        lower: what reflections at the wall at 0 leave of the amplitude.
        upper: what reflections at the other wall leave.
    """

    offsets_m: Reals
    lower: Reals
    upper: Reals

    @classmethod
    def of(cls, room: ShoeBox, axis: int, order: int) -> "_Axis":
        """Return the images of a room's source along an axis, with up to `order` reflections."""
        numbers = np.arange(-order, order + 1)
        size, source = np.float32(room.size_m[axis]), np.float32(room.source_m[axis])
        within = np.where(numbers % 2 == 1, size - source, source)
        positions = numbers.astype(np.float32) * size + within
        kept = [np.float32(1.0)]
        for _ in range(order):
            kept.append(np.float32((1.0 - float(np.float32(room.absorption))) * float(kept[-1])))
        powers = np.array(kept)
        count = np.abs(numbers)
        more, fewer = powers[(count + 1) // 2], powers[count // 2]
        positive = numbers > 0
        lower, upper = np.where(positive, fewer, more), np.where(positive, more, fewer)
        offsets_m = positions.astype(np.float64) - room.microphone_m[axis]
        return cls(offsets_m, lower, upper)


def _images(room: ShoeBox, order: int) -> tuple[Reals, Reals]:
    """Return the distance in m and the damping of every image."""
    x, y, z = (_Axis.of(room, axis, order) for axis in range(3))
    count = np.abs(np.arange(-order, order + 1))
    reflections = count[:, None] + count
    damping = x.lower * x.upper * y.lower[:, None] * y.upper[:, None]
    squares = x.offsets_m**2 + y.offsets_m[:, None] ** 2
    distances, dampings = [], []
    for index, used in enumerate(count):
        kept = reflections <= order - used
        distances.append(np.sqrt(squares[kept] + z.offsets_m[index] ** 2))
        dampings.append(damping[kept] * z.lower[index] * z.upper[index])
    return np.concatenate(distances), np.concatenate(dampings)


def _pulses(arrivals: Reals, amplitudes: Reals) -> Reals:
    """Add up arrivals, which are in samples.

    Returns:
        Shape (value or slope of the table, row of the table, sample).
    """
    samples = arrivals.astype(np.float32)
    whole = np.floor(samples)
    early = 1.0 - (samples - whole).astype(np.float64)
    at = (early * _TABLE_ROWS).astype(np.float32)
    row = np.floor(at)
    frames = int(whole.max()) + 1
    cell = row.astype(np.int64) * frames + whole.astype(np.int64)
    weights = amplitudes, amplitudes * (at - row)
    added = [np.bincount(cell, weight, (_TABLE_ROWS + 1) * frames) for weight in weights]
    return np.reshape(added, (2, _TABLE_ROWS + 1, frames))


@functools.cache
def _sinc_table() -> Reals:
    """Return the taps of an arrival: shape (value or slope, row of the table, tap)."""
    points = np.sinc(np.linspace(-_DELAY - 1, _DELAY + 1, (_TAPS + 1) * _TABLE_ROWS + 1))
    slopes = np.append(np.diff(points), 0.0)
    at = np.arange(_TABLE_ROWS + 1)[:, None] + _TABLE_ROWS * np.arange(_TAPS)
    return np.asarray(np.hanning(_TAPS) * np.stack([points[at], slopes[at]]))
