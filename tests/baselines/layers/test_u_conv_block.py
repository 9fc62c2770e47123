"""The U-ConvBlock's path and the aligned basis, against sums written out."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.layers.u_conv_block import AlignedBasis, UConvolution, resample


def normalised(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Give one item (channels, k) zero mean and unit variance, then a gain and bias a channel."""
    unit = (x - x.mean()) / ((x - x.mean()).square().mean() + 1e-8).sqrt()
    return weight[:, None] * unit + bias[:, None]


def depthwise(x: Tensor, weight: Tensor, bias: Tensor, stride: int) -> Tensor:
    """Convolve each channel of (channels, k) with its five taps, centred on every stride-th."""
    frames = range(0, x.shape[1], stride)
    rows = [
        [
            bias[c]
            + sum(weight[c, 0, p] * x[c, k + p - 2] for p in range(5) if 0 <= k + p - 2 < len(x[c]))
            for k in frames
        ]
        for c in range(len(x))
    ]
    return torch.tensor([[float(value) for value in row] for row in rows], dtype=x.dtype)


@pytest.mark.parametrize("slopes", [(1, 1), (6, 6)])
def test_the_path_is_the_papers_sum(slopes: tuple[int, int]) -> None:
    path = UConvolution(C=4, C_U=6, Q=2, slopes=slopes).double()
    w = {name: value.data.copy_(torch.randn_like(value)) for name, value in path.named_parameters()}
    x = torch.randn(4, 8, dtype=torch.float64)

    y = w["expand.weight"][..., 0] @ x + w["expand.bias"][:, None]
    y = normalised(y, w["expand_norm.weight"], w["expand_norm.bias"])
    y = torch.where(y > 0, y, w["expand_prelu.weight"][:, None] * y)
    levels = []
    for level in range(3):
        y = depthwise(
            y, w[f"depthwise.{level}.0.weight"], w[f"depthwise.{level}.0.bias"], 2 if level else 1
        )
        y = normalised(y, w[f"depthwise.{level}.1.weight"], w[f"depthwise.{level}.1.bias"])
        levels.append(y)
    total = torch.stack(
        [levels[0][:, k] + levels[1][:, k // 2] + levels[2][:, k // 4] for k in range(8)], 1
    )
    y = normalised(total, w["sum_norm.weight"], w["sum_norm.bias"])
    y = torch.where(y > 0, y, w["sum_prelu.weight"][:, None] * y)
    expected = w["project.weight"][..., 0] @ y + w["project.bias"][:, None]

    torch.testing.assert_close(path(x[None])[0], expected, rtol=0, atol=1e-12)


def test_one_stage_is_applied_as_it_is() -> None:
    x = torch.randn(2, 3, 5)
    assert torch.equal(resample(x, [torch.nn.ReLU()]), x.relu())


@pytest.mark.parametrize(("time", "frames"), [(1, 8), (80, 8), (81, 16), (160, 16)])
def test_frames_are_a_multiple_and_centred_on_multiples_of_the_stride(
    time: int, frames: int
) -> None:
    basis = AlignedBasis(channels=1, n_src=2, C_E=5, K_E=21, Q=3)
    signal = torch.randn(2, 1, time)
    weights = basis.encode(signal)
    assert weights.shape == (2, 5, frames)
    around = functional.pad(signal, (10, 200))[:, 0, :21]  # 10 samples either side of the first
    torch.testing.assert_close(weights[..., 0], around @ basis.encoder.weight[:, 0].T)
    assert basis.decode(torch.randn(2, 2, 5, frames), time).shape == (2, 2, 1, time)


def test_groups_keep_the_latents_of_sources_apart() -> None:
    latents = torch.randn(1, 2, 5, 8)
    silent = latents.clone()
    silent[:, 1] = 0
    for groups, apart in ((2, True), (1, False)):
        basis = AlignedBasis(channels=1, n_src=2, C_E=5, K_E=21, Q=3, groups=groups)
        first, alone = basis.decode(latents, 80)[:, 0], basis.decode(silent, 80)[:, 0]
        assert torch.equal(first, alone) == apart
