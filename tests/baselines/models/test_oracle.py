"""Ideal masks: their values, their scores, and the noise that is no source."""

import pytest
import torch

from baselines.losses import pairwise_si_sdr_db
from baselines.models.oracle import (
    OracleHyperparameters,
    binary_mask,
    phase_sensitive_mask,
    ratio_mask,
)
from baselines.registry import build
from mixgen.core.errors import UsageError

MASKS = ["ibm", "irm", "psm", "mwf"]


def talkers(n_src: int = 2, channels: int = 1, time: int = 16000) -> torch.Tensor:
    """Harmonic sounds of varying pitch and level, (1, n_src, channels, time)."""
    t = torch.arange(time, dtype=torch.float64) / 8000
    sounds = []
    for source in range(n_src):
        phase = 2 * torch.pi * ((110 + 67 * source) * t + 3 * torch.sin(2 * t + source))
        harmonics = sum(torch.sin(k * phase) / k for k in range(1, 12))
        syllables = torch.sin(torch.pi * (3 + source) * t + source).clamp(min=0)
        sounds.append(harmonics * syllables)
    gains = 0.3 + torch.rand(n_src, channels, 1, dtype=torch.float64)
    return (0.1 * torch.stack(sounds)[:, None] * gains)[None]


def si_sdr_db(references: torch.Tensor, estimates: torch.Tensor) -> torch.Tensor:
    pairs = pairwise_si_sdr_db(references=references, estimates=estimates)
    return pairs.diagonal(dim1=1, dim2=2).mean()


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("mask", MASKS)
def test_every_mask_is_far_above_the_mixture(mask: str, channels: int) -> None:
    references = talkers(channels=channels)
    mixture = references.sum(1)
    estimates = build(f"oracle:{mask}", channels=channels)(mixture, references)
    unseparated = mixture[:, None].expand_as(references)
    assert si_sdr_db(references, estimates) > si_sdr_db(references, unseparated) + 8


def test_phase_sensitive_mask_is_the_best_of_the_real_ones() -> None:
    references = talkers()
    scores = {
        m: si_sdr_db(references, build(f"oracle:{m}")(references.sum(1), references)) for m in MASKS
    }
    assert scores["psm"] == max(scores[m] for m in ("ibm", "irm", "psm"))


@pytest.mark.parametrize("mask", MASKS)
def test_noise_is_masked_and_not_an_estimate(mask: str) -> None:
    references = talkers()
    noise = 0.02 * torch.randn_like(references[:, 0])
    mixture = references.sum(1) + noise
    estimates = build(f"oracle:{mask}")(mixture, references)
    unseparated = mixture[:, None].expand_as(references)
    assert si_sdr_db(references, estimates) > si_sdr_db(references, unseparated) + 5
    assert (mixture - estimates.sum(1)).square().mean() > 0.5 * noise.square().mean()


def test_masks_of_known_bins() -> None:
    sources = torch.tensor([3.0 + 0j, -1.0 + 0j])[None, :, None, None, None]
    spectrum = sources.sum(1)
    assert binary_mask(spectrum, sources).flatten().tolist() == [1, 0]
    assert ratio_mask(spectrum, sources).flatten().tolist() == [0.75, 0.25]
    assert phase_sensitive_mask(spectrum, sources).flatten().tolist() == [1, 0]


def test_a_single_source_is_returned_unchanged() -> None:
    references = torch.cat([talkers(1), torch.zeros(1, 1, 1, 16000)], dim=1)
    for mask in MASKS:
        estimates = build(f"oracle:{mask}")(references.sum(1), references)
        assert si_sdr_db(references[:, :1], estimates[:, :1]) > 60


def test_window_follows_the_sample_rate() -> None:
    lengths = [OracleHyperparameters(sample_rate=rate).n_fft for rate in (8000, 16000, 44100)]
    assert lengths == [256, 512, 2048]


@pytest.mark.parametrize("shape", [(1, 2, 1, 49), (1, 2, 2, 50), (2, 2, 1, 50), (1, 1, 50)])
def test_references_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="The references have shape"):
        build("oracle:irm")(torch.zeros(1, 1, 50), torch.zeros(shape))


@pytest.mark.parametrize("mask", ["ibm", "irm", "psm", "mwf"])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_mixture_may_have_any_number_of_sources(mask: str, count: int) -> None:
    references = torch.randn(1, count, 1, 2000)
    estimates = build(f"oracle:{mask}")(references.sum(1) + 0.1, references)
    assert estimates.shape == references.shape


def test_unknown_mask_is_refused() -> None:
    with pytest.raises(UsageError, match="ibm or irm"):
        OracleHyperparameters(mask="soft")
