"""The classifier of emotion: a branch for each kind of features, and one layer over them.

- encoder: recurrent layer, multi-head self-attention, mean over time, as Z. Lu et al. put on the
  encoder of a recogniser, "Speech sentiment analysis via pre-trained features from end-to-end ASR
  models", ICASSP 2020, arXiv:1911.09762;
- acoustic: two convolutions with a stride of 2, mean over time;
- text: vectors of words, a convolution to 128 channels and two more, mean over time.

All end in 128 numbers.
"""

import itertools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from evalsuite.probes.emotion.features import DIMENSIONS, N_WORDS

WIDTH = 128
HEADS = 4
KERNEL = 5
DROPOUT = 0.3

Batch = Mapping[str, tuple[Tensor, Tensor]]
"""Kind of features to features (batch, time, dimension) and what of them counts (batch, time)."""


def mean_over_time(values: Tensor, counts: Tensor) -> Tensor:
    """Return the mean of (batch, time, width) over the frames that count, (batch, width)."""
    weights = counts[..., None].to(values.dtype)
    return (values * weights).sum(1) / weights.sum(1).clamp(min=1.0)


class Standardised(nn.Module):
    """Features with the mean and the spread of those of training taken out."""

    def __init__(self, dimension: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(dimension))
        self.register_buffer("spread", torch.ones(dimension))

    def fit(self, features: Tensor) -> None:
        """Take mean and spread from features (frames, dimension)."""
        self.mean = features.mean(0)
        self.spread = features.std(0).clamp(min=1e-3)

    def forward(self, features: Tensor) -> Tensor:
        """Return the standardised features, (..., dimension)."""
        return (features - self.mean) / self.spread


class EncoderBranch(nn.Module):
    """A recurrent layer in both directions, self-attention, and the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.standardised = Standardised(DIMENSIONS["encoder"])
        self.project = nn.Linear(DIMENSIONS["encoder"], WIDTH)
        self.recurrent = nn.GRU(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(WIDTH, HEADS, dropout=DROPOUT, batch_first=True)
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """Return (batch, WIDTH) of (batch, time, 384)."""
        x = self.dropout(torch.relu(self.project(self.standardised(features))))
        lengths = counts.sum(1).cpu()
        packed = nn.utils.rnn.pack_padded_sequence(
            x, lengths, batch_first=True, enforce_sorted=False
        )
        hidden, _ = self.recurrent(packed)
        x, _ = nn.utils.rnn.pad_packed_sequence(
            hidden, batch_first=True, total_length=features.shape[1]
        )
        attended, _ = self.attention(x, x, x, key_padding_mask=~counts, need_weights=False)
        return mean_over_time(attended, counts)


class ConvolutionBranch(nn.Module):
    """Convolutions over time and their mean."""

    def __init__(self, first: nn.Module, channels: Sequence[int], stride: int = 1) -> None:
        super().__init__()
        self.first, self.stride = first, stride
        pairs = itertools.pairwise(channels)
        self.layers = nn.ModuleList(
            nn.Conv1d(a, b, KERNEL, stride, padding=KERNEL // 2) for a, b in pairs
        )
        self.dropout = nn.Dropout(DROPOUT)

    def forward(self, features: Tensor, counts: Tensor) -> Tensor:
        """Return (batch, WIDTH) of (batch, time, dimension)."""
        x = self.first(features) * counts[..., None]
        for layer in self.layers:
            x = self.dropout(torch.relu(layer(x.transpose(1, 2)).transpose(1, 2)))
            counts = counts[:, :: self.stride]
            x = x * counts[..., None]
        return mean_over_time(x, counts)


class Words(nn.Module):
    """The vectors of words by their numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.Embedding(N_WORDS + 1, WIDTH)

    def forward(self, numbers: Tensor) -> Tensor:
        """Return (batch, words, WIDTH) of (batch, words, 1)."""
        vectors: Tensor = self.vectors(numbers[..., 0].long())
        return vectors


def branch(kind: str) -> nn.Module:
    """Return a new branch for a kind of features."""
    if kind == "encoder":
        return EncoderBranch()
    if kind == "acoustic":
        first = Standardised(DIMENSIONS["acoustic"])
        return ConvolutionBranch(first, (DIMENSIONS["acoustic"], WIDTH, WIDTH), stride=2)
    return ConvolutionBranch(Words(), (WIDTH, WIDTH, WIDTH, WIDTH))


class EmotionNetwork(nn.Module):
    """Branches, whose outputs are joined, and a layer with a number for each emotion."""

    def __init__(self, kinds: Sequence[str], n_emotions: int) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({kind: branch(kind) for kind in kinds})
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(WIDTH * len(kinds), n_emotions)

    def joined(self, batch: Batch) -> Tensor:
        """Return the outputs of all branches, (batch, branches * WIDTH)."""
        heard = [module(*batch[kind]) for kind, module in self.branches.items()]
        return torch.cat(heard, dim=-1)

    def decided(self, joined: Tensor) -> Tensor:
        """Return (batch, n_emotions) before the softmax, from the outputs of the branches."""
        logits: Tensor = self.head(self.dropout(joined))
        return logits

    def forward(self, batch: Batch) -> Tensor:
        """Return (batch, n_emotions) before the softmax."""
        return self.decided(self.joined(batch))
