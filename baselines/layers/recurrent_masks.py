"""What mask inference, deep clustering and Chimera networks share: a BLSTM between spectrograms.

Body and heads are equal to those of nussl (Manilow, Seetharaman and Pardo, "The Northwestern
University Source Separation Library", ISMIR 2018).
Axes: batch, channels, bins, frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from baselines.layers.fitted import FittedSeparator
from baselines.layers.masks import as_masks
from baselines.layers.stft import Stft
from baselines.model import Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require

# Magnitudes below this, -80 dB, count as silence.
SMALLEST_MAGNITUDE = 1e-4


@dataclass(frozen=True, kw_only=True)
class RecurrentHyperparameters(Hyperparameters):
    """Sizes of the analysis and the body; the defaults are nussl's for speech at 8 kHz."""

    n_fft: int = 256
    hop_length: int = 64
    hidden_size: int = 600  # per direction
    n_layers: int = 4
    dropout: float = 0.3  # between recurrent layers

    @property
    def bins(self) -> int:
        """Number of frequency bins."""
        return self.n_fft // 2 + 1


class RecurrentBody(nn.Module):
    """A BLSTM that reads the magnitudes of all channels in decibels."""

    def __init__(self, h: RecurrentHyperparameters) -> None:
        super().__init__()
        self.batch_norm = nn.BatchNorm1d(1)
        self.blstm = nn.LSTM(
            h.channels * h.bins,
            h.hidden_size,
            h.n_layers,
            batch_first=True,
            bidirectional=True,
            dropout=h.dropout if h.n_layers > 1 else 0.0,
        )
        _initialise(self.blstm)
        for name, bias in self.blstm.named_parameters():
            if "bias" in name:  # forget gates start open; the order is input, forget, cell, output
                bias.data[h.hidden_size : 2 * h.hidden_size] = 1.0

    def forward(self, magnitude: Tensor) -> Tensor:
        """Return (batch, frames, 2 * hidden_size) for (batch, channels, bins, frames)."""
        level_db = 20 * magnitude.clamp(min=SMALLEST_MAGNITUDE).log10()
        features = level_db.flatten(1, 2).transpose(1, 2)  # (batch, frames, channels * bins)
        normalised = self.batch_norm(features.flatten(1)[:, None]).reshape(features.shape)
        hidden: Tensor = self.blstm(normalised)[0]
        return hidden


class BinHead(nn.Module):
    """A linear layer that gives each bin of the spectrogram `size` values."""

    def __init__(self, h: RecurrentHyperparameters, size: int, activation: str) -> None:
        super().__init__()
        self.shape = (size, h.channels, h.bins)
        self.activation = activation
        self.linear = nn.Linear(2 * h.hidden_size, size * h.channels * h.bins)
        _initialise(self.linear)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return (batch, size, channels, bins, frames) for (batch, frames, 2 * hidden_size)."""
        values = self.linear(hidden).unflatten(-1, self.shape)
        return self.activated(values).permute(0, 2, 3, 4, 1)

    def activated(self, values: Tensor) -> Tensor:
        """Apply the activation to (batch, frames, size, channels, bins)."""
        raise NotImplementedError


class MaskHead(BinHead):
    """One mask per source; softmax makes them sum to one over the sources."""

    def activated(self, values: Tensor) -> Tensor:
        """Apply the activation to (batch, frames, n_src, channels, bins)."""
        return as_masks(values, self.activation, axis=2)


EMBEDDING_ACTIVATIONS = ("tanh", "sigmoid")
EPSILON = 1e-12


class EmbeddingHead(BinHead):
    """A vector of length one per bin."""

    def activated(self, values: Tensor) -> Tensor:
        """Apply the activation to (batch, frames, D, channels, bins), and scale the vectors."""
        values = values.tanh() if self.activation == "tanh" else values.sigmoid()
        energy = values.square().sum(2, keepdim=True)
        return values * (energy + EPSILON).rsqrt()  # several times faster than a vector norm


def _initialise(layer: nn.Module) -> None:
    for name, parameter in layer.named_parameters():
        if "weight" in name:
            nn.init.xavier_normal_(parameter)
        else:
            nn.init.zeros_(parameter)


class RecurrentMasking(FittedSeparator):
    """A separator that masks the mixture's spectrogram; the estimates have the mixture's phase.

    For several channels, one network reads all of them and gives one mask per channel.
    Subclasses write `masks`.
    """

    fitted = False
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: RecurrentHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.stft = Stft(hyperparameters.n_fft, hyperparameters.hop_length, window="sqrt_hann")
        self.body = RecurrentBody(hyperparameters)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return masks (batch, n_src, channels, bins, frames) for a mixture.

        `magnitude` (batch, channels, bins, frames) is that of the mixture's spectrogram.
        """
        raise NotImplementedError

    def network(self, mixture: Tensor) -> Tensor:
        """Return the masked mixture (batch, n_src, channels, time)."""
        spectrum = self.stft.analyse(mixture)  # (batch, channels, bins, frames)
        masked = self.masks(spectrum.abs()) * spectrum[:, None]
        return self.stft.synthesise(masked, mixture.shape[-1])


def sizes_in_nussl(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return our hyperparameters for the arguments of one of nussl's builders."""
    needed = {
        "bidirectional": True,
        "rnn_type": "lstm",
        "normalization_class": "BatchNorm",
        "num_audio_channels": 1,  # of more, nussl's body and heads do not fit each other
    }
    check_arguments(arguments, needed)
    n_fft = 2 * (arguments["num_features"] - 1)
    return {
        "n_fft": n_fft,
        "hop_length": n_fft // 4,
        "hidden_size": arguments["hidden_size"],
        "n_layers": arguments["num_layers"],
        "dropout": arguments["dropout"],
    }


def activation_in_nussl(given: list[str], allowed: tuple[str, ...]) -> str:
    """Return the one of nussl's activations of a head that is not a normalisation."""
    names = [name for name in given if name != "unit_norm"]
    require(
        len(names) == 1 and names[0] in allowed,
        f"The activation is {given}; one of {', '.join(allowed)} can be converted.",
    )
    return names[0]


def weights_in_nussl(weights: Weights, bins: int) -> Weights:
    """Return ours for those of a `SeparationModel` of nussl.

    Heads there order their outputs by bin and then by source, here by source and then by bin.
    """
    names = {
        r"^layers\.normalization\.": "body.",
        r"^layers\.recurrent_stack\.rnn\.": "body.blstm.",
        r"^layers\.(mask|embedding)\.": r"\1.",
    }
    return {
        name: value.unflatten(0, (bins, -1)).transpose(0, 1).flatten(0, 1)
        if ".linear." in name
        else value
        for name, value in renamed(weights, names).items()
    }
