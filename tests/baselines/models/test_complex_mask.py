"""Complex masks: their initial value, their phase, the level of the estimates, and training."""

from typing import Any

import pytest
import torch

from baselines.models.complex_mask import ComplexMask, ComplexMaskHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones


def tiny(**changes: Any) -> ComplexMask:
    sizes = {"n_fft": 64, "hop_length": 16, "width": 16, "hidden_size": 8, "n_layers": 2}
    return ComplexMask(ComplexMaskHyperparameters(**{**sizes, **changes})).eval()


@pytest.mark.parametrize("n_src", [2, 3])
def test_with_a_network_of_zeros_the_estimates_share_the_mixture_evenly(n_src: int) -> None:
    separator = tiny(n_src=n_src, channels=2)
    torch.nn.init.zeros_(separator.mask.weight)
    torch.nn.init.zeros_(separator.mask.bias)
    mixture = torch.randn(1, 2, 900)
    expected = (mixture / n_src)[:, None].expand(-1, n_src, -1, -1)
    torch.testing.assert_close(separator.network(mixture), expected, rtol=0, atol=1e-5)


def test_masks_can_turn_the_phase() -> None:
    """A mask of -i delays every partial by a quarter of its period: a cosine becomes a sine."""
    separator = tiny()
    torch.nn.init.zeros_(separator.mask.weight)
    bias = separator.mask.bias.data.view(2, 2, 1, 33)  # source, real or imaginary, channel, bin
    bias[:, 0] = -0.5
    bias[:, 1] = -1
    phase = 2 * torch.pi * 500 / 8000 * torch.arange(2000)
    estimates = separator.network(phase.cos()[None, None]).detach()
    middle = slice(200, 1800)
    expected = phase.sin()[middle].expand(2, -1)
    torch.testing.assert_close(estimates[0, :, 0, middle], expected, rtol=0, atol=1e-2)


def test_estimates_follow_the_level_of_the_mixture() -> None:
    separator = tiny()
    mixture = torch.randn(1, 1, 900)
    torch.testing.assert_close(separator(0.01 * mixture), 0.01 * separator(mixture))


def test_estimates_of_delays_are_averaged_in_evaluation_alone() -> None:
    """Talkers that change places in one of the delays are put back."""
    torch.manual_seed(0)
    once, mixture = tiny(), torch.randn(2, 1, 890)
    separator = tiny(shifts=2)
    separator.load_state_dict(once.state_dict())
    first = once.network(mixture)
    later = once.network(torch.nn.functional.pad(mixture, (8, 0)))[..., 8:]
    torch.testing.assert_close(separator.network(mixture), (first + later) / 2)
    torch.testing.assert_close(separator.train().network(mixture), first)

    def swapping(spectrum: torch.Tensor, masks: Any = once.masks) -> torch.Tensor:
        swapped = spectrum.shape[-1] > once.stft.analyse(mixture).shape[-1]
        return masks(spectrum).flip(1) if swapped else masks(spectrum)

    separator.eval().masks = swapping  # type: ignore[method-assign]
    torch.testing.assert_close(separator.network(mixture), (first + later) / 2)


@pytest.mark.parametrize("shifts", [0, 17])
def test_too_many_or_no_shifts_are_refused(shifts: int) -> None:
    with pytest.raises(UsageError, match=f"shifts is {shifts}; it must be from 1 to 16"):
        tiny(shifts=shifts)


def test_loss_falls_when_trained(train_on_tones: TrainOnTones) -> None:
    tones_hz = torch.tensor([[400, 2400]])
    losses = train_on_tones(tiny().train(), [tones_hz] * 40, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 6
