"""Demucs: whole frames, resampling, level, shifts and options."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from baselines.layers.demucs import Blstm, mean_and_deviation, whole_frames
from baselines.models.demucs import Demucs, DemucsHyperparameters, Resampler
from mixgen.core.errors import UsageError

TINY = {"L": 2, "C": 6, "growth": 1.5, "lstm_layers": 1, "resample": 1}


def tiny(**changes: Any) -> Demucs:
    return Demucs(DemucsHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        {"source_names": None},
        {"K": 6},
        {"S": 3, "K": 9, "resample": 2},
        {"context": 2},
        {"shifts": -1},
        {"L": 0},
        {"n_src": 3},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize("time", [1, 8, 9, 148, 149, 1000])
def test_whole_frames_are_the_shortest_that_every_layer_covers(time: int) -> None:
    def covers(length: int) -> bool:
        for _ in range(3):
            if length < 8 or (length - 8) % 4:
                return False
            length = (length - 8) // 4 + 1
        return True

    expected = next(length for length in range(time, 2000) if covers(length))
    assert whole_frames(time, depth=3, K=8, S=4) == expected


def test_zeros_that_complete_the_last_frame_change_nothing() -> None:
    """The padding is part of the network: a mixture of whole frames gets none."""
    separator = tiny(normalise=False)
    mixture = torch.randn(1, 2, 1001)
    front, end = separator.padding(1001)
    padded = functional.pad(mixture, (front, end))
    assert separator.padding(padded.shape[-1]) == (0, 0)
    estimates = separator(padded)[..., front : front + 1001]
    torch.testing.assert_close(separator(mixture), estimates, rtol=0, atol=1e-6)


def test_estimates_follow_the_gain_and_the_mean_of_the_mixture() -> None:
    separator = tiny()
    mixture = torch.randn(1, 2, 2000)
    expected = 0.1 * separator(mixture) + 0.3
    torch.testing.assert_close(separator(0.1 * mixture + 0.3), expected, rtol=1e-3, atol=1e-4)


def test_shifts_average_delayed_passes_and_repeat() -> None:
    separator = tiny(shifts=3, sample_rate=1000)
    once = Demucs(DemucsHyperparameters(**TINY, sample_rate=1000)).eval()
    once.load_state_dict(separator.state_dict())
    mixture = torch.randn(1, 2, 700)
    estimates = separator(mixture)
    assert torch.equal(estimates, separator(mixture))
    delayed = torch.stack(
        [once(functional.pad(mixture, (d, 0)))[..., d:] for d in range(0, 501, 50)]
    )
    spread = (delayed - delayed.mean(0)).abs().amax()
    assert 0 < (estimates - delayed.mean(0)).abs().amax() < spread


def test_resampling_there_and_back_keeps_a_tone() -> None:
    tone = torch.sin(torch.arange(2000) * 0.4)[None, None]
    raised = Resampler(1, 2)(tone)
    assert raised.shape == (1, 1, 4000)
    torch.testing.assert_close(
        raised[..., ::2][..., 100:-100], tone[..., 100:-100], atol=1e-3, rtol=0
    )
    back = Resampler(2, 1)(raised)
    torch.testing.assert_close(back[..., 100:-100], tone[..., 100:-100], atol=1e-3, rtol=0)


def test_a_blstm_reads_long_signals_in_chunks() -> None:
    """Each output comes from the chunk in whose middle it lies."""
    blstm = Blstm(4, layers=1, chunk=20)
    x = torch.randn(2, 4, 73)
    y = blstm(x)
    assert y.shape == x.shape
    padded = functional.pad(x, (0, 20))
    for start in range(0, 73, 10):
        chunk = blstm(padded[..., start : start + 20])
        kept = slice(0 if start == 0 else 5, min(15, 73 - start))
        moved = slice(start + kept.start, start + kept.stop)
        torch.testing.assert_close(y[..., moved], chunk[..., kept])


def test_the_deviation_of_one_value_is_zero() -> None:
    mean, deviation = mean_and_deviation(torch.full((1, 1, 1), 3.0), (1, 2))
    assert float(mean) == 3
    assert float(deviation) == 0
    x = torch.randn(2, 3, 50)
    torch.testing.assert_close(mean_and_deviation(x, (1, 2))[1][:, 0, 0], x.flatten(1).std(1))
