"""Transformer layers that normalise first, and the sinusoidal code of positions.

Vaswani et al., "Attention is all you need", NeurIPS 2017. Axes: b batch, k positions, F features.
"""

import math

import torch
from torch import Tensor, nn

from baselines.layers.attention import SelfAttention


class TransformerLayer(nn.Module):
    """Self-attention and a feed-forward network with ReLU; each reads a norm and is added."""

    def __init__(
        self,
        *,
        features: int,
        heads: int,
        hidden: int,
        dropout: float = 0.0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(features, eps)
        self.attention = SelfAttention(features, heads, dropout)
        self.attention_dropout = nn.Dropout(dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(features, eps),
            nn.Linear(features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, features),
            nn.Dropout(dropout),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, k, F) to the same shape."""
        x = x + self.attention_dropout(self.attention(self.attention_norm(x)))
        update: Tensor = self.feed_forward(x)
        return x + update


def sinusoids(like: Tensor) -> Tensor:
    """Return the sines and cosines (k, F) that stand for the positions of `like` (b, k, F)."""
    _, positions, features = like.shape
    position = torch.arange(positions, dtype=torch.float32, device=like.device)
    even = torch.arange(0, features, 2, dtype=torch.float32, device=like.device)
    angles = position[:, None] * torch.exp(even * (-math.log(10000.0) / features))
    return torch.stack([angles.sin(), angles.cos()], 2).flatten(1)[:, :features].to(like.dtype)
