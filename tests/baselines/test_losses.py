"""SI-SDR compared with another implementation, permutations, and segments with silence."""

import math
from itertools import permutations

import fast_bss_eval
import pytest
import torch

from baselines.layers.permutation import assigned_cost, best_permutation
from baselines.losses import (
    fuss_loss,
    magnitude_l1_loss,
    pairwise_si_sdr_db,
    si_sdr_loss,
    snr_loss,
)


def signals(n_src: int, time: int = 4000) -> tuple[torch.Tensor, torch.Tensor]:
    references = torch.randn(3, n_src, 1, time, dtype=torch.float64) + 0.3
    estimates = 0.5 * references.flip(1) + 0.2 * torch.randn_like(references)
    return references, estimates


@pytest.mark.parametrize("n_src", [1, 2, 3, 5])
def test_si_sdr_loss_agrees_with_fast_bss_eval(n_src: int) -> None:
    references, estimates = signals(n_src)
    theirs = fast_bss_eval.si_sdr(references[:, :, 0], estimates[:, :, 0], zero_mean=True)
    ours = si_sdr_loss(references=references, estimates=estimates, named=False)
    assert float(ours) == pytest.approx(-float(theirs.mean()), abs=1e-6)


def test_named_sources_are_not_permuted() -> None:
    references, estimates = signals(2)
    named = si_sdr_loss(references=references, estimates=estimates, named=True)
    crossed = si_sdr_loss(references=references, estimates=estimates.flip(1), named=True)
    assert crossed < named - 10


def test_si_sdr_does_not_depend_on_gain_or_sign() -> None:
    references, estimates = signals(2)
    plain = pairwise_si_sdr_db(references=references, estimates=estimates)
    scaled = pairwise_si_sdr_db(references=references, estimates=-7 * estimates)
    torch.testing.assert_close(plain, scaled, rtol=0, atol=1e-4)


@pytest.mark.parametrize("n_src", [2, 3, 4, 6])
def test_best_permutation_is_the_best_of_all(n_src: int) -> None:
    cost = torch.randn(4, n_src, n_src)
    orders = list(permutations(range(n_src)))
    rows = range(n_src)
    for item, order in zip(cost, best_permutation(cost), strict=True):
        least = min(item[rows, order].sum() for order in orders)
        assert item[rows, order].sum() == pytest.approx(least)


def test_assigned_cost_takes_the_permutation_of_least_total() -> None:
    cost = torch.tensor([[[5.0, 1.0], [2.0, 9.0]]])
    assert assigned_cost(cost, named=False).tolist() == [[1.0, 2.0]]
    assert assigned_cost(cost, named=True).tolist() == [[5.0, 9.0]]


def test_a_silent_reference_adds_no_loss_and_no_gradient() -> None:
    references, estimates = signals(2)
    references[:, 1] = 0
    estimates.requires_grad_()
    loss = si_sdr_loss(references=references, estimates=estimates, named=False)
    alone = pairwise_si_sdr_db(references=references[:, :1], estimates=estimates).amax(2)
    assert loss.item() == pytest.approx(-alone.mean().item())
    loss.backward()
    assert estimates.grad[:, 0].abs().max() == 0
    assert estimates.grad[:, 1].abs().max() > 0


@pytest.mark.parametrize("silent", ["references", "estimates", "both"])
def test_all_silence_gives_finite_gradients(silent: str) -> None:
    references, estimates = signals(2)
    references = references * (silent == "estimates")
    estimates = (estimates * (silent == "references")).requires_grad_()
    si_sdr_loss(references=references, estimates=estimates, named=False).backward()
    assert estimates.grad.isfinite().all()


def test_magnitude_loss_of_swapped_estimates_is_zero() -> None:
    magnitudes = torch.rand(2, 3, 1, 5, 7)
    crossed = magnitudes[:, [2, 0, 1]]
    assert magnitude_l1_loss(references=magnitudes, estimates=crossed, named=False) == 0
    assert magnitude_l1_loss(references=magnitudes, estimates=crossed, named=True) > 0.1


@pytest.mark.parametrize(("gain", "expected_db"), [(0.9, -19.59), (0.0, 0.0), (1.0, -30.0)])
def test_snr_sees_the_level_and_is_limited(gain: float, expected_db: float) -> None:
    """An error of a tenth has -20 dB, to which the limit adds -30 dB."""
    references = torch.randn(2, 3, 1, 100)
    estimates = gain * references[:, [2, 0, 1]]
    loss = snr_loss(references=references, estimates=estimates, named=False)
    assert loss.item() == pytest.approx(expected_db, abs=0.01)


def test_a_silent_reference_adds_nothing_to_the_snr() -> None:
    references = torch.randn(1, 2, 1, 100)
    references[0, 1] = 0
    estimates = 0.9 * references + torch.tensor([0.0, 1.0])[:, None, None]
    loss = snr_loss(references=references, estimates=estimates, named=True)
    assert loss.item() == pytest.approx(-19.59, abs=0.01)


ONES = torch.ones(1, 1, 16000)


@pytest.mark.parametrize(
    ("reference", "estimate", "expected_db"),
    [(1.0, 1.0, 12.0412), (1.0, 0.0, 42.0455), (0.0, 0.0, 22.0412)],
)
def test_fuss_loss_has_the_values_of_the_published_code(
    reference: float, estimate: float, expected_db: float
) -> None:
    """16,000 ones as the mixture; a sounding reference and a silent one have other thresholds."""
    loss = fuss_loss(
        references=reference * ONES[:, None], estimates=estimate * ONES[:, None], mixture=ONES
    )
    assert float(loss) == pytest.approx(expected_db, abs=1e-3)


def test_fuss_loss_assigns_by_errors_without_thresholds() -> None:
    """One sample of 16,001 differs; the thresholds alone would prefer the other order."""

    def with_last(*values: float) -> torch.Tensor:
        return torch.stack([torch.cat([ONES[0], torch.tensor([[v]])], -1) for v in values])[None]

    references, estimates = with_last(0.0, -1.0), with_last(0.125, 4.0)
    loss = fuss_loss(references=references, estimates=estimates, mixture=references.sum(1))
    in_order = [0.125**2 + 16.0, 25.0 + 16.001]
    swapped = [16.0 + 16.0, 1.125**2 + 16.001]
    assert math.prod(in_order) > math.prod(swapped)
    expected_db = sum(10 * math.log10(error) for error in in_order) / 2
    assert float(loss) == pytest.approx(expected_db, abs=1e-4)


def test_fuss_loss_of_silence_has_a_gradient_without_nan() -> None:
    estimates = torch.zeros(1, 3, 1, 100, requires_grad=True)
    fuss_loss(
        references=torch.zeros(1, 3, 1, 100), estimates=estimates, mixture=torch.zeros(1, 1, 100)
    ).backward()
    assert estimates.grad is not None
    assert estimates.grad.isfinite().all()
