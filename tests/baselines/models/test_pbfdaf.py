"""PBFDAF: echo paths it learns, double talk that it survives, delays before it."""

import numpy as np
import pytest
import torch

from baselines.layers.adaptive_filter import Cancelled
from baselines.models.pbfdaf import PartitionedFilter, Pbfdaf, PbfdafHyperparameters
from baselines.registry import build
from mixgen.core.errors import UsageError
from tests.baselines.echoes import cancelled, echo_path, erle_db, si_sdr_db, speech_like, syllables


def small(**changes: float) -> Pbfdaf:
    """A filter of 64 ms at 8 kHz."""
    return Pbfdaf(PbfdafHyperparameters(sample_rate=8000, tail_s=0.064, **changes))


@pytest.mark.parametrize("delay_ms", [0, 100, 500])
def test_a_linear_echo_is_cancelled_at_any_delay(delay_ms: int) -> None:
    far_end, echo = speech_like(8, delay=8 * delay_ms)
    estimate = cancelled(small(), echo, far_end)
    assert erle_db(echo[-24000:], estimate[-24000:]) > 25


def test_it_reaches_the_path_of_noise_that_changes() -> None:
    """The weights are the path, within -20 dB; of steady noise the leakage cannot tell much."""
    rng = np.random.default_rng(0)
    h = PbfdafHyperparameters(sample_rate=8000, tail_s=0.064, block_s=0.016)
    path, block = echo_path(512, rng), h.block
    far_end = rng.normal(size=40000) * np.repeat(rng.uniform(0.05, 1, size=50) ** 2, 800)
    echo = np.convolve(far_end, path)[:40000] + 1e-4 * rng.normal(size=40000)
    filtered = PartitionedFilter(h)
    padded = np.pad(far_end, (h.partitions * block + block, 0))
    for start in range(0, 40000 - block, block):
        end = start + h.partitions * block + 2 * block
        spectra = [
            np.fft.rfft(padded[end - (p + 2) * block : end - p * block])
            for p in range(h.partitions)
        ]
        filtered.cancel(np.array(spectra), echo[start : start + block])
    taps = np.fft.irfft(filtered.weights, axis=1)[:, :block].ravel()
    assert np.square(taps - path).sum() < 0.01
    before = taps.copy()
    filtered.move(5)
    moved = np.fft.irfft(filtered.weights, axis=1)[:, :block].ravel()
    np.testing.assert_allclose(moved[:-5], before[5:], atol=1e-12)
    np.testing.assert_allclose(moved[-5:], 0, atol=1e-12)


def test_double_talk_does_not_disturb_it() -> None:
    """After 4 s alone, 4 s of a near end as loud as the echo: NLMS loses what it had learnt.

    The rate falls by itself, and the near end comes out better than 10 dB.
    """
    far_end, echo = speech_like(8)
    near = syllables(8, np.random.default_rng(9))
    near *= np.sqrt(np.square(echo).sum() / np.square(near).sum())
    near[:32000] = 0
    talk = slice(40000, None)
    ours = cancelled(small(), echo + near, far_end)
    theirs = cancelled(build("nlms", sample_rate=8000), echo + near, far_end)
    assert si_sdr_db(near[talk], ours[talk]) > 10
    assert si_sdr_db(near[talk], ours[talk]) > si_sdr_db(near[talk], theirs[talk]) + 5


def test_a_path_that_changes_is_learnt_again() -> None:
    far_end, first = speech_like(12)
    other = np.convolve(far_end, echo_path(400, np.random.default_rng(8)))[: len(far_end)]
    echo = np.concatenate([first[:48000], other[48000:]])
    estimate = cancelled(small(), echo, far_end)
    assert erle_db(echo[40000:48000], estimate[40000:48000]) > 20
    assert erle_db(echo[-16000:], estimate[-16000:]) > 15


def test_a_drifting_clock_is_followed() -> None:
    """100 ppm over 16 s: more than 10 dB to the end."""
    far_end, echo = speech_like(16, delay=400)
    time = np.arange(len(echo))
    slower = np.interp(time * (1 - 100e-6), time, echo)
    estimate = cancelled(small(), slower, far_end)
    assert erle_db(slower[-32000:], estimate[-32000:]) > 10


def test_a_filter_that_does_harm_is_left_out_and_forgotten() -> None:
    """A near end over a far end that fades in would make weights explode; nothing gets louder."""
    rng = np.random.default_rng(4)
    far_end, near = syllables(6, rng), syllables(6, rng)
    far_end[:16000] *= 1e-4
    estimate = cancelled(small(longest_delay_s=0.0), near, far_end)
    assert np.square(estimate).sum() < 1.2 * np.square(near).sum()
    assert si_sdr_db(near, estimate) > 8


def test_the_leakage_falls_as_the_filter_learns() -> None:
    far_end, echo = speech_like(8)
    result: Cancelled = small().filter(
        *(torch.from_numpy(s).float()[None, None] for s in (echo, far_end))
    )
    leakage = result.leakage[0, 0]
    assert leakage[0] == 1
    assert leakage.min() >= 0.2
    assert leakage[-16000:].mean() < 0.8


def test_the_far_end_of_a_later_block_changes_nothing_before() -> None:
    """By more than rounding."""
    far_end, echo = speech_like(2)
    changed = far_end.copy()
    changed[9000:] = 0.3
    first, second = cancelled(small(), echo, far_end), cancelled(small(), echo, changed)
    np.testing.assert_allclose(first[:8900], second[:8900], atol=1e-6)
    assert np.abs(first[9000:] - second[9000:]).max() > 0.01


@pytest.mark.parametrize(
    ("change", "words"),
    [({"block_s": 0.2}, "block_s is 0.2"), ({"mu_max": 0.0}, "mu_max is 0.0; it can be above 0")],
)
def test_values_out_of_range_are_refused(change: dict[str, float], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        PbfdafHyperparameters(**change)
