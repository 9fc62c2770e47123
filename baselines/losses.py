"""Training losses, with or without the search for the best permutation.

Costs are computed for all pairs: `cost[b, i, j]` compares reference i with estimate j.
Axes: batch, n_src, channels, time.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from baselines.layers.permutation import assigned_cost

# Keeps logarithms and divisions finite; 60 dB below a one-second signal at -80 dB full scale.
EPSILON = 1e-10


def in_full_precision(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorate a loss of tensors given by keyword: autocast is off in it, and half is float."""

    @wraps(loss)
    def computed(**arguments: object) -> Tensor:
        full = {
            name: value.float() if isinstance(value, Tensor) and _is_half(value) else value
            for name, value in arguments.items()
        }
        device = next(value.device for value in full.values() if isinstance(value, Tensor))
        with torch.autocast(device.type, enabled=False):
            return loss(**full)

    return computed


def _is_half(value: Tensor) -> bool:
    return value.dtype in (torch.bfloat16, torch.float16)


def pairwise_si_sdr_db(*, references: Tensor, estimates: Tensor, zero_mean: bool = True) -> Tensor:
    """Return the scale-invariant SDR in dB of each estimate against each reference.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019. All channels are compared at
    once.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        zero_mean: whether the mean of each channel is removed first.

    Returns:
        Shape (batch, n_src references, n_src estimates).
    """
    if zero_mean:
        references, estimates = _centred(references), _centred(estimates)
    references = references.flatten(start_dim=2)  # (batch, n_src, channels * time)
    estimates = estimates.flatten(start_dim=2)
    reference_energy = references.square().sum(-1)[:, :, None]  # (batch, n_src, 1)
    estimate_energy = estimates.square().sum(-1)[:, None, :]  # (batch, 1, n_src)
    product = torch.einsum("bit,bjt->bij", references, estimates)
    target_energy = product.square() / (reference_energy + EPSILON)
    error_energy = (estimate_energy - target_energy).clamp(min=0)
    return 10 * torch.log10((target_energy + EPSILON) / (error_energy + EPSILON))


def _centred(signals: Tensor) -> Tensor:
    return signals - signals.mean(-1, keepdim=True)


@in_full_precision
def si_sdr_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the negative SI-SDR in dB, mean over the references that are not silent; scalar.

    A reference that is silent in the segment has no SI-SDR: it is assigned the estimate that the
    others leave over and adds neither loss nor gradient.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        named: whether estimate i is of reference i; otherwise the best permutation counts.
    """
    sounding = references.square().flatten(start_dim=2).sum(-1) > EPSILON  # (batch, n_src)
    cost = -pairwise_si_sdr_db(references=references, estimates=estimates)
    cost = torch.where(sounding[:, :, None], cost, torch.zeros_like(cost))
    chosen = assigned_cost(cost, named=named)
    return chosen.sum() / sounding.sum().clamp(min=1)


@in_full_precision
def magnitude_l1_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the mean absolute difference of magnitudes (batch, n_src, ...); scalar.

    Unless the sources are `named`, the best permutation counts.
    """
    difference = (references[:, :, None] - estimates[:, None, :]).abs()
    return assigned_cost(difference.flatten(start_dim=3).mean(-1), named=named).mean()
