"""Which estimates hold a source, where the number of sources is not known.

Axes: batch, n_src, channels, time.
"""

import torch
from torch import Tensor

# The level of silence, so that levels stay finite.
SILENT_DB = -300.0


def relative_levels_db(mixture: Tensor, estimates: Tensor) -> Tensor:
    """Return the energy of each estimate relative to the mixture's in dB, shape (batch, n_src).

    Args:
        mixture: shape (batch, channels, time).
        estimates: shape (batch, n_src, channels, time).
    """
    energy = estimates.double().square().sum((-1, -2))
    whole = mixture.double().square().sum((-1, -2))[:, None]
    tiny = torch.finfo(torch.float64).tiny
    levels_db = 10 * torch.log10((energy + tiny) / (whole + tiny))
    return torch.where(energy > 0, levels_db, SILENT_DB).clamp(min=SILENT_DB)


def loudest(levels_db: Tensor, counts: Tensor) -> Tensor:
    """Return which estimates are the loudest `counts` (batch,) of a mixture, (batch, n_src).

    Silent ones are never among them.
    """
    order = levels_db.argsort(dim=1, descending=True, stable=True)
    rank = order.argsort(1)  # 0: the loudest
    chosen: Tensor = (rank < counts[:, None]) & (levels_db > SILENT_DB)
    return chosen
