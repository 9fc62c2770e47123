"""What dual-path systems share: a learned basis, chunks of its frames, and one mask per source.

Luo, Chen and Yoshioka, "Dual-path RNN: efficient long sequence modeling for time-domain
single-channel speech separation", ICASSP 2020. Features lie as (S, b, K, B) along the paths, so
that the sequences within chunks (S * b, K, B) and those across chunks (S, b * K, B) are views.
"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from baselines.layers.basis import PADDINGS, LearnedBasis
from baselines.layers.dual_path import overlap_add, segment
from baselines.layers.fitted import FittedSeparator
from baselines.layers.masks import MASK_ACTIVATIONS, as_masks
from baselines.layers.norms import global_norm
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, N basis signals, B bottleneck, k frames, K frames of a chunk, S chunks.
CHOICES = {
    "encoder": ("relu", "linear"),
    "mask": MASK_ACTIVATIONS,
    "padding": PADDINGS,
}


@dataclass(frozen=True, kw_only=True)
class DualPathHyperparameters(Hyperparameters):
    """The sizes that dual-path systems have in common."""

    N: int = 256  # basis signals of the encoder
    L: int = 2  # length of a basis signal in samples
    stride: int | None = None  # in samples; None: half of L
    B: int = 64  # features of the bottleneck and of the residual path
    K: int = 250  # frames of a chunk
    R: int = 6  # blocks, each with a path within and a path across chunks
    margin: int | None = None  # zeros on both sides of the frames; None: half of K
    encoder: str = "relu"
    mask: str = "relu"
    gated: bool = True  # tanh times sigmoid before the mask
    bias: bool = False  # of the bottleneck
    padding: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        require(self.L >= 2, f"L is {self.L}; a basis signal has 2 samples or more.")
        require(1 <= self.S <= self.L, f"stride is {self.S}; it can be 1 to L={self.L}.")
        require(
            self.K >= 2 and self.K % 2 == 0,
            f"K is {self.K}; chunks overlap by half, so it must be even.",
        )
        require(
            self.margin is None or self.margin >= self.K // 2,
            f"margin is {self.margin}; from half of K={self.K} on, every frame lies in two chunks.",
        )

    @property
    def S(self) -> int:  # noqa: N802
        """Samples from the start of a frame to that of the next."""
        return self.stride or self.L // 2


class DualPathMasks(nn.Module):
    """Bottleneck, chunks, paths, overlap-add, and one mask per source."""

    def __init__(self, h: DualPathHyperparameters, path: Callable[[bool], nn.Module]) -> None:
        super().__init__()
        self.h = h
        self.norm = global_norm(h.N)
        self.bottleneck = nn.Conv1d(h.N, h.B, 1, bias=h.bias)
        self.paths = nn.Sequential(*(path(within) for _ in range(h.R) for within in (True, False)))
        self.prelu = nn.PReLU()
        self.output = nn.Linear(h.B, h.n_src * h.B)
        if h.gated:
            self.value = nn.Conv1d(h.B, h.B, 1)
            self.gate = nn.Conv1d(h.B, h.B, 1)
        self.mask = nn.Conv1d(h.B, h.N, 1, bias=False)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) for the mixture's weights w (b, N, k)."""
        h = self.h
        chunks = segment(self.bottleneck(self.norm(w)), h.K, h.margin)  # (b, B, K, S)
        x = self.paths(chunks.permute(3, 0, 2, 1).contiguous())  # (S, b, K, B)
        x = self.output(self.prelu(x)).unflatten(-1, (h.n_src, h.B))  # (S, b, K, n_src, B)
        chunks = x.permute(1, 3, 4, 2, 0).flatten(0, 1)  # (b * n_src, B, K, S)
        y = overlap_add(chunks, w.shape[-1], h.margin)  # (b * n_src, B, k)
        if h.gated:
            y = self.value(y).tanh() * self.gate(y).sigmoid()
        scores: Tensor = self.mask(y).unflatten(0, (-1, h.n_src))  # (b, n_src, N, k)
        return as_masks(scores, h.mask)


class DualPathSeparator(FittedSeparator):
    """A learned basis, whose weights for the mixture are masked.

    `path` makes a layer that takes and returns (S, b, K, B), and that reads sequences of the frames
    of a chunk if its argument is true, and of chunks otherwise.
    """

    silence_tolerance = 0.5

    def __init__(
        self, hyperparameters: DualPathHyperparameters, path: Callable[[bool], nn.Module]
    ) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        self.basis = LearnedBasis(
            channels=h.channels,
            N=h.N,
            L=h.L,
            S=h.S,
            padding=h.padding,
            relu=h.encoder == "relu",
        )
        self.masks = DualPathMasks(h, path)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, N, k)
        d = w[:, None] * self.masks(w)  # (b, n_src, N, k)
        return self.basis.decode(d, mixture.shape[-1])


def sequences(x: Tensor, within_chunks: bool) -> Tensor:
    """Return x (S, b, K, B) as (S * b, K, B), batch first, or as (S, b * K, B), batch second."""
    return x.flatten(0, 1) if within_chunks else x.flatten(1, 2)
