"""A spectral post-filter behind PBFDAF: it attenuates the echo that the linear filter leaves.

The power of the residual echo is that of the estimated echo times the leakage of Valin (IEEE TASLP
15(3), 2007), which decays slowly, as the tail of a room does. The gain is that of Wiener with the
decision-directed ratio of Ephraim and Malah, IEEE TASSP 32(6), 1984. It has no trained parameters.
Axes: b batch, channels, bins, frames, time.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.layers.adaptive_filter import Cancelled, EchoCanceller
from baselines.layers.stft import Stft
from baselines.model import ModelSpec
from baselines.models.pbfdaf import PbfdafFilter, PbfdafHyperparameters
from baselines.separator import Hyperparameters, require

_TINY = 1e-12


@dataclass(frozen=True, kw_only=True)
class PostfilterHyperparameters(PbfdafHyperparameters):
    """The analysis and the gains."""

    n_fft: int = 320
    hop_length: int = 160
    alpha: float = 0.9  # weight of the last frame in the ratio of near end to residual echo
    decay: float = 0.6  # of the power of the residual echo, from frame to frame
    overestimation: float = 2.0  # of the leakage
    floor_db: float = -25.0  # lowest gain

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("alpha", "decay"):
            given = getattr(self, name)
            require(0 <= given < 1, f"{name} is {given}; it can be 0 or more and below 1.")
        require(self.floor_db <= 0, f"floor_db is {self.floor_db}; it can be 0 or less.")


class EchoPostfilter(EchoCanceller):
    """PBFDAF, followed by a gain for each bin."""

    hyperparameters_class = PostfilterHyperparameters

    def __init__(self, hyperparameters: PostfilterHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.h = hyperparameters
        self.look_ahead = self.h.n_fft - 2
        self.filter = PbfdafFilter(hyperparameters)
        self.stft = Stft(self.h.n_fft, self.h.hop_length, window="sqrt_hann")

    def forward(self, mixture: Tensor, far_end: Tensor) -> Tensor:  # type: ignore[override]
        """Return the mixture (b, channels, time) without echo, (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        cancelled: Cancelled = self.filter(mixture, far_end)
        error = self.stft.analyse(cancelled.error)  # (b, channels, bins, frames)
        echo = self.stft.analyse(mixture - cancelled.error).abs().square()
        frames = error.shape[-1]
        leakage = torch.nn.functional.interpolate(cancelled.leakage, frames)[:, :, None]
        residual = (self.h.overestimation * leakage).clamp(max=1) * echo
        kept = self.gains(error.abs().square(), residual) * error
        suppressed = self.stft.synthesise(kept, mixture.shape[-1])
        return suppressed[:, None].repeat(1, self.n_src, 1, 1)

    def gains(self, error: Tensor, residual: Tensor) -> Tensor:
        """Return gains for powers of the error and of its residual echo.

        All are (b, channels, bins, frames).
        """
        h, floor = self.h, 10 ** (self.h.floor_db / 20)
        power = torch.zeros_like(error[..., 0])
        near = torch.zeros_like(power)  # what was left of the last frame
        gains = []
        for e, r in zip(error.unbind(-1), residual.unbind(-1), strict=True):
            power = torch.maximum(r, h.decay * power) + _TINY
            ratio = h.alpha * near / power + (1 - h.alpha) * (e / power - 1).clamp(min=0)
            gain = (ratio / (1 + ratio)).clamp(min=floor)
            near = gain.square() * e
            gains.append(gain)
        return torch.stack(gains, dim=-1)


ECHO_POSTFILTER = ModelSpec(
    name="echo_postfilter",
    title="PBFDAF with a spectral post-filter",
    task="echo_cancellation",
    paper="Valin, IEEE TASLP 15(3), 2007; Ephraim and Malah, IEEE TASSP 32(6), 1984",
    reference_licence="none read",
    separator=EchoPostfilter,
    not_reproduced="Other floors with and without near-end talk, as in Speex.",
)


@ECHO_POSTFILTER.variant()
def wiener() -> Hyperparameters:
    """The Wiener gain over frames of 20 ms."""
    return PostfilterHyperparameters()
