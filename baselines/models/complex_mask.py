"""Complex masks from residual BLSTMs: of the separators here, the one that learns fastest.

The mask is that of Williamson, Wang and Wang ("Complex ratio masking for monaural speech
separation", IEEE/ACM TASLP 24(3), 2016): a complex factor per bin, which also changes the phase.
The loss is the SI-SDR of the waveforms with permutation-invariant training (Kolbaek et al., TASLP
2017).

Differences from the 2016 paper:
- The factor is the network's plain output, unbounded and starting at 1 / n_src (equal shares of the
  mixture); the paper estimates a compressed ideal mask by mean squared error.
- Layer-normalised residual BLSTMs read the spectrogram, in the small variant in turn with
  self-attention between frames; the paper's network is feed-forward.
- The network reads log magnitudes and the compressed complex spectrogram of the mixture at unit
  RMS.
- Estimates are fitted to the mixture's level, which SI-SDR does not determine.
- In evaluation, the small variant averages the estimates of four delays within a hop, as Demucs
  does (Defossez et al., 2019): frames are long there, and errors depend on where they begin.

Silence that follows the mixture changes its RMS and what the BLSTMs and the attention read.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.fitted import FittedSeparator
from baselines.layers.permutation import in_order_of
from baselines.layers.stft import Stft
from baselines.layers.transformer import TransformerLayer
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, require

# Floors for a signal of unit RMS, some 50 dB below the magnitudes of its spectrogram.
LOG_FLOOR = 1e-2
POWER_FLOOR = 1e-5
# The compressed spectrogram has magnitudes |X|^0.3.
COMPRESSION = 0.3
SMALLEST_RMS = 1e-8
MOST_SHIFTS = 16


@dataclass(frozen=True, kw_only=True)
class ComplexMaskHyperparameters(Hyperparameters):
    """Sizes of the analysis and the network."""

    n_fft: int = 256
    hop_length: int = 64
    width: int = 512  # features of a frame between the layers
    hidden_size: int = 512  # per direction
    n_layers: int = 3
    heads: int = 0  # of the self-attention after each BLSTM; 0: none
    shifts: int = 1  # delays within a hop, averaged in evaluation

    def __post_init__(self) -> None:
        super().__post_init__()
        allowed = 1 <= self.shifts <= MOST_SHIFTS
        require(allowed, f"shifts is {self.shifts}; it must be from 1 to {MOST_SHIFTS}.")


class ResidualBlstm(nn.Module):
    """Layer norm, BLSTM and projection to the input's width, added to the input."""

    def __init__(self, width: int, hidden_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.blstm = nn.LSTM(width, hidden_size, batch_first=True, bidirectional=True)
        self.project = nn.Linear(2 * hidden_size, width)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (batch, frames, width) to the same shape."""
        hidden, _ = self.blstm(self.norm(x))  # (batch, frames, 2 * hidden_size)
        update: Tensor = self.project(hidden)  # (batch, frames, width)
        return x + update


class ComplexMask(FittedSeparator):
    """One complex mask per estimate and channel; one network reads and masks all channels."""

    hyperparameters_class = ComplexMaskHyperparameters
    silence_tolerance = 1.0

    def __init__(self, hyperparameters: ComplexMaskHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.stft = Stft(h.n_fft, h.hop_length, window="sqrt_hann")
        bins = h.channels * self.stft.bins
        self.read = nn.Sequential(nn.Linear(3 * bins, h.width), nn.LayerNorm(h.width))
        self.body = nn.Sequential()
        for _ in range(h.n_layers):
            self.body.append(ResidualBlstm(h.width, h.hidden_size))
            if h.heads:
                layer = TransformerLayer(features=h.width, heads=h.heads, hidden=3 * h.width)
                self.body.append(layer)
        self.mask = nn.Linear(h.width, h.n_src * 2 * bins)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (batch, n_src, channels, time) at the level of the network's output."""
        first = total = self._masked(mixture)
        for number in range(1, 1 if self.training else self.h.shifts):
            delay = number * self.h.hop_length // self.h.shifts
            estimates = self._masked(functional.pad(mixture, (delay, 0)))[..., delay:]
            if self.source_names is None:
                estimates = in_order_of(first, estimates)
            total = total + estimates
        return total if self.training else total / self.h.shifts

    def _masked(self, mixture: Tensor) -> Tensor:
        """Return the mixture times masks, (batch, n_src, channels, time)."""
        rms = mixture.square().mean((1, 2), keepdim=True).sqrt() + SMALLEST_RMS  # (batch, 1, 1)
        spectrum = self.stft.analyse(mixture / rms)  # (batch, channels, bins, frames)
        masked = self.masks(spectrum) * spectrum[:, None]
        return self.stft.synthesise(masked, mixture.shape[-1]) * rms[:, None]

    def masks(self, spectrum: Tensor) -> Tensor:
        """Return complex masks (batch, n_src, channels, bins, frames) for a mixture.

        `spectrum` (batch, channels, bins, frames) is the mixture's spectrogram.
        """
        _, channels, bins, _ = spectrum.shape
        y = self.body(self.read(_features(spectrum)))  # (batch, frames, width)
        parts = self.mask(y).transpose(1, 2)  # (batch, n_src * 2 * channels * bins, frames)
        parts = parts.unflatten(1, (self.n_src, 2, channels, bins)).to(spectrum.real.dtype)
        return torch.complex(parts[:, :, 0] + 1 / self.n_src, parts[:, :, 1])


def _features(spectrum: Tensor) -> Tensor:
    """Return features (batch, frames, 3 * channels * bins) of (batch, channels, bins, frames)."""
    magnitude = (spectrum.real.square() + spectrum.imag.square() + POWER_FLOOR).sqrt()
    level = (magnitude + LOG_FLOOR).log()
    level = level - level.mean((1, 2, 3), keepdim=True)
    compressed = spectrum * magnitude ** (COMPRESSION - 1)
    features = torch.stack([level, compressed.real, compressed.imag], 1)
    return features.flatten(1, 3).transpose(1, 2)


COMPLEX_MASK = ModelSpec(
    name="complex_mask",
    title="Complex mask (residual BLSTM)",
    task="speech_separation",
    paper="Williamson, Wang and Wang, IEEE/ACM TASLP 24(3), 2016: the mask; the network is our own",
    reference_licence="No reference implementation; written from the paper's equations",
    separator=ComplexMask,
    not_reproduced="Network and training of the paper: the module's docstring has the differences.",
    tiny=lambda: ComplexMaskHyperparameters(
        n_fft=128, hop_length=64, width=16, hidden_size=16, n_layers=1, heads=2, shifts=2
    ),
    training={"batch_size": 8, "learning_rate": 1e-3, "slowest": 0.9, "fastest": 1.1},
)


@COMPLEX_MASK.variant(parameters=14_649_348)
def full() -> Hyperparameters:
    """For machines with an accelerator."""
    return ComplexMaskHyperparameters()


@COMPLEX_MASK.variant(
    "small",
    **SMALL_SPEECH | {"optimizer": "muon", "batch_size": 32, "learning_rate": 5e-3, "warmup": 0.03},
)
def small() -> Hyperparameters:
    """For laptops: fewer and longer frames, layers of half the width, and attention."""
    return ComplexMaskHyperparameters(
        n_fft=512, hop_length=256, width=256, hidden_size=256, heads=8, shifts=4
    )
