"""Mixed precision: what is computed in bfloat16, and that its gradients are right."""

import pytest
import torch
from torch import Tensor, nn

from baselines.registry import build
from baselines.training.precision import mixed_precision

CPU = torch.device("cpu")


def test_products_have_lower_precision_and_convolutions_single() -> None:
    x = torch.randn(2, 24, 500)
    linear, convolution = nn.Linear(500, 3), nn.Conv1d(24, 48, 16, stride=8)
    with mixed_precision(CPU):
        assert linear(x).dtype == torch.bfloat16
        assert convolution(x.bfloat16()).dtype == torch.float32
        mixed = convolution(x)
    assert torch.equal(mixed, convolution(x))


def gradient(model: str, *, is_mixed: bool) -> Tensor:
    """Return the gradient of a loss with respect to all weights, in one vector."""
    torch.manual_seed(0)
    separator = build(model).train()
    references = 0.1 * torch.randn(2, separator.n_src, separator.channels, 20_000)
    batch = {"references": references, "mixture": references.sum(1)}
    if is_mixed:
        with mixed_precision(CPU):
            (_, loss), *_ = separator.training_losses(batch)
    else:
        (_, loss), *_ = separator.training_losses(batch)
    loss.backward()  # type: ignore[no-untyped-call]
    return torch.cat([p.grad.flatten() for p in separator.parameters() if p.grad is not None])


@pytest.mark.parametrize("model", ["demucs:small", "scnet:small"])
def test_gradients_are_those_of_single_precision(model: str) -> None:
    """In bfloat16, oneDNN's convolutions for AMX are wrong for sizes that these networks have."""
    single, mixed = gradient(model, is_mixed=False), gradient(model, is_mixed=True)
    assert torch.cosine_similarity(single, mixed, dim=0) > 0.99
