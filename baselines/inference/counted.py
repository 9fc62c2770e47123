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
from mixgen.core.errors import UsageError

TRUE = "true"
_COUNTED = re.compile(r"count:([^:]*):(.*)", re.DOTALL)


def split_count(system: str) -> tuple[str | None, str]:
    """Return the count in front of a system, None without one, and the system.

    Raises:
        UsageError: what stands in front is no count, or no system follows.
    """
    found = _COUNTED.fullmatch(system)
    if found is None:
        return None, system
    if not (found[1] == TRUE or re.fullmatch("[0-9]+", found[1])) or not found[2]:
        raise UsageError(
            f"{system} is no count in front of a system: write count:NUMBER:SYSTEM, or "
            "count:true:SYSTEM for the number of targets."
        )
    return found[1], found[2]


def check_unnamed(separator: Separator, system: str, count: str) -> None:
    """Check that the loudest estimates can be kept: none has the name of a source.

    Raises:
        UsageError: they have names.
    """
    if separator.named:
        raise UsageError(
            f"{system} names its estimates, and a count is for those without names: leave out "
            f"count:{count}:."
        )


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
