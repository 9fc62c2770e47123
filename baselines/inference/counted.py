"""How many estimates of a mixture are kept; the others are written as silence.

By default a separator decides that itself, where it has learnt to (`Separator.active`). A count in
front of a system replaces its decision: `count:2:SYSTEM` keeps the two loudest estimates, and
`count:true:SYSTEM` as many as the mixture has targets.
"""

import re

import torch
from torch import Tensor

from baselines.layers.activity import loudest
from baselines.separator import Separator

TRUE = "true"
_COUNTED = re.compile(rf"count:(\d+|{TRUE}):(.+)", re.DOTALL)


def split_count(system: str) -> tuple[str | None, str]:
    """Return the count in front of a system, None without one, and the system."""
    found = _COUNTED.fullmatch(system)
    return (found[1], found[2]) if found else (None, system)


def silence_inactive(separator: Separator, mixture: Tensor, estimates: Tensor) -> None:
    """Set estimates to zero that hold no source, in place.

    If the separator has a `count`, so many of the loudest estimates are kept, else it decides.

    Args:
        separator: that made the estimates.
        mixture: shape (batch, channels, time).
        estimates: shape (batch, n_src, channels, time).
    """
    if separator.count is not None:
        levels_db = separator.levels_db(mixture, estimates)
        kept = loudest(levels_db, torch.tensor([separator.count], device=mixture.device))
        estimates[~kept] = 0
    elif separator.counts_vary:
        estimates[~separator.active(mixture, estimates)] = 0
