"""Hard or soft clipping without delay, at a threshold relative to the mixture.

The threshold is a quantile of the absolute samples, or some dB below the peak. URGENT 2024 clips at
the quantiles 0.1 and 0.9 of the signed samples, which equals a `quantile` of 0.8 if both halves are
alike. Soft clipping is a hyperbolic tangent, which bends long before the threshold and never
reaches it.
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator

from mixgen.audio.read import Samples, peak
from mixgen.degradations.degradation import BaseDegradation, BaseRule, DegradationKind, Options
from mixgen.scenes.distributions import Distribution
from mixgen.scenes.draws import Draws

Shape = Literal["hard", "soft"]


def _check_threshold(quantile: Any, below_peak_db: Any) -> None:
    if (quantile is None) == (below_peak_db is None):
        raise ValueError("clipping needs either `quantile` or `below_peak_db`")


class Clipping(BaseDegradation):
    """Clip all channels at one threshold.

    `quantile` is the share of the samples below the threshold, without samples of exactly 0.
    """

    name: Literal["clipping"]
    quantile: float | None = Field(default=None, gt=0, le=1)
    below_peak_db: float | None = Field(default=None, ge=0, le=120)
    shape: Shape = "hard"

    @model_validator(mode="after")
    def _has_one_threshold(self) -> "Clipping":
        _check_threshold(self.quantile, self.below_peak_db)
        return self

    def apply(self, samples: Samples, sample_rate: int) -> Samples:  # noqa: ARG002
        """Return the clipped samples; silence does not change."""
        threshold = self.threshold(samples)
        if threshold == 0:
            return samples.copy()
        if self.shape == "hard":
            return np.clip(samples, -threshold, threshold)
        return np.asarray(threshold * np.tanh(samples / threshold))

    def threshold(self, samples: Samples) -> float:
        """Return the value at which (channels, time) samples are clipped; 0 for silence."""
        if self.quantile is None:
            return peak(samples) * float(10.0 ** (-(self.below_peak_db or 0.0) / 20.0))
        # Pauses of exact zeros would lower the threshold of a sparse mixture to 0.
        sounding = np.abs(samples[samples != 0])
        return float(np.quantile(sounding, self.quantile)) if sounding.size else 0.0


class ClippingRule(BaseRule):
    """How clipping is drawn: one of the two thresholds, and one shape or a list to choose from."""

    name: Literal["clipping"]
    quantile: Distribution | None = None
    below_peak_db: Distribution | None = None
    shape: Options[Shape] = ("hard",)

    @model_validator(mode="after")
    def _has_one_threshold(self) -> "ClippingRule":
        _check_threshold(self.quantile, self.below_peak_db)
        return self

    def _drawn(self, draws: Draws) -> Clipping:
        return Clipping(
            name="clipping",
            quantile=draws.optional("quantile", self.quantile),
            below_peak_db=draws.optional("below_peak_db", self.below_peak_db),
            shape=draws.choice("shape", self.shape),
        )


DEGRADATION = DegradationKind(record=Clipping, rule=ClippingRule)
