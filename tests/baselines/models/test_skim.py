"""SkiM: streams, memories and options."""

from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.models.skim import Skim, SkimHyperparameters
from mixgen.core.errors import UsageError

TINY = {"N": 12, "L": 16, "S": 8, "H": 10, "K": 20, "blocks": 3}
CAUSAL = {"causal": True, "overlap": False}


def tiny(**changes: Any) -> Skim:
    return Skim(SkimHyperparameters(**{**TINY, **changes})).eval()


def streamed(separator: Skim, mixture: Tensor, lengths: list[int]) -> Tensor:
    """Separate a mixture in blocks of the given lengths and one of what remains."""
    stream = separator.stream(mixture.shape[0])
    remaining = mixture.shape[-1] - sum(lengths)
    blocks = mixture.split([*lengths, remaining], -1)
    return torch.cat([*(stream.push(block) for block in blocks), stream.flush()], -1)


@pytest.mark.parametrize("memory", ["hc", "h", "c", "id"])
@pytest.mark.parametrize("lengths", [[0, 1, 1, 7, 300, 0, 160, 16], [5], [900], [1000]])
@torch.no_grad()
def test_a_stream_equals_the_whole_recording(memory: str, lengths: list[int]) -> None:
    separator = tiny(**CAUSAL, memory=memory).double()
    mixture = 0.1 * torch.randn(2, 1, 1000, dtype=torch.float64)
    whole = separator(mixture)
    torch.testing.assert_close(streamed(separator, mixture, lengths), whole, rtol=0, atol=1e-9)


@pytest.mark.parametrize("time", [1, 15, 16, 17, 480, 481])
@pytest.mark.parametrize("padding", ["both", "end"])
@torch.no_grad()
def test_a_stream_of_any_length_equals_the_whole_recording(time: int, padding: str) -> None:
    separator = tiny(**CAUSAL, padding=padding, channels=2, n_src=3).double()
    mixture = 0.1 * torch.randn(1, 2, time, dtype=torch.float64)
    lengths = [3] * (time // 4)
    whole = separator(mixture)
    torch.testing.assert_close(streamed(separator, mixture, lengths), whole, rtol=0, atol=1e-9)


@torch.no_grad()
def test_a_stream_is_as_late_as_the_look_ahead() -> None:
    separator = tiny(**CAUSAL, L=2, S=1)
    stream = separator.stream()
    ready = [stream.push(torch.randn(1, 1, 5)).shape[-1] for _ in range(3)]
    assert ready == [4, 5, 5]
    assert stream.flush().shape[-1] == separator.look_ahead == 1


def test_only_a_causal_system_streams() -> None:
    with pytest.raises(UsageError, match="skim:causal"):
        tiny().stream()


@pytest.mark.parametrize(("blocks", "remembers"), [(1, False), (2, True)])
@torch.no_grad()
def test_only_memories_carry_from_segment_to_segment(blocks: int, remembers: bool) -> None:
    separator = tiny(**CAUSAL, blocks=blocks, L=8)
    segment = separator.h.K * separator.h.S
    mixture = torch.randn(1, 1, 3 * segment)
    altered = mixture.clone()
    altered[..., :100] += 1
    difference = separator.network(altered) - separator.network(mixture)
    assert difference[..., :100].any()
    assert bool(difference[..., segment:].any()) == remembers


@pytest.mark.parametrize(
    "wrong",
    [
        {"memory": "none"},
        {"padding": "left"},
        {"S": 17},
        {"blocks": 0},
        {"K": 21},
        {"K": 0, "overlap": False},
        {"causal": True},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)
