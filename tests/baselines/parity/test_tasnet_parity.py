"""TasNet on weights copied from asteroid 0.7, at equal padding."""

from typing import Any

import pytest
import torch

from mixgen.core.errors import SuiteError
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
PAPER = {"n_filters": 500, "kernel_size": 40, "stride": 20, "hid_size": 500}


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_src": 2, **PAPER},
        {"n_src": 3, "hid_size": 16, "mask_act": "relu", "n_layers": 2},
    ],
)
def test_asteroid_overlaps_the_frames_and_has_no_skips(
    arguments: dict[str, Any], record_property: RecordProperty
) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.LSTMTasNet(**arguments))
    ours = converted("tasnet", "asteroid", theirs, **arguments)
    mixture = 0.1 * torch.randn(2, 1, 2000, dtype=torch.float64)
    difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_the_size_of_asteroid_is_that_of_the_paper() -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, **PAPER}
    ours = converted("tasnet", "asteroid", models.LSTMTasNet(**arguments), **arguments)
    assert sum(parameter.numel() for parameter in ours.parameters()) == 23_094_000


@pytest.mark.parametrize(
    "other", [{"mask_act": "softmax"}, {"bidirectional": False}, {"n_layers": 3}]
)
def test_what_asteroid_has_and_tasnet_has_not_is_refused(other: dict[str, Any]) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, "hid_size": 8, **other}
    with pytest.raises(SuiteError):
        converted("tasnet", "asteroid", models.LSTMTasNet(**arguments), **arguments)
