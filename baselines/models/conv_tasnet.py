"""Conv-TasNet: a learned basis, masked by a temporal convolutional network.

Yi Luo and Nima Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for
Speech Separation", IEEE/ACM TASLP 27(8), 2019 (arXiv 1809.07454). Symbols are those of its Table I.

What the paper leaves open is a hyperparameter here:
- Padding. `padding="both"` adds L - S zeros at each end, so that every sample lies in the same
  number of frames; `"end"` starts the first frame at the first sample and only completes the last.
  Because gLN normalises over time, the choice changes every output sample a little.
- Level. SI-SDR determines neither the gain nor the sign of an estimate. `level="mixture"` gives
  each estimate the gain that brings their sum nearest to the mixture; `"network"` keeps the
  network's output. Neither uses a reference.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.losses import si_sdr_loss
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator, require

# Axes: b batch, n_src, N basis signals, B bottleneck, Sc skip, H hidden, k frames.
CHOICES = {
    "norm": ("gLN", "cLN"),
    "mask": ("sigmoid", "relu", "softmax"),
    "encoder": ("linear", "relu"),
    "padding": ("both", "end"),
    "level": ("mixture", "network"),
}


@dataclass(frozen=True, kw_only=True)
class ConvTasNetHyperparameters(Hyperparameters):
    """Table I of the paper; the defaults are those of its best non-causal system."""

    N: int = 512  # basis signals of the encoder
    L: int = 16  # length of a basis signal in samples
    S: int | None = None  # stride in samples; None: half of L
    B: int = 128  # channels of the bottleneck and of the residual path
    H: int = 512  # channels inside a convolutional block
    Sc: int = 128  # channels of the skip path
    P: int = 3  # kernel size of a block's depthwise convolution
    X: int = 8  # blocks in a repeat, of dilation 1, 2, ... 2^(X-1)
    R: int = 3  # repeats
    causal: bool = False
    norm: str = "gLN"  # global; or cLN: cumulative over the past
    mask: str = "sigmoid"
    encoder: str = "linear"
    padding: str = "both"
    level: str = "mixture"

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, allowed in CHOICES.items():
            given = getattr(self, name)
            require(given in allowed, f"{name} is {given!r}; it can be {' or '.join(allowed)}.")
        require(self.P % 2 == 1, f"P is {self.P}; an odd kernel keeps the number of frames.")
        require(1 <= self.stride <= self.L, f"S is {self.stride}; it can be 1 to L={self.L}.")
        require(
            not self.causal or (self.norm == "cLN" and self.level == "network"),
            f"norm={self.norm!r} with level={self.level!r} uses the whole signal, which a causal "
            "Conv-TasNet cannot; give norm='cLN' and level='network'.",
        )

    @property
    def stride(self) -> int:
        """Samples from the start of a frame to that of the next."""
        return self.S or self.L // 2


class CumulativeLayerNorm(nn.Module):
    """cLN of the paper: mean and variance over the channels of this and all earlier frames."""

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (b, channels, k)."""
        _, channels, frames = x.shape
        count = channels * torch.arange(1, frames + 1, dtype=x.dtype, device=x.device)  # (k,)
        mean = x.sum(1, keepdim=True).cumsum(-1) / count  # (b, 1, k)
        power = x.square().sum(1, keepdim=True).cumsum(-1) / count
        variance = (power - mean.square()).clamp(min=0)
        return self.weight * (x - mean) / (variance + self.eps).sqrt() + self.bias


def normalisation(kind: str, channels: int) -> nn.Module:
    """Return a layer norm over channels and time (gLN), or over channels and the past (cLN)."""
    if kind == "cLN":
        return CumulativeLayerNorm(channels)
    return nn.GroupNorm(1, channels, eps=1e-8)


class ConvolutionalBlock(nn.Module):
    """1-D Conv of the paper's Figure 1(C): 1x1, dilated depthwise, 1x1 to residual and skip."""

    def __init__(self, h: ConvTasNetHyperparameters, dilation: int) -> None:
        super().__init__()
        self.expand = nn.Conv1d(h.B, h.H, 1)
        self.expand_prelu = nn.PReLU()
        self.expand_norm = normalisation(h.norm, h.H)
        reach = (h.P - 1) * dilation
        self.margins = (reach, 0) if h.causal else (reach // 2, reach // 2)
        self.depthwise = nn.Conv1d(h.H, h.H, h.P, dilation=dilation, groups=h.H)
        self.depthwise_prelu = nn.PReLU()
        self.depthwise_norm = normalisation(h.norm, h.H)
        self.residual = nn.Conv1d(h.H, h.B, 1)
        self.skip = nn.Conv1d(h.H, h.Sc, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return residual (b, B, k) and skip (b, Sc, k) of x (b, B, k)."""
        y = self.expand_norm(self.expand_prelu(self.expand(x)))  # (b, H, k)
        y = self.depthwise(functional.pad(y, self.margins))
        y = self.depthwise_norm(self.depthwise_prelu(y))
        return self.residual(y), self.skip(y)


class Separation(nn.Module):
    """Figure 1(B): bottleneck, R repeats of X blocks, and one mask per source."""

    def __init__(self, h: ConvTasNetHyperparameters) -> None:
        super().__init__()
        self.n_src = h.n_src
        self.mask = h.mask
        self.norm = normalisation(h.norm, h.N)
        self.bottleneck = nn.Conv1d(h.N, h.B, 1)
        self.blocks = nn.ModuleList(
            ConvolutionalBlock(h, dilation=2**x) for _ in range(h.R) for x in range(h.X)
        )
        self.output_prelu = nn.PReLU()
        self.output = nn.Conv1d(h.Sc, h.n_src * h.N, 1)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) for the mixture's weights w (b, N, k)."""
        x = self.bottleneck(self.norm(w))  # (b, B, k)
        total: Tensor | int = 0
        for block in self.blocks:
            residual, skip = block(x)
            x = x + residual
            total = total + skip
        scores: Tensor = self.output(self.output_prelu(total))  # (b, n_src * N, k)
        scores = scores.unflatten(1, (self.n_src, -1))  # (b, n_src, N, k)
        if self.mask == "softmax":
            return scores.softmax(1)
        return scores.sigmoid() if self.mask == "sigmoid" else scores.relu()


class ConvTasNet(Separator):
    """The paper's system; trained by permutation-invariant SI-SDR (plain SI-SDR for named stems).

    For stereo, each basis signal of the encoder and the decoder has one filter per channel.
    """

    hyperparameters_class = ConvTasNetHyperparameters

    def __init__(self, hyperparameters: ConvTasNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        # A frame's weights depend on all its L samples, so an estimate depends on L - 1 later ones.
        self.causal = h.causal
        self.look_ahead = h.L - 1 if h.causal else None
        # In the published layout the last block's residual convolution has an unused output.
        last = f"separation.blocks.{h.R * h.X - 1}.residual"
        self.idle_parameters = (f"{last}.weight", f"{last}.bias")
        self.encoder = nn.Conv1d(h.channels, h.N, h.L, h.stride, bias=False)
        self.separation = Separation(h)
        self.decoder = nn.ConvTranspose1d(h.N, h.channels, h.L, h.stride, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        estimates = self.network(mixture)
        if self.h.level == "mixture":
            return fit_level(mixture, estimates)
        return estimates

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        self.check_mixture(mixture)
        front, end = self._padding(mixture.shape[-1])
        w = self.encoder(functional.pad(mixture, (front, end)))  # (b, N, k)
        if self.h.encoder == "relu":
            w = w.relu()
        d = w[:, None] * self.separation(w)  # (b, n_src, N, k)
        decoded = self.decoder(d.flatten(0, 1))  # (b * n_src, channels, front + time + end)
        decoded = decoded[..., front : front + mixture.shape[-1]]
        estimates: Tensor = decoded.unflatten(0, (-1, self.n_src))
        return estimates

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the negative SI-SDR of a batch in dB; scalar."""
        estimates = self.network(batch["mixture"])
        named = self.source_names is not None
        return si_sdr_loss(references=batch["references"], estimates=estimates, named=named)

    def _padding(self, time: int) -> tuple[int, int]:
        """Return how many zeros before and after the signal give whole frames."""
        L, S = self.h.L, self.h.stride
        front = L - S if self.h.padding == "both" else 0
        strides = -(-max(front + time + front - L, 0) // S)  # rounded up
        return front, strides * S + L - front - time


def fit_level(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Scale each estimate so that their sum is nearest to the mixture.

    The gains are a least squares solution over all channels and samples, slightly regularised so
    that it is unique for silence and for equal estimates.

    Args:
        mixture: shape (b, channels, time).
        estimates: shape (b, n_src, channels, time).
    """
    e = estimates.flatten(start_dim=2)  # (b, n_src, channels * time)
    x = mixture.flatten(start_dim=1)[:, :, None]  # (b, channels * time, 1)
    gram = e @ e.transpose(1, 2)  # (b, n_src, n_src)
    ridge = 1e-4 * gram.diagonal(dim1=1, dim2=2) + torch.finfo(e.dtype).tiny  # (b, n_src)
    gains: Tensor = torch.linalg.solve(gram + ridge.diag_embed(), e @ x)  # (b, n_src, 1)
    return estimates * gains[..., None]


CONV_TASNET = ModelSpec(
    name="conv_tasnet",
    title="Conv-TasNet",
    paper="Luo and Mesgarani, IEEE/ACM TASLP 27(8), 2019, arXiv 1809.07454",
    reference_licence="asteroid (MIT) and torchaudio (BSD-2-Clause), compared on copied weights",
    separator=ConvTasNet,
    expected_parameters=5_050_545,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); networks without skip paths.",
    tiny=lambda: ConvTasNetHyperparameters(N=32, L=16, B=16, H=32, X=3, R=1),
    training={"batch_size": 4, "segment_s": 4.0, "schedule": "plateau", "average_decay": 0.0},
)


@CONV_TASNET.variant()
def paper() -> Hyperparameters:
    """The best non-causal system of the paper."""
    return ConvTasNetHyperparameters()


@CONV_TASNET.variant("causal")
def causal() -> Hyperparameters:
    """The paper's causal system: cumulative norms, 15 samples of look-ahead."""
    return ConvTasNetHyperparameters(causal=True, norm="cLN", level="network")


@CONV_TASNET.variant(
    "small",
    batch_size=4,
    segment_s=2.0,
    learning_rate=2e-3,
    beta2=0.98,
    slowest=0.8,
    fastest=1.25,
)
def small() -> Hyperparameters:
    """For laptops: a quarter of the frames, four times as long, and fewer, narrower blocks."""
    return ConvTasNetHyperparameters(N=256, L=64, B=96, H=192, X=5, R=2)
