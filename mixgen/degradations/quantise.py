"""Quantisation to fewer bits, with or without dither, without delay.

The dither is the sum of two rectangular ones and so triangular from -1 to 1 step. For any signal it
makes the mean of the error zero and its power a quarter of a squared step (S. P. Lipshitz, R. A.
Wannamaker and J. Vanderkooy, "Quantization and dither: a theoretical survey", J. Audio Eng. Soc.
40(5), 1992).
"""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field, Strict

from mixgen.audio.read import Samples
from mixgen.degradations.degradation import (
    BaseDegradation,
    BaseRule,
    DegradationKind,
    Options,
    Seed,
)
from mixgen.scenes.distributions import Distribution
from mixgen.scenes.draws import Draws

Dither = Literal["none", "tpdf"]


class Quantise(BaseDegradation):
    """Round to `bits` bits per sample, full scale included; `seed` decides the dither."""

    name: Literal["quantise"]
    bits: Annotated[int, Strict(False)] = Field(ge=8, le=24)  # a draw gives 16.0
    dither: Dither = "none"
    seed: Seed = 0

    def apply(self, samples: Samples, sample_rate: int) -> Samples:  # noqa: ARG002
        """Return whole multiples of 2^(1 - bits), clipped to the range of a word."""
        step = 2.0 ** (1 - self.bits)
        steps = samples / step
        if self.dither == "tpdf":
            # The legacy generator: numpy guarantees that its numbers never change.
            first, second = np.random.RandomState(self.seed).random_sample((2, *samples.shape))
            steps += first - second
        return np.clip(np.rint(steps) * step, -1.0, 1.0 - step)


class QuantiseRule(BaseRule):
    """How words are drawn: a whole number of bits, and one dither or a list to choose from."""

    name: Literal["quantise"]
    bits: Distribution
    dither: Options[Dither] = ("none",)

    def _drawn(self, draws: Draws) -> Quantise:
        bits = draws.number("bits", self.bits)
        return Quantise(
            name="quantise",
            bits=bits,  # type: ignore[arg-type]  # pydantic accepts 16.0 and refuses 16.5
            dither=draws.choice("dither", self.dither),
            seed=draws.seed("dither noise"),
        )


DEGRADATION = DegradationKind(record=Quantise, rule=QuantiseRule)
