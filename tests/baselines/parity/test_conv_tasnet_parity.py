"""Conv-TasNet on weights copied from asteroid 0.7 and torchaudio 2.11, at equal padding."""

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize("n_src", [2, 3])
@pytest.mark.parametrize("mask", ["sigmoid", "relu"])
def test_torchaudio_pads_both_ends(mask: str, n_src: int, record_property: RecordProperty) -> None:
    models = pytest.importorskip("torchaudio.models", reason=WHY)
    arguments = {"num_sources": n_src, "msk_activate": mask}
    theirs = randomise(models.ConvTasNet(**arguments))
    ours = converted("conv_tasnet", "torchaudio", theirs, **arguments)
    for time in (4000, 4003):
        mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
        difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE


@pytest.mark.parametrize(
    ("norm", "causal", "mask"),
    [
        ("gLN", False, "sigmoid"),
        ("gLN", False, "softmax"),
        ("cgLN", False, "relu"),
        ("cgLN", True, "sigmoid"),
    ],
)
def test_asteroid_pads_nothing_in_front(
    norm: str, causal: bool, mask: str, record_property: RecordProperty
) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, "mask_act": mask, "norm_type": norm, "causal": causal}
    theirs = randomise(models.ConvTasNet(**arguments))
    ours = converted("conv_tasnet", "asteroid", theirs, **arguments)
    mixture = 0.1 * torch.randn(2, 1, 8000, dtype=torch.float64)
    difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_arguments_that_are_missing_have_the_defaults_of_asteroid() -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.ConvTasNet(n_src=2))
    ours = converted("conv_tasnet", "asteroid", theirs, n_src=2)
    mixture = 0.1 * torch.randn(1, 1, 8000, dtype=torch.float64)
    assert relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture)) < TOLERANCE


def test_the_two_paddings_are_not_the_same() -> None:
    """Without equal padding the outputs differ everywhere."""
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.ConvTasNet(n_src=2, mask_act="sigmoid"))
    ours = converted("conv_tasnet", "asteroid", theirs, n_src=2, mask_act="sigmoid")
    ours.basis.padding = "both"
    mixture = 0.1 * torch.randn(1, 1, 8000, dtype=torch.float64)
    middle = (theirs(mixture) - ours.network(mixture)[:, :, 0])[..., 1000:-1000]
    assert middle.abs().max() > 1e-6
