"""Wave-U-Net: its sizes and context, a slow network of loops, interpolation and training."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional

from baselines.fake_tensors import without_data
from baselines.models import wave_unet
from baselines.models.wave_unet import Network, WaveUNet, WaveUNetHyperparameters, centre, mse_loss
from mixgen.core.errors import UsageError

Samples = NDArray[np.float64]

TINY = {"sample_rate": 8000, "channels": 1, "L": 3, "F": 4, "fd": 5, "fu": 3}


def tiny(**changes: Any) -> WaveUNet:
    torch.manual_seed(1)
    return WaveUNet(WaveUNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (10_263_002, {"channels": 1}),
        (10_263_498, {"n_src": 4, "source_names": None}),
    ],
)
def test_m3_and_m6_have_the_published_size(size: int, options: dict[str, Any]) -> None:
    with without_data():
        separator = WaveUNet(WaveUNetHyperparameters(**options))
        assert sum(parameter.numel() for parameter in separator.parameters()) == size


@pytest.mark.parametrize(
    ("wanted", "samples_in", "samples_out"),
    [(16_384, 147_443, 16_389), (768 * 127 + 1024, 233_459, 102_405)],
)
def test_context_has_the_published_length(wanted: int, samples_in: int, samples_out: int) -> None:
    h = WaveUNetHyperparameters()
    assert h.sizes(wanted) == (samples_in, samples_out)
    assert samples_in - samples_out == 2 * h.margin
    with without_data():
        found = Network(h)(torch.zeros(1, 2, samples_in))
        assert found.shape == (1, 2, 2, samples_out)


@pytest.mark.parametrize(
    "wrong",
    [
        {"upsampling": "nearest"},
        {"output": "mask"},
        {"loss": "l1"},
        {"fd": 4},
        {"L": 0},
        {"context": False, "upsampling": "learned"},
        {"context": False, "block": 12},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def slow_convolution(conv: torch.nn.Conv1d, x: Samples) -> Samples:
    weight, bias = conv.weight.detach().numpy(), conv.bias.detach().numpy()
    size = x.shape[1] - weight.shape[2] + 1
    y = np.zeros((len(weight), size))
    for n in range(size):
        y[:, n] = bias + (weight * x[None, :, n : n + weight.shape[2]]).sum((1, 2))
    return y


def slow_network(net: Network, mixture: Samples) -> Samples:
    """The paper's Figure 1, one sample at a time."""
    x, skips = mixture, []
    for level, conv in enumerate(net.down):
        x = slow_convolution(conv, x)
        x = np.maximum(x, 0.2 * x)
        if level < len(net.up):
            skips.append(x)
            x = x[:, ::2]
    for level in reversed(range(len(net.up))):
        weight = net.interpolations[level].weight
        share = np.full((len(x), 1), 0.5) if weight is None else weight.sigmoid().detach().numpy()
        y = np.zeros((len(x), 2 * x.shape[1] - 1))
        for n in range(x.shape[1]):
            y[:, 2 * n] = x[:, n]
            if n + 1 < x.shape[1]:
                y[:, 2 * n + 1] = share[:, 0] * x[:, n] + (1 - share[:, 0]) * x[:, n + 1]
        cut = (skips[level].shape[1] - y.shape[1]) // 2
        x = slow_convolution(net.up[level], np.concatenate([skips[level][:, cut:-cut], y]))
        x = np.maximum(x, 0.2 * x)
    cut = (mixture.shape[1] - x.shape[1]) // 2
    mixture = mixture[:, cut:-cut]
    first = np.tanh(slow_convolution(net.output, np.concatenate([mixture, x])))
    return np.stack([first, mixture - first])


@pytest.mark.parametrize("upsampling", ["linear", "learned"])
def test_the_network_is_the_papers(upsampling: str) -> None:
    separator = tiny(upsampling=upsampling).double()
    for parameter in separator.parameters():
        parameter.data += 0.1 * torch.rand_like(parameter)
    samples_in, _ = separator.h.sizes(16)
    mixture = torch.randn(1, 1, samples_in, dtype=torch.float64)
    expected = torch.as_tensor(slow_network(separator.net, mixture[0].numpy()))
    torch.testing.assert_close(separator.net(mixture)[0], expected)


def test_cutting_a_signal_into_passes_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    separator = tiny()
    mixture = torch.randn(1, 1, 1001)
    whole = separator(mixture)
    monkeypatch.setattr(wave_unet, "LARGEST_BLOCK", 4)
    torch.testing.assert_close(separator(mixture), whole, rtol=0, atol=1e-6)


def test_reach_is_that_of_the_farthest_phase() -> None:
    """Some sample reaches both ends of the receptive field, and none reaches farther."""
    separator = tiny().double()
    mixture = torch.randn(1, 1, 200, dtype=torch.float64)
    before, after = separator.h.reach
    assert separator.receptive_field == before + 1 + after
    reached = []
    for t in range(80, 96):
        altered = mixture.clone()
        altered[..., t] += 1
        changed = (separator(altered) != separator(mixture)).any(1)[0, 0].nonzero()
        reached.append((int(changed[-1]) - t, t - int(changed[0])))
    assert (max(r[0] for r in reached), max(r[1] for r in reached)) == (before, after)


def test_without_context_blocks_are_separated_one_by_one() -> None:
    separator = tiny(context=False, block=64, output="direct")
    mixture = torch.randn(1, 1, 150)
    second = separator(mixture[..., 64:128])
    torch.testing.assert_close(separator(mixture)[..., 64:128], second, rtol=0, atol=1e-6)


def test_the_last_source_is_the_rest_of_the_mixture() -> None:
    mixture = torch.randn(1, 2, 300)
    estimates = tiny(channels=2, n_src=3, source_names=None)(mixture)
    torch.testing.assert_close(estimates.sum(1), mixture)


@pytest.mark.parametrize("time", [130, 134, 201])
def test_training_uses_the_samples_with_real_context(time: int) -> None:
    separator = tiny()
    mixture = torch.randn(2, 1, time)
    inner = separator.inner(mixture)
    available = time - 2 * separator.h.margin
    assert available - 2**separator.h.L < inner.shape[-1] <= available
    # Zeros in front bring the first of them to the start of a period of decimation.
    start = (time - inner.shape[-1]) // 2
    front = -start % 2**separator.h.L
    expected = separator(functional.pad(mixture, (front, 0)))[..., front + start :]
    torch.testing.assert_close(inner, expected[..., : inner.shape[-1]], rtol=0, atol=1e-6)


@pytest.mark.parametrize("time", [20, 100, 300])
def test_segments_of_every_length_train(time: int) -> None:
    separator = tiny().train()
    references = torch.randn(2, 2, 1, time)
    loss = separator.training_loss({"mixture": references.sum(1), "references": references})
    loss.backward()
    assert all(parameter.grad.any() for parameter in separator.parameters())


def test_unnamed_sources_are_trained_in_the_best_order() -> None:
    references = torch.randn(3, 2, 1, 50)
    swapped = references.flip(1)
    assert mse_loss(references=references, estimates=swapped, named=False) == 0
    assert mse_loss(references=references, estimates=swapped, named=True) > 1


def test_the_middle_is_cut_evenly() -> None:
    assert centre(torch.arange(9), 3).tolist() == [3, 4, 5]


def test_the_level_of_a_difference_needs_a_loss_that_sees_it() -> None:
    """The sum of the estimates is the mixture at any level of the others."""
    with pytest.raises(UsageError, match="leaves the level of a difference open"):
        WaveUNetHyperparameters(output="difference", loss="si_sdr")
