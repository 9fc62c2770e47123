"""The loudness of an estimate against that of its reference.

ITU-R BS.1770-4: K-weighting, blocks of 0.4 s every 0.1 s, an absolute and a relative gate.
"""

import math
from collections.abc import Mapping

from evalsuite.metrics.item import Array, ScoringItem, full_scale, peak_exponent
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from mixgen.audio.levels import gated_loudness

BLOCK_S = 0.4
GATE_LUFS = -70.0


def loudness_diff_lu(*, reference: Array, estimate: Array, sample_rate: int) -> Score:
    """Return the integrated loudness of the estimate minus that of the reference, in LU.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
        sample_rate: in Hz.
    """
    if reference.shape[-1] < BLOCK_S * sample_rate:
        return Missing(Reason.TOO_SHORT, f"less than one block of {BLOCK_S:g} s")
    wanted = _integrated_lufs(reference, sample_rate)
    if wanted is None:
        return Missing(Reason.SILENT_REFERENCE, f"no block above {GATE_LUFS:g} LUFS")
    found = _integrated_lufs(estimate, sample_rate)
    if found is None:
        return Missing(Reason.SILENT_ESTIMATE, f"no block above {GATE_LUFS:g} LUFS")
    return found - wanted


def _integrated_lufs(samples: Array, sample_rate: int) -> float | None:
    """Return the loudness of samples of any finite level; None where the gate leaves no block."""
    shift_db = 20.0 * math.log10(2.0) * peak_exponent(samples)
    (scaled,) = full_scale(samples)
    loudness = gated_loudness(scaled, sample_rate, gate_db=GATE_LUFS - shift_db)
    return None if loudness is None else loudness + shift_db


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    return {
        index: {
            "loudness_diff_lu": loudness_diff_lu(
                reference=item.references[index], estimate=estimate, sample_rate=item.sample_rate
            )
        }
        for index, estimate in estimates.items()
    }


METRICS = (
    ReferenceMetric(
        name="loudness",
        columns=(),
        score=_score,
        unit="LU",
        tasks=frozenset(),
        parameters={
            "block_s": BLOCK_S,
            "step_s": 0.1,
            "absolute_gate_lufs": GATE_LUFS,
            "relative_gate_lu": -10.0,
            "channels": "weights of BS.1770",
        },
        source="ITU-R BS.1770-4 (2015)",
        floor=None,
        diagnostics=("loudness_diff_lu",),
    ),
)
