"""Hybrid Demucs: levels, the two branches, the spectrogram and options."""

from typing import Any

import pytest
import torch

from baselines.layers.hybrid import LocalAttention
from baselines.models.hdemucs import HDemucs, HDemucsHyperparameters
from mixgen.core.errors import UsageError

TINY = {"C": 4, "depth": 3, "n_fft": 64, "norm_from": 1, "recurrent_from": 2, "compress": 2}


def tiny(**changes: Any) -> HDemucs:
    return HDemucs(HDemucsHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        {"source_names": None},
        {"n_fft": 128},
        {"n_fft": 4096},
        {"context": 2},
        {"S": 3},
        {"C": 5},
        {"compress": 16},
        {"recurrent_from": 1, "compress": 3},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_the_branches_of_the_paper_merge_at_the_fifth_of_six_levels() -> None:
    levels = HDemucsHyperparameters().levels()
    assert [level.width for level in levels] == [48, 96, 192, 384, 768, 1536]
    assert [level.merges for level in levels] == [False] * 4 + [True, False]
    assert [level.spectral for level in levels] == [True] * 5 + [False]
    assert [level.K for level in levels] == [8, 8, 8, 8, 8, 4]


@pytest.mark.parametrize("time", [1, 15, 16, 17, 500])
def test_the_spectrogram_has_a_frame_per_hop(time: int) -> None:
    separator = tiny()
    spectrum = separator.analyse(torch.randn(2, 2, time))
    assert spectrum.shape == (2, 2, 32, -(-time // 16))
    parts = torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3)
    assert separator.synthesise(parts, time).shape == (2, 2, time)


def test_the_spectrogram_reconstructs_all_but_half_the_rate_and_the_ends() -> None:
    """Two frames at each end are left out, as the paper's code does."""
    separator = tiny()
    signal = torch.sin(0.3 * torch.arange(500))[None, None]
    parts = torch.view_as_real(separator.analyse(signal)).permute(0, 1, 4, 2, 3)
    error = separator.synthesise(parts, 500) - signal
    assert error[..., 48:-48].abs().max() < 1e-3


def test_a_frame_attends_to_others_and_to_itself_only_when_alone() -> None:
    attention = LocalAttention(8)
    x = torch.randn(1, 8, 5)
    own = attention.output(attention.content(x[..., :1]))
    torch.testing.assert_close(attention(x[..., :1]), x[..., :1] + own)
    penalty = attention._penalty(x)
    assert (penalty.diagonal(dim1=2, dim2=3) == -100).all()
    assert (penalty[..., 0, 1:].diff(dim=-1) < 0).all()  # farther is less


def test_estimates_follow_the_gain_of_the_mixture() -> None:
    separator = tiny()
    mixture = torch.randn(1, 2, 1500)
    torch.testing.assert_close(
        separator(0.1 * mixture), 0.1 * separator(mixture), rtol=1e-2, atol=1e-4
    )
