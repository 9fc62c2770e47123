"""Joined chunks: the order of estimates is kept, without a seam or a loss."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from baselines.inference.long import chunk_starts, separate_long
from baselines.registry import build
from baselines.separator import Separator
from mixgen.core.errors import UsageError
from tests.baselines.conftest import MakeReferences


class Shuffling(Separator):
    """Separates below from above 1 kHz exactly, in an order that changes from call to call."""

    calls = 0

    def forward(self, mixture: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(mixture)
        split = spectrum.shape[-1] // 4
        below, above = spectrum.clone(), spectrum.clone()
        below[..., split:] = 0
        above[..., :split] = 0
        estimates = torch.fft.irfft(torch.stack([below, above], dim=1), n=mixture.shape[-1])
        self.calls += 1
        return estimates.flip(1) if self.calls % 2 == 0 else estimates


def tones(time: int) -> Tensor:
    """Two tones with whole periods in every chunk, (batch, n_src, channels, time)."""
    phase = 2 * torch.pi * torch.arange(time) / 8000
    return torch.stack([torch.sin(400 * phase), torch.sin(2400 * phase)])[None, :, None]


@pytest.mark.parametrize("seconds", [1.0, 2.2, 3.05, 4.6])
def test_order_is_kept_across_seams(seconds: float) -> None:
    references = tones(round(8000 * seconds))
    separator = Shuffling(Shuffling.hyperparameters_class())
    estimates = separate_long(separator, references.sum(1), chunk_s=1.0, overlap_s=0.4)
    assert separator.calls == len(chunk_starts(references.shape[-1], chunk=8000, overlap=3200))
    middle = slice(400, -400)
    error = (estimates - references)[..., middle].square().mean()
    assert 10 * torch.log10(references.square().mean() / error) > 25


def test_a_window_decides_the_chunks_that_overlap_by_half() -> None:
    """Continuous separation: the window is a part of the separator."""
    references = tones(36000)
    separator = Shuffling(Shuffling.hyperparameters_class(stream_window_s=1.0))
    estimates = separate_long(separator, references.sum(1))
    assert separator.calls == len(chunk_starts(36000, chunk=8000, overlap=4000)) == 8
    error = (estimates - references)[..., 400:-400].square().mean()
    assert 10 * torch.log10(references.square().mean() / error) > 25


def test_order_is_found_for_each_mixture_of_a_batch() -> None:
    references = torch.cat([tones(20000), tones(20000).flip(1)])
    separator = Shuffling(Shuffling.hyperparameters_class())
    estimates = separate_long(separator, references.sum(1), chunk_s=1.0, overlap_s=0.4)
    assert (estimates - tones(20000)).square().mean() < 0.01


def test_named_estimates_are_never_swapped() -> None:
    """With named sources the shuffled order is kept, so that the error stays large."""
    named = Shuffling.hyperparameters_class(source_names=("low", "high"))
    references = tones(20000)
    estimates = separate_long(Shuffling(named), references.sum(1), chunk_s=1.0, overlap_s=0.4)
    assert (estimates - references).square().mean() > 0.1


def test_the_mixture_comes_back_whole(references_for: MakeReferences) -> None:
    separator = build("mixture", n_src=3, channels=2)
    mixture = references_for(separator, 54321).sum(1)
    estimates = separate_long(separator, mixture, chunk_s=1.0, overlap_s=0.3)
    expected = mixture[:, None].expand_as(estimates)
    torch.testing.assert_close(estimates, expected, rtol=0, atol=1e-6)


def test_a_local_mask_is_the_same_in_chunks(references_for: MakeReferences) -> None:
    separator = build("oracle:irm")
    references = references_for(separator, 40000)
    mixture = references.sum(1)
    whole = separator(mixture, references)
    inputs = {"references": references}
    chunks = separate_long(separator, mixture, inputs, chunk_s=1.6, overlap_s=0.8)
    error = (whole - chunks).square().mean() / whole.square().mean()
    assert 10 * torch.log10(error) < -30


@pytest.mark.parametrize("time", [1, 100, 101, 170, 171, 1000])
def test_chunks_cover_everything_and_overlap(time: int) -> None:
    starts = chunk_starts(time, chunk=100, overlap=30)
    assert starts[0] == 0
    assert starts[-1] == max(time - 100, 0)
    steps = [later - start for start, later in pairwise(starts)]
    assert all(0 < step <= 70 for step in steps)


@pytest.mark.parametrize("overlap_s", [0.0, 0.6])
def test_an_overlap_out_of_range_is_refused(overlap_s: float) -> None:
    with pytest.raises(UsageError, match="at most half the chunk"):
        separate_long(build("mixture"), torch.zeros(1, 1, 9), chunk_s=1.0, overlap_s=overlap_s)
