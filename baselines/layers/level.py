"""The level of estimates, fitted to the mixture: a loss that is blind to level determines none.

SI-SDR gives no gain, no sign and no offset to an estimate. Neither function here uses a reference.
Axes: b batch, n_src, channels, time; i and j are estimates.
"""

import torch
from torch import Tensor

# Weight of the pull towards one common gain, relative to the energy of each estimate. It decides
# where the mixture does not: for silence, and for estimates that are copies of each other.
PULL = 1e-4


def fit_level(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Give each estimate the gain that brings the sum of all estimates nearest to the mixture.

    The gains are a least squares solution over all channels and samples, without the means of the
    channels. The mean of each estimate becomes an equal share of the mixture's.

    Args:
        mixture: shape (b, channels, time).
        estimates: shape (b, n_src, channels, time).
    """
    with torch.autocast(mixture.device.type, enabled=False):
        estimates = estimates.to(mixture.dtype)
        offset = mixture.mean(-1, keepdim=True)
        centred = estimates - estimates.mean(-1, keepdim=True)
        e = centred.flatten(start_dim=2)  # (b, n_src, channels * time)
        x = (mixture - offset).flatten(start_dim=1)[:, :, None]  # (b, channels * time, 1)
        gains = _gains(e @ e.transpose(1, 2), (e @ x)[..., 0])  # (b, n_src)
        return centred * gains[:, :, None, None] + offset[:, None] / e.shape[1]


class CausalFit:
    """`fit_level_causally`, block by block: each call continues where the one before ended."""

    def __init__(self) -> None:
        self.time = 0
        self.sum: Tensor | float = 0.0
        self.gram: Tensor | float = 0.0
        self.product: Tensor | float = 0.0

    def __call__(self, mixture: Tensor, estimates: Tensor) -> Tensor:
        """Fit the estimates (b, n_src, channels, time) of a block (b, channels, time)."""
        n_src, time = estimates.shape[1], mixture.shape[-1]
        signals = torch.cat([estimates, mixture[:, None]], 1).double()
        sums = self.sum + signals.cumsum(-1)
        means = sums / torch.arange(self.time + 1, self.time + 1 + time, device=mixture.device)
        centred = signals - means
        e, x = centred[:, :-1], centred[:, -1]
        gram = self.gram + torch.einsum("bict,bjct->btij", e, e).cumsum(1)
        product = self.product + torch.einsum("bict,bct->bti", e, x).cumsum(1)
        if time:
            self.time, self.sum = self.time + time, sums[..., -1:]
            self.gram, self.product = gram[:, -1:], product[:, -1:]
        gains = _gains(gram, product)  # (b, time, n_src)
        fitted = e * gains.transpose(1, 2)[:, :, None] + means[:, -1:] / n_src
        return fitted.to(mixture.dtype)


def fit_level_causally(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Fit level and mean as `fit_level` does, at each sample over this sample and all before it.

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
