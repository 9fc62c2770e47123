"""Spectral mapping: what the networks read and give, resynthesis, and its loss."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from baselines.layers.log_spectra import TARGETS
from baselines.models.spectral_mapping import (
    NETWORKS,
    MappingHyperparameters,
    SpectralMapping,
    direction,
    relative_power,
    with_context,
)
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {
    "n_src": 2,
    "sample_rate": 8000,
    "hop_s": 0.01,
    "bands": 16,
    "context": 1,
    "layers": 1,
    "hidden_size": 16,
    "phase_iterations": 0,
}


def tiny(**changes: Any) -> SpectralMapping:
    return SpectralMapping(MappingHyperparameters(**{**TINY, **changes})).eval()


def perfect(separator: SpectralMapping, references: Tensor) -> SpectralMapping:
    """Replace the network's estimates by the features of the references."""
    batch = {"mixture": references.sum(1), "references": references}
    features = separator.spectra(separator.powers(batch)[1])
    separator.features = lambda _power: features  # type: ignore[method-assign]
    return separator


def test_frames_stand_beside_their_neighbours() -> None:
    x = torch.arange(1, 5).float()[None, :, None]
    assert with_context(x, 1)[0].tolist() == [[0, 1, 2], [1, 2, 3], [2, 3, 4], [3, 4, 0]]
    assert torch.equal(with_context(x, 0), x)


@pytest.mark.parametrize(("network", "target"), list(product(NETWORKS, TARGETS)))
def test_every_network_estimates_every_target(network: str, target: str) -> None:
    separator = tiny(network=network, target=target, n_src=3, channels=2)
    assert separator(torch.randn(2, 2, 1001)).shape == (2, 3, 2, 1001)


@pytest.mark.parametrize("target", TARGETS)
def test_a_residual_lstm_that_adds_nothing_returns_the_mixture(target: str) -> None:
    separator = tiny(network="residual_lstm", target=target)
    separator.network.last = nn.Linear(16, 2 * separator.spectra.size)
    for weights in separator.network.last.parameters():
        weights.data.zero_()
    mixture = torch.randn(1, 1, 2000)
    estimates = separator(mixture)
    torch.testing.assert_close(estimates[:, 0], mixture, rtol=0, atol=1e-4)
    torch.testing.assert_close(estimates[:, 1], mixture, rtol=0, atol=1e-4)


def test_perfect_log_spectra_have_the_magnitudes_of_the_references() -> None:
    """With one source they are the mixture's, whose phase makes them the mixture."""
    references = torch.randn(1, 1, 1, 2000)
    estimates = perfect(tiny(n_src=1), references)(references.sum(1))
    torch.testing.assert_close(estimates, references, rtol=0, atol=1e-4)


def test_a_mask_makes_no_bin_louder() -> None:
    separator = tiny(n_src=1)
    mixture = torch.randn(1, 1, 4000)
    spectrum = separator.stft.analyse(mixture)
    louder = separator.resynthesised(3 * spectrum.abs(), spectrum, 4000)
    torch.testing.assert_close(louder, mixture, rtol=0, atol=1e-5)
    softer = separator.resynthesised(0.5 * spectrum.abs(), spectrum, 4000)
    torch.testing.assert_close(softer, 0.5 * mixture, rtol=0, atol=1e-5)


def inconsistency(separator: SpectralMapping, magnitude: Tensor, signal: Tensor) -> float:
    """Return by how much magnitudes of the spectrogram of a signal differ from wanted ones."""
    found = separator.stft.analyse(signal).abs()
    return float((found - magnitude).square().sum())


def test_iterated_phases_bring_the_magnitudes_nearer() -> None:
    """Griffin and Lim: the error of the magnitudes never grows."""
    wanted, mixture = torch.randn(2, 1, 1, 4000).double().unbind(0)
    errors = []
    for iterations in (0, 1, 5, 20):
        separator = tiny(phase_iterations=iterations).double()
        magnitude, spectrum = (separator.stft.analyse(signal) for signal in (wanted, mixture))
        signal = separator.resynthesised(magnitude.abs(), spectrum, 4000)
        errors.append(inconsistency(separator, magnitude.abs(), signal))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.5 * errors[0]


def test_a_direction_has_magnitude_one_or_none() -> None:
    spectrum = torch.tensor([3 + 4j, 0, 1e-30j])
    torch.testing.assert_close(direction(spectrum), torch.tensor([0.6 + 0.8j, 0, 1j]))


def test_estimates_follow_the_level_of_the_mixture() -> None:
    separator, mixture = tiny(), torch.randn(1, 1, 3000)
    torch.testing.assert_close(separator(1e-3 * mixture), 1e-3 * separator(mixture))


def test_powers_are_relative_to_the_largest_bin_of_each_example() -> None:
    spectrum = torch.randn(2, 3, 9, 4) + 0j
    power, largest = relative_power(spectrum)
    assert power.amax((1, 2, 3)).tolist() == [1, 1]
    torch.testing.assert_close(power * largest, spectrum.abs().square())


@pytest.mark.parametrize("target", TARGETS)
def test_the_loss_is_the_error_of_the_features_in_the_best_order(target: str) -> None:
    separator = tiny(target=target)
    references = torch.randn(3, 2, 1, 2000)
    batch = {"mixture": references.sum(1), "references": references}
    power, powers = separator.powers(batch)
    wanted, found = separator.spectra(powers), separator.features(power)
    orders = (found, found.flip(1))
    errors = torch.stack([(order - wanted).square().mean((1, 2, 3, 4)) for order in orders])
    torch.testing.assert_close(separator.training_loss(batch), errors.amin(0).mean())
    assert perfect(separator, references).training_loss(batch) == 0


@pytest.mark.parametrize("network", NETWORKS)
def test_training_tells_two_tones_apart(network: str, train_on_tones: TrainOnTones) -> None:
    separator = tiny(network=network, hidden_size=32).train()
    tones = [torch.tensor([[400, 2400]])] * 30
    losses = train_on_tones(separator, tones, learning_rate=1e-2)
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"network": "cnn"}, "it can be dnn or residual_lstm"),
        ({"context": -1}, "must be 0 or more"),
        ({"layers": 0}, "must be 1 or more"),
        ({"phase_iterations": -1}, "can be 0 to 1000"),
        ({"hidden_size": 7}, "an even number"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tiny(**wrong)
