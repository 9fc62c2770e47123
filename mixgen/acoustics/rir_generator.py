"""Responses of shoebox rooms as Habets' RIR generator makes them, for sets that were made with it.

Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65(4), 1979;
Peterson, "Simulating the response of multiple microphones to a single acoustic source in a
reverberant room", JASA 80(5), 1986; Habets, "Room impulse response generator", 2006.

Each image of the source arrives as a sinc of 8 ms under a Hann window that is centred on its time
of arrival. Walls reflect all alike, by Sabine's formula. The second-order high-pass of Allen and
Berkley at 100 Hz comes last.

An arrival is a smooth function of its fraction of a sample, so its taps are a short Chebyshev
series in that. The images that arrive within one sample are added up for each term of the series,
and become taps together; with 25 terms nothing is left of the error but that of 64-bit floats.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy.signal import lfilter

from mixgen.acoustics.room import Point
from mixgen.audio.read import Samples
from mixgen.core.errors import InputError

SPEED_OF_SOUND = 343.0  # in m/s

_HALF_PULSE_S = 0.004
_TERMS = 25
_HIGH_PASS_HZ = 100.0

Reals = NDArray[np.float64]


def generated_responses(
    size_m: Point,
    source_m: Point,
    microphones_m: Sequence[Point],
    *,
    t60_s: float,
    sample_rate: int,
    taps: int,
) -> Samples:
    """Return the responses of a room: shape (microphones, taps), full scale 1.0.

    Args:
        size_m: of the room, in metres.
        source_m: position of the source.
        microphones_m: positions of the microphones.
        t60_s: reverberation time, which decides on the walls.
        sample_rate: in Hz.
        taps: length of the responses; images that arrive later are left out.

    Raises:
        InputError: no wall absorbs enough for so short a reverberation.
    """
    reflection = math.sqrt(1.0 - _absorption(size_m, t60_s))
    metres = SPEED_OF_SOUND / sample_rate  # of a sample
    responses = np.zeros((len(microphones_m), taps))
    for response, microphone_m in zip(responses, microphones_m, strict=True):
        axes = [
            _Axis(size / metres, source / metres, microphone / metres, reflection, taps)
            for size, source, microphone in zip(size_m, source_m, microphone_m, strict=True)
        ]
        response[:] = _high_passed(_arrivals(axes, metres, sample_rate, taps), sample_rate)
    return responses


def _absorption(size_m: Point, t60_s: float) -> float:
    """Return the share of energy that walls absorb, by Sabine's formula."""
    x, y, z = size_m
    area = 2 * (x * z + y * z + x * y)
    absorption = 24 * x * y * z * math.log(10.0) / (SPEED_OF_SOUND * area * t60_s)
    if not 0 < absorption <= 1:
        raise InputError(
            f"A room of {x:g} x {y:g} x {z:g} m cannot have a reverberation of {t60_s:g} s: even "
            "walls that absorb everything leave more; give the room of the list."
        )
    return absorption


class _Axis:
    """The images along one axis, all lengths in samples.

    Attributes:
        offsets: from the microphone.
        damping: what the reflections at both walls leave of the amplitude.
    """

    def __init__(
        self, size: float, source: float, microphone: float, reflection: float, taps: int
    ) -> None:
        most = math.ceil(taps / (2 * size))
        numbers = np.repeat(np.arange(-most, most + 1), 2)
        mirrored = np.tile((0, 1), 2 * most + 1)
        self.offsets = (1 - 2 * mirrored) * source - microphone + 2 * numbers * size
        self.damping = reflection ** (np.abs(numbers - mirrored) + np.abs(numbers))


def _arrivals(axes: Sequence[_Axis], metres: float, sample_rate: int, taps: int) -> Reals:
    """Return a response without the high-pass; `metres` are those of a sample."""
    x, y, z = axes
    half = round(_HALF_PULSE_S * sample_rate)
    sums = np.zeros((_TERMS, taps))
    squares = y.offsets[:, None] ** 2 + z.offsets**2
    damping = y.damping[:, None] * z.damping
    for offset, kept in zip(x.offsets, x.damping, strict=True):
        distance = np.sqrt(offset**2 + squares)
        heard = distance < taps
        late = distance[heard]
        whole = np.floor(late)
        gain = kept * damping[heard] / (4 * np.pi * late * metres)
        _add_terms(sums, whole.astype(np.intp), late - whole, gain)
    response = np.zeros(taps + 2 * half)
    for tap, series in enumerate(_pulse(half)):
        response[tap : tap + taps] += series @ sums
    return response[half - 1 : half - 1 + taps]


def _add_terms(sums: Reals, whole: NDArray[np.intp], fraction: Reals, gain: Reals) -> None:
    """Add the Chebyshev terms of arrivals to those of the sample each is in: (term, sample)."""
    at = 2 * fraction - 1
    before, term = gain * at, gain
    for row in sums:
        row += np.bincount(whole, term, len(row))
        before, term = term, 2 * at * term - before


@functools.cache
def _pulse(half: int) -> Reals:
    """Return the Chebyshev series of every tap of an arrival: shape (2 half, terms).

    Tap n of an arrival with the fraction f is at n + 1 - half - f samples from its centre.
    """
    points = chebyshev.chebpts1(2 * _TERMS)
    since = np.arange(1 - half, half + 1)[:, None] - (points + 1) / 2
    values = 0.5 * (1 + np.cos(np.pi * since / half)) * np.sinc(since)
    return np.asarray(chebyshev.chebfit(points, values.T, _TERMS - 1).T)


def _high_passed(response: Reals, sample_rate: int) -> Reals:
    """Return a response after the high-pass of Allen and Berkley."""
    angle = 2 * np.pi * _HIGH_PASS_HZ / sample_rate
    radius = math.exp(-angle)
    poles = 1.0, -2 * radius * math.cos(angle), radius**2
    return np.asarray(lfilter((1.0, -(1 + radius), radius), poles, response))


def first_arrival(responses: Samples, threshold: float = 0.1) -> int:
    """Return the first tap that exceeds a share of the peak of its channel, in any channel.

    Args:
        responses: shape (channels, taps).
        threshold: share of the highest absolute tap of each channel.
    """
    loud = np.abs(responses)
    loud = loud > threshold * loud.max(axis=1, keepdims=True)
    return int(loud.argmax(axis=1).min())
