"""Columns that explain a score: the delay of an estimate, the level of an estimate of silence."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import signal

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, each_pair
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.si_sdr import energy
from mixgen.core.vocabulary import ALL_TASKS, SOUND_TASKS, SPEECH_TASKS


def lag_samples(*, reference: Array, estimate: Array) -> Score:
    """Return the delay of the estimate in samples: the peak magnitude of the cross-correlation.

    Positive if the estimate is late. The correlations of several channels are added.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    pairs = zip(estimate, reference, strict=True)
    correlation = sum(signal.correlate(e, r, mode="full", method="fft") for e, r in pairs)
    return float(np.abs(correlation).argmax() - (reference.shape[-1] - 1))


def leak_db(*, estimate: Array, mixture: Array) -> Score:
    """Return the level of an estimate against the mixture, 10 log10(|e|^2 / |mixture|^2), in dB.

    It measures the leakage into an estimate whose reference is silent.

    Args:
        estimate: shape (channels, time).
        mixture: shape (channels, time).
    """
    if not estimate.any():
        return Missing(Reason.PERFECT, "silent, as it should be")
    if not mixture.any():
        return Missing(Reason.NOT_APPLICABLE, "the mixture is silent")
    return 10.0 * math.log10(energy(estimate) / energy(mixture))


def _leak(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    """Fill `leak_db` for silent references; other references do not get the column."""
    return {
        index: {}
        if item.references[index].any()
        else {"leak_db": leak_db(estimate=estimate, mixture=item.mixture)}
        for index, estimate in estimates.items()
    }


METRICS = (
    ReferenceMetric(
        name="lag",
        columns=(),
        score=each_pair("lag_samples", lag_samples),
        unit="samples",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={"peak": "largest magnitude of the cross-correlation"},
        source="cross-correlation",
        diagnostics=("lag_samples",),
    ),
    ReferenceMetric(
        name="leak",
        columns=(),
        score=_leak,
        unit="dB",
        tasks=ALL_TASKS,
        parameters={"reference": "silent", "relative_to": "mixture"},
        source="10 log10(|e|^2 / |mixture|^2)",
        diagnostics=("leak_db",),
    ),
)
