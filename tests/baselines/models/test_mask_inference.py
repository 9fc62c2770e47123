"""Mask inference: its masks, its initial state and its two losses."""

from typing import Any

import pytest
import torch

from baselines.models.mask_inference import MaskInference, MaskInferenceHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones


def tiny(**changes: Any) -> MaskInference:
    sizes = {"n_fft": 64, "hop_length": 16, "hidden_size": 8, "n_layers": 2}
    return MaskInference(MaskInferenceHyperparameters(**{**sizes, **changes}))


def test_masks_lie_between_zero_and_one() -> None:
    masks = tiny(n_src=3, channels=2).eval().masks(torch.rand(2, 2, 33, 9))
    assert masks.shape == (2, 3, 2, 33, 9)
    assert (masks > 0).all()
    assert (masks < 1).all()


def test_forget_gates_start_open() -> None:
    for name, bias in tiny().body.blstm.named_parameters():
        if "bias" in name:
            assert bias.reshape(4, 8).sum(1).tolist() == [0, 8, 0, 0]


def test_loss_of_perfect_masks_is_zero() -> None:
    """With a silent second source, masks of one and zero are perfect."""
    separator = tiny().eval()
    separator.mask.linear.weight.data.zero_()
    separator.mask.linear.bias.data[:33] = 100
    separator.mask.linear.bias.data[33:] = -100
    references = torch.zeros(1, 2, 1, 500)
    references[:, 1] = torch.randn(1, 1, 500)
    batch = {"mixture": references.sum(1), "references": references}
    assert separator.training_loss(batch).item() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("loss", ["magnitude_l1", "si_sdr"])
def test_each_loss_falls_when_trained(loss: str, train_on_tones: TrainOnTones) -> None:
    separator = tiny(loss=loss, dropout=0.0).train()
    losses = train_on_tones(separator, [torch.tensor([[400, 2400]])] * 40, learning_rate=1e-2)
    assert losses[-1] < (0.5 * losses[0] if loss == "magnitude_l1" else losses[0] - 6)


def test_unknown_loss_is_refused() -> None:
    with pytest.raises(UsageError, match="magnitude_l1 or si_sdr"):
        tiny(loss="mse")
