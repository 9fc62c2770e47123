"""A U-Net of two branches, one on the waveform and one on the spectrogram: Hybrid Demucs.

Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX workshop 2021 (arXiv 2111.03600).
Axes: b batch, C channels, f frequencies, k frames, time.

Each level divides the frequencies by S, and the samples of the waveform too. Where one frequency is
left, both branches have the same frames: they merge there, and deeper levels divide the frames.
"""

from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.demucs import STEMS, Blstm
from baselines.separator import SongHyperparameters, require

EMBEDDING_GAIN = 0.2
EMBEDDING_RATE = 10.0  # the embedding learns this many times as fast as other weights
GROUPS = 4  # of the norms of deep levels
HEADS = 4  # of the local attention
DECAYS = 4  # slopes among which each head chooses
CHUNK = 200  # frames that a recurrent layer reads at once
MERGED_STRIDE = 2  # of the frames, in levels below the merge


@dataclass(frozen=True)
class Level:
    """One level of the U-Net.

    Attributes:
        width: channels of both branches.
        spectral: whether it has frequencies to divide; otherwise it divides the frames.
        K: length of its filters.
        S: stride of its filters.
        merges: whether one frequency is left after it.
        normed: whether it has norms.
        recurrent: whether its residual branches have recurrence and attention.
    """

    width: int
    spectral: bool
    K: int
    S: int
    merges: bool
    normed: bool
    recurrent: bool


@dataclass(frozen=True, kw_only=True)
class HybridHyperparameters(SongHyperparameters):
    """What both hybrid systems are configured by; filters are twice as long as their strides."""

    source_names: tuple[str, ...] = STEMS
    C: int = 48  # channels of the first level
    growth: float = 2.0  # of the channels from level to level
    depth: int = 6  # levels
    n_fft: int = 4096  # the hop is a quarter of it
    S: int = 4  # stride over frequencies and over samples
    context: int = 3  # width of the convolutions in the decoder
    norm_from: int = 4  # first level with norms
    recurrent_from: int = 4  # first level with recurrence and attention
    branch_layers: int = 2  # of a residual branch; dilations are 1, 2, ...
    compress: int = 4  # channels divided by those inside a residual branch
    branch_scale: float = 1e-4  # initial gain of the residual branches
    decoder_branches: bool = False  # residual branches in the decoder, too

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.context % 2 == 1, f"context is {self.context}; it must be odd.")
        require(self.S % 2 == 0, f"S is {self.S}; it must be even.")
        bins = self.n_fft // 2
        for number, level in enumerate(self.levels()):
            inside = level.width // self.compress
            require(
                not level.spectral or level.merges or bins % self.S == 0,
                f"n_fft={self.n_fft} has no {number + 1} levels of S={self.S}.",
            )
            require(
                not level.merges or self.hop == self.S ** (number + 1),
                f"n_fft={self.n_fft} must be {4 * self.S ** (number + 1)} for S={self.S}, so that "
                "both branches have the same frames where they merge.",
            )
            require(
                level.width % (GROUPS if level.normed else 1) == 0
                and inside % (HEADS if level.recurrent else 1) == 0
                and inside >= 1,
                f"C={self.C} and growth={self.growth} give level {number + 1} {level.width} "
                f"channels, and compress={self.compress} leaves {inside} inside a branch; they "
                f"must be multiples of {GROUPS} and {HEADS}.",
            )
            bins //= self.S

    @property
    def hop(self) -> int:
        """Samples from one frame of the spectrogram to the next."""
        return self.n_fft // 4

    def levels(self) -> list[Level]:
        """Return the levels from the first to the deepest."""
        levels, width, bins = [], self.C, self.n_fft // 2
        for number in range(self.depth):
            spectral, merges = bins > 1, 1 < bins <= 2 * self.S
            whole = 2 * (self.S if spectral else MERGED_STRIDE)
            level = Level(
                width=width,
                spectral=spectral,
                K=bins if merges else whole,
                S=whole // 2,
                merges=merges,
                normed=number >= self.norm_from,
                recurrent=number >= self.recurrent_from,
            )
            levels.append(level)
            width = int(width * self.growth)
            bins = 1 if bins <= 2 * self.S else bins // self.S
        return levels


class LocalAttention(nn.Module):
    """Attention to other frames, less to those farther away: a slope per head and frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.content = nn.Conv1d(width, width, 1)
        self.query = nn.Conv1d(width, width, 1)
        self.key = nn.Conv1d(width, width, 1)
        self.decay = nn.Conv1d(width, HEADS * DECAYS, 1)
        # Slopes start near the smallest, so that all frames are attended to.
        self.decay.weight.data *= 0.01
        self.decay.register_parameter("bias", nn.Parameter(torch.full((HEADS * DECAYS,), -2.0)))
        self.output = nn.Conv1d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        query, key, content = (
            conv(x).unflatten(1, (HEADS, -1)).transpose(2, 3)  # (b, heads, k, C / heads)
            for conv in (self.query, self.key, self.content)
        )
        attended = functional.scaled_dot_product_attention(
            query, key, content, attn_mask=self._penalty(x).to(query.dtype)
        )
        result: Tensor = x + self.output(attended.transpose(2, 3).flatten(1, 2))
        return result

    def _penalty(self, x: Tensor) -> Tensor:
        """Return what is added to each query's scores: (b, heads, k queries, k keys)."""
        frame = torch.arange(x.shape[-1], device=x.device)
        distance = (frame[:, None] - frame).abs()  # (k, k)
        factors = torch.arange(1, DECAYS + 1, device=x.device, dtype=x.dtype) / sqrt(DECAYS)
        chosen = self.decay(x).unflatten(1, (HEADS, DECAYS)).sigmoid() / 2
        slope = (chosen * factors[:, None]).sum(2)[..., None]  # (b, heads, k, 1)
        # A frame does not attend to itself, unless it is alone.
        return torch.where(distance == 0, -100.0, -slope * distance)

    def macs(self, given: Tensor, _output: Tensor) -> int:
        """Return the multiply-accumulates of a call."""
        _, width, frames = given.shape
        return given.numel() * (4 * width + HEADS * DECAYS + 2 * frames)


class BranchLayer(nn.Module):
    """A dilated convolution to fewer channels, recurrence and attention if any, and back; added."""

    def __init__(
        self, width: int, inside: int, dilation: int, gain: float, recurrent: bool
    ) -> None:
        super().__init__()
        self.squeeze = nn.Conv1d(width, inside, 3, dilation=dilation, padding=dilation)
        self.squeeze_norm = nn.GroupNorm(1, inside)
        self.blstm = Blstm(inside, layers=2, chunk=CHUNK) if recurrent else None
        self.attention = LocalAttention(inside) if recurrent else None
        self.expand = nn.Conv1d(inside, 2 * width, 1)
        self.expand_norm = nn.GroupNorm(1, 2 * width)
        self.gain = nn.Parameter(torch.full((width,), gain))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        y = functional.gelu(self.squeeze_norm(self.squeeze(x)))
        if self.blstm is not None and self.attention is not None:
            y = self.attention(y + self.blstm(y))
        y = functional.glu(self.expand_norm(self.expand(y)), dim=1)
        return x + self.gain[:, None] * y


class Branch(nn.Module):
    """The residual branch of a level; spectrograms are read frequency by frequency."""

    def __init__(self, h: HybridHyperparameters, level: Level) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            BranchLayer(
                level.width,
                level.width // h.compress,
                dilation=2**layer,
                gain=h.branch_scale,
                recurrent=level.recurrent,
            )
            for layer in range(h.branch_layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the shape of x: (b, C, k) or (b, C, f, k)."""
        frequencies = x.shape[2] if x.ndim == 4 else None
        y = x if frequencies is None else x.transpose(1, 2).flatten(0, 1)  # (b * f, C, k)
        for layer in self.layers:
            y = layer(y)
        return y if frequencies is None else y.unflatten(0, (-1, frequencies)).transpose(1, 2)


def _norm(level: Level, width: int) -> nn.Module:
    return nn.GroupNorm(GROUPS, width) if level.normed else nn.Identity()


class Reader(nn.Module):
    """A strided convolution over frequencies, or over samples that it completes with zeros."""

    def __init__(self, given: int, level: Level, *, spectral: bool) -> None:
        super().__init__()
        self.S = level.S
        self.spectral = spectral
        K = level.K if spectral else 2 * level.S
        margin = 0 if spectral and level.merges else K // 4
        self.conv = (
            nn.Conv2d(given, level.width, (K, 1), (level.S, 1), (margin, 0))
            if spectral
            else nn.Conv1d(given, level.width, K, level.S, margin)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width, f / S, k) of x (b, C, f, k), or (b, width, time / S), rounded up."""
        if not self.spectral:
            x = functional.pad(x, (0, -x.shape[-1] % self.S))
        read: Tensor = self.conv(x)
        return read


class Encoder(Reader):
    """A strided convolution, a residual branch and a 1x1 convolution with GLU."""

    def __init__(
        self, h: HybridHyperparameters, given: int, level: Level, *, spectral: bool
    ) -> None:
        super().__init__(given, level, spectral=spectral)
        self.norm = _norm(level, level.width)
        self.branch = Branch(h, level)
        self.rewrite = (nn.Conv2d if spectral else nn.Conv1d)(level.width, 2 * level.width, 1)
        self.rewrite_norm = _norm(level, 2 * level.width)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Encode x; `other` (b, width, k) is the other branch, which merges into this one."""
        x = super().forward(x)
        if other is not None:
            x = x + other[:, :, None]
        y = self.branch(functional.gelu(self.norm(x)))
        return functional.glu(self.rewrite_norm(self.rewrite(y)), dim=1)


class Writer(nn.Module):
    """A transposed convolution over frequencies or samples, cut to what the encoder read."""

    def __init__(self, level: Level, made: int, *, spectral: bool, last: bool) -> None:
        super().__init__()
        self.spectral = spectral
        self.last = last
        K = level.K if spectral else 2 * level.S
        margin = 0 if spectral and level.merges else K // 4
        # A norm reads the margins before they are cut off; without one, the convolution cuts them.
        self.margin = margin if level.normed else 0
        cut = margin - self.margin
        self.conv = (
            nn.ConvTranspose2d(level.width, made, (K, 1), (level.S, 1), (cut, 0))
            if spectral
            else nn.ConvTranspose1d(level.width, made, K, level.S, cut)
        )
        self.norm = _norm(level, made)

    def write(self, y: Tensor, time: int) -> Tensor:
        """Return (b, made, f, k) of y (b, C, f / S, k), or (b, made, time) of y (b, C, k)."""
        z: Tensor = self.norm(self.conv(y))
        if self.spectral:
            z = z[:, :, self.margin : z.shape[2] - self.margin]
        else:
            z = z[..., self.margin : self.margin + time]
        return z if self.last else functional.gelu(z)


class Splitter(Writer):
    """Where the waveform's decoder begins: it writes what the spectrogram's decoder has read."""

    def forward(self, y: Tensor, time: int) -> Tensor:
        """Return (b, made, time) of y (b, C, 1, k)."""
        return self.write(y[:, :, 0], time)


class Decoder(Writer):
    """A convolution with GLU, a residual branch if any, and a transposed convolution."""

    def __init__(
        self, h: HybridHyperparameters, level: Level, made: int, *, spectral: bool, last: bool
    ) -> None:
        super().__init__(level, made, spectral=spectral, last=last)
        convolution = nn.Conv2d if spectral else nn.Conv1d
        self.rewrite = convolution(level.width, 2 * level.width, h.context, padding=h.context // 2)
        self.rewrite_norm = _norm(level, 2 * level.width)
        self.branch = Branch(h, level) if h.decoder_branches else nn.Identity()

    def forward(self, x: Tensor, skip: Tensor, time: int) -> tuple[Tensor, Tensor]:
        """Decode the level below and the encoder's output of this level.

        Returns:
            What the level above reads, and what the transposed convolution read.
        """
        x = self.rewrite_norm(self.rewrite(x.view_as(skip) + skip))
        y = self.branch(functional.glu(x, dim=1))
        return self.write(y, time), y


class Embedding(nn.Module):
    """Adds a learned vector to each frequency; at first, neighbours have similar ones."""

    def __init__(self, frequencies: int, width: int) -> None:
        super().__init__()
        steps = torch.randn(frequencies, width).cumsum(0)
        count = torch.arange(1, frequencies + 1)[:, None]
        self.weight = nn.Parameter(steps / count.sqrt() / EMBEDDING_RATE)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width, f, k) of x (b, width, f, k)."""
        return x + (EMBEDDING_GAIN * EMBEDDING_RATE) * self.weight.t()[:, :, None]
