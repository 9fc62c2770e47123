"""The sound of a source that walks through a simulated room.

The sound is cut into parts that fade into each other, and each is heard through the response of one
place, as trajectories are made of segments in Diaz-Guerra, Miguel and Beltran, "gpuRIR", Multimedia
Tools and Applications 80, 2021, and of cross-fades in Li et al., "SonicSim", ICLR 2025. Between two
places both are heard, and where the ways to the microphone differ by d, a frequency f is weaker by
cos(pi f d / 343 m/s) midway: with places 5 cm apart, 3.4 kHz would vanish. So the direct sound and
the first reflections are simulated for every centimetre, and lose 0.6 dB at 4 kHz and 2.6 dB at
8 kHz at most. The many others come from everywhere and blur into reverberation: they are simulated
for every 5 cm, and interpolated. Against places a millimetre apart, noise with the spectrum of
speech is off by -37 dB then; with places 5 cm apart alone it would be by -18 dB.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mixgen.audio import Samples
from mixgen.rooms.geometry import RoomPlan
from mixgen.rooms.response import Path, along, arrivals, convolve
from mixgen.rooms.simulate import SPEED_OF_SOUND, Walls, raw_responses, without_lowest_tones
from mixgen.rooms.way import STRIDE, Way

_FIRST_ORDERS = 6
_PULSE_REACH = 40  # samples


class Walk:
    """The responses along a way, each simulated when it is first wanted, and kept."""

    def __init__(self, plan: RoomPlan, walls: Walls, sample_rate: int, way: Way) -> None:
        """Take a room, its walls, and a way through it.

        Raises:
            InputError: the way begins or ends outside of the room.
        """
        self._plan, self._walls, self._sample_rate, self._way = plan, walls, sample_rate, way
        self._firsts: dict[int, Samples] = {}
        self._others: dict[int, Samples] = {}
        # The way of a reflection is convex along that of its source: it is longest at an end.
        self._taps = max(self._other(number).shape[1] for number in (0, way.steps))

    def response(self, number: int) -> Samples:
        """Return the response of a place of the way: (microphones, taps), all of one length."""
        before, past = divmod(number, STRIDE)
        response = np.zeros((len(self._plan.microphones_m), self._taps))
        _add(response, self._first(number))
        _add(response, (1 - past / STRIDE) * self._other(before * STRIDE))
        if past:
            _add(response, past / STRIDE * self._other((before + 1) * STRIDE))
        return without_lowest_tones(response, self._sample_rate)

    def sound(
        self, samples: Samples, start: int, paths: Sequence[Path], early_s: float
    ) -> list[Samples]:
        """Return samples (1, time) that begin with sample `start` of the mixture as they are heard.

        There is one signal for each path, of shape (microphones, time + taps - 1).
        """
        shape = len(self._plan.microphones_m), samples.shape[1] + self._taps - 1
        signals = [np.zeros(shape) for _ in paths]
        for number, first, part in self._way.cut(samples, start):
            response = self.response(number)
            for signal, path in zip(signals, paths, strict=True):
                if path == "dry":
                    through = self._direct(number)
                else:
                    through = along(path, response, self._sample_rate, early_s)
                _add(signal[:, first:], convolve(part, through))
        return signals

    def _direct(self, number: int) -> Samples:
        """Return the direct sound from a place: (microphones, taps).

        It is the dry part of the response at the start, as much later and weaker as it is further
        away. The dry parts of other places would jump from sample to sample, and their level with
        the fraction of a sample that is left.
        """
        start_m, here_m = self._distances_m(0), self._distances_m(number)
        response = self.response(0)
        arrival = arrivals(response)
        at_start = response[np.arange(len(response)), arrival]
        later = (here_m - start_m) / SPEED_OF_SOUND * self._sample_rate
        return _pulses(arrival + later, at_start * start_m / here_m)

    def _distances_m(self, number: int) -> NDArray[np.float64]:
        """Return how far a place is from each microphone."""
        to_microphones = np.subtract(self._plan.microphones_m, self._way.place(number))
        return np.asarray(np.linalg.norm(to_microphones, axis=1))

    def _first(self, number: int) -> Samples:
        """Return the direct sound and the first reflections from a place."""
        if number not in self._firsts:
            few = replace(self._walls, order=min(_FIRST_ORDERS, self._walls.order))
            self._firsts[number] = self._raw(few, number)
        return self._firsts[number]

    def _other(self, number: int) -> Samples:
        """Return all other reflections from a place: (microphones, taps)."""
        if number not in self._others:
            other = self._raw(self._walls, number)
            _add(other, -self._first(number))
            self._others[number] = other
        return self._others[number]

    def _raw(self, walls: Walls, number: int) -> Samples:
        place = self._way.place(number)
        return raw_responses(self._plan, walls, self._sample_rate, [place])[0]


def _pulses(delays: NDArray[np.float64], gains: NDArray[np.float64]) -> Samples:
    """Return one pulse for each delay in samples, which may have fractions: (pulses, taps).

    Source: windowed sinc, Laakso et al., "Splitting the unit delay", IEEE Signal Processing
    Magazine 13(1), 1996.
    """
    taps = math.ceil(delays.max()) + _PULSE_REACH + 1
    since = np.arange(taps) - delays[:, np.newaxis]  # (pulses, taps)
    window = np.cos(0.5 * np.pi * np.clip(since / _PULSE_REACH, -1, 1)) ** 2
    return np.asarray(gains[:, np.newaxis] * window * np.sinc(since))


def _add(samples: Samples, others: Samples) -> None:
    """Add others to samples (channels, time) as far as these go, in place."""
    frames = min(samples.shape[1], others.shape[1])
    samples[:, :frames] += others[:, :frames]
