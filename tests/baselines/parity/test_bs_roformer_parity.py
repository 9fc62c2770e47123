"""BS-RoFormer on weights copied from the package BS-RoFormer 0.4.1, at equal padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
MUSDB18 = {
    "dim": 192,
    "depth": 6,
    "stereo": True,
    "num_stems": 1,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
}
SMALL = {"dim": 24, "depth": 2, "heads": 3, "dim_head": 8}


def peer(**arguments: Any) -> nn.Module:
    """Build the package's network; with a window in single precision, its output would be, too."""
    package = pytest.importorskip("bs_roformer", reason=WHY)
    return randomise(package.BSRoformer(stft_window_fn=window, **arguments))


def window(length: int, device: torch.device) -> Tensor:
    return torch.hann_window(length, device=device).double()


def silent_at_the_ends(channels: int, time: int, silence: int) -> Tensor:
    """Noise between silences, whose reflection is silence, too."""
    noise = 0.1 * torch.randn(2, channels, time - 2 * silence, dtype=torch.float64)
    return nn.functional.pad(noise, (silence, silence))


@pytest.mark.parametrize(
    "arguments",
    [
        MUSDB18,
        {**SMALL, "stereo": True, "num_stems": 4, "mask_estimator_depth": 1},
        {**SMALL, "num_stems": 2, "mask_estimator_depth": 3, "stft_hop_length": 441},
        {**SMALL, "stereo": True, "num_stems": 3, "freqs_per_bands": (500, 5, 5, 5, 510)},
    ],
)
def test_estimates(arguments: dict[str, Any], record_property: RecordProperty) -> None:
    theirs = peer(**arguments)
    ours = converted("bs_roformer", "bs_roformer", theirs, **arguments)
    mixture = silent_at_the_ends(ours.channels, 6000, silence=1100)
    expected = theirs(mixture)
    expected = expected if expected.ndim == 4 else expected[:, None]
    whole_hops = expected.shape[-1]  # the package returns no more
    difference = relative_difference(ours(mixture)[..., :whole_hops], expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_musdb18_has_the_published_size() -> None:
    theirs = peer(**MUSDB18)
    ours = converted("bs_roformer", "bs_roformer", theirs, **MUSDB18)
    counts = [sum(p.numel() for p in network.parameters()) for network in (ours, theirs)]
    assert counts == [24_591_340, 24_591_340]


def test_loss(record_property: RecordProperty) -> None:
    arguments = {**SMALL, "stereo": True, "num_stems": 4}
    theirs = peer(**arguments)
    ours = converted("bs_roformer", "bs_roformer", theirs, **arguments)
    # The estimates, too, are silent at the ends, for half of the longest window.
    references = torch.stack([silent_at_the_ends(2, 512 * 24, 5200) for _ in range(4)], 1)
    mixture = references.sum(1)
    expected = theirs(mixture, references)
    loss = ours.training_loss({"mixture": mixture, "references": references})
    difference = float((loss - expected).abs() / expected)
    record_property("relative difference", difference)
    assert difference < 1e-7  # the package's windows are in single precision
