"""The level of estimates: fitted to the mixture, without a reference."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from baselines.layers.level import fit_level, fit_level_causally

Fit = Callable[[Tensor, Tensor], Tensor]


def test_each_estimate_gets_its_gain_and_sign() -> None:
    references = torch.randn(3, 2, 1, 4000)
    references = references - references.mean(-1, keepdim=True)
    gains = torch.tensor([3.0, -0.2])[None, :, None, None]
    fitted = fit_level(references.sum(1), references * gains)
    torch.testing.assert_close(fitted, references, rtol=0, atol=1e-3)


@pytest.mark.parametrize("fit", [fit_level, fit_level_causally])
def test_the_mean_of_an_estimate_becomes_a_share_of_that_of_the_mixture(fit: Fit) -> None:
    """SI-SDR leaves it open; the gain would be fitted to it otherwise."""
    talkers = torch.randn(1, 2, 1, 8000)
    talkers = talkers - talkers.mean(-1, keepdim=True)
    mixture = talkers.sum(1) + 0.2
    estimates = torch.tensor([3.0, -0.2])[None, :, None, None] * talkers + 5.0
    fitted = fit(mixture, estimates)[..., 4000:]
    expected = talkers[..., 4000:] + 0.1
    torch.testing.assert_close(fitted, expected, rtol=0, atol=1e-2 if fit is fit_level else 0.1)


def test_equal_estimates_share_the_mixture() -> None:
    mixture = torch.randn(1, 2, 500)
    fitted = fit_level(mixture, 5 * mixture[:, None].repeat(1, 2, 1, 1))
    torch.testing.assert_close(
        fitted, 0.5 * mixture[:, None].expand(1, 2, 2, 500), rtol=1e-2, atol=1e-2
    )


def test_an_estimate_that_leaks_stays_as_quiet_as_it_is() -> None:
    """What is left of a talker in the other estimate is not raised to half the mixture."""
    talker = torch.randn(1, 1, 4000)
    fitted = fit_level(talker, 60 * torch.stack([talker, 0.05 * talker], dim=1))
    assert (fitted[:, 1].std() / fitted[:, 0].std()) == pytest.approx(0.05, rel=0.1)
    torch.testing.assert_close(fitted.sum(1), talker, rtol=1e-3, atol=1e-3)


def test_the_causal_fit_reaches_the_same_gains_and_reads_no_future() -> None:
    references = torch.randn(1, 2, 1, 4000).diff(dim=-1)  # whose running mean vanishes soon
    estimates = references * torch.tensor([3.0, -0.2])[None, :, None, None]
    mixture = references.sum(1)
    fitted = fit_level_causally(mixture, estimates)
    torch.testing.assert_close(fitted[..., 400:], references[..., 400:], rtol=0, atol=2e-2)
    torch.testing.assert_close(fitted.sum(1), mixture, rtol=0, atol=1e-2)
    beginning = fit_level_causally(mixture[..., :1000], estimates[..., :1000])
    torch.testing.assert_close(fitted[..., :1000], beginning, rtol=0, atol=1e-6)


@pytest.mark.parametrize("fit", [fit_level, fit_level_causally])
@pytest.mark.parametrize("loudness", [0.0, 1e-30, 1e-6, 1e6])
@pytest.mark.parametrize("estimates", [torch.zeros(1, 2, 1, 50), torch.randn(1, 2, 1, 50)])
def test_every_level_is_finite_and_no_louder_than_the_mixture(
    fit: Fit, loudness: float, estimates: Tensor
) -> None:
    mixture = loudness * torch.randn(1, 1, 50)
    fitted = fit(mixture, estimates)
    assert fitted.isfinite().all()
    assert fitted.sum(1).square().sum() <= 1.5 * mixture.square().sum()
