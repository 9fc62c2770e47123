"""Open-Unmix on weights copied from openunmix 1.3, its Wiener filter, and the whole chain."""

from types import ModuleType

import pytest
import torch

from baselines.layers.wiener import wiener_filter
from baselines.models.open_unmix import STEMS, OpenUnmix, OpenUnmixHyperparameters
from tests.baselines.conftest import RecordProperty

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WHY = "`make parity` installs the other implementations"


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Change norms and statistics from their initial values, so that exchanged ones are found."""
    for value in module.state_dict().values():
        if value.is_floating_point() and value.ndim <= 1:
            value += 0.1 * torch.rand_like(value)
    return module.eval()


def their_target(
    model: ModuleType, bins: int, channels: int, hidden_size: int, n_layers: int, max_bin: int
) -> torch.nn.Module:
    return randomise(
        model.OpenUnmix(
            nb_bins=bins,
            nb_channels=channels,
            hidden_size=hidden_size,
            nb_layers=n_layers,
            max_bin=max_bin,
        )
    )


@pytest.mark.parametrize("channels", [1, 2])
def test_magnitudes_of_copied_weights(channels: int, record_property: RecordProperty) -> None:
    model = pytest.importorskip("openunmix.model", reason=WHY)
    ours = OpenUnmix(OpenUnmixHyperparameters(channels=channels)).eval()
    theirs = {name: their_target(model, 2049, channels, 512, 3, 1487) for name in STEMS}
    for name, target in theirs.items():
        ours.targets[name].load_state_dict(target.state_dict())
    magnitude = torch.rand(2, channels, 2049, 20)
    with torch.no_grad():
        estimates = ours.magnitudes(magnitude)
        expected = torch.stack([target(magnitude) for target in theirs.values()], dim=1)
    difference = float((estimates - expected).abs().max())
    record_property("largest difference", difference)
    assert difference < 1e-6


@pytest.mark.parametrize("iterations", [0, 1, 3])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("loudness", [1.0, 100.0])
def test_wiener_filter(
    channels: int, iterations: int, loudness: float, record_property: RecordProperty
) -> None:
    filtering = pytest.importorskip("openunmix.filtering", reason=WHY)
    mixture = loudness * torch.randn(1, channels, 65, 50, dtype=torch.complex128)
    magnitudes = mixture.abs()[:, None] * torch.rand(1, 4, channels, 65, 50, dtype=torch.float64)
    theirs = filtering.wiener(
        magnitudes[0].permute(3, 2, 1, 0).clone(),  # (frames, bins, channels, n_src)
        torch.view_as_real(mixture[0].permute(2, 1, 0)).clone(),
        iterations=iterations,
    )
    theirs = torch.view_as_complex(theirs.permute(4, 2, 1, 0, 3).contiguous())
    ours = wiener_filter(magnitudes, mixture, iterations=iterations)[0]
    difference = float((ours - theirs).abs().max() / mixture.abs().max())
    record_property("largest difference relative to the mixture's peak", difference)
    assert difference < 1e-6


def test_the_whole_chain_away_from_the_ends(record_property: RecordProperty) -> None:
    """From waveform to waveform; with silence at both ends the two ways of padding are equal."""
    model = pytest.importorskip("openunmix.model", reason=WHY)
    sizes = {"n_fft": 512, "hop_length": 128, "hidden_size": 32, "n_layers": 2}
    ours = OpenUnmix(OpenUnmixHyperparameters(**sizes, bandwidth_hz=16000.0)).eval()
    theirs = {name: their_target(model, 257, 2, 32, 2, ours.h.bins_read) for name in STEMS}
    for name, target in theirs.items():
        ours.targets[name].load_state_dict(target.state_dict())
    separator = model.Separator(theirs, niter=1, n_fft=512, n_hop=128, nb_channels=2).eval()
    mixture = torch.nn.functional.pad(0.1 * torch.randn(1, 2, 128 * 400), (512, 512))
    with torch.no_grad():
        difference = float((ours(mixture) - separator(mixture)).abs().max())
    record_property("largest difference", difference)
    assert difference < 1e-6
