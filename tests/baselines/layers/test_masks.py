"""Masks from scores: each activation, and the axis of the sources."""

import pytest
import torch

from baselines.layers.masks import as_masks

SCORES = torch.tensor([[-1.0, 0.0, 2.0]])  # one bin of three sources


@pytest.mark.parametrize(
    ("activation", "expected"),
    [
        ("sigmoid", [0.2689, 0.5, 0.8808]),
        ("softmax", [0.0420, 0.1142, 0.8438]),
        ("relu", [0.0, 0.0, 2.0]),
    ],
)
@pytest.mark.parametrize("axis", [1, 2])
def test_masks_of_three_sources(activation: str, expected: list[float], axis: int) -> None:
    scores = SCORES[:, :, None].transpose(1, axis)
    masks = as_masks(scores, activation, axis)
    assert masks.flatten().tolist() == pytest.approx(expected, abs=1e-4)
