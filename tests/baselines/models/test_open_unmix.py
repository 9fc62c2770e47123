"""Open-Unmix: its size per stem, its bandwidth and its Wiener filter."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.layers.wiener import _solve, expectation_maximisation, wiener_filter
from baselines.models.open_unmix import (
    OPEN_UNMIX,
    OpenUnmix,
    OpenUnmixHyperparameters,
    combined_squared_error,
    combined_weighted_sdr_loss,
)
from baselines.peers.weights import separator_from
from baselines.separator import STEMS
from mixgen.core.errors import UsageError
from tests.baselines.conftest import GetBuilt, TrainOnTones

ANALYSIS = ("stft.window", "transform.0.window", "sample_rate")


def test_each_stem_has_the_published_size(built: GetBuilt) -> None:
    for target in built("open_unmix").targets.values():
        assert sum(parameter.numel() for parameter in target.parameters()) == 8_893_348


def test_bandwidth_is_read_in_published_bins() -> None:
    assert OpenUnmixHyperparameters().bins_read == 1487
    assert OpenUnmixHyperparameters(sample_rate=8000).bins_read == 2049


def test_names_are_required() -> None:
    with pytest.raises(UsageError, match="give source_names"):
        OpenUnmixHyperparameters(source_names=None)


def spectra(channels: int) -> tuple[torch.Tensor, torch.Tensor]:
    shape = (2, 3, channels, 17, 40)
    return torch.rand(shape, dtype=torch.float64), torch.randn(
        2, channels, 17, 40, dtype=torch.complex128
    )


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_filtered_estimates_add_up_to_the_mixture(channels: int) -> None:
    magnitudes, mixture = spectra(channels)
    estimates = wiener_filter(magnitudes, mixture, iterations=1)
    torch.testing.assert_close(estimates.sum(1), mixture, rtol=0, atol=2e-3)


def test_without_iterations_the_phase_is_the_mixtures() -> None:
    magnitudes, mixture = spectra(2)
    estimates = wiener_filter(magnitudes, mixture, iterations=0)
    torch.testing.assert_close(estimates.abs(), magnitudes)
    torch.testing.assert_close(estimates.angle(), mixture.angle()[:, None].expand_as(magnitudes))


@pytest.mark.parametrize("channels", [1, 2])
def test_closed_form_inverse_is_the_solvers(channels: int) -> None:
    _, mixture = spectra(channels)
    factor = torch.randn(2, channels, channels, 17, 40, dtype=torch.complex128)
    covariance = torch.einsum("bcdft,bedft->bceft", factor, factor.conj())
    covariance = covariance + torch.eye(channels)[:, :, None, None]
    solved = torch.einsum("bcdft,bdft->bcft", covariance, _solve(covariance, mixture))
    torch.testing.assert_close(solved, mixture)


def test_loudness_does_not_change_the_filter() -> None:
    magnitudes, mixture = spectra(2)
    loud = wiener_filter(1e4 * magnitudes, 1e4 * mixture)
    louder = wiener_filter(1e6 * magnitudes, 1e6 * mixture)
    torch.testing.assert_close(100 * loud, louder, rtol=1e-6, atol=1e-6)


def test_equal_channels_are_filtered_exactly_in_single_precision() -> None:
    """Equal channels have a singular covariance, which single precision cannot invert."""
    mono = torch.randn(1, 4, 1, 17, 400, dtype=torch.complex64) * 30
    sources = mono.expand(-1, -1, 2, -1, -1).contiguous()
    single = expectation_maximisation(sources, sources.sum(1), iterations=1)
    double = expectation_maximisation(
        sources.to(torch.complex128), sources.sum(1).to(torch.complex128), iterations=1
    )
    torch.testing.assert_close(single.to(torch.complex128), double, rtol=1e-4, atol=1e-3)


def test_sources_that_differ_in_panning_alone_are_separated() -> None:
    """Sources of equal power everywhere: one iteration from the references returns them."""
    panning = torch.tensor([[1.0, 0.2], [0.2, 1.0]], dtype=torch.complex128)
    dry = torch.randn(1, 2, 1, 9, 60, dtype=torch.complex128)
    sources = dry * panning[None, :, :, None, None]
    mixture = sources.sum(1)
    estimates = expectation_maximisation(sources, mixture, iterations=1)
    error = (estimates - sources).abs().square().sum() / sources.abs().square().sum()
    assert 10 * torch.log10(error) < -40


def test_windows_of_frames_are_filtered_one_by_one() -> None:
    sizes = {"n_fft": 64, "hop_length": 32, "hidden_size": 8, "n_layers": 1, "sample_rate": 8000}
    torch.manual_seed(3)
    short = OpenUnmix(OpenUnmixHyperparameters(**sizes, em_window_frames=7)).eval()
    long = OpenUnmix(OpenUnmixHyperparameters(**sizes)).eval()
    long.load_state_dict(short.state_dict())
    mixture = torch.randn(1, 2, 32 * 20)
    assert short(mixture).shape == long(mixture).shape
    assert (short(mixture) - long(mixture)).abs().max() > 1e-4


def crossnet(**changes: Any) -> OpenUnmix:
    sizes = {"n_fft": 64, "hop_length": 32, "hidden_size": 8, "n_layers": 1, "sample_rate": 8000}
    chosen = {**sizes, "bridged": True, "loss": "combined", **changes}
    return OpenUnmix(OpenUnmixHyperparameters(**chosen))


def test_equal_networks_need_no_bridges() -> None:
    """The mean over equal networks is what each of them has alone."""
    bridged, alone = crossnet().eval(), crossnet(bridged=False).eval()
    weights = bridged.targets["vocals"].state_dict()
    for target in [*bridged.targets.values(), *alone.targets.values()]:
        target.load_state_dict(weights)
    magnitude = torch.rand(2, 2, 33, 9)
    torch.testing.assert_close(bridged.masks(magnitude), alone.masks(magnitude))


def test_bridges_carry_features_from_one_stem_to_another() -> None:
    separator = crossnet().eval()
    magnitude = torch.rand(1, 2, 33, 9)
    before = separator.masks(magnitude)
    separator.targets["bass"].fc1.weight.data.mul_(-1)
    assert (separator.masks(magnitude) != before).flatten(2).any(2).all()


def test_every_parameter_of_crossnet_is_trained() -> None:
    separator = crossnet().train()
    references = 0.1 * torch.randn(2, 4, 2, 1000)
    batch = {"mixture": references.sum(1), "references": references}
    with torch.autocast("cpu", torch.bfloat16):
        separator.training_loss(batch).backward()
    for name, parameter in separator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


def test_combined_loss_falls_when_trained(train_on_tones: TrainOnTones) -> None:
    separator = crossnet(source_names=("low", "high"), n_src=2, channels=1).train()
    tones_hz = [torch.tensor([[400, 2400]])] * 15
    losses = train_on_tones(separator, tones_hz, learning_rate=1e-2)
    assert losses[-1] < 0.5 * losses[0]


def sums(signals: Tensor) -> Iterator[Tensor]:
    """Sums of one, two and three of the four stems (batch, 4, ...), one after the other."""
    for size in (1, 2, 3):
        for chosen in combinations(range(4), size):
            yield signals[:, list(chosen)].sum(1)


def test_error_of_all_sums_of_stems() -> None:
    references, estimates = torch.randn(2, 2, 4, 1, 9, 5, dtype=torch.float64).unbind()
    errors = [
        (estimate - reference).square().mean()
        for estimate, reference in zip(sums(estimates), sums(references), strict=True)
    ]
    assert len(errors) == 14
    loss = combined_squared_error(references=references, estimates=estimates)
    torch.testing.assert_close(loss, torch.stack(errors).mean())


def test_weighted_sdr_of_all_sums_of_stems() -> None:
    references, estimates = torch.randn(2, 2, 4, 3, 50, dtype=torch.float64).unbind()
    mixture = references.sum(1) + torch.randn(2, 3, 50, dtype=torch.float64)  # with a background
    losses = []
    for reference, estimate in zip(sums(references), sums(estimates), strict=True):
        rest, energy = mixture - reference, reference.square().sum(-1)
        weight = energy / (energy + rest.square().sum(-1))
        cosine = torch.cosine_similarity(reference, estimate, dim=-1)
        cosine_of_rest = torch.cosine_similarity(rest, mixture - estimate, dim=-1)
        losses.append(1 - weight * cosine - (1 - weight) * cosine_of_rest)
    loss = combined_weighted_sdr_loss(references=references, estimates=estimates, mixture=mixture)
    torch.testing.assert_close(loss, torch.stack(losses).mean())


def test_combined_losses_of_perfect_estimates_are_zero() -> None:
    references = torch.randn(2, 4, 2, 100)
    references[0, 1] = 0
    perfect = {"references": references, "estimates": references}
    assert combined_squared_error(**perfect) == 0
    loss = combined_weighted_sdr_loss(**perfect, mixture=references.sum(1))
    assert loss == pytest.approx(0, abs=0.1)


def test_an_analysis_beside_published_weights_is_not_read() -> None:
    alone = crossnet(bridged=False, loss="magnitude")
    weights = {name.removeprefix("targets."): value for name, value in alone.state_dict().items()}
    weights |= {f"{stem}.{name}": torch.ones(3) for stem in STEMS for name in ANALYSIS}
    arguments = {"nb_bins": 33, "hidden_size": 8, "nb_layers": 1, "sample_rate": 8000}
    imported = separator_from(OPEN_UNMIX, "openunmix", weights, arguments)
    assert imported.source_names == STEMS
    magnitude = torch.rand(1, 2, 33, 9)
    torch.testing.assert_close(imported.masks(magnitude), alone.eval().masks(magnitude))


def test_unknown_loss_is_refused() -> None:
    with pytest.raises(UsageError, match="magnitude or combined"):
        crossnet(loss="mse")
