"""Frames of 1 s, and the two rules by which scores of frames become one value.

museval (F.-R. Stoter, A. Liutkus, N. Ito, LVA/ICA 2018) skips a frame for all sources where any
source is silent; the strict rule counts every frame in which the reference is active.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import Value
from evalsuite.metrics.outcome import Missing, Reason, Score

WINDOW_S = 1.0
# A frame this far below the loudest frame of its reference is silent: bleed, dither, room noise.
DYNAMIC_RANGE_DB = 50.0
# Samples that show of most frames that they are not silent.
FIRST = 64

PARAMETERS: dict[str, Value] = {
    "window_s": WINDOW_S,
    "hop_s": WINDOW_S,
    "last_partial_frame": "dropped",
    "aggregate": "median over frames",
    "compat": "no frame with a silent reference or estimate of any source (museval)",
    "dynamic_range_db": DYNAMIC_RANGE_DB,
}

Mask = NDArray[np.bool_]


def framing(n_samples: int, sample_rate: int) -> tuple[int, int]:
    """Return the length of a frame in samples, and the number of frames."""
    window = min(round(WINDOW_S * sample_rate), n_samples)
    return window, n_samples // window


def frames(samples: Array, sample_rate: int) -> Array:
    """Cut (..., channels, time) into (..., n_frames, channels, window).

    A signal that is shorter than the window is one frame.
    """
    window, n_frames = framing(samples.shape[-1], sample_rate)
    whole = samples[..., : n_frames * window]
    return np.moveaxis(whole.reshape(*samples.shape[:-1], n_frames, window), -2, -3)


def frame_energy(framed: Array) -> Array:
    """Return the energy of every frame, (..., n_frames), of (..., n_frames, channels, window)."""
    return np.asarray(np.einsum("...fct,...fct->...f", framed, framed))


def hidden_frames(item: ScoringItem, estimates: Mapping[int, Array]) -> tuple[Mask, Reason]:
    """Return the frames that museval skips, (n_frames,), and the reason if these are all.

    It skips a frame in which any reference or estimate is silent. Here a reference that is silent
    throughout hides no frame of the others.
    """
    sounding = [index for index in range(len(item.references)) if item.references[index].any()]
    silent_reference: Mask = np.logical_or.reduce(item.shared(_silent_references)[sounding], axis=0)
    hidden = silent_reference.copy()
    for index in set(sounding) & estimates.keys():
        hidden |= _silent_for_museval(estimates[index], item.sample_rate)
    return hidden, Reason.SILENT_REFERENCE if silent_reference.all() else Reason.SILENT_ESTIMATE


def active_frames(reference: Array, sample_rate: int) -> Mask:
    """Return the frames (n_frames,) that are not silent beside the loudest, of (channels, time)."""
    return loud_frames(frame_energy(frames(full_scale(reference)[0], sample_rate)))


def loud_frames(energies: Array) -> Mask:
    """Return which of the energies of frames (n_frames,) are not silence beside the largest."""
    loud: Mask = energies > energies.max() * 10 ** (-DYNAMIC_RANGE_DB / 10)
    return loud


def silent_beside(reference: Array, estimate: Array, sample_rate: int) -> Mask:
    """Return the frames (n_frames,) in which an estimate is silent beside its reference."""
    of_reference, of_estimate = (
        frame_energy(frames(samples, sample_rate)) for samples in full_scale(reference, estimate)
    )
    return np.asarray(of_estimate <= of_reference * 10 ** (-DYNAMIC_RANGE_DB / 10))


def compat_median(values: Array, hidden: Mask, reason: Reason) -> Score:
    """Return the median over the frames that museval does not skip; perfect counts as highest."""
    return median(
        values[~(hidden | np.isnan(values))],
        Missing(reason, "in every frame, of one source or another"),
    )


def median(values: Array, empty: Missing) -> Score:
    """Return the median over frames, or `empty` without any."""
    if len(values) == 0:
        return empty
    middle = float(np.median(values))
    if np.isfinite(middle):
        return middle
    return Missing(Reason.PERFECT if middle > 0 else Reason.ORTHOGONAL_ESTIMATE)


def _silent_references(item: ScoringItem) -> Mask:
    return _silent_for_museval(item.references, item.sample_rate)


def _silent_for_museval(samples: Array, sample_rate: int) -> Mask:
    """Return the frames that museval counts as silent, (..., n_frames): channels add to zero."""
    framed = frames(samples, sample_rate)
    silent = _add_to_zero(framed[..., :FIRST])
    silent[silent] = _add_to_zero(framed[silent])
    return silent


def _add_to_zero(framed: Array) -> Mask:
    """Return whether the channels of each frame (..., channels, time) add to zero, (...)."""
    return np.asarray(~framed.sum(axis=-2).any(axis=-1))
