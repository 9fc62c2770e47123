"""Band limitation without delay: a Butterworth filter that runs forward and backward.

Each edge is at -6 dB (-3 dB in each direction), and beyond it the level falls by 12 dB per octave
and order: 96 dB per octave at order 8. The bandwidth limitation of URGENT 2024, which resamples to
8, 16, 22.05, 24, 32 or 44.1 kHz, corresponds to `high_hz` of half these rates; a telephone band is
300 to 3400 Hz (ITU-T G.712).
"""

from typing import Any, Literal

import numpy as np
from pydantic import Field, model_validator
from scipy.signal import butter, sosfiltfilt

from mixgen.audio.read import Samples
from mixgen.core.errors import InputError
from mixgen.degradations.degradation import BaseDegradation, BaseRule, DegradationKind
from mixgen.scenes.distributions import Distribution
from mixgen.scenes.draws import Draws


def _check_edges(low_hz: Any, high_hz: Any) -> None:
    if low_hz is None and high_hz is None:
        raise ValueError("a band needs `low_hz`, `high_hz` or both")


class Band(BaseDegradation):
    """Keep the band from `low_hz` to `high_hz`; None leaves that side open."""

    name: Literal["band"]
    low_hz: float | None = Field(default=None, gt=0)
    high_hz: float | None = Field(default=None, gt=0)
    order: int = Field(default=8, ge=1, le=16)

    @model_validator(mode="after")
    def _edges_are_a_band(self) -> "Band":
        _check_edges(self.low_hz, self.high_hz)
        if self.low_hz is not None and self.high_hz is not None and self.low_hz >= self.high_hz:
            raise ValueError(f"low_hz ({self.low_hz:g}) must be below high_hz ({self.high_hz:g})")
        return self

    def apply(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the filtered samples.

        A `high_hz` at or above half the sample rate removes nothing.

        Raises:
            InputError: `low_hz` is at or above half the sample rate, so that nothing remains.
        """
        half_rate = sample_rate / 2
        if self.low_hz is not None and self.low_hz >= half_rate:
            raise InputError(
                f"A band from {self.low_hz:g} Hz on leaves nothing at {sample_rate} Hz: "
                f"choose a low_hz below {half_rate:g}."
            )
        filtered = samples
        if self.low_hz is not None:
            filtered = self._filter(filtered, self.low_hz, "highpass", sample_rate)
        if self.high_hz is not None and self.high_hz < half_rate:
            filtered = self._filter(filtered, self.high_hz, "lowpass", sample_rate)
        return filtered.copy() if filtered is samples else filtered

    def _filter(self, samples: Samples, edge_hz: float, side: str, sample_rate: int) -> Samples:
        sections = butter(self.order, edge_hz, side, fs=sample_rate, output="sos")
        # scipy's default extension of both ends, or as much as a short signal allows.
        extension = min(3 * (2 * len(sections) + 1), samples.shape[1] - 1)
        return np.asarray(sosfiltfilt(sections, samples, axis=1, padlen=extension))


class BandRule(BaseRule):
    """How bands are drawn; edges in Hz."""

    name: Literal["band"]
    low_hz: Distribution | None = None
    high_hz: Distribution | None = None
    order: int = Field(default=8, ge=1, le=16)

    @model_validator(mode="after")
    def _has_an_edge(self) -> "BandRule":
        _check_edges(self.low_hz, self.high_hz)
        return self

    def _drawn(self, draws: Draws) -> Band:
        return Band(
            name="band",
            low_hz=draws.optional("low_hz", self.low_hz),
            high_hz=draws.optional("high_hz", self.high_hz),
            order=self.order,
        )


DEGRADATION = DegradationKind(record=Band, rule=BandRule)
