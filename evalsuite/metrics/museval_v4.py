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
# A frame this far below the loudest frame of its reference is silent: bleed, dither, room noise.
DYNAMIC_RANGE_DB = 50.0
COMPAT, STRICT = "sdr_v4_med", "sdr_v4_strict_med"
COUNTS = ("sdr_v4_n_frames", "sdr_v4_n_active", "sdr_v4_n_nan")

Mask = NDArray[np.bool_]


def frames(samples: Array, sample_rate: int) -> Array:
    """Cut (..., channels, time) into (..., n_frames, channels, window).

    A signal that is shorter than the window is one frame.
    """
    window = min(round(WINDOW_S * sample_rate), samples.shape[-1])
    n_frames = samples.shape[-1] // window
    whole = samples[..., : n_frames * window]
    return np.moveaxis(whole.reshape(*samples.shape[:-1], n_frames, window), -2, -3)


def frame_sdr(*, reference: Array, estimate: Array, sample_rate: int) -> Array:
    """Return the SDR of every frame in dB, (n_frames,); infinite or NaN where an energy is zero.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
        sample_rate: in Hz.
    """
    s, e = full_scale(reference, estimate)
    target = _frame_energy(frames(s, sample_rate))
    residual = _frame_energy(frames(s - e, sample_rate))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Array = 10.0 * np.log10(target / residual)
    return ratios


def _frame_energy(framed: Array) -> Array:
    return np.asarray(np.einsum("...fct,...fct->...f", framed, framed))


def _silent_for_museval(samples: Array, sample_rate: int) -> Mask:
    """Return the frames that museval counts as silent, (..., n_frames): channels add to zero."""
    silent: Mask = (frames(samples, sample_rate).sum(axis=-2) == 0.0).all(axis=-1)
    return silent


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    """Score each reference; one that is silent throughout hides no frame of the others."""
    sounding = [index for index in range(len(item.references)) if item.references[index].any()]
    silent_reference: Mask = np.logical_or.reduce(item.shared(_silent_references)[sounding], axis=0)
    silent = silent_reference.copy()
    for index in set(sounding) & estimates.keys():
        silent |= _silent_for_museval(estimates[index], item.sample_rate)
    silence = Reason.SILENT_REFERENCE if silent_reference.all() else Reason.SILENT_ESTIMATE
    return {
        index: _score_reference(item, index, estimate, silent, silence)
        for index, estimate in estimates.items()
    }


def _silent_references(item: ScoringItem) -> Mask:
    return _silent_for_museval(item.references, item.sample_rate)


def _score_reference(
    item: ScoringItem, index: int, estimate: Array, silent: Mask, silence: Reason
) -> Scores:
    """Score one reference; museval skips the frames in `silent`, where any source is silent."""
    reference = item.references[index]
    sdr = frame_sdr(reference=reference, estimate=estimate, sample_rate=item.sample_rate)
    active = _active(full_scale(reference)[0], item.sample_rate)
    counts = (float(len(sdr)), float(active.sum()), float(silent.sum()))
    hidden = silent | np.isnan(sdr)
    if not reference.any():
        compat: Score = Missing(Reason.SILENT_REFERENCE)
    else:
        compat = _median(sdr[~hidden], Missing(silence, "in every frame, of one source or another"))
    strict = np.maximum(sdr[active], FLOOR_DB)
    return {
        COMPAT: compat,
        STRICT: _median(strict, Missing(Reason.SILENT_REFERENCE)),
        **dict(zip(COUNTS, counts, strict=True)),
    }


def _active(reference: Array, sample_rate: int) -> Mask:
    """Return the frames of a reference that are not silent beside its loudest."""
    energies = _frame_energy(frames(reference, sample_rate))
    active: Mask = energies > energies.max() * 10 ** (-DYNAMIC_RANGE_DB / 10)
    return active


def _median(sdr: Array, empty: Missing) -> Score:
    """Return the median over frames, or `empty` without any; perfect frames count as highest."""
    if len(sdr) == 0:
        return empty
    median = float(np.median(sdr))
    if np.isfinite(median):
        return median
    return Missing(Reason.PERFECT if median > 0 else Reason.ORTHOGONAL_ESTIMATE)


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
