"""The assignment of estimates to references: one per item, shared by all metrics.

Hungarian assignment (H. W. Kuhn, 1955) that maximises the sum of SI-SDR with means removed, no
pair below the floor of the metric.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from evalsuite.metrics.item import Array
from evalsuite.metrics.si_sdr import FLOOR_DB, pairwise_si_sdr


@dataclass(frozen=True)
class Permutation:
    """An assignment of estimates to references.

    Attributes:
        estimate_of: for each reference the index of its estimate, or None.
        extra: indices of the estimates that are assigned to no reference.
    """

    estimate_of: tuple[int | None, ...]
    extra: tuple[int, ...]

    @property
    def missing(self) -> tuple[int, ...]:
        """Indices of the references without an estimate."""
        return tuple(i for i, estimate in enumerate(self.estimate_of) if estimate is None)


def in_order(estimates: Sequence[Array | None]) -> Permutation:
    """Return the assignment of estimate i to reference i, for estimates with reference names."""
    return Permutation(tuple(None if e is None else i for i, e in enumerate(estimates)), ())


def best_permutation(*, references: Array, estimates: Sequence[Array | None]) -> Permutation:
    """Return the assignment of min(n_ref, n_est) pairs with the highest sum of SI-SDR.

    Args:
        references: shape (n_ref, channels, time).
        estimates: n_est arrays of shape (channels, time), None for one that is missing; n_est may
            differ from n_ref, and may be 0.
    """
    present = [(i, estimate) for i, estimate in enumerate(estimates) if estimate is not None]
    estimate_of: list[int | None] = [None] * len(references)
    if present and len(references):
        gains = pairwise_si_sdr(references=references, estimates=[e for _, e in present])
        # A hopeless estimate must not outweigh the good ones.
        gains = np.maximum(gains, FLOOR_DB)
        for reference, column in zip(*linear_sum_assignment(gains, maximize=True), strict=True):
            estimate_of[int(reference)] = present[int(column)][0]
    extra = tuple(i for i, _ in present if i not in estimate_of)
    return Permutation(tuple(estimate_of), extra)
