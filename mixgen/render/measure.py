"""What was asked of a rendered file beside what is in it."""

import math
from statistics import fmean

import numpy as np

from mixgen.acoustics.rir import direct_to_reverberant_db, reverberation_time_s
from mixgen.audio.levels import LEVEL_RULES, active_frames
from mixgen.audio.read import Samples
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture, Response, Source, overlap_of, planned_overlap
from mixgen.render.mixture import Rendering, heard_part, levelled_part
from mixgen.render.room import response_of

Values = dict[str, float | None]


def measure(
    mixture: Mixture, rendering: Rendering, roots: Roots
) -> dict[str, tuple[Values, Values]]:
    """Return (requested, measured) by file name; of references, nothing is measured.

    Sources have `level_db` by their level rule as it is in the file (the mean over their events;
    of the first microphone in a room), `snr_db` against the mixture's reference level, and measured
    `energy_ratio_db` against all other sources together; null where the file is silent. In a room
    they have `t60_s`, and measured `drr_db` of their response. The mixture has `overlap`: the share
    of the time with any source in which two or more are active, background left out. Far-end
    signals and enrolments have a level alone.
    """
    total = rendering.total
    files = rendering.stems
    stems = {source.name: files[source.name] for source in mixture.sources}
    values: dict[str, tuple[Values, Values]] = {name: ({}, {}) for name in mixture.file_names}
    for source in mixture.sources:
        requested = _requested_level(mixture, source, rendering.clip_gain_db)
        stem = stems[source.name]
        response = response_of(mixture, source, roots) if source.room else None
        measured = _measured_level(mixture, source, stem, response, rendering.clip_gain_db)
        measured |= _energy_ratio(stem, total)
        if response is not None:
            requested |= {"t60_s": _requested_t60_s(mixture, source)}
            measured |= _room_values(response, mixture.sample_rate)
        values[source.name] = (requested, measured)
        if source.far_end_name is not None:
            far_end = files[source.far_end_name]
            values[source.far_end_name] = _far_end_values(mixture, source, far_end)
        if source.enrolment_name is not None:
            enrolment = files[source.enrolment_name]
            values[source.enrolment_name] = _enrolment_values(mixture, source, enrolment)
    heard = [stems[source.name] for source in mixture.sources if source.role != "background"]
    activity = np.array([active_frames(stem, mixture.sample_rate) for stem in heard])
    values["mixture"] = ({"overlap": planned_overlap(mixture)}, {"overlap": overlap_of(activity)})
    return values


def _requested_t60_s(mixture: Mixture, source: Source) -> float | None:
    if isinstance(source.room, Response):
        return source.room.t60_s
    return mixture.room.simulation.t60_s if mixture.room and mixture.room.simulation else None


def _room_values(response: Samples, sample_rate: int) -> Values:
    values = {
        "t60_s": reverberation_time_s(response, sample_rate),
        "drr_db": direct_to_reverberant_db(response, sample_rate),
    }
    return {key: value if value is None else round(value, 3) for key, value in values.items()}


def _requested_level(mixture: Mixture, source: Source, clip_gain_db: float) -> Values:
    if not source.events:
        return {"level_db": None, "snr_db": None}
    snr_db = fmean(event.snr for event in source.events)
    level_db = mixture.level.reference_db + snr_db + clip_gain_db
    return {"level_db": round(level_db, 3), "snr_db": round(snr_db, 3)}


def _measured_level(
    mixture: Mixture,
    source: Source,
    stem: Samples,
    response: Samples | None,
    clip_gain_db: float,
) -> Values:
    if not source.events or not stem.any():
        return {"level_db": None, "snr_db": None}
    tail = 0 if response is None else response.shape[1] - 1
    delay = source.echo.delay(mixture.sample_rate) if source.echo else 0
    level_db = _mean_level(mixture, source, stem, delay=delay, tail=tail)
    snr_db = level_db - clip_gain_db - mixture.level.reference_db
    return {"level_db": round(level_db, 3), "snr_db": round(snr_db, 3)}


def _mean_level(mixture: Mixture, source: Source, signal: Samples, **span: int) -> float:
    """Return the mean level in dB of the parts in which the events of a source are heard."""
    rule = LEVEL_RULES[source.gain.rule]
    parts = (heard_part(mixture, event, signal, **span) for event in source.events)
    heard = (levelled_part(mixture, part) for part in parts if part.size)
    return fmean(rule(part, mixture.sample_rate) for part in heard)


def _far_end_values(mixture: Mixture, source: Source, signal: Samples) -> tuple[Values, Values]:
    """Return (requested, measured) of a far-end signal, which no gain of the mixture touches."""
    if source.echo is None or not signal.any():
        return {"level_db": None}, {"level_db": None}
    measured_db = _mean_level(mixture, source, signal)
    asked_db = source.echo.far_end_db
    return {"level_db": round(asked_db, 3)}, {"level_db": round(measured_db, 3)}


def _enrolment_values(mixture: Mixture, source: Source, signal: Samples) -> tuple[Values, Values]:
    """Return (requested, measured) of an enrolment, which no gain of the mixture touches."""
    if source.enrolment is None or not signal.any():
        return {"level_db": None}, {"level_db": None}
    asked_db = mixture.level.reference_db + source.enrolment.snr
    measured_db = LEVEL_RULES[source.gain.rule](signal, mixture.sample_rate)
    return {"level_db": round(asked_db, 3)}, {"level_db": round(measured_db, 3)}


def _energy_ratio(stem: Samples, total: Samples) -> Values:
    rest = total - stem
    over, under = float(np.vdot(stem, stem)), float(np.vdot(rest, rest))
    ratio_db = 10 * math.log10(over / under) if over > 0 and under > 0 else None
    return {"energy_ratio_db": ratio_db if ratio_db is None else round(ratio_db, 3)}
