"""Shared by the comparisons with other implementations on copied weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.peers.weights import separator_from
from baselines.registry import model_spec
from baselines.separator import Separator

WHY = "`make parity` installs the other implementations"


def randomise(module: nn.Module) -> nn.Module:
    """Change norms, slopes and statistics from their initial values, so that swaps are found."""
    for value in module.state_dict().values():
        if value.is_floating_point() and value.squeeze().ndim <= 1:
            value += 0.1 * torch.rand_like(value)
    return module.double().eval()


def converted(name: str, peer: str, theirs: nn.Module, **arguments: Any) -> Separator:
    """Return our separator `name` with the weights of a peer's, built from `arguments`."""
    return separator_from(model_spec(name), peer, theirs.state_dict(), arguments)


def relative_difference(estimates: Tensor, expected: Tensor) -> float:
    """Return the largest difference of two outputs of one shape, relative to the peak."""
    assert estimates.shape == expected.shape
    return float((estimates - expected).abs().max() / expected.abs().max())


@pytest.fixture(autouse=True)
def without_gradients() -> Any:
    with torch.no_grad():
        yield
