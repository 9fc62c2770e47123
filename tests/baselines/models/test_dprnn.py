"""DPRNN: sizes, options, and what its two paths see."""

from typing import Any

import pytest
import torch

from baselines.fake_tensors import without_data
from baselines.inference.macs import macs_per_second
from baselines.models.dprnn import DPRNN, DPRNNHyperparameters, RecurrentPath
from baselines.registry import build
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"N": 24, "L": 16, "B": 8, "H": 8, "K": 10, "R": 2}


def tiny(**changes: Any) -> DPRNN:
    return DPRNN(DPRNNHyperparameters(**{**TINY, **changes})).eval()


def test_computation_is_that_measured_on_the_published_layout() -> None:
    """42.84 GMAC per second of 8 kHz audio."""
    with without_data():
        assert macs_per_second(build("dprnn")) == pytest.approx(42.84e9, rel=0.001)


@pytest.mark.parametrize(
    "wrong",
    [
        {"encoder": "tanh"},
        {"mask": "tanh"},
        {"padding": ""},
        {"K": 9},
        {"L": 1},
        {"stride": 17},
        {"margin": 4},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize("mask", ["sigmoid", "relu", "softmax"])
@pytest.mark.parametrize("other", [{"gated": False}, {"margin": 10}, {"stride": 4, "bias": True}])
def test_options_give_finite_estimates(mask: str, other: dict[str, Any]) -> None:
    separator = tiny(mask=mask, encoder="linear", n_src=3, channels=2, **other)
    assert separator(torch.randn(2, 2, 333)).isfinite().all()


def test_softmax_masks_sum_to_one() -> None:
    masks = tiny(mask="softmax").masks(torch.randn(1, 24, 30))
    torch.testing.assert_close(masks.sum(1), torch.ones(1, 24, 30))


@pytest.mark.parametrize("within_chunks", [True, False])
def test_a_path_sees_one_axis_of_the_chunks(within_chunks: bool) -> None:
    """Before the norm, which is over everything: another chunk, or another frame of each."""
    path = RecurrentPath(DPRNNHyperparameters(**TINY), within_chunks)
    path.norm = torch.nn.Identity()
    x = torch.randn(4, 2, 10, 8)  # (S, b, K, B)
    altered = x.clone()
    altered[1, 0, 3] += 1
    changed = (path(altered) - x - (path(x) - x)).abs().sum(-1) > 0  # (S, b, K)
    expected = torch.zeros_like(changed)
    expected[(1, 0) if within_chunks else (slice(None), 0, 3)] = True
    assert torch.equal(changed, expected)


def test_the_norm_is_that_of_each_mixture_alone() -> None:
    norm = RecurrentPath(DPRNNHyperparameters(**TINY), True).norm
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = 3 + torch.randn(4, 2, 10, 8)  # (S, b, K, B)
    first = x.permute(1, 3, 0, 2)  # (b, B, S, K)
    expected = torch.nn.functional.group_norm(first, 1, norm.weight, norm.bias, norm.eps)
    torch.testing.assert_close(norm(x).permute(1, 3, 0, 2), expected)


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(30))
    losses = train_on_tones(tiny(R=1).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 8
