"""SDR of BSS Eval version 4 (museval), which music leaderboards report.

F.-R. Stoter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018.
In version 4 the three error terms add up to the estimate minus the reference, whatever the
filters, so the SDR of a frame is 10 log10(|s|^2 / |s - e|^2) over its samples and channels.
Frames: 1 s long, 1 s apart; a last partial frame is dropped. Score of a track: median of frames.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from mixgen.core.vocabulary import STEM_TASKS

WINDOW_S = 1.0
# The SDR of silence.
FLOOR_DB = 0.0
# Energies below this lose digits, unless they are those of silence.
SMALLEST_ENERGY = 1e-200
# A frame this far below the loudest frame of its reference is silent: bleed, dither, room noise.
DYNAMIC_RANGE_DB = 50.0
COMPAT, STRICT = "sdr_v4_med", "sdr_v4_strict_med"
COUNTS = ("sdr_v4_n_frames", "sdr_v4_n_active", "sdr_v4_n_nan")

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


def frame_sdr(*, reference: Array, estimate: Array, sample_rate: int) -> Array:
    """Return the SDR of every frame in dB, (n_frames,); infinite or NaN where an energy is zero.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
        sample_rate: in Hz.
    """
    target, residual = _energies_of_frames(reference, estimate, sample_rate)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Array = 10.0 * np.log10(target / residual)
    return ratios


def _energies_of_frames(reference: Array, estimate: Array, sample_rate: int) -> Array:
    """Return the energies of reference and error in every frame, at one scale, (2, n_frames)."""
    energies = _energies(reference, estimate, sample_rate)
    if not ((energies > SMALLEST_ENERGY).all() and np.isfinite(energies).all()):
        s, e = full_scale(reference, estimate)
        energies = _energies(s, e, sample_rate)
    return energies


def _energies(reference: Array, estimate: Array, sample_rate: int) -> Array:
    """Do that without scaling; frame by frame, signals stay in the processor's cache."""
    pairs = zip(*(frames(x, sample_rate) for x in (reference, estimate)), strict=True)
    with np.errstate(over="ignore", invalid="ignore"):
        of_frames = [[np.einsum("ct,ct->", x, x) for x in (s, s - e)] for s, e in pairs]
    return np.array(of_frames).T


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
    energies = frame_energy(frames(full_scale(reference)[0], sample_rate))
    active: Mask = energies > energies.max() * 10 ** (-DYNAMIC_RANGE_DB / 10)
    return active


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
    silent: Mask = (frames(samples, sample_rate).sum(axis=-2) == 0.0).all(axis=-1)
    return silent


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    hidden, reason = hidden_frames(item, estimates)
    return {
        index: _score_reference(item, index, estimate, hidden, reason)
        for index, estimate in estimates.items()
    }


def _score_reference(
    item: ScoringItem, index: int, estimate: Array, hidden: Mask, reason: Reason
) -> Scores:
    reference = item.references[index]
    sdr = frame_sdr(reference=reference, estimate=estimate, sample_rate=item.sample_rate)
    active = active_frames(reference, item.sample_rate)
    counts = (float(len(sdr)), float(active.sum()), float(hidden.sum()))
    silent = Missing(Reason.SILENT_REFERENCE)
    return {
        COMPAT: compat_median(sdr, hidden, reason) if reference.any() else silent,
        STRICT: median(np.maximum(sdr[active], FLOOR_DB), silent),
        **dict(zip(COUNTS, counts, strict=True)),
    }


METRICS = (
    ReferenceMetric(
        name="sdr_v4",
        columns=(COMPAT, STRICT),
        score=_score,
        unit="dB",
        tasks=STEM_TASKS,
        parameters={
            "window_s": WINDOW_S,
            "hop_s": WINDOW_S,
            "last_partial_frame": "dropped",
            "aggregate": "median over frames",
            "compat": "no frame with a silent reference or estimate of any source (museval)",
            "strict": "all frames where the own reference is active; below the floor, the floor",
            "dynamic_range_db": DYNAMIC_RANGE_DB,
        },
        source="Stoter, Liutkus, Ito, LVA/ICA 2018; museval 0.4.1",
        floor=FLOOR_DB,
        improvements=(COMPAT, STRICT),
        diagnostics=COUNTS,
    ),
)
