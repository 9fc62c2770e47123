"""Sources that move through a simulated room: the trajectory, and the sound along it.

The sound is cut into windows that fade into each other, and each goes through the response of one
point of the trajectory, as in Diaz-Guerra, Miguel and Beltran, "gpuRIR", Multimedia Tools and
Applications 80, 2021, and with the cross-fades of Li et al., "SonicSim", ICLR 2025.

The distance of the points: between two of them the sound of both is mixed. If their distances to
the microphone differ by d, a frequency f is weaker by cos(pi f d / 343 m/s) midway, so that points
5 cm apart would silence 3.4 kHz. The direct sound and the first reflections are therefore simulated
for every centimetre; they lose 0.6 dB at 4 kHz and 2.6 dB at 8 kHz at most. The many other
reflections come from everywhere and blur into reverberation: they are simulated for every 5 cm, and
interpolated. Compared with points a millimetre apart, the error for noise with the spectrum of
speech is -37 dB; with points 5 cm apart alone it would be -18 dB.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.image_source import (
    SPEED_OF_SOUND,
    Walls,
    raw_responses,
    without_lowest_tones,
)
from mixgen.acoustics.rir import RirPart, arrivals, convolve, rir_part
from mixgen.acoustics.room import Point, RoomPlan
from mixgen.audio.read import Samples
from mixgen.core.records import Record

STEP_M = 0.01
STRIDE = 5  # so many steps lie between two points with a whole response

_FIRST_ORDERS = 6
_PULSE_REACH = 40  # samples


class Trajectory(Record):
    """A straight line at one speed, from the first sample of a mixture to its last.

    It is taken in equal steps of 1 cm at most, a multiple of 5 of them, from point 0 to `steps`.
    """

    start_m: Point
    end_m: Point
    frames: int

    @property
    def steps(self) -> int:
        """How many steps the trajectory has; 0 where it ends at its start."""
        return STRIDE * math.ceil(math.dist(self.start_m, self.end_m) / (STRIDE * STEP_M))

    def point(self, number: int) -> Point:
        """Return one of the points from 0 to `steps`, in metres."""
        share = number / max(self.steps, 1)
        x, y, z = (a + share * (b - a) for a, b in zip(self.start_m, self.end_m, strict=True))
        return x, y, z

    def windows(self, samples: Samples, start: int) -> Iterator[tuple[int, int, Samples]]:
        """Cut samples (1, time) that begin with sample `start` of the mixture into windows.

        Yields:
            The number of a point, the index of its first sample in `samples`, and the samples that
            go through its response, faded from the point before and to the next. The sum of all
            windows is the samples.
        """
        # The number of the point at each sample of the mixture, with fractions.
        times = start + np.arange(samples.shape[1])
        progress = self.steps * np.minimum(times / self.frames, 1.0)
        for number in range(self.steps + 1):
            first = int(np.searchsorted(progress, number - 1, side="right"))
            stop = int(np.searchsorted(progress, number + 1, side="left"))
            if first < stop:
                window = 1.0 - np.abs(progress[first:stop] - number)
                yield number, first, samples[:, first:stop] * window


class MovingSource:
    """The responses along a trajectory, each simulated when it is first used, and kept."""

    def __init__(
        self, plan: RoomPlan, walls: Walls, sample_rate: int, trajectory: Trajectory
    ) -> None:
        """Take a room, its walls, and a trajectory through it.

        Raises:
            InputError: the trajectory begins or ends outside of the room.
        """
        self._plan = plan
        self._walls = walls
        self._sample_rate = sample_rate
        self._trajectory = trajectory
        self._firsts: dict[int, Samples] = {}
        self._others: dict[int, Samples] = {}
        # The path of a reflection is a convex function of the point: it is longest at an end.
        self._taps = max(self._other(number).shape[1] for number in (0, trajectory.steps))

    def response(self, number: int) -> Samples:
        """Return the response of a point: (microphones, taps), as long for every point."""
        before, past = divmod(number, STRIDE)
        response = np.zeros((len(self._plan.microphones_m), self._taps))
        _add(response, self._first(number))
        _add(response, (1 - past / STRIDE) * self._other(before * STRIDE))
        if past:
            _add(response, past / STRIDE * self._other((before + 1) * STRIDE))
        return without_lowest_tones(response, self._sample_rate)

    def sound(
        self, samples: Samples, start: int, parts: Sequence[RirPart], early_s: float
    ) -> list[Samples]:
        """Return what the microphones pick up of samples (1, time).

        The samples begin with sample `start` of the mixture. There is one signal for each part, of
        shape (microphones, time + taps - 1).
        """
        shape = len(self._plan.microphones_m), samples.shape[1] + self._taps - 1
        signals = [np.zeros(shape) for _ in parts]
        for number, first, window in self._trajectory.windows(samples, start):
            response = self.response(number)
            for signal, part in zip(signals, parts, strict=True):
                if part == "dry":
                    through = self._direct(number)
                else:
                    through = rir_part(part, response, self._sample_rate, early_s)
                _add(signal[:, first:], convolve(window, through))
        return signals

    def _direct(self, number: int) -> Samples:
        """Return the direct sound from a point: (microphones, taps).

        It is the dry part of the response at the start, as much later and weaker as the point is
        further away. The dry parts of other responses would jump from sample to sample, and their
        level with the remaining fraction of a sample.
        """
        start_m, here_m = self._distances_m(0), self._distances_m(number)
        response = self.response(0)
        arrival = arrivals(response)
        at_start = response[np.arange(len(response)), arrival]
        later = (here_m - start_m) / SPEED_OF_SOUND * self._sample_rate
        return _pulses(arrival + later, at_start * start_m / here_m)

    def _distances_m(self, number: int) -> NDArray[np.float64]:
        """Return how far a point is from each microphone."""
        to_microphones = np.subtract(self._plan.microphones_m, self._trajectory.point(number))
        return np.asarray(np.linalg.norm(to_microphones, axis=1))

    def _first(self, number: int) -> Samples:
        """Return the direct sound and the first reflections from a point."""
        if number not in self._firsts:
            few = replace(self._walls, order=min(_FIRST_ORDERS, self._walls.order))
            self._firsts[number] = self._raw(few, number)
        return self._firsts[number]

    def _other(self, number: int) -> Samples:
        """Return all other reflections from a point: (microphones, taps)."""
        if number not in self._others:
            other = self._raw(self._walls, number)
            _add(other, -self._first(number))
            self._others[number] = other
        return self._others[number]

    def _raw(self, walls: Walls, number: int) -> Samples:
        point = self._trajectory.point(number)
        return raw_responses(self._plan, walls, self._sample_rate, [point])[0]


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
