"""Columns that explain a score: the delay and the levels of an estimate."""

import math
from collections.abc import Mapping

import numpy as np
from scipy import signal

from evalsuite.metrics.item import Array, ScoringItem, full_scale, peak_exponent
from evalsuite.metrics.metric import ReferenceMetric, each_pair
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.si_sdr import centred, energy
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
    pairs = zip(*full_scale(estimate), *full_scale(reference), strict=True)
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
    return energy_db(estimate) - energy_db(mixture)


def gain_db(*, reference: Array, estimate: Array) -> Score:
    """Return the level of the estimate against its reference in dB, by least squares.

    With a the factor of the reference that is nearest to the estimate, 20 log10 |a|; the means of
    the channels are removed as in SI-SDR.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    s, e = (centred(*full_scale(samples)) for samples in (reference, estimate))
    if not s.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not e.any():
        return Missing(Reason.SILENT_ESTIMATE)
    gain = abs(float(e @ s)) / energy(s)
    if gain == 0.0:
        return Missing(Reason.ORTHOGONAL_ESTIMATE)
    doublings = peak_exponent(estimate) - peak_exponent(reference)
    return 20.0 * (math.log10(gain) + doublings * math.log10(2.0))


def peak_dbfs(*, reference: Array, estimate: Array) -> Score:  # noqa: ARG001
    """Return the largest magnitude of the estimate's samples in dB of full scale, 1.

    Args:
        reference: not used.
        estimate: shape (channels, time).
    """
    if not estimate.any():
        return Missing(Reason.NOT_APPLICABLE, "silent")
    return 20.0 * math.log10(float(np.abs(estimate).max()))


def energy_db(samples: Array) -> float:
    """Return 10 log10 of the sum of squares, for samples that are not all zero."""
    doublings = peak_exponent(samples)
    return 10.0 * math.log10(energy(*full_scale(samples))) + 20.0 * doublings * math.log10(2.0)


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
        floor=None,
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
        floor=None,
        diagnostics=("leak_db",),
    ),
    ReferenceMetric(
        name="gain",
        columns=(),
        score=each_pair("gain_db", gain_db),
        unit="dB",
        tasks=ALL_TASKS,
        parameters={"mean": "removed from both", "channels": "one vector"},
        source="20 log10(<e, s> / |s|^2)",
        floor=None,
        diagnostics=("gain_db",),
    ),
    ReferenceMetric(
        name="peak",
        columns=(),
        score=each_pair("peak_dbfs", peak_dbfs),
        unit="dBFS",
        tasks=ALL_TASKS,
        parameters={},
        source="20 log10 of the largest magnitude",
        floor=None,
        diagnostics=("peak_dbfs",),
    ),
)
