"""Norms over whole signals, with a gain and a bias per feature.

The global layer norm (gLN) is that of Luo and Mesgarani, "Conv-TasNet", IEEE/ACM TASLP 27(8), 2019.
Axes: b batch, features, k frames.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

EPSILON = 1e-8


def global_norm(features: int) -> nn.Module:
    """Return a gLN of (b, features, k)."""
    return nn.GroupNorm(1, features, eps=EPSILON)


class GlobalNorm(nn.Module):
    """A gLN with the features on the last axis: each item of a batch is normalised as a whole."""

    def __init__(self, features: int, eps: float = EPSILON) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (b, ..., features)."""
        return functional.layer_norm(x, x.shape[1:], eps=self.eps) * self.weight + self.bias


class AxesNorm(nn.Module):
    """A norm over some axes, of which the last has the features."""

    def __init__(self, features: int, axes: tuple[int, ...], eps: float = EPSILON) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.axes = axes
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (..., features)."""
        variance, mean = torch.var_mean(x, self.axes, correction=0, keepdim=True)
        gain = self.weight * (variance + self.eps).rsqrt()
        return x * gain + (self.bias - mean * gain)
