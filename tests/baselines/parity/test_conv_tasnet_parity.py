"""Conv-TasNet on weights copied from asteroid 0.7 and torchaudio 2.11, at equal padding."""

from typing import Any

import pytest
import torch

from baselines.models.conv_tasnet import ConvTasNet, ConvTasNetHyperparameters
from tests.baselines.conftest import RecordProperty

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WHY = "`make parity` installs the other implementations"
TOLERANCE = 1e-10  # in double precision


def copy_in_order(
    source: torch.nn.Module, target: torch.nn.Module, skip: tuple[str, ...] = ()
) -> None:
    """Copy parameters in order; `skip` names those that only the target has.

    A norm's gain and bias may have the shape (channels, 1) on one side; otherwise shapes agree.
    """
    ours = [(name, value) for name, value in target.named_parameters() if name not in skip]
    theirs = list(source.parameters())
    assert len(ours) == len(theirs)
    for (name, value), other in zip(ours, theirs, strict=True):
        assert value.squeeze().shape == other.squeeze().shape, name
        value.data.copy_(other.data.reshape(value.shape))


def randomise(module: torch.nn.Module) -> torch.nn.Module:
    """Change norms and slopes from their initial values, so that exchanged ones are found."""
    for parameter in module.parameters():
        if parameter.squeeze().ndim <= 1:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return module.double().eval()


def separator(**options: Any) -> ConvTasNet:
    return ConvTasNet(ConvTasNetHyperparameters(level="network", **options)).double().eval()


def largest_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).abs().max())


@pytest.mark.parametrize("n_src", [2, 3])
@pytest.mark.parametrize("mask", ["sigmoid", "relu"])
def test_torchaudio_pads_both_ends(mask: str, n_src: int, record_property: RecordProperty) -> None:
    models = pytest.importorskip("torchaudio.models", reason=WHY)
    theirs = randomise(models.ConvTasNet(num_sources=n_src, msk_activate=mask))
    ours = separator(mask=mask, n_src=n_src)
    copy_in_order(theirs, ours, skip=ours.idle_parameters)
    for time in (4000, 4003):
        mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
        with torch.no_grad():
            difference = largest_difference(theirs(mixture), ours(mixture)[:, :, 0])
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE


@pytest.mark.parametrize(
    ("norm", "causal", "mask"),
    [
        ("gLN", False, "sigmoid"),
        ("gLN", False, "softmax"),
        ("cLN", False, "relu"),
        ("cLN", True, "sigmoid"),
    ],
)
def test_asteroid_pads_nothing_in_front(
    norm: str, causal: bool, mask: str, record_property: RecordProperty
) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(
        models.ConvTasNet(
            n_src=2, mask_act=mask, norm_type={"gLN": "gLN", "cLN": "cgLN"}[norm], causal=causal
        )
    )
    ours = separator(norm=norm, causal=causal, mask=mask, padding="end")
    copy_in_order(theirs, ours)
    mixture = 0.1 * torch.randn(2, 1, 8000, dtype=torch.float64)
    with torch.no_grad():
        difference = largest_difference(theirs(mixture), ours(mixture)[:, :, 0])
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_the_two_paddings_are_not_the_same() -> None:
    """Without equal padding the outputs differ everywhere."""
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.ConvTasNet(n_src=2, mask_act="sigmoid"))
    ours = separator(padding="both")
    copy_in_order(theirs, ours)
    mixture = 0.1 * torch.randn(1, 1, 8000, dtype=torch.float64)
    with torch.no_grad():
        middle = (theirs(mixture) - ours(mixture)[:, :, 0])[..., 1000:-1000]
    assert middle.abs().max() > 1e-6
