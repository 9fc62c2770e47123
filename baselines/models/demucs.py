"""Demucs: a U-Net of strided convolutions on the waveform, with a bidirectional LSTM in its middle.

Alexandre Défossez, Nicolas Usunier, Léon Bottou and Francis Bach, "Music Source Separation in the
Waveform Domain", 2019 (arXiv 1911.13254).

Reproduced exactly: the network of the paper, its initialisation, its loss, and both published
configurations. `v1` is that of the paper's first version. The plain variant is that of the second,
which resamples the mixture to twice its rate by windowed sinc filters, and the estimates back.

Padding. Zeros on both sides complete the last frame of the deepest layer. The convolutions over
three frames in the decoder are padded with zeros, as the maintained code has them since its third
release; the first two releases trimmed their inputs instead, so that samples near the ends of a
signal differ.

Level. The network reads the mixture with mean 0 and deviation 1, and its output is scaled back. The
original code does so to whole songs, this module to each mixture that it is given. The loss (L1)
sees level.

Shifts. The paper averages the estimates of several random delays of at most half a second. Here
`shifts` delays are drawn with one seed, so that a mixture always has the same estimates; 0, the
default, is off.

The paper also varies pitch and tempo, swaps channels and flips signs; training here mixes stems of
several songs and varies their speed and gain.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, gcd
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.demucs import (
    SMALLEST_DEVIATION,
    STEMS,
    Blstm,
    WaveformDecoder,
    WaveformEncoder,
    mean_and_deviation,
    rescale_convolutions,
    whole_frames,
)
from baselines.model import SMALL_SONGS, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, Separator, SongHyperparameters, require

LONGEST_SHIFT_S = 0.5
SHIFT_SEED = 0
# The initial weights of every convolution are brought nearer to this standard deviation.
INITIAL_DEVIATION = 0.1


@dataclass(frozen=True, kw_only=True)
class DemucsHyperparameters(SongHyperparameters):
    """Symbols of the paper where it has one; the defaults are its second version."""

    source_names: tuple[str, ...] = STEMS
    L: int = 6  # layers of the encoder, and of the decoder
    C: int = 64  # channels of the first layer
    growth: float = 2.0  # of the channels from layer to layer
    K: int = 8  # length of a strided filter in samples
    S: int = 4  # its stride
    context: int = 3  # frames that a decoder reads
    lstm_layers: int = 2
    resample: int = 2  # times the sample rate inside the network
    normalise: bool = True
    shifts: int = 0  # delays that are averaged in evaluation

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(1, "L", "C", "growth", "lstm_layers", "resample")
        self.check_least(0, "shifts")
        require(self.context % 2 == 1, f"context is {self.context}; it must be odd.")
        require(
            self.S % self.resample == 0 and self.K % self.S == 0,
            f"K={self.K} must be a multiple of S={self.S}, and S of resample={self.resample}.",
        )

    def width(self, layer: int) -> int:
        """Return the channels of an encoder layer, counted from 0."""
        width = self.C
        for _ in range(layer):
            width = int(width * self.growth)
        return width


class Resampler(nn.Module):
    """Resampling by a ratio of integers, with sinc filters under a squared cosine.

    Smith and Gossett, "A flexible sampling-rate conversion method", ICASSP 1984. Signals are
    continued by their first and last samples.
    """

    filters: Tensor
    ZEROS = 24  # crossings of zero on each side of a filter
    PASSED = 0.945  # share of the smaller bandwidth that passes

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        divisor = gcd(before, after)
        self.before, self.after = before // divisor, after // divisor
        rate = self.PASSED * min(self.before, self.after)
        self.reach = ceil(self.ZEROS * self.before / rate)
        given_s = torch.arange(-self.reach, self.reach + self.before) / self.before
        made_s = torch.arange(self.after)[:, None] / self.after
        crossings = ((given_s - made_s) * rate).clamp(-self.ZEROS, self.ZEROS)  # (after, taps)
        window = (crossings * (torch.pi / 2 / self.ZEROS)).cos().square()
        filters = crossings.sinc() * window
        filters = filters / filters.sum(1, keepdim=True)
        self.register_buffer("filters", filters[:, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, time * after // before) of x (b, C, time)."""
        batch, channels, time = x.shape
        margins = (self.reach, self.reach + self.before)
        padded = functional.pad(x.reshape(-1, 1, time), margins, mode="replicate")
        made = functional.conv1d(padded, self.filters.to(x.dtype), stride=self.before)
        interleaved = made.transpose(1, 2).reshape(batch, channels, -1)
        return interleaved[..., : time * self.after // self.before]

    def macs(self, _given: Tensor, output: Tensor) -> int:
        """Return the multiply-accumulates of a call."""
        return output.numel() * self.filters.shape[-1]


class Demucs(Separator):
    """The paper's system, trained by the L1 loss of the waveforms."""

    hyperparameters_class = DemucsHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: DemucsHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()  # from the deepest layer to the first
        given, made = h.channels, h.n_src * h.channels
        for layer in range(h.L):
            width = h.width(layer)
            self.encoder.append(WaveformEncoder(given, width, h.K, h.S))
            decoder = WaveformDecoder(width, made, h.K, h.S, context=h.context, last=layer == 0)
            self.decoder.insert(0, decoder)
            given = made = width
        self.blstm = Blstm(given, h.lstm_layers)
        if h.resample > 1:
            self.raised = Resampler(1, h.resample)
            self.lowered = Resampler(h.resample, 1)
        rescale_convolutions(self, INITIAL_DEVIATION)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        if self.training or self.h.shifts == 0:
            return self.network(mixture)
        longest = int(LONGEST_SHIFT_S * self.sample_rate)
        draws = random.Random(SHIFT_SEED)
        total = torch.zeros_like(mixture)[:, None]
        for _ in range(self.h.shifts):
            delay = draws.randint(0, longest)
            total = total + self.network(functional.pad(mixture, (delay, 0)))[..., delay:]
        return total / self.h.shifts

    def network(self, mixture: Tensor) -> Tensor:
        """Return the estimates (b, n_src, channels, time) of one pass."""
        time = mixture.shape[-1]
        mean, deviation = mixture.new_zeros(1), mixture.new_ones(1)
        if self.h.normalise:
            mean, deviation = mean_and_deviation(mixture.mean(1, keepdim=True), (1, 2))
            mixture = (mixture - mean) / (deviation + SMALLEST_DEVIATION)
        front, end = self.padding(time)
        x = self._unet(functional.pad(mixture, (front, end)))[..., front : front + time]
        estimates: Tensor = (x * deviation + mean).unflatten(1, (self.n_src, self.channels))
        return estimates

    def padding(self, time: int) -> tuple[int, int]:
        """Return how many zeros before and after a signal of `time` samples give whole frames."""
        inside = whole_frames(time * self.h.resample, depth=self.h.L, K=self.h.K, S=self.h.S)
        missing = inside // self.h.resample - time
        return missing // 2, missing - missing // 2

    def _unet(self, x: Tensor) -> Tensor:
        """Return (b, n_src * channels, time) of x (b, channels, time), which has whole frames."""
        x = self.raised(x) if self.h.resample > 1 else x
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        x = self.blstm(x)
        for decode in self.decoder:
            x = decode(x + skips.pop())
        return self.lowered(x) if self.h.resample > 1 else x

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean absolute difference of estimates and references; scalar."""
        return functional.l1_loss(self.network(batch["mixture"]), batch["references"])


DEMUCS = ModelSpec(
    name="demucs",
    title="Demucs",
    task="music_separation",
    paper="Défossez, Usunier, Bottou and Bach, 2019, arXiv 1911.13254",
    reference_licence="demucs 4.1 (MIT), compared on copied weights",
    separator=Demucs,
    not_reproduced=(
        "Trimmed instead of padded decoders of the first two releases; changes of pitch; the "
        "quantised weights of the release."
    ),
    tiny=lambda: DemucsHyperparameters(L=3, C=8, growth=1.5),
    training={
        "batch_size": 64,
        "segment_s": 10.0,
        "learning_rate": 3e-4,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "constant",
        "average_decay": 0.0,
        "slowest": 0.88,
        "fastest": 1.12,
        "gain_spread_db": 3.0,
    },
)


@DEMUCS.variant(parameters=265_679_496)
@DEMUCS.variant("v2", parameters=265_679_496)
def paper() -> Hyperparameters:
    """The system of the paper's second version: 64 channels at twice the sample rate."""
    return DemucsHyperparameters()


@DEMUCS.variant("v1", parameters=648_548_208)
def v1() -> Hyperparameters:
    """The system of the paper's first version: 100 channels at the sample rate of the song."""
    return DemucsHyperparameters(C=100, resample=1)


@DEMUCS.imports("demucs", "Demucs")
def from_demucs(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `demucs.demucs.Demucs` without residual branches (DConv), norms and GELU."""
    needed = {"dconv_mode": 0, "gelu": False, "glu": True, "rewrite": True}
    check_arguments(arguments, needed, defaults={"dconv_mode": 1, "gelu": True})
    depth = arguments.get("depth", 6)
    require(arguments.get("norm_starts", 4) >= depth, "Demucs has no norms: give norm_starts.")
    names = {
        r"^(encoder|decoder)\.(\d+)\.[23]\.": r"\1.\2.second.",
        r"^encoder\.(\d+)\.0\.": r"encoder.\1.conv.",
        r"^encoder\.(\d+)\.second\.": r"encoder.\1.rewrite.",
        r"^decoder\.(\d+)\.0\.": r"decoder.\1.rewrite.",
        r"^decoder\.(\d+)\.second\.": r"decoder.\1.conv.",
        r"^lstm\.": "blstm.",
    }
    hyperparameters = DemucsHyperparameters(
        n_src=len(arguments["sources"]),
        source_names=tuple(arguments["sources"]),
        sample_rate=arguments.get("samplerate", 44100),
        channels=arguments.get("audio_channels", 2),
        L=depth,
        C=arguments.get("channels", 64),
        growth=arguments.get("growth", 2.0),
        K=arguments.get("kernel_size", 8),
        S=arguments.get("stride", 4),
        context=2 * arguments.get("context", 1) + 1,
        lstm_layers=arguments.get("lstm_layers", 0),
        resample=2 if arguments.get("resample", True) else 1,
        normalise=arguments.get("normalize", True),
    )
    return hyperparameters, renamed(weights, names)


@DEMUCS.variant("small", **SMALL_SONGS | {"learning_rate": 1e-3})
def small() -> Hyperparameters:
    """For laptops: strides of 8 in 4 layers of 24 channels and more, at the rate of the song."""
    return DemucsHyperparameters(L=4, C=24, K=16, S=8, resample=1, lstm_layers=1)
