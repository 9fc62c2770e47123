"""Room responses by the image source method. This is the only module that imports pyroomacoustics.

Allen and Berkley, "Image method for efficiently simulating small-room acoustics", JASA 65(4), 1979.
Walls of one absorption give a decay that is slower than Sabine's formula says, so the absorption is
corrected until the decay of the first response is the wanted one. Images that all push the same way
make the method far too loud at the lowest frequencies, so these are taken out, as in that paper.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.signal import butter, sosfilt

from mixgen.audio import Samples
from mixgen.errors import InputError, MachineError
from mixgen.rooms.geometry import Point, RoomPlan
from mixgen.rooms.response import reverberation_time_s

ENGINE = "pyroomacoustics"

_CORRECTIONS = 4
_CLOSE = 0.03
_MOST_ORDER = 200
_LOWEST_HZ = 50.0


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
    # Its own high-pass filter differs between versions.
    pyroomacoustics.constants.set("rir_hpf_enable", False)
    pyroomacoustics.constants.set("num_threads", 1)
    return pyroomacoustics


def engine_and_version() -> dict[str, str]:
    """Return what responses are computed with, for the record.

    Raises:
        MachineError: pyroomacoustics is not installed.
    """
    return {"engine": ENGINE, "version": str(load_engine().__version__)}


def simulate(plan: RoomPlan, sample_rate: int) -> list[Samples]:
    """Return the response of each source of a room, shape (microphones, taps).

    Raises:
        InputError: no walls can give so short a reverberation.
        MachineError: pyroomacoustics is not installed.
    """
    assumed_s = plan.t60_s
    first = _responses(plan, assumed_s, sample_rate, plan.sources_m[:1])
    for _ in range(_CORRECTIONS):
        measured_s = reverberation_time_s(first[0], sample_rate)
        if measured_s is None or abs(measured_s / plan.t60_s - 1) < _CLOSE:
            break
        assumed_s *= plan.t60_s / measured_s
        first = _responses(plan, assumed_s, sample_rate, plan.sources_m[:1])
    return first + _responses(plan, assumed_s, sample_rate, plan.sources_m[1:])


def _responses(
    plan: RoomPlan, t60_s: float, sample_rate: int, sources_m: Sequence[Point]
) -> list[Samples]:
    """Return the responses of sources at these places, in a room with this T60 after Sabine."""
    if not sources_m:
        return []
    engine = load_engine()
    try:
        absorption, order = engine.inverse_sabine(t60_s, plan.size_m)
    except ValueError:
        raise InputError(
            f"A room of {plan.size_m} m cannot have a reverberation time of {plan.t60_s:.2f} s: "
            "make it smaller or the time longer."
        ) from None
    room = engine.ShoeBox(
        plan.size_m,
        fs=sample_rate,
        materials=engine.Material(absorption),
        max_order=min(order, _MOST_ORDER),
    )
    try:
        for position in sources_m:
            room.add_source(list(position))
        room.add_microphone_array(np.array(plan.microphones_m).T)  # (3, microphones)
    except ValueError:
        raise InputError(
            f"The room {plan.name!r} of {plan.size_m} m has a source or microphone outside of it: "
            "draw it again."
        ) from None
    room.compute_rir()
    return [
        _stacked([room.rir[m][source] for m in range(len(plan.microphones_m))], sample_rate)
        for source in range(len(sources_m))
    ]


def _stacked(responses: list[Any], sample_rate: int) -> Samples:
    """Return responses of different lengths as one (microphones, taps), without lowest tones."""
    stacked = np.zeros((len(responses), max(map(len, responses))))
    for row, response in zip(stacked, responses, strict=True):
        row[: len(response)] = response
    return np.asarray(
        sosfilt(butter(2, _LOWEST_HZ, "highpass", fs=sample_rate, output="sos"), stacked, axis=1)
    )
