"""The overlap of the sources of a mixture."""

import numpy as np
from numpy.typing import NDArray

from mixgen.manifest.mixture import Mixture

_FRAME_S = 0.02


def planned_overlap(mixture: Mixture) -> float | None:
    """Return the overlap of a mixture as its record has it; None without sources."""
    return overlap_of(_planned_activity(mixture))


def _planned_activity(mixture: Mixture) -> NDArray[np.bool_]:
    """Return (source, frame of 20 ms): whether an event is planned there."""
    times = np.arange(0, mixture.duration_s, _FRAME_S)
    rows = []
    for source in mixture.sources:
        if source.role != "background":
            delay_s = source.echo.delay_s if source.echo else 0.0
            since = [times - delay_s - event.event_time for event in source.events]
            spans = [
                (seconds >= 0) & (seconds < e.sounding_s)
                for seconds, e in zip(since, source.events, strict=True)
            ]
            rows.append(np.any(spans, axis=0) if spans else np.zeros(times.shape, bool))
    return np.array(rows).reshape(len(rows), len(times))


def overlap_of(activity: NDArray[np.bool_]) -> float | None:
    """Return the share of sounding frames with two sources or more; None without sources.

    Args:
        activity: shape (sources, frames): whether a source sounds.
    """
    if len(activity) == 0:
        return None
    active = activity.sum(axis=0)
    sounding = int((active > 0).sum())
    return round(float((active > 1).sum() / sounding), 4) if sounding else None
