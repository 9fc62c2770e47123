"""TDANet: its block, written out from the layers, attention within a mixture, sizes and options."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.inference.macs import macs_per_second
from baselines.models.tdanet import GlobalAttention, TdaNet, TdaNetHyperparameters
from mixgen.core.errors import UsageError

TINY = {"sample_rate": 8000, "B": 6, "H": 8, "rates": 3, "iterations": 3, "heads": 2}


def tiny(**changes: Any) -> TdaNet:
    return TdaNet(TdaNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong", [{"rates": 1}, {"iterations": 0}, {"window_ms": 0.2}, {"heads": 3}, {"n_src": 0}]
)
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_products_of_the_published_system_are_counted() -> None:
    """At 16 kHz, 4 ms; the padding of the authors' code has 0.7 % more frames."""
    assert macs_per_second(TdaNet(TdaNetHyperparameters())) == pytest.approx(4.55e9, rel=0.01)


def test_one_block_serves_all_iterations() -> None:
    sizes = {
        sum(parameter.numel() for parameter in tiny(iterations=count).parameters())
        for count in (1, 2, 9)
    }
    assert len(sizes) == 1
    assert tiny(iterations=1).idle_parameters == (
        "again.0.weight",
        "again.0.bias",
        "again.1.weight",
    )


def depthwise(x: Tensor, conv: torch.nn.Conv1d) -> Tensor:
    """Convolve each feature of x (H, k) with its five taps, one frame after the other."""
    padded = functional.pad(x, (2, 2))
    starts = range(0, x.shape[-1], conv.stride[0])
    frames = [(padded[:, k : k + 5] * conv.weight[:, 0]).sum(1) for k in starts]
    result = torch.stack(frames, 1)
    return result if conv.bias is None else result + conv.bias[:, None]


def normalised(x: Tensor, eps: float = 1e-8) -> Tensor:
    return (x - x.mean()) / (x.var(correction=0) + eps).sqrt()


def attended(layer: GlobalAttention, x: Tensor) -> Tensor:
    """Self-attention of x (H, k) over its frames, head by head, and the feed-forward network."""
    features, frames = x.shape
    heads = layer.attention.heads
    y = functional.layer_norm(x.T, (features,))  # (k, H)
    for position in range(frames):
        for pair in range(features // 2):
            angle = position / 10000 ** (2 * pair / features)
            y[position, 2 * pair] += math.sin(angle)
            y[position, 2 * pair + 1] += math.cos(angle)
    q, k, v = (part.chunk(heads, 1) for part in layer.attention.project(y).chunk(3, 1))
    size = features // heads
    parts = [(q[n] @ k[n].T / size**0.5).softmax(1) @ v[n] for n in range(heads)]
    y = layer.attention.output(torch.cat(parts, 1))
    x = x + functional.layer_norm(2 * y, (features,)).T
    first, _, middle, _, _, last, _, _ = layer.feed_forward
    y = normalised(first.weight[..., 0] @ x)
    y = depthwise(y, middle).relu()
    return x + normalised(last.weight[..., 0] @ y)


def stretched(x: Tensor, frames: int) -> Tensor:
    """Repeat the frames of x (H, fewer): the nearest neighbour."""
    return x[:, [frame * x.shape[-1] // frames for frame in range(frames)]]


def pooled(x: Tensor, frames: int) -> Tensor:
    """Average the frames of x (H, more) that each of `frames` equal parts touches."""
    edges = [(n * x.shape[-1] / frames, (n + 1) * x.shape[-1] / frames) for n in range(frames)]
    means = [x[:, math.floor(low) : math.ceil(high)].mean(1) for low, high in edges]
    return torch.stack(means, 1)


@pytest.mark.parametrize("frames", [16, 13])
def test_a_block_is_what_its_layers_say_for_each_mixture_alone(frames: int) -> None:
    """Against slow loops over one mixture at a time, so that none attends to another."""
    block = tiny().block.double()
    x = torch.randn(2, 6, frames, dtype=torch.float64)
    for item, mixture in enumerate(x):
        conv, _, prelu = block.expand
        y = prelu(normalised(conv.weight[..., 0] @ mixture + conv.bias[:, None])[None])[0]
        levels = []
        for conv, _ in block.down:
            y = normalised(depthwise(y, conv))
            levels.append(y)
        lowest = y.shape[-1]
        total = sum(pooled(level, lowest) for level in levels)
        top = attended(block.attention, total)
        levels = [level + stretched(top, level.shape[-1]) for level in levels]
        y = levels[-1]
        for up, level in zip(block.up[::-1], levels[-2::-1], strict=True):
            gate = stretched(normalised(depthwise(y, up.gate[0])).sigmoid(), level.shape[-1])
            shift = stretched(normalised(depthwise(y, up.shift[0])), level.shape[-1])
            y = normalised(depthwise(level, up.local[0])) * gate + shift
        expected = mixture + block.project.weight[..., 0] @ y + block.project.bias[:, None]
        torch.testing.assert_close(block(x)[item], expected, rtol=0, atol=1e-6)


def test_some_updates_are_skipped_in_training_and_none_in_evaluation() -> None:
    layer = GlobalAttention(TdaNetHyperparameters(**TINY, dropout=0.5)).train()
    update = torch.ones(200, 8, 3)
    kept = layer.skip(update)
    assert set(kept.flatten().tolist()) == {0.0, 2.0}
    assert torch.equal(kept, kept[:, :1, :1].expand_as(kept))
    assert torch.equal(layer.eval().skip(update), update)
