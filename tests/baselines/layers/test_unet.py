"""The strided U-Net beside a slow one of plain convolutions, and masks of patches."""

import pytest
import scipy.signal
import torch
from torch import Tensor, nn

from baselines.layers.spectrogram_masks import FilledStft, masked_si_sdr_loss, ratio_masks
from baselines.layers.unet import SLOPE, SameConv2d, SameConvTranspose2d, UNet
from baselines.losses import si_sdr_loss


def slow_down(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """Every stride-th sample of a full correlation with zeros around, one map at a time."""
    weight, bias = conv.weight.numpy(), conv.bias.numpy()
    front = [(k - s) // 2 for k, s in zip(conv.kernel_size, conv.stride, strict=True)]
    maps = []
    for kernels, offset in zip(weight, bias, strict=True):
        total = sum(
            scipy.signal.correlate2d(image, kernel, mode="full")
            for image, kernel in zip(x.numpy(), kernels, strict=True)
        )
        starts = [k - 1 - f for k, f in zip(conv.kernel_size, front, strict=True)]
        size = [n // s for n, s in zip(x.shape[1:], conv.stride, strict=True)]
        rows = slice(starts[0], starts[0] + size[0] * conv.stride[0], conv.stride[0])
        columns = slice(starts[1], starts[1] + size[1] * conv.stride[1], conv.stride[1])
        maps.append(torch.as_tensor(total[rows, columns] + offset))
    return torch.stack(maps)


def slow_up(conv: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """Every value adds its scaled kernel to the result."""
    weight, bias = conv.weight, conv.bias
    bins, frames = x.shape[1] * conv.stride[0], x.shape[2] * conv.stride[1]
    full = torch.zeros(
        weight.shape[1], bins + conv.kernel_size[0], frames + conv.kernel_size[1], dtype=x.dtype
    )
    for row in range(x.shape[1]):
        for column in range(x.shape[2]):
            top, left = row * conv.stride[0], column * conv.stride[1]
            added = torch.einsum("i,iokl->okl", x[:, row, column], weight)
            full[:, top : top + added.shape[1], left : left + added.shape[2]] += added
    front = [(k - s) // 2 for k, s in zip(conv.kernel_size, conv.stride, strict=True)]
    kept = full[:, front[0] : front[0] + bins, front[1] : front[1] + frames]
    return kept + bias[:, None, None]


def slow_norm(norm: nn.BatchNorm2d, x: Tensor) -> Tensor:
    mean, variance, weight, bias = (
        values[:, None, None]
        for values in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / (variance + norm.eps).sqrt() * weight + bias


def randomised(module: nn.Module) -> nn.Module:
    for value in module.state_dict().values():
        if value.is_floating_point() and value.ndim == 1:
            value += torch.rand_like(value)
    return module.double().eval()


@pytest.mark.parametrize("stride", [(2, 2), (4, 2), (2, 1)])
@torch.no_grad()
def test_convolutions_pad_as_tensorflow_does(stride: tuple[int, int]) -> None:
    x = torch.randn(3, 8, 12, dtype=torch.float64)
    down = randomised(SameConv2d(3, 2, 5, stride))
    up = randomised(SameConvTranspose2d(3, 2, 5, stride))
    torch.testing.assert_close(down(x[None])[0], slow_down(down, x))
    torch.testing.assert_close(up(x[None])[0], slow_up(up, x))


@torch.no_grad()
def test_levels_are_joined_as_the_paper_draws_them() -> None:
    net = randomised(UNet(inputs=1, outputs=2, widths=(3, 4, 5), dropout=0.5))
    x = torch.randn(1, 16, 8, dtype=torch.float64)
    levels = [x]
    for down in net.down:
        y = slow_norm(down.norm, slow_down(down.conv, levels[-1]))
        levels.append(torch.where(y > 0, y, SLOPE * y))
    y = levels[-1]
    for number, up in enumerate(net.up):
        y = slow_up(up[0], y)
        if number < 2:
            y = torch.cat([levels[-2 - number], slow_norm(up[1], y).clamp(min=0)])
    torch.testing.assert_close(net(x[None])[0], y)


@pytest.mark.parametrize("hop", [32, 64, 96])
@pytest.mark.parametrize("time", [1, 100, 1001])
def test_a_hop_of_three_quarters_of_the_window_reconstructs(time: int, hop: int) -> None:
    stft = FilledStft(128, hop)
    signal = torch.randn(2, time, dtype=torch.float64)
    spectrum = stft.analyse(signal)
    torch.testing.assert_close(stft.synthesise(spectrum, time), signal, rtol=0, atol=1e-6)


def test_ratio_masks_sum_to_one() -> None:
    masks = ratio_masks(torch.rand(2, 3, 1, 5, 4), 2.0)
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 1, 5, 4))


def test_the_loss_of_masked_spectrograms_is_the_si_sdr_of_their_parts() -> None:
    mixture = torch.randn(2, 1, 6, 5, dtype=torch.complex64)
    references = torch.randn(2, 3, 1, 6, 5, dtype=torch.complex64)
    masks = torch.rand(2, 3, 1, 6, 5)
    parts = [
        # Both signs, so that the mean that si_sdr_loss removes is 0.
        torch.cat([torch.view_as_real(x).flatten(3), -torch.view_as_real(x).flatten(3)], dim=-1)
        for x in (references, masks * mixture[:, None])
    ]
    expected = si_sdr_loss(references=parts[0], estimates=parts[1], named=True)
    found = masked_si_sdr_loss(masks=masks, mixture=mixture, references=references)
    torch.testing.assert_close(found, expected)
