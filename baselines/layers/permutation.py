"""The assignment of estimates to references of least cost."""

from itertools import permutations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional

# Up to this number all permutations are compared; above it the Hungarian algorithm is faster.
EXHAUSTIVE_SOURCES = 3


def assigned_cost(cost: Tensor, *, named: bool) -> Tensor:
    """Return the cost (batch, n_src) of the estimate assigned to each reference.

    Named sources keep their order; others take the permutation of least total cost (permutation
    invariant training, Kolbaek et al., TASLP 2017).

    Args:
        cost: of each reference and estimate, shape (batch, n_src, n_src).
        named: whether estimate i is of reference i.
    """
    if named:
        return cost.diagonal(dim1=1, dim2=2)
    order = best_permutation(cost.detach())
    return cost.gather(2, order[:, :, None])[:, :, 0]


def best_permutation(cost: Tensor) -> Tensor:
    """Return the estimate of each reference, (batch, n_src), for the least total cost.

    Any permutation is best where a cost is NaN.
    """
    n_src = cost.shape[-1]
    if n_src > EXHAUSTIVE_SOURCES:
        matrices = cost.cpu().double().nan_to_num().numpy()
        columns = [linear_sum_assignment(matrix)[1] for matrix in matrices]
        return torch.stack([torch.as_tensor(column) for column in columns]).to(cost.device)
    orders = torch.tensor(list(permutations(range(n_src))), device=cost.device)
    rows = torch.arange(n_src, device=cost.device)
    totals = cost[:, rows, orders].sum(-1)  # (batch, permutations)
    return orders[totals.argmin(1)]


def in_order_of(before: Tensor, estimates: Tensor) -> Tensor:
    """Return estimates in the order of others that they resemble, by inner products.

    Args:
        before: estimates in the wanted order, shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time), of this time or longer; the time at the
            beginning that both have is compared.
    """
    products = torch.einsum("bict,bjct->bij", before, estimates[..., : before.shape[-1]])
    order = best_permutation(-products)  # (batch, n_src)
    rows = torch.arange(len(order), device=estimates.device)[:, None]
    return estimates[rows, order]


def references_of(references: Tensor, estimates: Tensor) -> Tensor:
    """Return references that correspond in number to estimates (batch, n_src, channels, time).

    Args:
        references: shape (batch, up to n_src, channels, time), to which silent ones are added; or
            utterances of meetings on streams, (batch, groups, n_src, channels, time), which
            `on_best_streams` lays together.
        estimates: shape (batch, n_src, channels, time).
    """
    if references.ndim == estimates.ndim + 1:
        return on_best_streams(references, estimates)
    missing = estimates.shape[1] - references.shape[1]
    return functional.pad(references, (0, 0, 0, 0, 0, missing))


def on_best_streams(groups: Tensor, estimates: Tensor) -> Tensor:
    """Return streams (batch, n_src, channels, time) of utterances in the order that fits estimates.

    A group holds utterances that overlap, laid onto n_src streams so that none overlap on a stream.
    As groups do not overlap in time, each may have its streams in any order: it takes the order
    that gives the least energy of the error. With two streams this is the minimum over all ways to
    lay the utterances (Graph-PIT: von Neumann et al., Interspeech 2021, arXiv 2107.14446).

    Args:
        groups: shape (batch, groups, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
    """
    products = torch.einsum("bgict,bjct->bgij", groups, estimates.detach())
    order = best_permutation(-products.transpose(-1, -2).flatten(0, 1)).unflatten(
        0, products.shape[:2]
    )  # the stream of a group for each estimate: (batch, groups, n_src)
    chosen = groups.take_along_dim(order[..., None, None], dim=2)
    return chosen.sum(1)
