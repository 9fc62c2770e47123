"""Causal Demucs: blocks, look-ahead, resampling, loss and options."""

from typing import Any

import pytest
import torch

from baselines.models.denoiser import (
    Denoiser,
    DenoiserHyperparameters,
    DenoiserStream,
    Halfway,
)
from mixgen.core.errors import UsageError

TINY = {"H": 4, "L": 2, "U": 2, "crossings": 3}


def tiny(**changes: Any) -> Denoiser:
    return Denoiser(DenoiserHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong", [{"U": 3}, {"S": 2, "U": 4}, {"K": 6}, {"H": 0}, {"normalise": True}]
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize("options", [{}, {"U": 1, "L": 3}, {"U": 4, "n_src": 2, "channels": 2}])
@pytest.mark.parametrize("lengths", [[1] * 300, [257, 0, 3, 640, 1], [1000], [5]])
def test_blocks_give_the_estimates_of_the_whole_signal(
    lengths: list[int], options: dict[str, Any]
) -> None:
    separator = tiny(**options).double()
    mixture = torch.randn(2, separator.channels, sum(lengths), dtype=torch.float64)
    stream = DenoiserStream(separator)
    pieces = [stream.push(block) for block in mixture.split(lengths, dim=-1)]
    pieces.append(stream.finish(mixture[..., :1]))
    with torch.no_grad():
        expected = separator(mixture)
    torch.testing.assert_close(torch.cat(pieces, dim=-1), expected, rtol=0, atol=1e-12)


def test_a_stream_keeps_up_with_what_it_reads() -> None:
    """What is not yet returned is shorter than the look-ahead and one stride of the whole."""
    separator = tiny()
    stream = DenoiserStream(separator)
    for _ in range(50):
        stream.push(torch.randn(1, 1, 10))
        assert stream.read - stream.written <= separator.h.reach + separator.h.S**separator.h.L


def test_a_noncausal_network_has_no_stream() -> None:
    with pytest.raises(UsageError, match="causal"):
        DenoiserStream(tiny(causal=False))


def test_the_look_ahead_of_the_paper_is_that_of_its_layers_and_filters() -> None:
    assert DenoiserHyperparameters(U=1).reach == 2387
    assert DenoiserHyperparameters().reach == 763


def test_raising_and_lowering_keep_a_tone() -> None:
    separator = tiny(crossings=56)
    tone = torch.sin(torch.arange(2000) * 0.4)[None, None]
    raised = separator.raised(tone)
    expected = torch.sin(torch.arange(4000) * 0.2)
    torch.testing.assert_close(raised[0, 0, 200:-200], expected[200:-200], rtol=0, atol=1e-3)
    back = separator.lowered(raised)
    torch.testing.assert_close(back[..., 200:-200], tone[..., 200:-200], rtol=0, atol=1e-3)


def test_the_filter_interpolates_between_two_samples_evenly() -> None:
    taps = Halfway(4).taps[0, 0]
    torch.testing.assert_close(taps, taps.flip(0))
    assert float(taps.sum()) == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("weight", [0.0, 0.1])
def test_the_loss_sees_level_and_order(weight: float) -> None:
    separator = tiny(n_src=2, stft_weight=weight)
    mixture = torch.randn(1, 1, 3000)
    with torch.no_grad():
        estimates = separator(mixture)
        losses = [
            separator.training_loss({"mixture": mixture, "references": references})
            for references in (estimates, estimates.flip(1), 2 * estimates)
        ]
    assert float(losses[0]) == pytest.approx(0, abs=1e-6)
    assert float(losses[1]) == pytest.approx(0, abs=1e-6)
    assert float(losses[2]) > 1e-3
