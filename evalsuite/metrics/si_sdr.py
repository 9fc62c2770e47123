"""Ratios without a distortion filter: SI-SDR with the means removed, and SNR.

J. Le Roux, S. Wisdom, H. Erdogan, J. R. Hershey, "SDR - half-baked or well done?", ICASSP 2019.
The channels form one vector: a level difference between channels counts as an error.
"""

import numpy as np

from evalsuite.metrics.item import Array, full_scale
from evalsuite.metrics.metric import ReferenceMetric, each_pair
from evalsuite.metrics.outcome import Missing, Reason, Score, decibels
from mixgen.core.vocabulary import ALL_TASKS

# In float64, a residual of rounding errors alone lies at least 300 dB below the signal.
LIMIT_DB = 280.0

# Silence has no SI-SDR; this is below what mixtures and poor estimates have, and the penalty that
# the P-SI-SNR of Zhu et al. (arXiv 2011.12022) takes for a talker that is missing.
FLOOR_DB = -30.0

# A signal that varies by less than this share of its level is constant, up to rounding.
_CONSTANT = 16 * np.finfo(np.float64).eps


def si_sdr(*, reference: Array, estimate: Array) -> Score:
    """Return the scale-invariant SDR in dB, after removing each channel's mean from both signals.

    With s the reference and e the estimate, as vectors over channels and time:
    a = <e, s> / |s|^2 and SI-SDR = 10 log10(|a s|^2 / |e - a s|^2). No epsilon is added to the
    energies, so the value does not depend on level.

    Args:
        reference: shape (channels, time).
        estimate: shape (channels, time).
    """
    s, e = (centred(*full_scale(samples)) for samples in (reference, estimate))
    if not s.any():
        return Missing(Reason.SILENT_REFERENCE)
    if not e.any():
        return Missing(Reason.SILENT_ESTIMATE)
    target = (e @ s) / (s @ s) * s
    return decibels(target=energy(target), residual=energy(e - target), limit_db=LIMIT_DB)


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


def centred(samples: Array) -> Array:
    """Remove the mean of every channel: (channels, time) to (channels * time,).

    The rounding error that remains of a constant signal becomes exactly zero.
    """
    flat: Array = (samples - samples.mean(axis=-1, keepdims=True)).reshape(-1)
    if energy(flat) <= _CONSTANT**2 * energy(samples):
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
)
