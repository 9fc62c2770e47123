"""Room responses by the image source method. This is the only module that imports pyroomacoustics.

Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65(4), 1979.
Walls of one absorption give a slower decay than Sabine's formula predicts, so the absorption is
corrected until the first response has the requested decay. All images have one polarity, which
makes the method far too loud at the lowest frequencies; a high-pass removes these, as in that
paper.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.signal import butter, sosfilt

from mixgen.acoustics.rir import extrapolated_t60_s
from mixgen.acoustics.room import Point, RoomPlan
from mixgen.audio.read import Samples
from mixgen.core.errors import InputError, MachineError

ENGINE = "pyroomacoustics"
SPEED_OF_SOUND = 343.0  # in m/s, as in the engine

_CORRECTIONS = 4
_TOLERANCE = 0.03  # of the reverberation time
_MOST_ORDER = 200
_LOWEST_HZ = 50.0

# What the simulation of a room may take before commands warn of it.
_MANY_S = 10.0
_MANY_BYTES = 2e9


def load_engine() -> Any:
    """Import pyroomacoustics.

    Raises:
        MachineError: it is not installed.
    """
    try:
        import pyroomacoustics
    except ImportError:
        raise MachineError(
            "Simulating rooms needs pyroomacoustics: run `pip install pyroomacoustics`."
        ) from None
    # The high-pass filter of the engine differs between its versions.
    pyroomacoustics.constants.set("rir_hpf_enable", False)
    pyroomacoustics.constants.set("num_threads", 1)
    return pyroomacoustics


def engine_and_version() -> dict[str, str]:
    """Return the name and version of the engine, as manifests record them.

    Raises:
        MachineError: pyroomacoustics is not installed.
    """
    return {"engine": ENGINE, "version": str(load_engine().__version__)}


@dataclass(frozen=True)
class Walls:
    """The share of energy that walls absorb, and the highest number of reflections at them."""

    absorption: float
    order: int


class SimulationCost(NamedTuple):
    """What it takes to simulate a room; as text, for example `about 12 s and 3.0 GB`."""

    seconds: float
    size_bytes: float

    @property
    def is_high(self) -> bool:
        """Whether users should know of it before the simulation begins."""
        return self.seconds >= _MANY_S or self.size_bytes >= _MANY_BYTES

    def __str__(self) -> str:
        return f"about {self.seconds:.0f} s and {self.size_bytes / 1e9:.1f} GB"


def simulation_cost(
    size_m: Point, t60_s: float, *, microphones: int, sources: int
) -> SimulationCost:
    """Return about what it takes to simulate a room.

    Seconds and bytes grow with the number of images, which is that of the points with whole
    coordinates in an octahedron. The constants were measured with pyroomacoustics 0.8 on one core
    of 2.1 GHz: 0.33 s and 0.12 GB for 490,000 images, 2.9 s and 0.94 GB for 3.9 million, 4.8 s and
    1.21 GB for as many to four microphones. The first response is simulated three times, to fit the
    walls.
    """
    spans_m = [a * b / math.hypot(a, b) for a, b in itertools.combinations(size_m, 2)]
    order = min(math.ceil(SPEED_OF_SOUND * t60_s / min(spans_m)), _MOST_ORDER)
    images = (2 * order + 1) * (2 * order**2 + 2 * order + 3) / 3
    seconds = images * (0.5e-6 + 0.2e-6 * microphones) * (sources + 2)
    return SimulationCost(seconds, images * (220 + 25 * microphones) * max(1, sources - 1))


def simulate(plan: RoomPlan, sample_rate: int) -> list[Samples]:
    """Return the response of each source of a room, shape (microphones, taps).

    Raises:
        InputError: no absorption gives a reverberation as short as that of the room.
        MachineError: pyroomacoustics is not installed.
    """
    return simulate_with_walls(plan, sample_rate)[1]


def simulate_with_walls(plan: RoomPlan, sample_rate: int) -> tuple[Walls, list[Samples]]:
    """Return the walls that give a room its reverberation, and the responses as `simulate` does."""
    walls, first = _fit_walls(plan, sample_rate)
    others = raw_responses(plan, walls, sample_rate, plan.sources_m[1:])
    return walls, [first, *(without_lowest_tones(other, sample_rate) for other in others)]


def _fit_walls(plan: RoomPlan, sample_rate: int) -> tuple[Walls, Samples]:
    """Return walls that give the requested reverberation, and the response of the first source."""
    assumed_s = plan.t60_s
    walls = _walls(plan, assumed_s)
    first = _first_response(plan, walls, sample_rate)
    for _ in range(_CORRECTIONS):
        measured_s = extrapolated_t60_s(first, sample_rate)
        if measured_s is None or abs(measured_s / plan.t60_s - 1) < _TOLERANCE:
            break
        assumed_s *= plan.t60_s / measured_s
        walls = _walls(plan, assumed_s)
        first = _first_response(plan, walls, sample_rate)
    return walls, first


def _walls(plan: RoomPlan, t60_s: float) -> Walls:
    """Return the walls that have this T60 by Sabine's formula."""
    try:
        absorption, order = load_engine().inverse_sabine(t60_s, plan.size_m)
    except ValueError:
        raise InputError(
            f"A room of {plan.size_m} m cannot have a reverberation time of {plan.t60_s:.2f} s: "
            "make it smaller or the time longer."
        ) from None
    return Walls(absorption, min(order, _MOST_ORDER))


def _first_response(plan: RoomPlan, walls: Walls, sample_rate: int) -> Samples:
    (response,) = raw_responses(plan, walls, sample_rate, plan.sources_m[:1])
    return without_lowest_tones(response, sample_rate)


def raw_responses(
    plan: RoomPlan, walls: Walls, sample_rate: int, positions_m: Sequence[Point]
) -> list[Samples]:
    """Return the response from each position to the microphones, shape (microphones, taps).

    They are too loud at the lowest frequencies.

    Raises:
        InputError: a position or a microphone is outside of the room.
    """
    if not positions_m:
        return []
    _check_inside(plan, (*positions_m, *plan.microphones_m))
    engine = load_engine()
    room = engine.ShoeBox(
        plan.size_m,
        fs=sample_rate,
        materials=engine.Material(walls.absorption),
        max_order=walls.order,
    )
    for position in positions_m:
        room.add_source(list(position))
    room.add_microphone_array(np.array(plan.microphones_m).T)  # (3, microphones)
    room.compute_rir()
    return [
        _stacked([room.rir[m][source] for m in range(len(plan.microphones_m))])
        for source in range(len(positions_m))
    ]


def _check_inside(plan: RoomPlan, points: Iterable[Point]) -> None:
    for point in points:
        if not all(0 < x < length for x, length in zip(point, plan.size_m, strict=True)):
            raise InputError(
                f"The room {plan.name!r} of {plan.size_m} m has a source or microphone outside of "
                f"it, at {point}: draw it again."
            )


def _stacked(responses: list[Any]) -> Samples:
    """Return responses of different lengths as one array (microphones, taps)."""
    stacked = np.zeros((len(responses), max(map(len, responses))))
    for row, response in zip(stacked, responses, strict=True):
        row[: len(response)] = response
    return stacked


def without_lowest_tones(response: Samples, sample_rate: int) -> Samples:
    """Return a response (microphones, taps) after a high-pass at 50 Hz, which is below speech."""
    highpass = butter(2, _LOWEST_HZ, "highpass", fs=sample_rate, output="sos")
    return np.asarray(sosfilt(highpass, response, axis=1))
