"""Ratios without a distortion filter: SI-SDR and its parts, SNR and SD-SDR.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019.
The channels form one vector: a level difference between channels counts as an error.
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
from scipy import linalg

from evalsuite.metrics.item import Array, ScoringItem, full_scale, peak_exponent, scaled
from evalsuite.metrics.metric import ReferenceMetric, each_pair
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, decibels
from mixgen.core.vocabulary import ALL_TASKS

# In float64, a residual of rounding errors alone lies at least 300 dB below the signal.
LIMIT_DB = 280.0

# The projection on the span of several references leaves larger rounding errors.
SPAN_LIMIT_DB = 240.0

# Beyond this, inner products alone have lost the residual.
PAIR_LIMIT_DB = 120.0

# Silence has no SI-SDR; this is below what mixtures and poor estimates have, and the penalty that
# the P-SI-SNR of Zhu et al. (arXiv 2011.12022) takes for a talker that is missing.
FLOOR_DB = -30.0

# A signal that varies by less than so many rounding errors of its level is constant.
CONSTANT_EPS = 16


def si_sdr(*, reference: Array, estimate: Array, zero_mean: bool = True) -> Score:
    """Return the scale-invariant SDR in dB.

    With s the reference and e the estimate, as vectors over channels and time:
    a = <e, s> / |s|^2 and SI-SDR = 10 log10(|a s|^2 / |e - a s|^2). No epsilon is added to the
    energies, so the value does not depend on level.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
        zero_mean: whether each channel's mean is removed from both signals first.
    """
    pair = [*full_scale(reference), *full_scale(estimate)]
    s, e = (centred(samples) if zero_mean else samples.reshape(-1) for samples in pair)
    return _of_vectors(s, e)


def pairwise_si_sdr(*, references: Array, estimates: Sequence[Array]) -> Array:
    """Return the SI-SDR of all pairs in dB, means removed, shape (n_ref, n_est).

    They come from the products of all signals with each other, to be compared and not reported:
    exact up to `PAIR_LIMIT_DB`, and limited to it. A pair with silence has the lower limit.

    Args:
        references: shape (n_ref, channels, time).
        estimates: n_est arrays of shape (channels, time).
    """
    s, e = (_centred_rows(signals, references.shape[1:]) for signals in (references, estimates))
    energies = np.outer(np.einsum("rt,rt->r", s, s), np.einsum("et,et->e", e, e))
    explained = np.square(s @ e.T) / np.where(energies > 0.0, energies, 1.0)
    least = 10.0 ** (-PAIR_LIMIT_DB / 10.0)
    ratios = np.maximum(explained, least) / np.maximum(1.0 - explained, least)
    return np.asarray(10.0 * np.log10(ratios))


def _centred_rows(signals: Sequence[Array] | Array, shape: tuple[int, ...]) -> Array:
    """Return signals (channels, time) with means removed, near full scale, (n, channels * time)."""
    rows = np.empty((len(signals), *shape))
    for row, samples in zip(rows, signals, strict=True):
        scaled(samples, -peak_exponent(samples), out=row)
        row -= row.mean(axis=-1, keepdims=True)
    return rows.reshape(len(signals), math.prod(shape))


def _of_vectors(s: Array, e: Array) -> Score:
    if not s.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not e.any():
        return Missing(Reason.SILENT_ESTIMATE)
    target = (e @ s) / (s @ s) * s
    return decibels(target=energy(target), residual=energy(e - target), limit_db=LIMIT_DB)


def _si_sir_sar(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    """Split what SI-SDR counts as residual: other references, and what no reference explains.

    With P the projection on the span of all references, SI-SIR = |a s|^2 / |P e - a s|^2 and
    SI-SAR = |a s|^2 / |e - P e|^2.
    """
    basis = item.shared(_orthonormal_references)  # (rank, channels * time)
    return {
        index: _parts(centred(*full_scale(item.references[index])), estimate, basis)
        for index, estimate in estimates.items()
    }


def _parts(s: Array, estimate: Array, basis: Array) -> Scores:
    e = centred(*full_scale(estimate))
    if not s.any() or not e.any():
        silence = Reason.SILENT_REFERENCE if not s.any() else Reason.SILENT_ESTIMATE
        return dict.fromkeys(("si_sir", "si_sar"), Missing(silence))
    target, spanned = (e @ s) / (s @ s) * s, (basis @ e) @ basis
    own = energy(target)
    sir: Score = Missing(Reason.ONE_REFERENCE)
    if len(basis) > 1:
        interference = energy(spanned - target)
        sir = decibels(target=own, residual=interference, limit_db=SPAN_LIMIT_DB)
    sar = decibels(target=own, residual=energy(e - spanned), limit_db=SPAN_LIMIT_DB)
    return {"si_sir": sir, "si_sar": sar}


def _orthonormal_references(item: ScoringItem) -> Array:
    vectors = [centred(*full_scale(reference)) for reference in item.references]
    sounding = [vector / np.linalg.norm(vector) for vector in vectors if vector.any()]
    if not sounding:
        return np.zeros((0, item.mixture.size))
    return np.asarray(linalg.orth(np.stack(sounding).T).T)


def snr(*, reference: Array, estimate: Array) -> Score:
    """Return the SNR in dB, 10 log10(|s|^2 / |s - e|^2): errors of level and offset count.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    s, e = full_scale(reference, estimate)
    return decibels(target=energy(s), residual=energy(s - e), limit_db=LIMIT_DB)


def sd_sdr(*, reference: Array, estimate: Array) -> Score:
    """Return the scale-dependent SDR in dB: 10 log10(|a s|^2 / |s - e|^2), with a as in SI-SDR.

    It is the SNR less what a too quiet estimate (a < 1) lacks; means are kept.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not estimate.any():
        return Missing(Reason.SILENT_ESTIMATE)
    s, e = (samples.reshape(-1) for samples in full_scale(reference, estimate))
    target = (e @ s) / (s @ s) * s
    return decibels(target=energy(target), residual=energy(s - e), limit_db=LIMIT_DB)


def centred(samples: Array) -> Array:
    """Remove the mean of every channel: (channels, time) to (channels * time,).

    The rounding error that remains of a constant signal becomes exactly zero.
    """
    flat: Array = (samples - samples.mean(axis=-1, keepdims=True)).reshape(-1)
    if energy(flat) <= (CONSTANT_EPS * np.finfo(np.float64).eps) ** 2 * energy(samples):
        return np.zeros_like(flat)
    return flat


def energy(samples: Array) -> float:
    """Return the sum of squares over all axes."""
    flat = samples.reshape(-1)
    return float(flat @ flat)


METRICS = (
    ReferenceMetric(
        name="si_sdr",
        columns=("si_sdr",),
        score=each_pair("si_sdr", si_sdr),
        unit="dB",
        tasks=ALL_TASKS,
        parameters={"mean": "removed from both", "channels": "one vector", "limit_db": LIMIT_DB},
        source="Le Roux et al., ICASSP 2019, arXiv:1811.02508",
        floor=FLOOR_DB,
        improvements=("si_sdr",),
    ),
    ReferenceMetric(
        name="snr",
        columns=("snr",),
        score=each_pair("snr", snr),
        unit="dB",
        tasks=ALL_TASKS,
        parameters={"mean": "kept", "channels": "one vector", "limit_db": LIMIT_DB},
        source="10 log10(|s|^2 / |s - e|^2)",
        floor=0.0,
        improvements=("snr",),
    ),
    ReferenceMetric(
        name="si_sdr_nozm",
        columns=("si_sdr_nozm",),
        score=each_pair("si_sdr_nozm", partial(si_sdr, zero_mean=False)),
        unit="dB",
        tasks=frozenset(),
        parameters={"mean": "kept", "channels": "one vector", "limit_db": LIMIT_DB},
        source="Le Roux et al., ICASSP 2019, arXiv:1811.02508",
        floor=FLOOR_DB,
        improvements=("si_sdr_nozm",),
    ),
    ReferenceMetric(
        name="si_bss",
        columns=("si_sir", "si_sar"),
        score=_si_sir_sar,
        unit="dB",
        tasks=frozenset(),
        parameters={
            "mean": "removed from all",
            "channels": "one vector",
            "limit_db": SPAN_LIMIT_DB,
        },
        source="Le Roux et al., ICASSP 2019, arXiv:1811.02508",
        floor=FLOOR_DB,
        improvements=("si_sir",),
    ),
    ReferenceMetric(
        name="sd_sdr",
        columns=("sd_sdr",),
        score=each_pair("sd_sdr", sd_sdr),
        unit="dB",
        tasks=frozenset(),
        parameters={"mean": "kept", "channels": "one vector", "limit_db": LIMIT_DB},
        source="Le Roux et al., ICASSP 2019, arXiv:1811.02508",
        floor=FLOOR_DB,
        improvements=("sd_sdr",),
    ),
)
