"""The result of scoring one reference: a finite number, or the reason why it has none."""

import math
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a value is missing: either a failure (`is_failure`), or the value is not defined."""

    PERFECT = "perfect"
    ONE_REFERENCE = "one_reference"
    SILENT_REFERENCE = "silent_reference"
    TOO_SHORT = "too_short"
    NOT_APPLICABLE = "not_applicable"
    NOT_INSTALLED = "not_installed"
    SILENT_ESTIMATE = "silent_estimate"
    ORTHOGONAL_ESTIMATE = "orthogonal_estimate"
    MISSING_ESTIMATE = "missing_estimate"
    NON_FINITE_ESTIMATE = "non_finite_estimate"
    WRONG_SHAPE = "wrong_shape"
    WRONG_COUNT = "wrong_count"
    METRIC_ERROR = "metric_error"
    TIMEOUT = "timeout"
    CRASH = "crash"

    @property
    def is_failure(self) -> bool:
        """Whether the value is missing because of the estimate or of the metric program."""
        return self not in _BLAMELESS


_BLAMELESS = {
    Reason.PERFECT,
    Reason.ONE_REFERENCE,
    Reason.SILENT_REFERENCE,
    Reason.TOO_SHORT,
    Reason.NOT_APPLICABLE,
    Reason.NOT_INSTALLED,
}


@dataclass(frozen=True)
class Missing:
    """The reason for a missing value; written as `code` or `code: detail`."""

    reason: Reason
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}" if self.detail else str(self.reason)


Score = float | Missing
Scores = dict[str, Score]


def reason_of(text: str) -> Reason:
    """Return the code that a written reason begins with.

    Raises:
        ValueError: the text does not begin with a code.
    """
    return Reason(text.split(":")[0])


def decibels(*, target: float, residual: float, limit_db: float) -> Score:
    """Return 10 log10(target / residual) in dB, or the reason why the ratio is not defined.

    Args:
        target: energy of the target part of an estimate, linear.
        residual: energy of the rest, linear.
        limit_db: beyond +-`limit_db` one of the energies is rounding error: the estimate is perfect
            or contains nothing of the target.
    """
    if target <= 0.0 and residual <= 0.0:
        return Missing(Reason.SILENT_ESTIMATE)
    limit = 10.0 ** (limit_db / 10.0)
    if target >= residual * limit:
        return Missing(Reason.PERFECT)
    if residual >= target * limit:
        return Missing(Reason.ORTHOGONAL_ESTIMATE)
    return 10.0 * math.log10(target / residual)
