"""SuDoRM-RF: masks along the basis, causality, and the sizes of the variants."""

from typing import Any

import pytest
import torch
from torch.nn import functional

from baselines.fake_tensors import without_data
from baselines.inference.macs import macs_per_second
from baselines.models.sudormrf import (
    CausalConv1d,
    SourceConvolutions,
    SudoRmRf,
    SudoRmRfHyperparameters,
)
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"C_E": 24, "C": 8, "C_U": 16, "B": 2, "Q": 2}


def tiny(**changes: Any) -> SudoRmRf:
    return SudoRmRf(SudoRmRfHyperparameters(**{**TINY, **changes})).eval()


def test_multiplications_are_those_of_the_authors_code() -> None:
    """For a second at 8 kHz through the system of four blocks."""
    with without_data():
        macs = macs_per_second(SudoRmRf(SudoRmRfHyperparameters(B=4)))
    assert macs / 1e9 == pytest.approx(0.99, rel=0.01)


@pytest.mark.parametrize("wrong", [{"K_E": 20}, {"K_E": 1}, {"C_E": 25}, {"Q": -1}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_source_convolutions_slide_along_the_basis_signals() -> None:
    """The product with a Toeplitz matrix is a convolution of the transposed output."""
    layer = SourceConvolutions(24, 3)
    y = torch.randn(2, 24, 7)
    along = y.transpose(1, 2).reshape(-1, 1, 24)  # (b * k, 1, C_E)
    slid = functional.conv1d(along, layer.weight, layer.bias, padding=12)  # (b * k, n_src, C_E)
    expected = slid.view(2, 7, 3, 24).permute(0, 2, 3, 1)  # (b, n_src, C_E, k)
    torch.testing.assert_close(layer(y).unflatten(1, (3, 24)), expected, rtol=0, atol=1e-5)


def test_a_single_source_has_a_mask_that_is_not_one() -> None:
    """A softmax over one source would be."""
    separator = tiny(n_src=1)
    masked = separator.network(torch.randn(1, 1, 500))
    separator.separation.scores.bias.data -= 100
    assert separator.network(torch.randn(1, 1, 500)).std() < 0.1 * masked.std()


def test_a_causal_convolution_ignores_the_taps_for_the_future() -> None:
    layer = CausalConv1d(3, 3, 5, stride=2, groups=3)
    x = torch.randn(2, 3, 12)
    before = layer(x)
    layer.weight.data[..., 3:] = torch.nan
    assert torch.equal(layer(x), before)
    layer.weight.data[..., 3:] = 0
    torch.testing.assert_close(
        before, functional.conv1d(x, layer.weight, layer.bias, 2, padding=2, groups=3)
    )
    assert layer.macs(x, before) == 2 * 3 * 6 * 3


def test_trained_causal_blocks_read_no_more_of_the_future() -> None:
    """Untrained blocks are the identity; with other gains the look-ahead stays half a frame."""
    separator = tiny(causal=True)
    assert separator.look_ahead == 10
    mixture = torch.randn(1, 1, 600)
    untrained = separator.network(mixture)
    for block in separator.separation.blocks:
        block.gain.data.fill_(1.0)
    trained = separator.network(mixture)
    assert not torch.equal(untrained, trained)
    for t in (400, 405, 409):
        altered = mixture.clone()
        altered[..., t] += 1
        changed = (separator.network(altered) != trained).any(1).any(1)[0]
        assert int(changed.nonzero()[0]) >= t - 10


@pytest.mark.parametrize("causal", [False, True])
def test_options_give_finite_estimates(causal: bool) -> None:
    separator = tiny(causal=causal, n_src=3, channels=2, K_E=7, Q=0, C_E=8, C=8)
    assert separator(torch.randn(2, 2, 333)).isfinite().all()


@pytest.mark.parametrize("causal", [False, True])
def test_training_separates_two_tones(causal: bool, train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(20))
    losses = train_on_tones(tiny(causal=causal).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 8
