"""SDR of BSS Eval version 4 (museval), which music leaderboards report.

F.-R. Stoter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018.
In version 4 the three error terms add up to the estimate minus the reference, whatever the
filters, so the SDR of a frame is 10 log10(|s|^2 / |s - e|^2) over its samples and channels.
Frames: 1 s long, 1 s apart; a last partial frame is dropped. Score of a track: median of frames.
"""

from collections.abc import Mapping

import numpy as np

from evalsuite.metrics.framewise import (
    PARAMETERS,
    Mask,
    active_frames,
    compat_median,
    frames,
    hidden_frames,
    loud_frames,
    median,
)
from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores
from mixgen.core.vocabulary import STEM_TASKS

# The SDR of silence.
FLOOR_DB = 0.0
# Energies below this lose digits, unless they are those of silence.
SMALLEST_ENERGY = 1e-200
COMPAT, STRICT = "sdr_v4_med", "sdr_v4_strict_med"
COUNTS = ("sdr_v4_n_frames", "sdr_v4_n_active", "sdr_v4_n_nan")


def frame_sdr(*, reference: Array, estimate: Array, sample_rate: int) -> Array:
    """Return the SDR of every frame in dB, (n_frames,); infinite or NaN where an energy is zero.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
        sample_rate: in Hz.
    """
    return _decibels(*_energies_of_frames(reference, estimate, sample_rate))


def _decibels(target: Array, residual: Array) -> Array:
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
    target, residual = _energies_of_frames(reference, estimate, item.sample_rate)
    sdr = _decibels(target, residual)
    # At the scale of a far louder estimate, energies of the reference vanish.
    active = loud_frames(target) if target.all() else active_frames(reference, item.sample_rate)
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
            **PARAMETERS,
            "strict": "all frames where the own reference is active; below the floor, the floor",
        },
        source="Stoter, Liutkus, Ito, LVA/ICA 2018; museval 0.4.1",
        floor=FLOOR_DB,
        improvements=(COMPAT, STRICT),
        diagnostics=COUNTS,
    ),
)
