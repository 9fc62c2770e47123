"""WPE: late reverberation, predicted from past frames of all channels and subtracted.

Tomohiro Nakatani, Takuya Yoshioka, Keisuke Kinoshita, Masato Miyoshi and Biing-Hwang Juang,
"Speech Dereverberation Based on Variance-Normalized Delayed Linear Prediction", IEEE TASLP 18(7),
2010, with one filter for each channel (Yoshioka and Nakatani, IEEE TASLP 20(10), 2012). Defaults
and floor are those of nara_wpe (Drude, Heymann, Boeddeker and Haeb-Umbach, "NARA-WPE", ITG Speech
Communication, 2018).

In each bin, x_t = y_t - G^H y~_t, where y~_t stacks the frames t - delay, ..., t - delay - taps + 1
of all channels. G minimises the sum of |x_t|^2 / lambda_t, and lambda_t is the mean over channels
of |x_t|^2 from the iteration before, at first of |y_t|^2. The delay keeps the early reflections.

The estimates are the dereverberated channels, the same for every target. Nothing is trained.
Axes: b batch, channels, bins, frames; K is taps * channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from baselines.fake_tensors import has_data
from baselines.layers.stft import Stft
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator

# Of the largest power in a bin; below it, lambda stays at it.
FLOOR = 1e-10
# Of a matrix of correlation coefficients; below it, a channel repeats others.
SMALLEST_PIVOT = 1e-12
BINS_AT_A_TIME = 32


@dataclass(frozen=True, kw_only=True)
class WpeHyperparameters(Hyperparameters):
    """The analysis, in seconds for any sample rate, and the prediction."""

    n_src: int = 1
    sample_rate: int = 16000
    window_s: float = 0.032
    hop_s: float = 0.008
    taps: int = 10  # frames that predict
    delay: int = 3  # frames from the last of them to the one that is predicted
    iterations: int = 3

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(1, "taps", "delay", "iterations")


class Wpe(Separator):
    """Linear prediction of late reverberation, computed in double precision."""

    hyperparameters_class = WpeHyperparameters
    silence_tolerance = 0.1

    def __init__(self, hyperparameters: WpeHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.h = h = hyperparameters
        n_fft = 2 * round(h.window_s * h.sample_rate / 2)
        self.stft = Stft(n_fft, round(h.hop_s * h.sample_rate)).double()

    def forward(self, mixture: Tensor) -> Tensor:
        """Return the dereverberated mixture (b, channels, time) as (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        spectrum = self.stft.analyse(mixture.double())  # (b, channels, bins, frames)
        # Not all bins at a time: their stacked frames would take taps times the memory.
        blocks = [
            dereverberated(y, taps=self.h.taps, delay=self.h.delay, iterations=self.h.iterations)
            for y in spectrum.transpose(1, 2).split(BINS_AT_A_TIME, dim=1)
        ]
        estimated = torch.cat(blocks, 1).transpose(1, 2)  # (b, channels, bins, frames)
        estimate = self.stft.synthesise(estimated, mixture.shape[-1])
        return estimate.to(mixture.dtype)[:, None].repeat(1, self.n_src, 1, 1)


def dereverberated(y: Tensor, *, taps: int, delay: int, iterations: int) -> Tensor:
    """Return bins without their late reverberation, each for itself, of the shape of y.

    Args:
        y: complex, shape (..., channels, frames).
        taps: frames that predict.
        delay: frames from the last of them to the one that is predicted.
        iterations: how often the powers and the prediction are estimated.
    """
    past = delayed_frames(y, taps=taps, delay=delay)  # (..., K, frames)
    x = y
    for _ in range(iterations):
        power = x.abs().square().mean(-2, keepdim=True)  # (..., 1, frames)
        largest = power.amax(-1, keepdim=True)
        weighted = past / power.maximum(torch.where(largest > 0, FLOOR * largest, 1))
        R, P = weighted @ past.mH, weighted @ y.mH  # (..., K, K) and (..., K, channels)
        x = y - solve(R, P).mH @ past
    return x


def delayed_frames(y: Tensor, *, taps: int, delay: int) -> Tensor:
    """Return y (..., channels, frames) delayed by `delay` frames and more, (..., K, frames).

    Zeros stand before the first frame.
    """
    frames = y.shape[-1]
    padded = functional.pad(y, (delay + taps - 1, 0))
    shifted = [padded[..., tap : tap + frames] for tap in range(taps)]  # the longest delay first
    return torch.cat(shifted, -2)


def solve(R: Tensor, P: Tensor) -> Tensor:
    """Return R^-1 P of Hermitian R, or the solution of least norm where channels are redundant.

    R (..., K, K) and P (..., K, channels) are scaled by the diagonal of R first. A channel that
    repeats others leaves next to nothing on the diagonal of the Cholesky factor.
    """
    scale = R.diagonal(dim1=-2, dim2=-1).real.sqrt()[..., None]  # (..., K, 1)
    scale = torch.where(scale > 0, scale, 1)
    R, P = R / (scale * scale.mT), P / scale
    L, failed = torch.linalg.cholesky_ex(R)
    pivots = L.diagonal(dim1=-2, dim2=-1).real.square()
    redundant = (failed != 0) | (pivots.amin(-1) < SMALLEST_PIVOT)
    G = torch.cholesky_solve(P, L)
    if has_data(redundant) and redundant.any():
        least = torch.linalg.pinv(R, hermitian=True, rtol=SMALLEST_PIVOT) @ P
        G = torch.where(redundant[..., None, None], least, G)
    return G / scale


WPE = ModelSpec(
    name="wpe",
    title="WPE (weighted prediction error)",
    task="dereverberation",
    paper=(
        "Nakatani et al., IEEE TASLP 18(7), 2010; Drude et al., ITG Speech Communication 2018 "
        "(nara_wpe)"
    ),
    reference_licence="nara_wpe 0.0.11 (MIT), run beside it on the same spectrograms",
    separator=Wpe,
    not_reproduced="The recursive form that works frame by frame; lambda averaged over frames.",
)


@WPE.variant()
def defaults() -> Hyperparameters:
    """Ten taps after three frames, three iterations; any number of microphones."""
    return WpeHyperparameters()
