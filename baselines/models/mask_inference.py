"""Mask inference: a BLSTM reads the spectrogram in decibels and estimates a mask per source.

The masking network of Erdogan et al. ("Phase-sensitive and recognition-boosted speech separation
using deep recurrent neural networks", ICASSP 2015) with permutation-invariant training (Kolbaek et
al., TASLP 2017), in the configuration and layout of nussl (Manilow, Seetharaman and Pardo, "The
Northwestern University Source Separation Library", ISMIR 2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.layers.level import fit_level
from baselines.layers.stft import Stft
from baselines.losses import magnitude_l1_loss, si_sdr_loss
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator, require

LOSSES = ("magnitude_l1", "si_sdr")
# Magnitudes below this, -80 dB, count as silence.
SMALLEST_MAGNITUDE = 1e-4


@dataclass(frozen=True, kw_only=True)
class MaskInferenceHyperparameters(Hyperparameters):
    """Sizes of the analysis and the network; the defaults are nussl's for speech at 8 kHz."""

    n_fft: int = 256
    hop_length: int = 64
    hidden_size: int = 600  # per direction
    n_layers: int = 4
    dropout: float = 0.3  # between recurrent layers
    loss: str = "magnitude_l1"  # or si_sdr, of the waveforms

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.loss in LOSSES, f"loss is {self.loss!r}; it can be {' or '.join(LOSSES)}.")


class MaskInference(Separator):
    """Sigmoid masks on the mixture's spectrogram; the estimates have the mixture's phase.

    For stereo, one network reads both channels and gives one mask per channel.
    """

    hyperparameters_class = MaskInferenceHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: MaskInferenceHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.stft = Stft(h.n_fft, h.hop_length, window="sqrt_hann")
        features = h.channels * self.stft.bins
        self.batch_norm = nn.BatchNorm1d(1)
        self.blstm = nn.LSTM(
            features,
            h.hidden_size,
            h.n_layers,
            batch_first=True,
            bidirectional=True,
            dropout=h.dropout if h.n_layers > 1 else 0.0,
        )
        self.mask = nn.Linear(2 * h.hidden_size, h.n_src * features)
        _initialise(self.blstm, self.mask)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        estimates = self.network(mixture)
        return fit_level(mixture, estimates) if self.h.loss == "si_sdr" else estimates

    def network(self, mixture: Tensor) -> Tensor:
        """Return the masked mixture (batch, n_src, channels, time)."""
        spectrum = self.stft.analyse(mixture)  # (batch, channels, bins, frames)
        masked = self.masks(spectrum.abs()) * spectrum[:, None]
        return self.stft.synthesise(masked, mixture.shape[-1])

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return masks (batch, n_src, channels, bins, frames) for a mixture.

        `magnitude` (batch, channels, bins, frames) is that of the mixture's spectrogram.
        """
        batch, channels, bins, frames = magnitude.shape
        level_db = 20 * torch.log10(magnitude.clamp(min=SMALLEST_MAGNITUDE))
        level_db = self.batch_norm(level_db.reshape(batch, 1, -1))
        features = level_db.reshape(batch, channels * bins, frames).transpose(1, 2)
        hidden, _ = self.blstm(features)  # (batch, frames, 2 * hidden_size)
        masks: Tensor = self.mask(hidden).sigmoid()  # (batch, frames, n_src * channels * bins)
        return masks.transpose(1, 2).reshape(batch, self.n_src, channels, bins, frames)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the L1 loss of masked magnitudes, or the negative SI-SDR in dB; scalar."""
        references = batch["references"]
        named = self.source_names is not None
        if self.h.loss == "si_sdr":
            estimates = self.network(batch["mixture"])
            return si_sdr_loss(references=references, estimates=estimates, named=named)
        magnitude = self.stft.analyse(batch["mixture"]).abs()
        return magnitude_l1_loss(
            references=self.stft.analyse(references).abs(),
            estimates=self.masks(magnitude) * magnitude[:, None],
            named=named,
        )


def _initialise(blstm: nn.LSTM, mask: nn.Linear) -> None:
    """Initialise: Xavier weights, zero biases, and forget gates of 1, which start open."""
    for name, parameter in [*blstm.named_parameters(), *mask.named_parameters()]:
        if "weight" in name:
            nn.init.xavier_normal_(parameter)
        else:
            nn.init.zeros_(parameter)
    for name, bias in blstm.named_parameters():
        if "bias" in name:
            size = blstm.hidden_size  # the gates' order is input, forget, cell, output
            bias.data[size : 2 * size] = 1.0


MASK_INFERENCE = ModelSpec(
    name="mask_inference",
    title="Mask inference (BLSTM)",
    task="speech_separation",
    paper=(
        "Erdogan et al., ICASSP 2015; Kolbaek et al., IEEE/ACM TASLP 25(10), 2017; configuration "
        "of nussl, Manilow et al., ISMIR 2018"
    ),
    reference_licence="nussl (MIT), compared on copied weights",
    separator=MaskInference,
    not_reproduced="The WSJ0-2mix scores (the corpus is not free).",
    tiny=lambda: MaskInferenceHyperparameters(
        n_fft=128, hop_length=64, hidden_size=16, n_layers=1, dropout=0.0
    ),
    training={"batch_size": 8, "segment_s": 3.2, "slowest": 0.9, "fastest": 1.1},
)


@MASK_INFERENCE.variant(parameters=29_767_460)
def paper() -> Hyperparameters:
    """The configuration of nussl for two talkers at 8 kHz."""
    return MaskInferenceHyperparameters()


@MASK_INFERENCE.variant(
    "small",
    batch_size=8,
    segment_s=2.0,
    learning_rate=2e-3,
    beta2=0.98,
    slowest=0.8,
    fastest=1.25,
)
def small() -> Hyperparameters:
    """For laptops: half the frames, two layers, and the SI-SDR loss, which learns fastest."""
    return MaskInferenceHyperparameters(
        hop_length=128, hidden_size=200, n_layers=2, dropout=0.0, loss="si_sdr"
    )
