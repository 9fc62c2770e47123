"""Spectral mapping: a network maps the spectrogram of reverberant speech to that of clean speech.

Kun Han, Yuxuan Wang, DeLiang Wang, William S. Woods, Ivo Merks and Tao Zhang, "Learning Spectral
Mapping for Speech Dereverberation and Denoising", IEEE/ACM TASLP 23(6), 2015. With filterbank
targets: Kun Han, Yanzhang He, Deblin Bagchi, Eric Fosler-Lussier and DeLiang Wang, "Deep Neural
Network Based Spectral Feature Mapping for Robust Speech Recognition", Interspeech 2015. The
residual LSTM is that of Ke Wang et al., Interspeech 2018 (see gan_dereverb).

The network reads the log spectrum of the mixture and estimates features of each source: its log
spectrum, log-filterbank or MFCC, trained by their mean squared error. Two networks:

- `dnn`: frames with their neighbours, hidden layers with ReLU. A sigmoid limits its output, which
  for MFCC is linear.
- `residual_lstm`: each layer adds to its input, and what the last gives is added to the features of
  the mixture.

From estimated features to a waveform: `baselines.layers.log_spectra` says which magnitudes have the
features. For log_filterbank and mfcc they are the mixture's under a mask, which a pseudo-inverse
gives. Two ways of resynthesis:

- by mask: the magnitudes, but no larger than the mixture's, with the phase of the mixture. Without
  the limit, a network that is not sure fills the pauses.
- by phase iteration, as Han et al.: the magnitudes themselves, with a phase that starts as the
  mixture's. Resynthesis and analysis alternate `phase_iterations` times; the phase of the analysis
  is kept, its magnitudes are not (Griffin and Lim, IEEE TASSP 32(2), 1984).

The log is scaled by the mixture's own largest bin, where Han et al. scale by the training set:
estimates follow the level of the mixture. Window, hop, context and layers of the plain variant are
those of Han et al. as they are cited by others; sizes of the LSTM are ours.

Axes: b batch, n_src, channels, bins or features, frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.log_spectra import LogSpectra
from baselines.layers.permutation import assigned_cost
from baselines.layers.stft import Stft
from baselines.losses import in_full_precision
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, Separator, require

NETWORKS = ("dnn", "residual_lstm")
SMALLEST_POWER = 1e-20
# Of usual initial weights, so that the first estimates are close to the mixture.
FIRST_CHANGE = 0.1


@dataclass(frozen=True, kw_only=True)
class MappingHyperparameters(Hyperparameters):
    """Analysis, features, network and resynthesis; the defaults are those of Han et al."""

    n_src: int = 1
    sample_rate: int = 16000
    window_s: float = 0.02
    hop_s: float = 0.01
    target: str = "log_spectrum"  # or log_filterbank or mfcc
    bands: int = 40  # of log_filterbank and mfcc
    coefficients: int = 13  # of mfcc
    range_db: float = 60.0  # what is as far below the largest bin is close to silence
    network: str = "dnn"  # or residual_lstm
    context: int = 5  # frames before and after that the network reads with each frame
    layers: int = 3
    hidden_size: int = 1600  # of an LSTM: of both directions together
    phase_iterations: int = 20  # 0: resynthesis by mask

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(network=NETWORKS)
        self.check_least(0, "context")
        self.check_least(1, "layers")
        require(
            self.hidden_size >= 2 and self.hidden_size % 2 == 0,
            f"hidden_size is {self.hidden_size}; it must be an even number from 2 on.",
        )

    @property
    def n_fft(self) -> int:
        """Length of the window in samples."""
        return 2 * round(self.window_s * self.sample_rate / 2)


class Dnn(nn.Module):
    """Layers with ReLU, frame by frame."""

    def __init__(self, h: MappingHyperparameters, inputs: int, outputs: int) -> None:
        super().__init__()
        sizes = [inputs] + h.layers * [h.hidden_size]
        hidden = [
            layer
            for before, after in pairwise(sizes)
            for layer in (nn.Linear(before, after), nn.ReLU())
        ]
        self.layers = nn.Sequential(*hidden, nn.Linear(h.hidden_size, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, frames, outputs) for x (b, frames, inputs)."""
        y: Tensor = self.layers(x)
        return y


class ResidualLstm(nn.Module):
    """Bidirectional LSTM layers, each of which adds to its input."""

    def __init__(self, h: MappingHyperparameters, inputs: int, outputs: int) -> None:
        super().__init__()
        self.widen = nn.Linear(inputs, h.hidden_size)
        self.layers = nn.ModuleList(
            nn.LSTM(h.hidden_size, h.hidden_size // 2, batch_first=True, bidirectional=True)
            for _ in range(h.layers)
        )
        self.last = nn.Linear(h.hidden_size, outputs)
        for weights in self.last.parameters():
            weights.data *= FIRST_CHANGE

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, frames, outputs) for x (b, frames, inputs)."""
        x = self.widen(x)
        for layer in self.layers:
            x = x + layer(x)[0]
        y: Tensor = self.last(x)
        return y


class SpectralMapping(Separator):
    """Features of the sources from the log spectrum of the mixture, and their resynthesis."""

    hyperparameters_class = MappingHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: MappingHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.h = h = hyperparameters
        self.stft = Stft(h.n_fft, round(h.hop_s * h.sample_rate))
        self.spectra = LogSpectra(
            h.target,
            sample_rate=h.sample_rate,
            bins=self.stft.bins,
            bands=h.bands,
            coefficients=h.coefficients,
            range_db=h.range_db,
        )
        inputs = h.channels * self.stft.bins * (2 * h.context + 1)
        outputs = h.n_src * h.channels * self.spectra.size
        self.network = (Dnn if h.network == "dnn" else ResidualLstm)(h, inputs, outputs)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        spectrum = self.stft.analyse(mixture)  # (b, channels, bins, frames)
        power, largest = relative_power(spectrum)
        features = self.features(power)
        estimated = self.spectra.estimated_power(features, power[:, None])
        magnitude = (largest[:, None] * estimated).sqrt()
        return self.resynthesised(magnitude, spectrum[:, None], mixture.shape[-1])

    def features(self, power: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, features, frames) for the mixture's powers."""
        x = self.spectra.scaled(power)  # (b, channels, bins, frames)
        x = with_context(x.flatten(1, 2).transpose(1, 2), self.h.context)
        y = self.network(x).transpose(1, 2).to(power.dtype)  # (b, n_src * ..., frames)
        features: Tensor = y.unflatten(1, (self.n_src, self.channels, -1))
        if self.h.network == "residual_lstm":
            features = features + self.spectra(power)[:, None]
        elif self.h.target != "mfcc":
            features = features.sigmoid()
        return features

    def resynthesised(self, magnitude: Tensor, spectrum: Tensor, time: int) -> Tensor:
        """Return signals (..., time) of magnitudes by mask on a spectrum or by phase iteration."""
        if self.h.phase_iterations == 0:
            magnitude = magnitude.minimum(spectrum.abs())
        estimate = self.stft.synthesise(magnitude * direction(spectrum), time)
        for _ in range(self.h.phase_iterations):
            consistent = self.stft.analyse(estimate)
            estimate = self.stft.synthesise(magnitude * direction(consistent), time)
        return estimate

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean squared error of the features; scalar."""
        power, references = self.powers(batch)
        return feature_loss(
            references=self.spectra(references),
            estimates=self.features(power),
            named=self.source_names is not None,
        )

    def powers(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return the mixture's powers (b, channels, bins, frames) and the references'.

        Both are relative to the largest bin of the mixture.
        """
        power, largest = relative_power(self.stft.analyse(batch["mixture"]))
        references = self.stft.analyse(batch["references"]).abs().square()
        return power, references / largest[:, None]


def relative_power(spectrum: Tensor) -> tuple[Tensor, Tensor]:
    """Return powers (b, channels, bins, frames) over the largest of each example, and that."""
    power = spectrum.abs().square()
    largest = power.amax((1, 2, 3), keepdim=True).clamp(min=SMALLEST_POWER)
    return power / largest, largest


def with_context(x: Tensor, context: int) -> Tensor:
    """Return each frame of x (b, frames, size) with its neighbours, silence beyond the ends.

    The shape is (b, frames, size * (2 * context + 1)).
    """
    padded = functional.pad(x, (0, 0, context, context))
    return padded.unfold(1, 2 * context + 1, 1).flatten(2)


def direction(spectrum: Tensor) -> Tensor:
    """Return a complex spectrum scaled to magnitude 1; 0 stays 0."""
    magnitude = spectrum.abs()
    return spectrum / magnitude.clamp(min=torch.finfo(magnitude.dtype).tiny)


@in_full_precision
def feature_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the mean squared error of features (b, n_src, channels, features, frames); scalar.

    Unless the sources are `named`, the best permutation counts.
    """
    error = (references[:, :, None] - estimates[:, None]).square()
    return assigned_cost(error.flatten(start_dim=3).mean(-1), named=named).mean()


SPECTRAL_MAPPING = ModelSpec(
    name="spectral_mapping",
    title="Spectral mapping (DNN, residual LSTM)",
    task="dereverberation",
    paper="Han et al., IEEE/ACM TASLP 23(6), 2015; Han et al., Interspeech 2015",
    reference_licence="none read; no public code of either paper was found",
    separator=SpectralMapping,
    not_reproduced=(
        "Scores and word error rates (CHiME-2 is not free); features scaled by the training set; "
        "adaptive gradient descent."
    ),
    tiny=lambda: MappingHyperparameters(
        n_src=2,
        sample_rate=8000,
        window_s=0.032,
        hop_s=0.016,
        network="residual_lstm",
        range_db=40.0,
        context=1,
        layers=2,
        hidden_size=32,
        phase_iterations=0,
    ),
    training={"batch_size": 16, "segment_s": 4.0, "schedule": "constant", "average_decay": 0.0},
)

LSTM: dict[str, Any] = {"network": "residual_lstm", "layers": 4, "hidden_size": 1024, "context": 0}
SMALL: dict[str, Any] = {
    "window_s": 0.032,
    "hop_s": 0.016,
    "network": "residual_lstm",
    "context": 3,
    "layers": 2,
    "hidden_size": 320,
    "phase_iterations": 0,
}
# One validation keeps the last weights: the error of features may fall while SI-SDR falls, too.
SMALL_TRAINING = SMALL_SPEECH | {
    "batch_size": 8,
    "optimizer": "muon",
    "learning_rate": 4e-3,
    "validations": 1,
}


@SPECTRAL_MAPPING.variant(parameters=8_216_161)
def paper() -> Hyperparameters:
    """The DNN of Han et al. for log spectra, with iterated phases."""
    return MappingHyperparameters()


@SPECTRAL_MAPPING.variant("mask")
def mask() -> Hyperparameters:
    """The same DNN with resynthesis by mask."""
    return MappingHyperparameters(phase_iterations=0)


@SPECTRAL_MAPPING.variant("filterbank")
def filterbank() -> Hyperparameters:
    """The DNN for log-filterbanks of 40 bands, with resynthesis by mask."""
    return MappingHyperparameters(target="log_filterbank", phase_iterations=0)


@SPECTRAL_MAPPING.variant("mfcc")
def mfcc() -> Hyperparameters:
    """The DNN for 13 MFCC, with resynthesis by mask."""
    return MappingHyperparameters(target="mfcc", phase_iterations=0)


@SPECTRAL_MAPPING.variant("lstm")
def lstm() -> Hyperparameters:
    """A residual LSTM of four layers for log spectra, with iterated phases."""
    return MappingHyperparameters(**LSTM)


@SPECTRAL_MAPPING.variant("lstm_filterbank")
def lstm_filterbank() -> Hyperparameters:
    """The residual LSTM for log-filterbanks of 40 bands, with resynthesis by mask."""
    return MappingHyperparameters(**LSTM, target="log_filterbank", phase_iterations=0)


@SPECTRAL_MAPPING.variant("lstm_mfcc")
def lstm_mfcc() -> Hyperparameters:
    """The residual LSTM for 13 MFCC, with resynthesis by mask."""
    return MappingHyperparameters(**LSTM, target="mfcc", phase_iterations=0)


@SPECTRAL_MAPPING.variant("small", **SMALL_TRAINING)
def small() -> Hyperparameters:
    """For laptops: a residual LSTM of two narrower layers on fewer frames."""
    return MappingHyperparameters(**SMALL)


@SPECTRAL_MAPPING.variant("small_dnn", **SMALL_TRAINING)
def small_dnn() -> Hyperparameters:
    """For laptops: a DNN with as many frames."""
    return MappingHyperparameters(
        **SMALL | {"network": "dnn", "context": 5, "layers": 3, "hidden_size": 512}
    )


@SPECTRAL_MAPPING.variant("small_filterbank", **SMALL_TRAINING)
def small_filterbank() -> Hyperparameters:
    """For laptops: the small residual LSTM for log-filterbanks of 40 bands."""
    return MappingHyperparameters(**SMALL, target="log_filterbank")


@SPECTRAL_MAPPING.variant("small_mfcc", **SMALL_TRAINING)
def small_mfcc() -> Hyperparameters:
    """For laptops: the small residual LSTM for 13 MFCC."""
    return MappingHyperparameters(**SMALL, target="mfcc")
