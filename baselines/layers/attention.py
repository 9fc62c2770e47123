"""Self-attention, and its products as a layer that counts its own multiply-accumulates.

Vaswani et al., "Attention is all you need", NeurIPS 2017. Axes: b batch, k positions, F features.
"""

from contextlib import nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from baselines.separator import require


class AttentionProducts(nn.Module):
    """Scaled dot products of every query with every key, without projections.

    Axes of its arguments: batch, heads, positions, features. Values may have another number of
    features than queries and keys, queries another number of positions than keys and values.
    """

    def __init__(self, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = dropout

    def forward(self, keys: Tensor, values: Tensor, queries: Tensor) -> Tensor:
        """Return for each query the mean of the values, weighted by its similarity to the keys."""
        dropout = self.dropout if self.training else 0.0
        # On processors torch's fused products take 2 to 4 times as long to train in bfloat16.
        on_processor = queries.device.type == "cpu" and queries.dtype == torch.bfloat16
        with sdpa_kernel(SDPBackend.MATH) if on_processor and self.training else nullcontext():
            return functional.scaled_dot_product_attention(queries, keys, values, dropout_p=dropout)

    def macs(self, keys: Tensor, output: Tensor) -> int:
        """Return the MACs of one call: two products of each query with each key."""
        pairs = keys.shape[-2] * output[..., 0].numel()
        return pairs * (keys.shape[-1] + output.shape[-1])


class SelfAttention(nn.Module):
    """Projections to queries, keys and values of each head, their products, and a projection."""

    def __init__(self, features: int, heads: int, dropout: float = 0.0) -> None:
        super().__init__()
        require(
            features % heads == 0,
            f"{heads} heads cannot share {features} features; give a multiple of {heads}.",
        )
        self.heads = heads
        self.project = nn.Linear(features, 3 * features)  # queries, keys, values
        self.products = AttentionProducts(dropout)
        self.output = nn.Linear(features, features)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, k, F) to the same shape."""
        parts = self.project(x).unflatten(2, (3, self.heads, -1))  # (b, k, 3, heads, F / heads)
        q, k, v = parts.permute(2, 0, 3, 1, 4)  # each (b, heads, k, F / heads)
        mapped: Tensor = self.output(self.products(k, v, q).transpose(1, 2).flatten(2))
        return mapped
