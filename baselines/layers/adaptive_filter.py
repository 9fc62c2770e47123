"""What echo cancellers share: an adaptive filter between the far end and the mixture.

A bulk delay, tracked from block to block, comes first, so that the filter need not be as long as
the delay of a sound card or a network. Axes: b batch, channels, time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from baselines.fake_tensors import has_data
from baselines.layers.bulk_delay import DelayTracker
from baselines.separator import Hyperparameters, Separator, require

Signal = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class CancellerHyperparameters(Hyperparameters):
    """The length of the filter and the delays before it; all sources have the same estimate."""

    n_src: int = 1
    sample_rate: int = 16000
    tail_s: float = 0.128  # length of the filter
    longest_delay_s: float = 0.5  # of the bulk delay; 0: none is looked for

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.tail_s <= 2, f"tail_s is {self.tail_s}; it can be above 0 and up to 2 s.")
        require(
            0 <= self.longest_delay_s <= 2,
            f"longest_delay_s is {self.longest_delay_s}; it can be 0 to 2 s.",
        )

    @property
    def taps(self) -> int:
        """Length of the filter in samples."""
        return max(round(self.tail_s * self.sample_rate), 1)


class Cancelled(NamedTuple):
    """What is left of a mixture after an adaptive filter.

    Attributes:
        error: the mixture without the estimated echo, shape (b, channels, time).
        leakage: share of the estimated echo's power that is estimated to be left, at each sample,
            (b, channels, time).
    """

    error: Tensor
    leakage: Tensor


class AdaptiveFilter(nn.Module):
    """Subtracts the echo of the far end from a mixture, each channel with a filter of its own.

    Subclasses write `cancel` and `macs_per_sample`.
    """

    macs_per_sample: float

    def __init__(self, h: CancellerHyperparameters) -> None:
        super().__init__()
        self.taps = h.taps
        self.tracker = None
        if h.longest_delay_s:
            self.tracker = DelayTracker(h.sample_rate, h.longest_delay_s)

    def cancel(self, mixture: Signal, far_end: Signal) -> tuple[Signal, Signal]:
        """Return error and leakage (time,) each of a mixture (time,) and a far end (time,)."""
        raise NotImplementedError

    @torch.no_grad()
    def forward(self, mixture: Tensor, far_end: Tensor) -> Cancelled:
        """Cancel the echo of a far end in a mixture, (b, channels, time) each.

        It runs on the CPU in double precision, and has no gradient.
        """
        require(
            far_end.shape == mixture.shape,
            f"The far end has shape {tuple(far_end.shape)}, the mixture {tuple(mixture.shape)}: "
            "give as many channels and samples of both.",
        )
        if not has_data(mixture):
            return Cancelled(torch.empty_like(mixture), torch.empty_like(mixture))
        signals = (s.detach().double().cpu().flatten(0, 1).numpy() for s in (mixture, far_end))
        pairs = [self.cancel(d, x) for d, x in zip(*signals, strict=True)]
        results = (torch.from_numpy(np.stack(parts)) for parts in zip(*pairs, strict=True))
        return Cancelled(*(r.reshape(mixture.shape).to(mixture) for r in results))

    def macs(self, given: Tensor, _output: Cancelled) -> int:
        """Return the MACs of a call, without Fourier transforms and the search for the delay."""
        return round(given.numel() * self.macs_per_sample)

    def delays(self, mixture: Signal, far_end: Signal, block: int) -> NDArray[np.int64]:
        """Return the bulk delay in each block of `block` samples, in samples."""
        starts = np.arange(0, len(mixture), block)
        if self.tracker is None:
            return np.zeros(len(starts), np.int64)
        return self.tracker.delays(mixture, far_end)[starts // self.tracker.hop]


def spans(delays: NDArray[np.int64], block: int, time: int) -> Iterator[tuple[int, int, int]]:
    """Yield start, stop and delay of each run of samples with one delay."""
    changes = np.flatnonzero(np.diff(delays)) + 1
    edges = [0, *(int(change) * block for change in changes), time]
    for start, stop in pairwise(edges):
        yield start, stop, int(delays[start // block])


def shifted(weights: Signal, by: int) -> Signal:
    """Return the taps (taps,) of the same filter `by` samples later, or earlier if negative.

    Taps that leave the filter are lost; new ones are 0.
    """
    moved = np.zeros_like(weights)
    kept = max(len(weights) - abs(by), 0)
    if by >= 0:
        moved[:kept] = weights[by : by + kept]
    else:
        moved[len(weights) - kept :] = weights[:kept]
    return moved


class EchoCanceller(Separator):
    """A separator that returns the mixture without the echo, for each of its sources.

    Subclasses set `filter`, an `AdaptiveFilter`.
    """

    inputs = ("far_end",)
    adapts = True
    causal = True
    look_ahead = 0
    filter: AdaptiveFilter

    def forward(self, mixture: Tensor, far_end: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mixture (b, channels, time) without echo, (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        cancelled: Cancelled = self.filter(mixture, far_end)
        return cancelled.error[:, None].repeat(1, self.n_src, 1, 1)
