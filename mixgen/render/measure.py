"""What was requested of a rendered file, and what is measured in it."""

import math
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from mixgen.acoustics.rir import NO_T60, direct_to_reverberant_db, reverberation_time_s
from mixgen.audio.levels import LEVEL_RULES, are_active, energies_of_steps
from mixgen.audio.read import Samples
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import (
    MIXTURE,
    Mixture,
    Part,
    Response,
    Source,
)
from mixgen.manifest.overlap import overlap_of, planned_overlap
from mixgen.render.mixture import level_channels
from mixgen.render.rendering import Rendering
from mixgen.render.room import SourceInRoom

Values = dict[str, float | None]
Pair = tuple[Values, Values]
"""(requested, measured)"""


def measure(mixture: Mixture, rendering: Rendering, roots: Roots) -> dict[str, Pair]:
    """Return (requested, measured) by file name; of references, nothing is measured.

    Sources have `level_db` by their level rule as it is in the file (the mean over their events;
    of the first microphone in a room), `snr_db` against the mixture's reference level, and measured
    `energy_ratio_db` against all other sources together; null where the file is silent. In a room
    they have `t60_s`, and measured `drr_db` of their response. The mixture has `overlap`: the share
    of the time with any source in which two or more are active, without backgrounds. Far-end
    signals and enrolments have only a level.
    """
    stems = rendering.stems
    values: dict[str, Pair] = {name: ({}, {}) for name in mixture.file_names}
    active = []
    for source in mixture.sources:
        meter = _SourceMeter(mixture, source, roots, rendering.clip_gain_db)
        if not any(file.is_in_sum for file in source.files):
            continue
        steps = rendering.steps[source.name]
        own, others = energies_of_steps(steps, rendering.total, mixture.sample_rate)
        for file in source.files:
            ratio_db = _ratio_db(own, others)
            values[file.name] = meter.measure(file.part, stems[file.name], ratio_db)
        if source.role != "background":
            active.append(are_active(own))
    overlap = overlap_of(np.array(active))
    values[MIXTURE] = ({"overlap": planned_overlap(mixture)}, {"overlap": overlap})
    return values


def reasons_for_null(measured: Values) -> dict[str, str]:
    """Return why measured values of a file are null, by their names."""
    return {"t60_s": NO_T60} if measured.get("t60_s", 0.0) is None else {}


class _SourceMeter:
    """Measures the files of one source of a mixture."""

    def __init__(self, mixture: Mixture, source: Source, roots: Roots, clip_gain_db: float) -> None:
        self._mixture = mixture
        self._source = source
        self._roots = roots
        self._clip_gain_db = clip_gain_db
        self._rule = LEVEL_RULES[source.gain.rule]

    def measure(self, part: Part, signal: Samples, energy_ratio_db: float | None) -> Pair:
        """Return (requested, measured) of the file that holds a part.

        Args:
            part: of the source.
            signal: of the file, shape (channels, frames).
            energy_ratio_db: of the source's image against all other sources.
        """
        match part:
            case "image":
                return self._image(signal, energy_ratio_db)
            case "far_end":
                return self._far_end(signal)
            case "enrolment":
                return self._enrolment(signal)
            case _:
                return {}, {}

    def _image(self, signal: Samples, energy_ratio_db: float | None) -> Pair:
        response = None
        if self._source.room is not None:
            response = SourceInRoom(self._mixture, self._source, self._roots).response()
        requested = self._requested_level()
        measured = self._measured_level(signal, 0 if response is None else response.shape[1] - 1)
        measured |= {"energy_ratio_db": energy_ratio_db}
        if response is not None:
            rate = self._mixture.sample_rate
            requested |= {"t60_s": self._requested_t60_s()}
            measured |= {
                "t60_s": _rounded(reverberation_time_s(response, rate)),
                "drr_db": _rounded(direct_to_reverberant_db(response, rate)),
            }
        return requested, measured

    def _requested_level(self) -> Values:
        if self._mixture.is_exact:
            return {}
        if not self._source.events:
            return {"level_db": None, "snr_db": None}
        snr_db = fmean(event.snr for event in self._source.events)
        level_db = self._mixture.level.reference_db + snr_db + self._clip_gain_db
        return {"level_db": round(level_db, 3), "snr_db": round(snr_db, 3)}

    def _measured_level(self, signal: Samples, tail: int) -> Values:
        has_sound = self._source.events or self._source.generated or self._mixture.finished
        if not has_sound or not signal.any():
            known = ("level_db",) if self._mixture.is_exact else ("level_db", "snr_db")
            return dict.fromkeys(known)
        echo = self._source.echo
        delay = echo.delay(self._mixture.sample_rate) if echo else 0
        level_db = self._mean_level_db(signal, delay=delay, tail=tail)
        if self._mixture.is_exact:
            return {"level_db": round(level_db, 3)}
        snr_db = level_db - self._clip_gain_db - self._mixture.level.reference_db
        return {"level_db": round(level_db, 3), "snr_db": round(snr_db, 3)}

    def _mean_level_db(self, signal: Samples, **span: int) -> float:
        """Return the mean level of the spans in which the events of the source sound.

        A finished file and generated noise have no events, and one span.
        """
        spans = [signal[:, self._mixture.span_of(e, **span)] for e in self._source.events]
        spans = [signal] if self._mixture.finished or self._source.generated else spans
        measured = (level_channels(self._mixture, samples) for samples in spans if samples.size)
        return fmean(self._rule(samples, self._mixture.sample_rate) for samples in measured)

    def _requested_t60_s(self) -> float | None:
        if isinstance(self._source.room, Response):
            return self._source.room.t60_s
        room = self._mixture.room
        return room.simulation.t60_s if room and room.simulation else None

    def _far_end(self, signal: Samples) -> Pair:
        """Return (requested, measured) of a far-end signal, on which there is no clip gain."""
        if self._source.echo is None or not signal.any():
            return {"level_db": None}, {"level_db": None}
        requested_db = self._source.echo.far_end_db
        measured_db = self._mean_level_db(signal)
        return {"level_db": round(requested_db, 3)}, {"level_db": round(measured_db, 3)}

    def _enrolment(self, signal: Samples) -> Pair:
        """Return (requested, measured) of an enrolment, on which there is no clip gain."""
        if self._source.enrolment is None or not signal.any():
            return {"level_db": None}, {"level_db": None}
        requested_db = self._mixture.level.reference_db + self._source.enrolment.snr
        measured_db = self._rule(signal, self._mixture.sample_rate)
        return {"level_db": round(requested_db, 3)}, {"level_db": round(measured_db, 3)}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _ratio_db(energies: NDArray[np.float64], of_others: NDArray[np.float64]) -> float | None:
    over, under = float(energies.sum()), float(of_others.sum())
    return round(10 * math.log10(over / under), 3) if over > 0 and under > 0 else None
