"""The multi-channel U-Net: its network, frequency scale and weights of the losses."""

from typing import Any

import pytest
import scipy.ndimage
import scipy.signal
import torch
from torch import Tensor, nn

from baselines.models.munet import (
    DoubleUNet,
    MUNet,
    MUNetHyperparameters,
    ratio_losses,
    unwarping,
    warping,
)
from mixgen.core.errors import UsageError

TINY = {
    "n_src": 2,
    "source_names": ("vocals", "rest"),
    "sample_rate": 8192,
    "design_rate": 8192,
    "n_fft": 128,
    "hop_length": 64,
    "bins": 64,
    "bands": 32,
    "frames": 16,
    "widths": (4, 8),
}


def tiny(**changes: Any) -> MUNet:
    torch.manual_seed(1)
    return MUNet(MUNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        {"weighting": "loudness"},
        {"body": "triple"},
        {"source_names": None},
        {"bands": 31},
        {"frames": 15},
        {"epoch_steps": 0},
        {"temperature": 0.0},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def slow_convolution(conv: nn.Conv2d, x: Tensor) -> Tensor:
    maps = [
        sum(
            scipy.signal.correlate2d(image, kernel, mode="same")
            for image, kernel in zip(x.numpy(), kernels, strict=True)
        )
        for kernels in conv.weight.numpy()
    ]
    return torch.stack([torch.as_tensor(image) for image in maps]) + conv.bias[:, None, None]


def slow_double(block: nn.Sequential, x: Tensor) -> Tensor:
    for conv, norm in ((block[0], block[1]), (block[3], block[4])):
        x = slow_convolution(conv, x)
        mean, variance, weight, bias = (
            values[:, None, None]
            for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
        )
        x = (x - mean) / (variance + norm.eps).sqrt() * weight + bias
        x = torch.where(x > 0, x, 0.1 * x)
    return x


@torch.no_grad()
def test_the_network_is_two_convolutions_per_level_with_skips() -> None:
    net = DoubleUNet(inputs=1, outputs=2, widths=(3, 4))
    for value in net.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value += torch.rand_like(value)
    net = net.double().eval()
    x = torch.randn(1, 8, 6, dtype=torch.float64)
    skip = slow_double(net.down[0], x)
    pooled = torch.as_tensor(scipy.ndimage.maximum_filter(skip, (1, 2, 2), origin=(0, -1, -1)))
    deep = slow_double(net.down[1], pooled[:, ::2, ::2])
    # A transposed convolution without overlap: every value becomes a 2x2 square.
    risen = torch.einsum("ikl,iorc->okrlc", deep, net.rise[0].weight).reshape(3, 8, 6)
    risen = risen + net.rise[0].bias[:, None, None]
    expected = slow_convolution(net.output, slow_double(net.up[0], torch.cat([risen, skip])))
    torch.testing.assert_close(net(x[None])[0], expected)


def test_the_frequency_scale_is_logarithmic_and_nearly_invertible() -> None:
    warp, unwarp = warping(256, 512), unwarping(256, 512)
    torch.testing.assert_close(warp.sum(1), torch.ones(256))
    torch.testing.assert_close(unwarp.sum(1), torch.ones(512))
    centre = warp @ torch.arange(512.0)
    torch.testing.assert_close(centre[[0, -1]], torch.tensor([0.0, 511.0]), rtol=0, atol=1e-2)
    steps = centre.diff()
    ratio = 21 ** (1 / 255)
    torch.testing.assert_close(steps[1:] / steps[:-1], torch.full((254,), ratio), rtol=0, atol=1e-2)
    smooth = torch.linspace(0, 3, 512).sin()
    torch.testing.assert_close(unwarp @ (warp @ smooth), smooth, rtol=0, atol=1e-3)


def test_ratios_are_cut_at_ten() -> None:
    mixture = torch.tensor([1.0, 0.0])[None, None, :, None]
    references = torch.tensor([[0.5, 1.0], [2.0, 0.0]])[None, :, None, :, None]
    losses = ratio_losses(masks=torch.zeros(1, 2, 1, 2, 1), references=references, mixture=mixture)
    torch.testing.assert_close(losses, torch.tensor([(0.5 + 10) / 2, 1.0]))


def test_dynamic_weights_follow_the_ratio_of_two_mean_losses() -> None:
    separator = tiny(weighting="dwa", epoch_steps=2).train()
    references = torch.ones(1, 2, 1, 4, 4)
    epochs = [(1.0, 4.0), (0.5, 3.0), (0.1, 3.0)]
    found = []
    for losses in epochs:
        for change in (-0.1, 0.1):
            weights = separator.weights(torch.tensor(losses) + change, references)
        found.append(weights)
    assert torch.equal(found[0], torch.ones(2))
    assert torch.equal(found[1], torch.ones(2))
    ratio = torch.tensor([0.5 / 1.0, 3.0 / 4.0])
    expected = 2 * (ratio / 2).exp() / (ratio / 2).exp().sum()
    torch.testing.assert_close(found[2], expected)


def test_energy_weights_are_reciprocal_and_sum_to_the_number_of_stems() -> None:
    separator = tiny(weighting="energy").train()
    references = torch.ones(1, 2, 1, 4, 4)
    references[:, 1] = 2
    for _ in range(2):
        weights = separator.weights(torch.ones(2), references)
    torch.testing.assert_close(weights, torch.tensor([1.6, 0.4]))


@pytest.mark.parametrize("weighting", ["unit", "dwa", "energy"])
@pytest.mark.parametrize("body", ["double", "strided"])
def test_every_weighting_trains(weighting: str, body: str) -> None:
    separator = tiny(weighting=weighting, body=body, epoch_steps=1).train()
    references = torch.randn(2, 2, 1, 3000)
    batch = {"mixture": references.sum(1), "references": references}
    for _ in range(3):
        loss = separator.training_loss(batch)
        loss.backward()
    assert loss.isfinite()
    assert separator.eval()(references.sum(1)).isfinite().all()
