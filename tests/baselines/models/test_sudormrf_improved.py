"""SuDoRM-RF++: level, the decoder of all sources, and options."""

from typing import Any

import pytest
import torch

from baselines.models.sudormrf_improved import ImprovedHyperparameters, ImprovedSudoRmRf
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"C_E": 24, "C": 8, "C_U": 16, "B": 2, "Q": 2}


def tiny(**changes: Any) -> ImprovedSudoRmRf:
    return ImprovedSudoRmRf(ImprovedHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize("wrong", [{"K_E": 20}, {"Q": -1}, {"output_slopes": 2}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_estimates_follow_the_gain_of_the_mixture() -> None:
    """Even before the fit to its level: the basis has no biases."""
    separator = tiny()
    mixture = torch.randn(1, 1, 2000)
    torch.testing.assert_close(
        separator.network(0.01 * mixture), 0.01 * separator.network(mixture), rtol=1e-3, atol=1e-6
    )


def test_every_estimate_reads_the_latents_of_every_source() -> None:
    separator = tiny()
    mixture = torch.randn(1, 1, 500)
    before = separator.network(mixture)
    separator.masks.weight.data[:24] = 0  # masks of the first source
    separator.masks.bias.data[:24] = 0
    changed = (separator.network(mixture) != before).any(-1)
    assert changed.all()


def test_options_give_finite_estimates() -> None:
    separator = tiny(n_src=3, channels=2, K_E=7, Q=0, output_slopes=16)
    assert separator(torch.randn(2, 2, 333)).isfinite().all()


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(20))
    losses = train_on_tones(tiny().train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 8
