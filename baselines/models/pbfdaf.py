"""PBFDAF: a partitioned filter in the frequency domain, whose rate falls by itself in double talk.

J.-M. Valin, "On Adjusting the Learning Rate in Frequency Domain Echo Cancellation With
Double-Talk", IEEE TASLP 15(3), 2007, over the multidelay block filter of Soo and Pang, IEEE TASSP
38(2), 1990. The best rate is the share of the residual echo in the error. The power of the residual
echo is taken as that of the estimated echo times a leakage, which is the regression of the changes
of the error's power on those of the estimated echo's: near-end talk changes at other times, so no
detector of double talk is needed.

The regression differs from the paper's in its weights: powers are divided by the mean power of the
estimated echo in their bin. Speech would otherwise let its loudest bins decide alone, whose echo is
cancelled first, and the other bins would stop early. Axes: partitions, bins, time.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from baselines.layers.adaptive_filter import (
    AdaptiveFilter,
    CancellerHyperparameters,
    EchoCanceller,
    Signal,
    shifted,
)
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, require

Spectrum = NDArray[np.complex128]

_TINY = 1e-12
_KEPT = 0.85  # of the smoothed powers, from block to block
_DIVERGED = 4.0  # times the power of the mixture
_STARTING = 20
_ATTENUATED = 0.3  # of the power of the mixture: 5 dB
_LEAST_POWER = 1e-9


@dataclass(frozen=True, kw_only=True)
class PbfdafHyperparameters(CancellerHyperparameters):
    """The paper's symbols where it has them."""

    block_s: float = 0.016
    mu_max: float = 0.7
    mu_start: float = 0.5  # until the filter attenuates, or has heard 20 times its length
    gamma: float = 0.1  # smoothing of the changes of the powers
    beta0: float = 0.05  # highest rate of the leakage's averages
    weighting: float = 0.005  # smoothing of the power that a bin's powers are divided by
    least_leakage: float = 0.2
    delta_db: float = -50.0  # power that is added to the far end's, in dB full scale

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            0 < self.block_s <= self.tail_s,
            f"block_s is {self.block_s}; it can be above 0 and up to tail_s.",
        )
        for name in ("mu_max", "mu_start", "gamma", "beta0", "weighting", "least_leakage"):
            given = getattr(self, name)
            require(0 < given <= 1, f"{name} is {given}; it can be above 0 and up to 1.")

    @property
    def block(self) -> int:
        """Samples of a block, half the length of a Fourier transform."""
        return max(round(self.block_s * self.sample_rate), 1)

    @property
    def partitions(self) -> int:
        """Number of blocks that the filter covers."""
        return -(-self.taps // self.block)


@dataclass
class Leakage:
    """The regression of the error's power on the estimated echo's, over blocks and bins."""

    h: PbfdafHyperparameters
    bins: int
    value: float = 1.0
    _mean: Signal | None = None
    _last: Signal = field(init=False)
    _changes: Signal = field(init=False)
    _products: tuple[float, float] = (0.0, 0.0)

    def __post_init__(self) -> None:
        self._last = self._changes = np.zeros((2, self.bins))  # of echo and error

    def update(self, echo: Signal, error: Signal) -> float:
        """Return the leakage after a block with these powers (bins,)."""
        gamma, weighting = self.h.gamma, self.h.weighting
        mean = echo if self._mean is None else (1 - weighting) * self._mean + weighting * echo
        powers = np.stack([echo, error]) / (mean + _LEAST_POWER)
        self._changes = (1 - gamma) * self._changes + gamma * (powers - self._last)
        self._mean, self._last = mean, powers
        of_echo, of_error = self._changes
        beta = self.h.beta0 * min(echo.sum() / (error.sum() + _TINY), 1.0)
        both, own = self._products
        both = (1 - beta) * both + beta * float(of_echo @ of_error)
        own = (1 - beta) * own + beta * float(of_echo @ of_echo)
        self._products = both, own
        if own > 0:
            self.value = min(max(both / own, self.h.least_leakage), 1.0)
        return self.value


class PartitionedFilter:
    """The filter, its last regressors, and its rate."""

    def __init__(self, h: PbfdafHyperparameters) -> None:
        self.h = h
        self.n_fft = 2 * h.block
        bins = h.block + 1
        self.weights: Spectrum = np.zeros((h.partitions, bins), complex)
        self.leakage = Leakage(h, bins)
        self.delta = h.partitions * self.n_fft * 10 ** (h.delta_db / 10)
        self.heard = 0  # blocks in which the far end talked
        self.delay = 0
        self._powers = np.zeros(2)  # of mixture and error, smoothed
        self._share = 1.0  # of the estimated echo that is subtracted

    def move(self, delay: int) -> None:
        """Keep the echo path where it is, behind another bulk delay; start again if it is lost."""
        taps = fft.irfft(self.weights, axis=1)[:, : self.h.block].ravel()
        moved = shifted(taps, delay - self.delay).reshape(-1, self.h.block)
        self.weights = fft.rfft(moved, self.n_fft, axis=1)
        if 2 * abs(delay - self.delay) > len(taps):
            self.heard = 0
        self.delay = delay

    def cancel(self, spectra: Spectrum, desired: Signal) -> Signal:
        """Return the error (block,) of a block, and adapt.

        While the filter adds more than it takes away, the error is the mixture.

        Args:
            spectra: of the far end, (partitions, bins), the latest first.
            desired: the mixture, shape (block,).
        """
        block = self.h.block
        echo = fft.irfft((self.weights * spectra).sum(0), self.n_fft)[block:]
        error: Signal = desired - echo
        power = np.square(spectra.real) + np.square(spectra.imag)
        self._adapt(spectra, power, self._spectrum(error), self._spectrum(echo))
        before, self._share = self._share, self._helpful(desired, error)
        share = np.linspace(before, self._share, block) if self._share else 0.0
        left: Signal = desired - share * echo
        return left

    def _helpful(self, desired: Signal, error: Signal) -> float:
        """Return 1 if the filter attenuates the mixture, else 0; forget one that diverges."""
        powers = np.array([desired @ desired, error @ error])
        self._powers = _KEPT * self._powers + (1 - _KEPT) * powers
        heard, left = self._powers
        if left > _DIVERGED * heard:
            self.weights[:] = 0
            self.heard = 0
            self._powers[1] = heard
        return float(left <= heard)

    def _spectrum(self, samples: Signal) -> Spectrum:
        """Return the spectrum of a block behind as many zeros."""
        found: Spectrum = fft.rfft(np.concatenate([np.zeros(self.h.block), samples]))
        return found

    def _adapt(self, spectra: Spectrum, power: Signal, error: Spectrum, echo: Spectrum) -> None:
        error_power, echo_power = np.square(np.abs(error)), np.square(np.abs(echo))
        total = power.sum(0)
        leakage = self.leakage.update(echo_power, error_power)
        if total.sum() > self.delta * len(total):
            self.heard += 1
        rate = self._rate(power[0], error_power, echo_power, leakage)
        gradient = spectra.conj() * (rate * error / (total + self.delta))
        taps = fft.irfft(gradient, self.n_fft, axis=1)[:, : self.h.block]
        self.weights += fft.rfft(taps, self.n_fft, axis=1)

    def _rate(self, far_end: Signal, error: Signal, echo: Signal, leakage: float) -> Signal | float:
        """Return the rate of each bin: the share of the residual echo in the error's power."""
        heard, left = self._powers
        if self.heard <= _STARTING * self.h.partitions and left >= _ATTENUATED * heard:
            return self.h.mu_start * min(float(far_end.sum() / (error.sum() + _TINY)), 1.0)
        rate: Signal = np.minimum(leakage * echo / (error + _TINY), self.h.mu_max)
        return rate


class PbfdafFilter(AdaptiveFilter):
    """A partitioned filter behind a bulk delay."""

    def __init__(self, h: PbfdafHyperparameters) -> None:
        super().__init__(h)
        self.h = h
        # Filter and gradient multiply each partition's bins once, a complex product is four real.
        self.macs_per_sample = 8 * h.partitions * (h.block + 1) / h.block

    def cancel(self, mixture: Signal, far_end: Signal) -> tuple[Signal, Signal]:
        """Return error and leakage (time,) of a mixture (time,) and a far end (time,)."""
        block, partitions, time = self.h.block, self.h.partitions, len(mixture)
        blocks = -(-time // block)
        delays = self.delays(mixture, far_end, block)
        before = (partitions + 1) * block + int(delays.max())
        played = np.pad(far_end, (before, blocks * block - time))
        heard = np.pad(mixture, (0, blocks * block - time)).reshape(blocks, block)
        errors, leakage = np.empty((blocks, block)), np.empty(blocks)
        filtered = PartitionedFilter(self.h)
        spectra = np.zeros((partitions, block + 1), complex)
        for index, delay in enumerate(delays.tolist()):
            end = before + (index + 1) * block - delay
            new = 1
            if delay != filtered.delay:
                filtered.move(delay)
                new = partitions
            spectra = np.roll(spectra, new, axis=0)
            for p in range(new):
                segment = played[end - (p + 2) * block : end - p * block]
                spectra[p] = fft.rfft(segment)
            errors[index] = filtered.cancel(spectra, heard[index])
            leakage[index] = filtered.leakage.value
        return errors.ravel()[:time], np.repeat(leakage, block)[:time]


class Pbfdaf(EchoCanceller):
    """The mixture without what the partitioned filter predicts of it from the far end."""

    hyperparameters_class = PbfdafHyperparameters

    def __init__(self, hyperparameters: PbfdafHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.filter = PbfdafFilter(hyperparameters)


PBFDAF = ModelSpec(
    name="pbfdaf",
    title="Partitioned block frequency-domain echo canceller",
    task="echo_cancellation",
    paper="Valin, IEEE TASLP 15(3), 2007; Soo and Pang, IEEE TASSP 38(2), 1990",
    reference_licence="none read; compared with pyaec 1.0.1 (Speex, BSD) as a program",
    separator=Pbfdaf,
    not_reproduced=(
        "The paper's recordings; weights of the regression, start and least leakage are our own."
    ),
)


@PBFDAF.variant()
def variable_rate() -> Hyperparameters:
    """A variable rate over a tail of 128 ms, in blocks of 16 ms."""
    return PbfdafHyperparameters()
