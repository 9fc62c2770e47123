"""Packets lost in bursts, by the two-state model of Gilbert (1960), without delay.

E. N. Gilbert, "Capacity of a burst-noise channel", Bell System Technical Journal 39(5), 1960, in
its simple form: every packet in the bad state is lost, and none in the good state. All channels
lose the same packets.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mixgen.audio.read import Samples
from mixgen.degradations.degradation import (
    BaseDegradation,
    BaseRule,
    DegradationKind,
    Options,
    Seed,
)
from mixgen.scenes.distributions import Distribution, constant
from mixgen.scenes.draws import Draws

Concealment = Literal["zero", "repeat"]

_FADE_PER_PACKET = 0.5


class PacketLoss(BaseDegradation):
    """Lose packets, and conceal them by zeros or by the last packet before, which fades out.

    `loss_rate` is the expected share of lost packets, and `mean_burst` the expected number of
    lost packets in a row; independent losses have a `mean_burst` of 1 / (1 - loss_rate). `seed`
    decides which packets are lost.
    """

    name: Literal["packet_loss"]
    packet_ms: float = Field(default=20.0, ge=1, le=1000)
    loss_rate: float = Field(ge=0, lt=1)
    mean_burst: float = Field(ge=1, le=10_000)
    concealment: Concealment = "zero"
    seed: Seed

    @model_validator(mode="after")
    def _bursts_reach_the_loss_rate(self) -> "PacketLoss":
        highest = self.mean_burst / (self.mean_burst + 1)
        if self.loss_rate > highest:
            raise ValueError(
                f"bursts of {self.mean_burst:g} packets with at least one between them lose at "
                f"most {highest:.3g} of all, not {self.loss_rate:g}"
            )
        return self

    def apply(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the samples with the lost packets concealed."""
        size = max(1, round(self.packet_ms / 1000 * sample_rate))
        lost = self.lost_packets(-(-samples.shape[1] // size))
        received = samples.copy()
        edges = np.flatnonzero(np.diff(lost.astype(np.int8), prepend=0, append=0))
        for first, after in edges.reshape(-1, 2):  # one row for each burst
            self._conceal(received, first * size, after - first, size)
        return received

    def lost_packets(self, count: int) -> NDArray[np.bool_]:
        """Return which of `count` packets are lost, shape (count,)."""
        stays_bad = 1.0 - 1.0 / self.mean_burst
        turns_bad = (1.0 - stays_bad) * self.loss_rate / (1.0 - self.loss_rate)
        # The legacy generator: numpy guarantees that its numbers never change.
        numbers = np.random.RandomState(self.seed).random_sample(count)
        lost = np.zeros(count, dtype=bool)
        chance = self.loss_rate
        for packet, number in enumerate(numbers):
            lost[packet] = number < chance
            chance = stays_bad if lost[packet] else turns_bad
        return lost

    def _conceal(self, received: Samples, start: int, count: int, size: int) -> None:
        """Fill a burst of `count` lost packets from sample `start` on, in place."""
        gap = received[:, start : start + count * size]
        if self.concealment == "zero" or start == 0:
            gap[:] = 0.0
            return
        repeated = np.tile(received[:, start - size : start], (1, count))
        # One straight line per packet, down to half of its first value.
        levels = _FADE_PER_PACKET ** np.arange(count + 1)
        fade = np.interp(np.arange(count * size) / size, np.arange(count + 1), levels)
        gap[:] = (repeated * fade)[:, : gap.shape[1]]


class PacketLossRule(BaseRule):
    """How packet losses are drawn: one concealment, or a list to choose from."""

    name: Literal["packet_loss"]
    packet_ms: Distribution = constant(20.0)
    loss_rate: Distribution
    mean_burst: Distribution
    concealment: Options[Concealment] = ("zero",)

    def _drawn(self, draws: Draws) -> PacketLoss:
        return PacketLoss(
            name="packet_loss",
            packet_ms=draws.number("packet_ms", self.packet_ms),
            loss_rate=draws.number("loss_rate", self.loss_rate),
            mean_burst=draws.number("mean_burst", self.mean_burst),
            concealment=draws.choice("concealment", self.concealment),
            seed=draws.seed("packets"),
        )


DEGRADATION = DegradationKind(record=PacketLoss, rule=PacketLossRule)
