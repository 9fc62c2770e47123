"""TDANet: one small block applied many times, whose lowest rate tells all others where to attend.

Kai Li, Runxuan Yang and Xiaolin Hu, "An efficient encoder-decoder architecture with top-down
attention for speech separation", ICLR 2023 (arXiv 2209.15200).

A block halves the rate of its features several times, sums all rates up at the lowest, attends
there over the whole mixture, and passes the result back up through local attention.

Layers and sizes are those of the authors' code, and so is the sum of the attention with itself
before its norm (the usual residual path would add the input). Two places follow the paper instead:
- Attention is over time. The authors' code gives its attention the axes (batch, time) where it
  expects (time, batch), which lets the mixtures of a batch attend to each other.
- The first step back up reads the lowest rate. The authors' code reads a higher one there.

Padding. L - S zeros at both ends let every sample lie in the same number of frames; the authors'
code has half a window more.

Level. The loss is the paper's SI-SDR, which determines none: estimates are fitted to the mixture.
The authors' configuration trains by SNR. For several channels, each basis signal has one filter
per channel. As in the authors' code, the decoder reads the latents of all sources.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.attention import SelfAttention
from baselines.layers.basis import LearnedBasis
from baselines.layers.fitted import FittedSeparator
from baselines.layers.norms import global_norm
from baselines.layers.transformer import sinusoids
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, require


# Axes: b batch, n_src, N basis signals, B features between and H inside blocks, k frames.
@dataclass(frozen=True, kw_only=True)
class TdaNetHyperparameters(Hyperparameters):
    """Sizes of the basis and the block; the defaults are those of the authors at 16 kHz."""

    sample_rate: int = 16000
    window_ms: float = 4.0  # length of a basis signal, four times the step between frames
    B: int = 128  # features of a frame between the blocks
    H: int = 512  # features inside a block
    rates: int = 5  # the highest and those of repeated halving
    iterations: int = 16  # of the one block
    heads: int = 8
    dropout: float = 0.1  # also the share of mixtures that skip a part of the attention

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.L >= 4,
            f"window_ms={self.window_ms} is {self.L} samples at {self.sample_rate} Hz; "
            "4 are the fewest.",
        )
        self.check_least(2, "rates")
        self.check_least(1, "iterations")

    @property
    def L(self) -> int:  # noqa: N802
        """Length of a basis signal in samples."""
        return round(self.window_ms * self.sample_rate / 1000)

    @property
    def N(self) -> int:  # noqa: N802
        """Number of basis signals."""
        return self.L // 2 + 1


def depthwise(features: int, *, stride: int = 1, bias: bool = False) -> nn.Module:
    """Return a convolution of five frames for each feature, and a norm."""
    conv = nn.Conv1d(features, features, 5, stride, padding=2, groups=features, bias=bias)
    return nn.Sequential(conv, global_norm(features))


class GlobalAttention(nn.Module):
    """Self-attention over time at the lowest rate, then a convolutional feed-forward network."""

    def __init__(self, h: TdaNetHyperparameters) -> None:
        super().__init__()
        self.skipped = h.dropout
        self.norm = nn.LayerNorm(h.H)
        self.attention = SelfAttention(h.H, h.heads, h.dropout)
        self.dropout = nn.Dropout(h.dropout)
        self.attention_norm = nn.LayerNorm(h.H)
        self.feed_forward = nn.Sequential(
            nn.Conv1d(h.H, 2 * h.H, 1, bias=False),
            global_norm(2 * h.H),
            nn.Conv1d(2 * h.H, 2 * h.H, 5, padding=2, groups=2 * h.H),
            nn.ReLU(),
            nn.Dropout(h.dropout),
            nn.Conv1d(2 * h.H, h.H, 1, bias=False),
            global_norm(h.H),
            nn.Dropout(h.dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, H, k) to the same shape."""
        x = x + self.skip(self.attend(x))
        return x + self.skip(self.feed_forward(x))

    def attend(self, x: Tensor) -> Tensor:
        """Return what the frames of x (b, H, k) attend to, in the same shape."""
        y = self.norm(x.transpose(1, 2))  # (b, k, H)
        y = self.attention(y + sinusoids(y))
        attended: Tensor = self.attention_norm(y + self.dropout(y))
        return attended.transpose(1, 2)

    def skip(self, update: Tensor) -> Tensor:
        """In training, drop the update (b, H, k) of some mixtures and enlarge the others."""
        kept = update.new_ones(len(update), 1, 1)
        return update * functional.dropout(kept, self.skipped, self.training)


class LocalAttention(nn.Module):
    """Gates and shifts the features of one rate by those of another one."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.local = depthwise(features)
        self.gate = depthwise(features)
        self.shift = depthwise(features)

    def forward(self, x: Tensor, above: Tensor) -> Tensor:
        """Return (b, H, k) for x (b, H, k) and the features above it (b, H, fewer frames)."""
        gate = functional.interpolate(self.gate(above).sigmoid(), x.shape[-1])
        shift = functional.interpolate(self.shift(above), x.shape[-1])
        local: Tensor = self.local(x)
        return torch.addcmul(shift, local, gate)


class TopDownBlock(nn.Module):
    """Down to the lowest rate, attention there, and back up to the highest."""

    def __init__(self, h: TdaNetHyperparameters) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv1d(h.B, h.H, 1), global_norm(h.H), nn.PReLU())
        self.down = nn.ModuleList(
            depthwise(h.H, stride=2 if rate else 1, bias=True) for rate in range(h.rates)
        )
        self.attention = GlobalAttention(h)
        self.up = nn.ModuleList(LocalAttention(h.H) for _ in range(h.rates - 1))
        self.project = nn.Conv1d(h.H, h.B, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, B, k) to the same shape."""
        y = self.expand(x)  # (b, H, k)
        levels = []  # (b, H, k), (b, H, k / 2), ...
        for down in self.down:
            y = down(y)
            levels.append(y)
        lowest = y.shape[-1]
        pooled = (functional.adaptive_avg_pool1d(level, lowest) for level in levels[:-1])
        attended = self.attention(sum(pooled, y))  # (b, H, lowest)
        levels = [level + functional.interpolate(attended, level.shape[-1]) for level in levels]
        y = levels.pop()
        for up, level in zip(reversed(self.up), reversed(levels), strict=True):
            y = up(level, y)
        projected: Tensor = self.project(y)
        return x + projected


class TdaNet(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = TdaNetHyperparameters
    silence_tolerance = 1.0

    def __init__(self, hyperparameters: TdaNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.basis = LearnedBasis(
            channels=h.channels, N=h.N, L=h.L, S=h.L // 4, n_src=h.n_src
        )  # one decoder reads the latents of all sources
        nn.init.xavier_uniform_(self.basis.encoder.weight)
        nn.init.xavier_uniform_(self.basis.decoder.weight)
        self.bottleneck = nn.Sequential(global_norm(h.N), nn.Conv1d(h.N, h.B, 1))
        self.block = TopDownBlock(h)
        self.again = nn.Sequential(nn.Conv1d(h.B, h.B, 1, groups=h.B), nn.PReLU())
        self.mask = nn.Sequential(nn.PReLU(), nn.Conv1d(h.B, h.n_src * h.N, 1), nn.ReLU())
        if h.iterations == 1:
            self.idle_parameters = tuple(f"again.{n}" for n, _ in self.again.named_parameters())

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, N, k)
        first = self.bottleneck(w)  # (b, B, k)
        x = self.block(first)
        for _ in range(self.h.iterations - 1):
            x = self.block(self.again(first + x))
        masks = self.mask(x).unflatten(1, (self.n_src, -1))  # (b, n_src, N, k)
        return self.basis.decode(w[:, None] * masks, mixture.shape[-1])


TDANET = ModelSpec(
    name="tdanet",
    title="TDANet",
    task="speech_separation",
    paper="Li, Yang and Hu, ICLR 2023, arXiv 2209.15200",
    reference_licence="The authors' code (Apache-2.0), compared in sizes and arithmetic",
    separator=TdaNet,
    not_reproduced="The scores; the end of training by patience; two errors of the authors' code.",
    tiny=lambda: TdaNetHyperparameters(
        sample_rate=8000, B=16, H=32, rates=3, iterations=2, heads=4, dropout=0.0
    ),
    training={
        "batch_size": 4,
        "segment_s": 3.0,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "plateau",
        "patience": 15,
        "average_decay": 0.0,
    },
)


@TDANET.variant(parameters=2_330_439)
def paper() -> Hyperparameters:
    """The paper's system at 16 kHz."""
    return TdaNetHyperparameters()


@TDANET.variant("large", parameters=2_316_391)
def large() -> Hyperparameters:
    """The paper's large system: twice as many frames, of half the length."""
    return TdaNetHyperparameters(window_ms=2.0)


@TDANET.variant("8k", parameters=2_316_391)
def at_8_khz() -> Hyperparameters:
    """The paper's system for recordings at 8 kHz."""
    return TdaNetHyperparameters(sample_rate=8000)


@TDANET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a quarter of the frames, four times as long, and fewer, narrower iterations."""
    return TdaNetHyperparameters(
        sample_rate=8000, window_ms=16.0, B=96, H=192, rates=4, iterations=5, dropout=0.0
    )
