"""BSS Eval version 3, "sources": SDR, SIR and SAR after a 512-tap distortion filter.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation",
IEEE Trans. ASLP 14(4), 2006. The estimate is projected on the span of its own reference delayed
by 0 to 511 samples, and on the span of all references with these delays:

    estimate = own + interference + artifacts
    SDR = |own|^2 / |estimate - own|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2

The correlations of the references are computed once per item, for all estimates and for the
mixture.
"""

from collections.abc import Mapping

import numpy as np

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, mean_score
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, decibels
from evalsuite.metrics.projection import TAPS, DelaySpans, Energies
from evalsuite.metrics.si_sdr import FLOOR_DB
from mixgen.core.vocabulary import SOUND_TASKS, SPEECH_TASKS

# Rounding errors of the normal equations lie this deep.
LIMIT_DB = 150.0

COLUMNS = ("sdr_bss512", "sir_bss512", "sar_bss512")


def undefined(reference: Array, estimate: Array) -> Missing | None:
    """Return why BSS Eval is not defined for a reference and its estimate, both (..., time)."""
    n_samples = estimate.shape[-1]
    if n_samples < TAPS:
        return Missing(Reason.TOO_SHORT, f"{n_samples} samples; the filter alone has {TAPS}")
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    return None


def ratio(target: Array, residual: Array) -> Score:
    """Return the ratio of two energies in dB, each an array of one number."""
    return decibels(target=target.item(), residual=residual.item(), limit_db=LIMIT_DB)


def note_solver(item: ScoringItem, spans: DelaySpans) -> None:
    """Note if normal equations were singular."""
    if routes := spans.routes - {"recursion", "cholesky"}:
        item.notes["bss512_solver"] = ", ".join(sorted(routes))


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    by_channel = [
        _score_channel(item, channel, {i: e[channel] for i, e in estimates.items()})
        for channel in range(item.references.shape[1])
    ]
    return {
        i: {column: mean_score([scores[i][column] for scores in by_channel]) for column in COLUMNS}
        for i in estimates
    }


def _score_channel(
    item: ScoringItem, channel: int, estimates: Mapping[int, Array]
) -> dict[int, Scores]:
    """Score mono estimates, (time,) each."""
    references = item.references[:, channel]
    scores: dict[int, Scores] = {
        i: dict.fromkeys(COLUMNS, problem)
        for i, estimate in estimates.items()
        if (problem := undefined(references[i], estimate))
    }
    scored = {i: estimate[None] for i, estimate in estimates.items() if i not in scores}
    if not scored:
        return scores
    spans = item.shared(_spans)[channel]
    alone = references.any(axis=-1).sum() == 1
    for index, energies in spans.energies(scored).items():
        scores[index] = _ratios(energies, alone=alone)
    note_solver(item, spans)
    return scores


def _ratios(energies: Energies, *, alone: bool) -> Scores:
    sir = ratio(energies.own, energies.every_minus_own)
    return {
        "sdr_bss512": ratio(energies.own, energies.estimate_minus_own),
        "sir_bss512": Missing(Reason.ONE_REFERENCE) if alone else sir,
        "sar_bss512": ratio(energies.every, energies.estimate_minus_every),
    }


def _spans(item: ScoringItem) -> list[DelaySpans]:
    """Return the spans of the references of each channel."""
    return [DelaySpans(channel[:, None]) for channel in np.moveaxis(item.references, 1, 0)]


METRICS = (
    ReferenceMetric(
        name="bss512",
        columns=COLUMNS,
        score=_score,
        unit="dB",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={
            "taps": TAPS,
            "delays": "0 to 511 samples, causal",
            "window": "whole item",
            "channels": "mean of mono values",
            "limit_db": LIMIT_DB,
        },
        source="Vincent, Gribonval, Fevotte, IEEE TASLP 14(4), 2006; BSS Eval 3 sources",
        floor=FLOOR_DB,
        improvements=("sdr_bss512", "sir_bss512"),
    ),
)
