"""Open-Unmix: its size per stem, its bandwidth and its Wiener filter."""

import pytest
import torch

from baselines.layers.wiener import _solve, expectation_maximisation, wiener_filter
from baselines.models.open_unmix import OpenUnmix, OpenUnmixHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import GetBuilt


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
