"""NLMS: a transversal filter in the time domain that follows the echo path sample by sample.

The normalised least mean squares algorithm (Haykin, "Adaptive Filter Theory"; Nagumo and Noda, IEEE
Trans. Automatic Control 12(3), 1967). It adapts at a constant rate: talk at the near end disturbs
it, which is what the baseline shows. Axes: time.
"""

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from baselines.layers.adaptive_filter import (
    AdaptiveFilter,
    CancellerHyperparameters,
    EchoCanceller,
    Signal,
    shifted,
    spans,
)
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, require
from mixgen.audio.compiled import kernels


@dataclass(frozen=True, kw_only=True)
class NlmsHyperparameters(CancellerHyperparameters):
    """The symbols of Haykin: the step mu and the regularisation delta."""

    mu: float = 0.5
    delta_db: float = -50.0  # power that is added for each tap, in dB full scale
    pre_emphasis: float = 0.9  # whitens speech for the filter; the output is not emphasised

    def __post_init__(self) -> None:
        super().__post_init__()
        require(0 < self.mu < 2, f"mu is {self.mu}; it can be above 0 and below 2.")
        require(
            0 <= self.pre_emphasis < 1, f"pre_emphasis is {self.pre_emphasis}; it can be 0 to 1."
        )


def nlms(
    regressors: Signal, desired: Signal, weights: Signal, *, mu: float, delta: float, hop: int = 1
) -> Signal:
    """Return the errors (time,) of a filter that adapts; `weights` (taps,) are altered in place.

    The regressor at time n is `regressors[n * hop : n * hop + taps]`: the last samples of a signal,
    the latest one last, for a hop of 1, independent vectors for a hop of `taps`.

    Args:
        regressors: shape (time * hop + taps - hop,) or longer.
        desired: shape (time,).
        weights: of the filter, in the order of a regressor.
        mu: step, above 0 and below 2.
        delta: is added to the energy of a regressor.
        hop: samples from one regressor to the next.
    """
    taps, errors = len(weights), np.empty(len(desired))
    squares = np.concatenate([[0.0], np.cumsum(np.square(regressors))])
    starts = np.arange(len(desired)) * hop
    energies = squares[starts + taps] - squares[starts]
    steps = mu / (np.maximum(energies, 0.0) + delta)
    compiled = kernels()
    if compiled is not None:
        compiled.normalised_lms(regressors, desired, steps, hop, weights, errors)
        return errors
    for n, start in enumerate(starts.tolist()):
        regressor = regressors[start : start + taps]
        errors[n] = desired[n] - weights @ regressor
        weights += (steps[n] * errors[n]) * regressor
    return errors


class NlmsFilter(AdaptiveFilter):
    """NLMS behind a bulk delay, on signals with a flatter spectrum."""

    def __init__(self, h: NlmsHyperparameters) -> None:
        super().__init__(h)
        self.h = h
        self.macs_per_sample = 2 * self.taps

    def cancel(self, mixture: Signal, far_end: Signal) -> tuple[Signal, Signal]:
        """Return error and leakage (time,); the leakage is not known, and counts as 0."""
        block = self.tracker.hop if self.tracker else len(mixture)
        delays = self.delays(mixture, far_end, block)
        emphasis = [1.0, -self.h.pre_emphasis]
        before = self.taps - 1 + int(delays.max())
        played = np.pad(lfilter(emphasis, [1.0], far_end), (before, 0))
        heard = lfilter(emphasis, [1.0], mixture)
        weights = np.zeros(self.taps)  # the latest sample's last
        errors = np.empty(len(mixture))
        delta = self.taps * 10 ** (self.h.delta_db / 10)
        last = 0
        for start, stop, delay in spans(delays, block, len(mixture)):
            weights = shifted(weights[::-1], delay - last)[::-1].copy()
            begin = before - delay - (self.taps - 1) + start
            regressors = played[begin : begin + stop - start + self.taps - 1]
            errors[start:stop] = nlms(
                regressors, heard[start:stop], weights, mu=self.h.mu, delta=delta
            )
            last = delay
        return lfilter([1.0], emphasis, errors), np.zeros(len(mixture))


class Nlms(EchoCanceller):
    """The mixture without what an NLMS filter predicts of it from the far end."""

    hyperparameters_class = NlmsHyperparameters

    def __init__(self, hyperparameters: NlmsHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.filter = NlmsFilter(hyperparameters)


NLMS = ModelSpec(
    name="nlms",
    title="NLMS echo canceller",
    task="echo_cancellation",
    paper="Nagumo and Noda, IEEE Transactions on Automatic Control 12(3), 1967",
    reference_licence="none read; compared with the closed forms of its theory",
    separator=Nlms,
    not_reproduced="Double-talk detectors, which stop the filter while the near end talks.",
)


@NLMS.variant()
def half_step() -> Hyperparameters:
    """A step of 0.5 over a tail of 128 ms."""
    return NlmsHyperparameters()
