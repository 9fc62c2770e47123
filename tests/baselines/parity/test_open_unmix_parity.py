"""Open-Unmix on weights of openunmix 1.3, its Wiener filter, the whole chain, and X-UMX."""

from typing import Any

import pytest
import torch
from torch import nn

from baselines.layers.wiener import wiener_filter
from baselines.separator import STEMS
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


def their_stems(arguments: dict[str, Any]) -> nn.ModuleDict:
    model = pytest.importorskip("openunmix.model", reason=WHY)
    return nn.ModuleDict({name: randomise(model.OpenUnmix(**arguments)) for name in STEMS})


@pytest.mark.parametrize("channels", [1, 2])
def test_magnitudes(channels: int, record_property: RecordProperty) -> None:
    arguments = {"nb_bins": 2049, "nb_channels": channels, "max_bin": 1487}
    theirs = their_stems(arguments)
    ours = converted("open_unmix", "openunmix", theirs, **arguments)
    magnitude = torch.rand(2, channels, 2049, 20, dtype=torch.float64)
    expected = torch.stack([theirs[name](magnitude) for name in STEMS], dim=1)
    difference = relative_difference(ours.magnitudes(magnitude), expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


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
    arguments = {"nb_bins": 257, "hidden_size": 32, "nb_layers": 2, "max_bin": 186}
    theirs = their_stems(arguments)
    ours = converted("open_unmix", "openunmix", theirs, **arguments)
    model = pytest.importorskip("openunmix.model", reason=WHY)
    separator = model.Separator(dict(theirs), niter=1, n_fft=512, n_hop=128, nb_channels=2)
    mixture = nn.functional.pad(0.1 * torch.randn(1, 2, 128 * 400), (512, 512)).double()
    difference = relative_difference(ours(mixture), separator.double().eval()(mixture))
    record_property("largest difference", difference)
    assert difference < 1e-6


@pytest.mark.parametrize("channels", [1, 2])
def test_masks_of_crossnet(channels: int, record_property: RecordProperty) -> None:
    """Its masks alone: asteroid's analysis does not run with torch 2."""
    x_umx = pytest.importorskip("asteroid.models.x_umx", reason=WHY)
    arguments = {"sources": list(STEMS), "nb_channels": channels, "max_bin": 1487}
    theirs = randomise(x_umx.BrokenXUMX(**arguments))
    ours = converted("open_unmix", "asteroid", theirs, **arguments)
    magnitude = torch.rand(2, channels, 2049, 20, dtype=torch.float64)
    expected = theirs.forward_masker(magnitude.permute(3, 0, 1, 2).clone())
    difference = relative_difference(ours.masks(magnitude), expected.permute(2, 0, 3, 4, 1))
    record_property("largest difference", difference)
    assert difference < TOLERANCE
