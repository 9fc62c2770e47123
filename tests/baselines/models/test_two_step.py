"""Two-step TDCN: what each step trains, its loss on weights, and its layers."""

from itertools import permutations
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.fake_tensors import without_data
from baselines.inference.macs import count_macs, macs_per_second
from baselines.losses import si_sdr_loss
from baselines.models.two_step import (
    ConvolutionAlongBasis,
    TwoStep,
    TwoStepHyperparameters,
    latent_si_sdr_loss,
)
from baselines.registry import build
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"N": 24, "L": 17, "B": 8, "H": 16, "X": 3, "R": 2}


def tiny(**changes: Any) -> TwoStep:
    return TwoStep(TwoStepHyperparameters(**{**TINY, **changes})).eval()


def batch_of(references: Tensor) -> dict[str, Tensor]:
    return {"mixture": references.sum(1), "references": references}


def test_computation_is_that_measured_on_the_published_layout() -> None:
    """6.92 GMAC per second of 8 kHz audio; our padding adds two frames to 800."""
    with without_data():
        assert macs_per_second(build("two_step")) == pytest.approx(6.92e9, rel=0.005)


@pytest.mark.parametrize("wrong", [{"n_src": 1}, {"N": 25}, {"P": 2}, {"L": 1}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_sizes_grow_with_sources_and_channels() -> None:
    separator = tiny(n_src=3, channels=2)
    assert separator(torch.randn(2, 2, 333)).shape == (2, 3, 2, 333)


def test_the_basis_is_trained_by_step_1_alone() -> None:
    """Its gradient is that of the SI-SDR of ideally masked weights."""
    separator = tiny().train()
    references = torch.randn(2, 2, 1, 700)
    separator.training_loss(batch_of(references)).backward()
    gradients = [parameter.grad for parameter in separator.basis.parameters()]
    separator.zero_grad()
    masked = separator.basis.encode(references.sum(1))[:, None] * separator.ideal_masks(references)
    estimates = separator.basis.decode(masked, 700)
    si_sdr_loss(references=references, estimates=estimates, named=True).backward()
    for parameter, gradient in zip(separator.basis.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)
    assert all(parameter.grad is None for parameter in separator.separation.parameters())


def test_a_separator_that_finds_the_ideal_masks_decodes_to_what_step_1_decodes_to() -> None:
    separator = tiny()
    references = torch.randn(1, 2, 1, 700)
    masks = separator.ideal_masks(references)
    torch.testing.assert_close(masks.sum(1), torch.ones(1, 24, masks.shape[-1]))
    separator.separation = nn.Identity()
    separator.separation.forward = lambda _w: masks
    estimates = separator.network(references.sum(1))
    w = separator.basis.encode(references.sum(1))
    torch.testing.assert_close(estimates, separator.basis.decode(masks * w[:, None], 700))


def test_a_decoder_belongs_to_each_source() -> None:
    basis = tiny().basis
    d = torch.rand(1, 2, 24, 30)
    alone = basis.decode(torch.stack([d[:, 0], torch.zeros_like(d[:, 0])], dim=1), 200)
    together = basis.decode(d, 200)
    torch.testing.assert_close(alone[:, 0], together[:, 0])
    swapped = basis.decode(d.flip(1), 200)
    assert (swapped.flip(1) - together).abs().max() > 1e-4


@pytest.mark.parametrize("named", [True, False])
def test_the_loss_on_weights_is_its_definition(named: bool) -> None:
    """-10 log10 |a t|^2 / |e - a t|^2 with a = <e, t> / <t, t>, in the best order."""
    targets, estimates = torch.rand(2, 3, 2, 24, 30, dtype=torch.float64).unbind(1)[:2]
    losses = []
    for target, estimate in zip(targets, estimates, strict=True):
        orders = [(0, 1)] if named else permutations(range(2))
        losses.append(min(torch.stack([_sdr_loss(target, estimate[list(o)]) for o in orders])))
    found = latent_si_sdr_loss(targets=targets, estimates=estimates, named=named)
    torch.testing.assert_close(found, torch.stack(losses).mean())


def _sdr_loss(targets: Tensor, estimates: Tensor) -> Tensor:
    values = []
    for t, e in zip(targets, estimates, strict=True):
        projected = (e * t).sum() / (t * t).sum() * t
        values.append(-10 * torch.log10((projected**2).sum() / ((e - projected) ** 2).sum()))
    return torch.stack(values).mean()


def test_the_mask_layer_is_a_convolution_along_the_basis() -> None:
    layer = ConvolutionAlongBasis(TwoStepHyperparameters(**TINY))
    convolution = nn.Conv2d(1, 2, (25, 1), padding=(12, 0))
    convolution.load_state_dict(
        {"weight": layer.weight.detach()[..., None], "bias": layer.bias.detach()}
    )
    x = torch.randn(3, 24, 10)
    torch.testing.assert_close(layer(x), convolution(x[:, None]))
    assert count_macs(layer, x) == count_macs(convolution, x[:, None])


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """Both steps' losses fall: a low and a high tone."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(40))
    losses = train_on_tones(tiny(L=16).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 12
