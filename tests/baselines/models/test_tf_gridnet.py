"""TF-GridNet: its block, written out by the paper, options and sizes."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.inference.macs import macs_per_second
from baselines.models.tf_gridnet import (
    FrameAttention,
    PathBlstm,
    TfGridNet,
    TfGridNetHyperparameters,
)
from mixgen.core.errors import UsageError

TINY = {"n_fft": 16, "hop_length": 8, "D": 6, "I": 3, "J": 2, "H": 5, "B": 2, "L": 2}


def tiny(**changes: Any) -> TfGridNetHyperparameters:
    return TfGridNetHyperparameters(**{**TINY, "query_size": 20, **changes})


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (7_034_194, {"D": 128, "I": 1}),  # ESPnet's second version
        (14_435_602, {"D": 64, "H": 256}),
        (22_385_362, {"n_fft": 256, "D": 64, "I": 8, "H": 256}),
    ],
)
def test_other_published_sizes(size: int, options: dict[str, Any]) -> None:
    separator = TfGridNet(TfGridNetHyperparameters(**options))
    assert sum(parameter.numel() for parameter in separator.parameters()) == size


@pytest.mark.parametrize("wrong", [{"J": 0}, {"J": 4}, {"L": 4}, {"hop_length": 9}])
def test_impossible_sizes_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        TfGridNet(tiny(**wrong))


@pytest.mark.parametrize(("I", "J", "length"), [(3, 1, 7), (3, 2, 7), (3, 3, 9), (1, 1, 4)])
def test_a_path_reads_neighbours_and_adds_what_they_give(I: int, J: int, length: int) -> None:  # noqa: E741
    path = PathBlstm(tiny(I=I, J=J))
    x = torch.randn(2, length, 6)
    normed = functional.layer_norm(x, (6,))
    starts = range(0, length - I + 1, J)
    steps = torch.stack([normed[:, start : start + I].flatten(1) for start in starts], 1)
    hidden, _ = path.blstm(steps)
    expected = path.bias.repeat(2, length, 1)
    for step, start in enumerate(starts):
        given = (path.deconv.weight @ hidden[:, step, :, None])[..., 0]
        expected[:, start : start + I] += given.unflatten(1, (I, 6))
    torch.testing.assert_close(path(x), expected)


def test_attention_is_between_frames_with_all_bins_as_features() -> None:
    h = tiny()
    layer = FrameAttention(h)
    x = torch.randn(2, 5, h.bins, h.D)
    q, k, v = layer.project(x).split(layer.sizes, -1)

    def head(part: Tensor, item: int, index: int) -> Tensor:
        size = part.shape[-1] // h.L
        features = functional.prelu(part[item, ..., index * size :][..., :size], torch.tensor(0.25))
        return functional.layer_norm(features, features.shape[1:]).flatten(1)  # (t, f * size)

    for item in range(2):
        heads = []
        for index in range(h.L):
            query, key, value = (head(part, item, index) for part in (q, k, v))
            weights = (query @ key.T / math.sqrt(h.E * h.bins)).softmax(-1)
            heads.append((weights @ value).unflatten(1, (h.bins, -1)))
        mapped = layer.output_prelu(layer.output(torch.cat(heads, -1)))
        expected = functional.layer_norm(mapped, mapped.shape[1:])
        torch.testing.assert_close(layer(x)[item], expected)


def test_products_of_attention_are_counted() -> None:
    """Beside the convolutions at both ends, the recurrent layers and the projections."""
    h = tiny(I=1, J=1)
    counted = macs_per_second(TfGridNet(h))
    frames, bins = 1001, h.bins
    lstm = 2 * 4 * h.H * (h.D + h.H) + 2 * h.H * h.D
    projections = h.D * (2 * h.L * h.E + h.D) + h.D * h.D
    products = frames * (h.L * h.E + h.D)
    ends = 9 * h.D * (2 + 4)
    assert counted == frames * bins * (h.B * (2 * lstm + projections + products) + ends)


@pytest.mark.parametrize("gain", [1e-3, 1e3])
def test_estimates_follow_the_gain_of_the_mixture(gain: float) -> None:
    separator = TfGridNet(tiny()).eval()
    mixture = torch.randn(1, 1, 400)
    torch.testing.assert_close(
        separator(gain * mixture), gain * separator(mixture), rtol=1e-3, atol=1e-5 * gain
    )
