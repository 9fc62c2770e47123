"""SCNet: bands, dual-path layers, the number of frames, the loss and options."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from baselines.layers.stft import Stft
from baselines.models.scnet import (
    Compression,
    DualPath,
    Expansion,
    Scnet,
    ScnetHyperparameters,
    Separation,
    spectrum_rmse_loss,
)
from mixgen.core.errors import UsageError

TINY: dict[str, Any] = {
    "n_fft": 128,
    "hop_length": 32,
    "C": (8, 12),
    "kernels": (3, 2, 4),
    "strides": (1, 2, 4),
    "layers": 2,
}


def tiny(**changes: Any) -> Scnet:
    return Scnet(ScnetHyperparameters(**{**TINY, **changes})).eval()


def test_the_bands_of_the_paper() -> None:
    h = ScnetHyperparameters()
    assert h.band_sizes(2049) == [359, 803, 887]
    x = torch.randn(1, 4, 2049, 2)
    for index, sizes in enumerate([(359, 201, 56), (108, 61, 17), (33, 19, 5)]):
        stage = Compression(h, x.shape[1], h.C[index])
        x, skipped, lengths = stage(x)
        assert lengths == list(sizes)
        assert x.shape == skipped.shape == (1, h.C[index], sum(sizes), 2)


@torch.no_grad()
def test_a_stage_shortens_its_bands_one_frequency_at_a_time() -> None:
    """An independent computation, frequency by frequency, with convolution modules left out."""
    h = ScnetHyperparameters(**TINY)
    stage = Compression(h, 4, 8)
    stage.along_time = torch.nn.ModuleList(torch.nn.Identity() for _ in range(3))
    x = torch.randn(1, 4, 65, 3)
    rows = []
    for layer, (start, end), stride, front in zip(
        stage.shorten, [(0, 12), (12, 37), (37, 65)], h.strides, (1, 0, 0), strict=True
    ):
        kernel = layer.weight[..., 0]  # (8, 4, K)
        for first in range(start - front, end - front, stride):
            row = layer.bias[:, None].repeat(1, 3)
            for offset in range(kernel.shape[-1]):
                if start <= first + offset < end:
                    row = row + kernel[..., offset] @ x[0, :, first + offset]
            rows.append(functional.gelu(row))
    expected = torch.stack(rows, dim=1)[None]
    joined, skipped, _ = stage(x)
    torch.testing.assert_close(skipped, expected)
    torch.testing.assert_close(joined, functional.conv2d(expected, *stage.join.parameters(), 1, 1))


@pytest.mark.parametrize("f", [65, 64, 33, 31])
@torch.no_grad()
def test_a_stage_of_the_decoder_has_the_frequencies_of_the_encoder(f: int) -> None:
    h = ScnetHyperparameters(**TINY)
    _, skipped, lengths = Compression(h, 4, 8)(torch.randn(1, 4, f, 3))
    assert Expansion(h, 8, 4)(skipped, skipped, lengths, f).shape == (1, 4, f, 3)


@torch.no_grad()
def test_a_dual_path_layer_reads_columns_then_rows() -> None:
    """An independent computation, one sequence at a time."""
    layer = DualPath(6)
    x = torch.randn(2, 6, 5, 4)
    expected = x.clone()
    normalised = functional.group_norm(expected, 1, *layer.norms[0].parameters())
    for frame in range(4):
        hidden, _ = layer.blstms[0](normalised[..., frame].transpose(1, 2))
        expected[..., frame] += layer.project[0](hidden).transpose(1, 2)
    normalised = functional.group_norm(expected, 1, *layer.norms[1].parameters())
    for frequency in range(5):
        hidden, _ = layer.blstms[1](normalised[:, :, frequency].transpose(1, 2))
        expected[:, :, frequency] += layer.project[1](hidden).transpose(1, 2)
    torch.testing.assert_close(layer(x), expected)


@torch.no_grad()
def test_layers_without_effect_leave_the_transforms_over_time() -> None:
    separation = Separation(ScnetHyperparameters(**TINY))
    for layer in separation.layers:
        for project in layer.project:
            for parameter in project.parameters():
                parameter.zero_()
    x = torch.randn(2, 12, 5, 8)
    torch.testing.assert_close(separation(x), x)


@pytest.mark.parametrize(("time", "frames"), [(1, 2), (31, 2), (32, 4), (95, 4), (96, 6), (97, 6)])
def test_the_number_of_frames_is_even(time: int, frames: int) -> None:
    separator = tiny()
    seen = []
    separator.separation.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[-1]))
    assert separator(torch.randn(1, 2, time)).shape == (1, 4, 2, time)
    assert seen == [frames]


def test_estimates_follow_the_gain_of_the_mixture() -> None:
    separator = tiny()
    mixture = torch.randn(1, 2, 2000)
    torch.testing.assert_close(
        separator(0.1 * mixture), 0.1 * separator(mixture), rtol=1e-3, atol=1e-4
    )


def test_the_loss_is_the_mean_error_of_stems() -> None:
    stft = Stft(128, 32)
    references, estimates = torch.randn(2, 2, 3, 1, 1000)
    loss = spectrum_rmse_loss(references=references, estimates=estimates, stft=stft)
    total = 0.0
    for item in range(2):
        for stem in range(3):
            error = stft.analyse(estimates[item, stem]) - stft.analyse(references[item, stem])
            power = error.abs().square().mean() / 2  # real and imaginary parts count as two
            total += float((power / 128).sqrt())
    assert float(loss) == pytest.approx(total / 6, rel=1e-5)


def test_the_loss_of_silent_stems_has_a_finite_gradient() -> None:
    separator = tiny().train()
    references = torch.randn(2, 4, 2, 500)
    references[0] = 0.0
    with torch.autocast("cpu", torch.bfloat16):
        batch = {"mixture": references.sum(1), "references": references}
        separator.training_loss(batch).backward()
    assert all(parameter.grad.isfinite().all() for parameter in separator.parameters())


@pytest.mark.parametrize(
    "wrong",
    [
        {"shares": (0.5, 0.5, 0.5)},
        {"shares": (0.5, 0.5)},
        {"kernels": (3, 3, 4)},
        {"kernels": (4, 2, 4)},
        {"layers": 3},
        {"C": (2, 4)},
        {"loss": "l1"},
        {"source_names": None},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)
