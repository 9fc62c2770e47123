"""WPE: closed forms, a frozen vector, and rooms that it can undo."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.signal import lfilter
from torch import Tensor

from baselines.losses import pairwise_si_sdr_db
from baselines.models.wpe import Wpe, WpeHyperparameters, delayed_frames, dereverberated
from baselines.registry import build
from mixgen.core.errors import UsageError


def wpe(**changes: Any) -> Wpe:
    return Wpe(WpeHyperparameters(**changes)).eval()


def test_frames_are_stacked_by_delay() -> None:
    y = torch.arange(1, 7)[None] + 0j  # one channel
    stacked = delayed_frames(y, taps=2, delay=3).real.tolist()
    assert stacked == [[0, 0, 0, 0, 1, 2], [0, 0, 0, 1, 2, 3]]


def test_a_tone_is_predicted_from_its_past() -> None:
    """The power is constant, so one tap predicts every frame that has a past."""
    frames = torch.arange(20)
    tone = torch.exp(0.7j * frames.double())[None]
    x = dereverberated(tone, taps=1, delay=2, iterations=3)
    expected = torch.where(frames < 2, tone, torch.zeros_like(tone))
    torch.testing.assert_close(x, expected, rtol=0, atol=1e-12)


def test_one_tap_of_one_channel_is_its_definition() -> None:
    y = torch.randn(1, 30, dtype=torch.complex128)
    x = y[0].clone()
    for _ in range(2):
        power = x.abs().square()
        now, past, power = y[0, 3:], y[0, :-3], power[3:]
        g = (past * now.conj() / power).sum() / (past.abs().square() / power).sum()
        x = torch.cat([y[0, :3], now - g.conj() * past])
    torch.testing.assert_close(dereverberated(y, taps=1, delay=3, iterations=2)[0], x)


# wpe_v8 of nara_wpe 0.0.11 with taps=1, delay=1, iterations=2 of the frames below.
FRAMES = [
    [1.0 + 0.5j, -0.5 + 1.0j, 0.25 - 1.5j, 2.0 + 0.0j, -1.0 - 1.0j, 0.5 + 0.25j],
    [0.5 - 0.25j, 1.0 + 1.0j, -0.75 + 0.5j, 0.5 - 2.0j, 1.5 + 0.5j, -0.25 + 1.0j],
]
FROZEN = [
    [
        1.000000000000 + 0.500000000000j,
        0.057913530029 + 1.280279236510j,
        -0.065605626898 - 0.809405099659j,
        1.978738198700 - 0.818354376781j,
        0.285038241288 - 1.071154806380j,
        -0.007179896470 + 0.027387685578j,
    ],
    [
        0.500000000000 - 0.250000000000j,
        0.783589026738 + 0.473722123895j,
        0.125031539407 - 0.309760878103j,
        0.712567343486 - 1.382003946320j,
        -0.177748955757 - 0.040828965361j,
        0.009045836839 + 0.023697527280j,
    ],
]


def test_a_frozen_vector() -> None:
    x = dereverberated(torch.tensor(FRAMES, dtype=torch.complex128), taps=1, delay=1, iterations=2)
    torch.testing.assert_close(x, torch.tensor(FROZEN, dtype=torch.complex128), rtol=0, atol=1e-9)


def speech_like(time: int, seed: int = 0) -> Tensor:
    """Noise in bursts, (time,): its power changes from frame to frame as that of speech."""
    rng = np.random.default_rng(seed)
    loudness = np.repeat(rng.exponential(size=time // 800 + 1) ** 2, 800)[:time]
    return torch.from_numpy(loudness * rng.normal(size=time))


def echoing(dry: Tensor, delay: int, gain: float) -> Tensor:
    """An echo that repeats for ever, which linear prediction can undo."""
    return torch.from_numpy(lfilter([1.0], [1.0, *[0.0] * (delay - 1), -gain], dry.numpy()))


def test_an_echo_of_several_frames_is_removed() -> None:
    """The echo comes every 5 hops; the SI-SDR rises by more than 10 dB."""
    separator = wpe(sample_rate=8000)
    dry = speech_like(40_000)
    wet = echoing(dry, delay=5 * 64, gain=0.7)
    before, after = (
        float(pairwise_si_sdr_db(references=dry[None, None, None], estimates=estimate))
        for estimate in (wet[None, None, None], separator(wet[None, None]))
    )
    assert after > before + 10


def test_more_microphones_help() -> None:
    """A second microphone with another echo."""
    dry = speech_like(40_000)
    wet = torch.stack([echoing(dry, 400, 0.7), echoing(dry, 560, 0.6)])[None]  # (1, 2, time)
    together = wpe(sample_rate=8000, channels=2)(wet)[:, 0]
    alone = torch.cat([wpe(sample_rate=8000)(wet[:, i : i + 1])[:, 0] for i in range(2)], 1)
    target = dry.expand_as(wet)[:, None]
    scores = [
        float(pairwise_si_sdr_db(references=target, estimates=estimate[:, None]))
        for estimate in (together, alone)
    ]
    assert scores[0] > scores[1]


def test_every_target_gets_the_same_estimate() -> None:
    mixture = torch.randn(2, 2, 3000)
    estimates = build("wpe", n_src=3, channels=2)(mixture)
    assert estimates.shape == (2, 3, 2, 3000)
    assert torch.equal(estimates[:, 0], estimates[:, 2])


def test_level_does_not_matter() -> None:
    separator, mixture = wpe(), torch.randn(1, 1, 5000)
    torch.testing.assert_close(separator(1e-4 * mixture), 1e-4 * separator(mixture))


def test_a_channel_that_repeats_another_is_no_failure() -> None:
    """The correlation matrix is singular."""
    mixture = torch.randn(1, 1, 8000).repeat(1, 2, 1)
    together, alone = wpe(channels=2)(mixture), wpe()(mixture[:, :1])
    torch.testing.assert_close(together[:, :, :1], alone, rtol=0, atol=1e-4)


@pytest.mark.parametrize("wrong", [{"taps": 0}, {"delay": 0}, {"iterations": 0}])
def test_wrong_values_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be 1 or more"):
        wpe(**wrong)
