"""The level of estimates, fitted to the mixture: a loss that is blind to level determines none.

SI-SDR gives no gain and no sign to an estimate. Neither function here uses a reference.
Axes: b batch, n_src, channels, time; i and j are estimates.
"""

import torch
from torch import Tensor

# Weight of the pull towards one common gain, relative to the energy of each estimate. It decides
# where the mixture does not: for silence, and for estimates that are copies of each other.
PULL = 1e-4


def fit_level(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Give each estimate the gain that brings the sum of all estimates nearest to the mixture.

    The gains are a least squares solution over all channels and samples.

    Args:
        mixture: shape (b, channels, time).
        estimates: shape (b, n_src, channels, time).
    """
    with torch.autocast(mixture.device.type, enabled=False):
        e = estimates.to(mixture.dtype).flatten(start_dim=2)  # (b, n_src, channels * time)
        x = mixture.flatten(start_dim=1)[:, :, None]  # (b, channels * time, 1)
        gains = _gains(e @ e.transpose(1, 2), (e @ x)[..., 0])  # (b, n_src)
        return estimates * gains[:, :, None, None]


class CausalFit:
    """`fit_level_causally`, block by block: each call continues where the one before ended."""

    def __init__(self) -> None:
        self.gram: Tensor | float = 0.0
        self.product: Tensor | float = 0.0

    def __call__(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Fit the estimates (b, n_src, channels, time) of a block (b, channels, time)."""
        e, x = estimates.double(), mixture.double()
        gram = self.gram + torch.einsum("bict,bjct->btij", e, e).cumsum(1)
        product = self.product + torch.einsum("bict,bct->bti", e, x).cumsum(1)
        if mixture.shape[-1]:
            self.gram, self.product = gram[:, -1:], product[:, -1:]
        gains = _gains(gram, product).to(mixture.dtype)  # (b, time, n_src)
        return estimates * gains.transpose(1, 2)[:, :, None]


def fit_level_causally(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Fit the level as `fit_level` does, at each sample over this sample and all before it.

    Args:
        mixture: shape (b, channels, time).
        estimates: shape (b, n_src, channels, time).
    """
    return CausalFit()(mixture, estimates)


def _gains(gram: Tensor, product: Tensor) -> Tensor:
    """Return gains (..., i) from the products of estimates (..., i, j) and with the mixture."""
    tiny = torch.finfo(gram.dtype).tiny
    energy = gram.diagonal(dim1=-2, dim2=-1)  # (..., i)
    pull = PULL * energy + tiny
    common = product.sum(-1, keepdim=True) / (
        gram.sum((-2, -1))[..., None] + PULL * energy.sum(-1, keepdim=True) + tiny
    )
    gains: Tensor = torch.linalg.solve(gram + pull.diag_embed(), product + pull * common)
    return gains
