"""Learned suppression of residual echo: recurrent layers read spectra, and mask the near end.

The plain variant is the baseline of the AEC Challenge (Sridhar et al., ICASSP 2021): two GRU layers
of 322 read the logarithmic power of the microphone and of the far end, and give a mask for the
microphone; 1.3 million parameters. The cascade reads what a linear filter (`pbfdaf`) leaves, the
echo that it estimates and the far end, and masks what is left: the filter takes the linear part of
the echo, and the network the rest, of paths that no filter can follow.

The loss compares spectra with compressed magnitudes, so that silence where only the far end talks
counts as much as the near end (Braun and Tashev, "A consolidated view of loss functions for
supervised deep learning-based speech enhancement", TSP 2021).
Axes: b batch, n_src, channels, bins, frames, time; i are references, j estimates.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.layers.adaptive_filter import Cancelled
from baselines.layers.permutation import assigned_cost
from baselines.layers.stft import Stft
from baselines.losses import in_full_precision
from baselines.model import ModelSpec
from baselines.models.pbfdaf import PbfdafFilter, PbfdafHyperparameters
from baselines.separator import Hyperparameters, Separator

CANCELLERS = ("none", "pbfdaf")
_LEAST_POWER = 1e-10
# Exponent of magnitudes in the loss, and the weight of phases beside them.
_COMPRESSION = 0.3
_PHASE_WEIGHT = 0.3


@dataclass(frozen=True, kw_only=True)
class ResidualEchoHyperparameters(PbfdafHyperparameters):
    """The canceller in front, the analysis and the sizes of the network."""

    canceller: str = "none"
    n_fft: int = 320
    hop_length: int = 160
    hidden_size: int = 322
    n_layers: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(canceller=CANCELLERS)


class ResidualEcho(Separator):
    """Masks for a microphone, or for what a canceller leaves of it."""

    hyperparameters_class = ResidualEchoHyperparameters
    inputs = ("far_end",)
    adapts = True
    learns_silence = True
    causal = True

    def __init__(self, hyperparameters: ResidualEchoHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.look_ahead = h.n_fft - 2
        self.filter = None if h.canceller == "none" else PbfdafFilter(h)
        self.stft = Stft(h.n_fft, h.hop_length, window="sqrt_hann")
        signals = 2 if self.filter is None else 3
        size = h.channels * self.stft.bins
        self.gru = nn.GRU(signals * size, h.hidden_size, h.n_layers, batch_first=True)
        self.mask = nn.Linear(h.hidden_size, h.n_src * size)

    def masked(self, mixture: Tensor, far_end: Tensor) -> Tensor:
        """Return the spectra of the estimates, (b, n_src, channels, bins, frames)."""
        self.check_mixture(mixture)
        signals = [mixture, far_end]
        if self.filter is not None:
            cancelled: Cancelled = self.filter(mixture, far_end)
            signals = [cancelled.error, mixture - cancelled.error, far_end]
        spectra = self.stft.analyse(torch.stack(signals, dim=1))  # (b, signals, channels, ...)
        hidden = self.gru(log_power(spectra).flatten(1, 3).transpose(1, 2))[0]  # (b, frames, size)
        masks: Tensor = self.mask(hidden).sigmoid().transpose(1, 2)
        shaped: Tensor = masks.unflatten(1, (self.n_src, *spectra.shape[2:4]))
        return shaped * spectra[:, :1]

    def forward(self, mixture: Tensor, far_end: Tensor) -> Tensor:  # type: ignore[override]
        """Return the near end of a mixture (b, channels, time): (b, n_src, channels, time)."""
        return self.stft.synthesise(self.masked(mixture, far_end), mixture.shape[-1])

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of compressed spectra of a batch, which has a `far_end`; scalar."""
        return compressed_spectral_loss(
            references=self.stft.analyse(batch["references"]),
            estimates=self.masked(batch["mixture"], batch["far_end"]),
            named=self.named,
        )


def log_power(spectra: Tensor) -> Tensor:
    """Return the decimal logarithm of powers, scaled to about -1 to 1, of complex spectra."""
    return (spectra.abs().square() + _LEAST_POWER).log10() / 5 + 1


@in_full_precision
def compressed_spectral_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the mean squared difference of spectra with compressed magnitudes; scalar.

    Args:
        references: complex, shape (b, n_src, channels, bins, frames); silence counts.
        estimates: complex, the same shape.
        named: whether estimate i is of reference i; otherwise the best permutation counts.
    """
    reference, estimate = _compressed(references)[:, :, None], _compressed(estimates)[:, None]
    phases = (reference - estimate).square().sum(-1)
    magnitudes = (_length(reference) - _length(estimate)).square()
    difference = (1 - _PHASE_WEIGHT) * magnitudes + _PHASE_WEIGHT * phases
    return assigned_cost(difference.flatten(start_dim=3).mean(-1), named=named).mean()


def _compressed(spectra: Tensor) -> Tensor:
    """Return spectra with compressed magnitudes, real and imaginary parts on a last axis."""
    parts = torch.view_as_real(spectra)
    power = parts.square().sum(-1, keepdim=True) + _LEAST_POWER
    return parts * power ** ((_COMPRESSION - 1) / 2)


def _length(parts: Tensor) -> Tensor:
    return (parts.square().sum(-1) + _LEAST_POWER).sqrt()


def tiny() -> Hyperparameters:
    """Return the hyperparameters of a cascade that trains in milliseconds."""
    return ResidualEchoHyperparameters(
        n_src=2,
        sample_rate=8000,
        tail_s=0.016,
        block_s=0.004,
        longest_delay_s=0.05,
        delta_db=-20.0,
        canceller="pbfdaf",
        n_fft=64,
        hop_length=32,
        hidden_size=32,
        n_layers=1,
    )


RESIDUAL_ECHO = ModelSpec(
    name="residual_echo",
    title="GRU masks for residual echo",
    task="echo_cancellation",
    paper="Sridhar et al., ICASSP 2021 (the AEC Challenge's baseline)",
    reference_licence="none read; sizes from the paper",
    separator=ResidualEcho,
    not_reproduced=(
        "Data, loss and scaling of features of the challenge; the cascade is our own arrangement."
    ),
    tiny=tiny,
    training={"batch_size": 4, "segment_s": 8.0, "learning_rate": 1e-3},
)


@RESIDUAL_ECHO.variant(parameters=1_300_075)
def aec_challenge() -> Hyperparameters:
    """The AEC Challenge's baseline: two GRU layers of 322, without a linear canceller."""
    return ResidualEchoHyperparameters()


@RESIDUAL_ECHO.variant("cascade")
def cascade() -> Hyperparameters:
    """PBFDAF, and two GRU layers of 322 for what it leaves."""
    return ResidualEchoHyperparameters(canceller="pbfdaf")


@RESIDUAL_ECHO.variant(
    "small", batch_size=4, segment_s=8.0, learning_rate=2e-3, beta2=0.98, valid_items=20
)
def small() -> Hyperparameters:
    """PBFDAF, and one GRU layer of 128 for what it leaves."""
    return ResidualEchoHyperparameters(canceller="pbfdaf", hidden_size=128, n_layers=1)
