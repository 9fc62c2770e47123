"""TF-GridNet: recurrent layers along frequency and time, and attention between frames.

Zhong-Qiu Wang, Samuele Cornell, Shukjae Choi, Younglo Lee, Byeong-Yeol Kim and Shinji Watanabe,
"TF-GridNet: Integrating Full- and Sub-Band Modeling for Speech Separation", IEEE/ACM TASLP 31, 2023
(arXiv 2211.12433), and the shorter paper of ICASSP 2023 (arXiv 2209.03952). Symbols are theirs.

The network maps the real and imaginary parts of the mixture's STFT to those of every source,
without a mask. The defaults are ESPnet's recipe for WSJ0-2mix, first version; its arithmetic is
reproduced exactly, but for silence and for signals shorter than two samples, where ESPnet divides
by zero, and for what follows.

Padding. The STFT is padded with zeros at both ends, ESPnet's by reflection. A block pads its grid
at the end of both axes until the kernel I fits in steps of J.

Level. The mixture is divided by its standard deviation, and the estimates are multiplied by it;
since SI-SDR determines no level, they are then fitted to the mixture.

Channels. As in the multichannel papers, the first convolution reads all channels at once; there it
estimates the sources at one microphone, here at each.

The training reproduces optimiser, rate, batch and segment of the recipe; Xavier initialisation and
the end of training by patience have no field.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.attention import AttentionProducts
from baselines.layers.fitted import FittedSeparator
from baselines.layers.stft import Stft
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require

SMALLEST_DEVIATION = 1e-8


# Axes: b batch, t frames, f bins, D features of a bin, L heads, E features of a query and a key.
@dataclass(frozen=True, kw_only=True)
class TfGridNetHyperparameters(Hyperparameters):
    """Sizes by the papers' symbols; the defaults are ESPnet's recipe for talkers at 8 kHz."""

    n_fft: int = 128
    hop_length: int = 64
    D: int = 48  # features of a bin
    I: int = 4  # noqa: E741  # neighbours that a recurrent layer reads in one step
    J: int = 1  # bins or frames from one step to the next
    H: int = 192  # hidden units per direction
    B: int = 6  # blocks
    L: int = 4  # heads
    query_size: int = 512  # features of a frame's query and key, E f, at least

    def __post_init__(self) -> None:
        super().__post_init__()
        require(1 <= self.J <= self.I, f"J is {self.J}; it can be 1 to I={self.I}.")
        require(
            self.D % self.L == 0,
            f"D is {self.D}, which L={self.L} heads cannot share; give a multiple of L.",
        )

    @property
    def bins(self) -> int:
        """Frequency bins of a frame."""
        return self.n_fft // 2 + 1

    @property
    def E(self) -> int:  # noqa: N802
        """Features of a query and a key per bin."""
        return math.ceil(self.query_size / self.bins)


class PathBlstm(nn.Module):
    """A BLSTM along one axis, which reads I neighbours at every J-th place."""

    def __init__(self, h: TfGridNetHyperparameters) -> None:
        super().__init__()
        self.I, self.J = h.I, h.J
        self.norm = nn.LayerNorm(h.D)
        self.blstm = nn.LSTM(h.I * h.D, h.H, batch_first=True, bidirectional=True)
        # A transposed convolution, as a product and an overlap-add.
        self.deconv = nn.Linear(2 * h.H, h.I * h.D, bias=False)
        self.bias = nn.Parameter(torch.zeros(h.D))

    def forward(self, x: Tensor) -> Tensor:
        """Map sequences x (n, length, D) to the same shape; I fits into length in steps of J."""
        y = self.norm(x)
        y = y.unfold(1, self.I, self.J).transpose(2, 3).flatten(2)  # (n, steps, I * D)
        y, _ = self.blstm(y)  # (n, steps, 2 * H)
        return self.overlap_add(self.deconv(y), x.shape[1]) + self.bias

    def overlap_add(self, y: Tensor, length: int) -> Tensor:
        """Add the neighbours of all steps (n, steps, I * D) up to (n, length, D)."""
        if self.I == self.J:
            return y.reshape(len(y), length, -1)
        y = y.unflatten(2, (self.I, -1)).permute(0, 3, 2, 1).flatten(1, 2)  # (n, D * I, steps)
        total = functional.fold(y, (length, 1), (self.I, 1), stride=(self.J, 1))
        return total[..., 0].transpose(1, 2)


class FrameAttention(nn.Module):
    """Full-band self-attention: each frame is one position, with all its bins as features."""

    def __init__(self, h: TfGridNetHyperparameters) -> None:
        super().__init__()
        self.L = h.L
        self.sizes = (h.L * h.E, h.L * h.E, h.D)
        self.project = nn.Linear(h.D, sum(self.sizes))
        self.queries = HeadNorm(h.L, h.E, h.bins)
        self.keys = HeadNorm(h.L, h.E, h.bins)
        self.values = HeadNorm(h.L, h.D // h.L, h.bins)
        self.products = AttentionProducts()
        self.output = nn.Linear(h.D, h.D)
        self.output_prelu = nn.PReLU()
        self.output_norm = nn.LayerNorm((h.bins, h.D))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, t, f, D) to the same shape."""
        q, k, v = self.project(x).split(self.sizes, -1)  # (b, t, f, L * features)
        y = self.products(self.keys(k), self.values(v), self.queries(q))
        y = y.unflatten(-1, (x.shape[2], -1))  # (b, L, t, f, D / L)
        y = y.permute(0, 2, 3, 1, 4).flatten(3)  # (b, t, f, D)
        normed: Tensor = self.output_norm(self.output_prelu(self.output(y)))
        return normed


class HeadNorm(nn.Module):
    """PReLU with one slope per head, and a norm over the features and bins of a head."""

    def __init__(self, L: int, features: int, bins: int) -> None:
        super().__init__()
        self.L = L
        self.slope = nn.Parameter(torch.full((L,), 0.25))
        self.weight = nn.Parameter(torch.ones(L, 1, bins * features))
        self.bias = nn.Parameter(torch.zeros(L, 1, bins * features))

    def forward(self, x: Tensor) -> Tensor:
        """Return the heads (b, L, t, f * features) of x (b, t, f, L * features)."""
        x = x.unflatten(-1, (self.L, -1))  # (b, t, f, L, features)
        x = x.permute(0, 3, 1, 2, 4).flatten(3)  # (b, L, t, f * features)
        x = functional.prelu(x, self.slope.to(x.dtype))
        return functional.layer_norm(x, x.shape[-1:]) * self.weight + self.bias


class GridNetBlock(nn.Module):
    """Within a frame, along a band, and between frames; each adds to its input."""

    def __init__(self, h: TfGridNetHyperparameters) -> None:
        super().__init__()
        self.I, self.J = h.I, h.J
        self.intra_frame = PathBlstm(h)
        self.sub_band = PathBlstm(h)
        self.attention = FrameAttention(h)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, t, f, D) to the same shape."""
        batch, frames, bins, _ = x.shape
        x = functional.pad(x, (0, 0, 0, self.missing(bins), 0, self.missing(frames)))
        y = x.flatten(0, 1)  # (b * t, f, D)
        x = x + self.intra_frame(y).unflatten(0, (batch, -1))
        y = x.transpose(1, 2).flatten(0, 1)  # (b * f, t, D)
        x = x + self.sub_band(y).unflatten(0, (batch, -1)).transpose(1, 2)
        x = x[:, :frames, :bins]
        attended: Tensor = self.attention(x)
        return x + attended

    def missing(self, length: int) -> int:
        """Return how many places an axis lacks to hold the kernel I in steps of J."""
        steps = -(-max(length - self.I, 0) // self.J)  # rounded up
        return steps * self.J + self.I - length


class TfGridNet(FittedSeparator):
    """The papers' complex spectral mapping, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = TfGridNetHyperparameters
    silence_tolerance = 1.0

    def __init__(self, hyperparameters: TfGridNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.stft = Stft(h.n_fft, h.hop_length)
        self.conv = nn.Conv2d(2 * h.channels, h.D, 3, padding=1)
        self.norm = nn.GroupNorm(1, h.D)
        self.blocks = nn.Sequential(*(GridNetBlock(h) for _ in range(h.B)))
        self.deconv = nn.ConvTranspose2d(h.D, h.n_src * 2 * h.channels, 3, padding=1)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) near the level of the mixture."""
        deviation = standard_deviation(mixture)  # (b, 1, 1)
        spectrum = self.stft.analyse(mixture / deviation)  # (b, channels, f, t)
        parts = torch.cat([spectrum.real, spectrum.imag], 1).transpose(2, 3)
        x = self.norm(self.conv(parts)).permute(0, 2, 3, 1)  # (b, t, f, D)
        parts = self.deconv(self.blocks(x).permute(0, 3, 1, 2)).transpose(2, 3)
        parts = parts.unflatten(1, (self.n_src, 2, self.channels)).to(spectrum.real.dtype)
        estimates = torch.complex(parts[:, :, 0], parts[:, :, 1])  # (b, n_src, channels, f, t)
        return self.stft.synthesise(estimates, mixture.shape[-1]) * deviation[:, None]


def standard_deviation(mixture: Tensor) -> Tensor:
    """Return the deviation (b, 1, 1) over the channels and samples of (b, channels, time)."""
    count = mixture[0].numel()
    variance = mixture.var((1, 2), correction=0, keepdim=True) * (count / max(count - 1, 1))
    return variance.sqrt().clamp(min=SMALLEST_DEVIATION)


TF_GRIDNET = ModelSpec(
    name="tf_gridnet",
    title="TF-GridNet",
    task="speech_separation",
    paper="Wang et al., IEEE/ACM TASLP 31, 2023, arXiv 2211.12433",
    reference_licence="ESPnet (Apache-2.0), compared on copied weights",
    separator=TfGridNet,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); the beamformer between two "
    "networks of the multichannel papers.",
    tiny=lambda: TfGridNetHyperparameters(
        n_fft=64, hop_length=32, D=8, I=2, J=2, H=16, B=1, L=2, query_size=64
    ),
    training={
        "batch_size": 3,
        "segment_s": 4.0,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "plateau",
        "average_decay": 0.0,
    },
)


@TF_GRIDNET.variant(parameters=8_175_874)
def paper() -> Hyperparameters:
    """The configuration of ESPnet's recipe for WSJ0-2mix."""
    return TfGridNetHyperparameters()


@TF_GRIDNET.variant("small", **SMALL_SPEECH | {"batch_size": 2, "warmup": 0.02})
def small() -> Hyperparameters:
    """For laptops: few long frames, read in steps of eight, and small batches."""
    return TfGridNetHyperparameters(
        n_fft=512, hop_length=256, D=16, I=8, J=8, H=64, B=2, query_size=256
    )


@TF_GRIDNET.variant("large", parameters=14_521_042)
def large() -> Hyperparameters:
    """The papers' largest network: more bins and features."""
    return TfGridNetHyperparameters(n_fft=256, D=64, H=256)


_NAMES_IN_ESPNET = {
    r"^conv\.0\.": "conv.",
    r"^conv\.1\.": "norm.",
    r"\.intra_": ".intra_frame.",
    r"\.inter_": ".sub_band.",
    r"\.rnn\.": ".blstm.",
    r"\.linear\.weight$": ".deconv.weight",
    r"\.linear\.bias$": ".bias",
    r"\.attn_concat_proj\.0\.": ".attention.output.",
    r"\.attn_concat_proj\.1\.": ".attention.output_prelu.",
    r"\.attn_concat_proj\.2\.": ".attention.output_norm.",
    r"\.gamma$": ".weight",
    r"\.beta$": ".bias",
}


@TF_GRIDNET.imports("espnet", "TFGridNet")
def from_espnet(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `espnet2.enh.separator.tfgridnet_separator.TFGridNet`, for one microphone.

    The weights are those of the separator alone, or of a model that contains it.
    """
    check_arguments(arguments, {"window": "hann", "n_imics": 1, "activation": "prelu"})
    weights = {name.removeprefix("separator."): value for name, value in weights.items()}
    h = TfGridNetHyperparameters(
        n_src=arguments.get("n_srcs", 2),
        n_fft=arguments.get("n_fft", 128),
        hop_length=arguments.get("stride", 64),
        D=arguments.get("emb_dim", 48),
        I=arguments.get("emb_ks", 4),
        J=arguments.get("emb_hs", 1),
        H=arguments.get("lstm_hidden_units", 192),
        B=arguments.get("n_layers", 6),
        L=arguments.get("attn_n_head", 4),
        query_size=arguments.get("attn_approx_qk_dim", 512),
    )
    shared = {name: value for name, value in weights.items() if ".attn_conv_" not in name}
    ours = {name: _reshaped(name, value, h) for name, value in shared.items()}
    ours = renamed(ours, _NAMES_IN_ESPNET)
    for block in range(h.B):
        theirs = f"blocks.{block}.attn_conv_"
        ours |= _attention(weights, theirs, f"blocks.{block}.attention", h.L)
    return h, ours


def _reshaped(name: str, value: Tensor, h: TfGridNetHyperparameters) -> Tensor:
    """Return a weight of ESPnet's block with the axes of ours: features come last."""
    if ".weight_ih_" in name:  # (4 H, D * I)
        return value.reshape(-1, h.D, h.I).transpose(1, 2).flatten(1)
    if name.endswith("linear.weight"):  # (2 H, D, I)
        return value.permute(2, 1, 0).flatten(0, 1)
    if name.endswith(("gamma", "beta")):  # (1, D, 1, 1 or f)
        return value[0, :, 0].T.squeeze(0)
    return value[..., 0, 0] if name.endswith("concat_proj.0.weight") else value


def _attention(weights: Weights, theirs: str, ours: str, heads: int) -> Weights:
    """Return ESPnet's projections, slopes and norms of one head each as those of all heads."""
    result = {}
    for letter, name in {"Q": "queries", "K": "keys", "V": "values"}.items():
        every = [f"{theirs}{letter}_{head}." for head in range(heads)]
        result[f"{ours}.{name}.slope"] = torch.cat([weights[f"{key}1.weight"] for key in every])
        for part, norm in {"weight": "gamma", "bias": "beta"}.items():
            gains = [weights[f"{key}2.{norm}"][0, :, 0].T.flatten() for key in every]
            result[f"{ours}.{name}.{part}"] = torch.stack(gains)[:, None]  # (L, 1, f * features)
    projections = [f"{theirs}{letter}_{head}.0." for letter in "QKV" for head in range(heads)]
    weight = torch.cat([weights[f"{key}weight"][..., 0, 0] for key in projections])
    bias = torch.cat([weights[f"{key}bias"] for key in projections])
    return result | {f"{ours}.project.weight": weight, f"{ours}.project.bias": bias}
