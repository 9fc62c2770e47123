"""DPTNet on weights copied from asteroid 0.7, at equal padding."""

from typing import Any

import pytest
import torch

from mixgen.core.errors import SuiteError
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
PAPER = {"ff_hid": 128, "kernel_size": 2, "stride": 1, "chunk_size": 250}


@pytest.mark.parametrize(
    ("arguments", "time"),
    [
        ({"n_src": 2, **PAPER}, 126),
        ({"n_src": 3, "n_repeats": 2, "ff_hid": 32, "mask_act": "softmax", "n_heads": 8}, 1600),
        ({"n_src": 2, "n_repeats": 1, "encoder_activation": None, "chunk_size": 20}, 1608),
    ],
)
def test_asteroid_has_no_bottleneck_and_norms_over_sequences(
    arguments: dict[str, Any], time: int, record_property: RecordProperty
) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.DPTNet(**arguments))
    ours = converted("dptnet", "asteroid", theirs, **arguments)
    mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
    difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_sizes_differ_by_the_bottleneck_and_the_last_convolution() -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, **PAPER}
    theirs = models.DPTNet(**arguments)
    ours = converted("dptnet", "asteroid", theirs, **arguments)
    theirs_size, size = (sum(p.numel() for p in model.parameters()) for model in (theirs, ours))
    assert theirs_size == 2_801_025
    assert size == 2_809_217 == theirs_size + 2 * 64**2


@pytest.mark.parametrize(
    "other",
    [{"ff_activation": "tanh"}, {"norm_type": "cLN"}, {"hop_size": 10}, {"bidirectional": False}],
)
def test_what_asteroid_has_and_dptnet_has_not_is_refused(other: dict[str, Any]) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, "n_repeats": 1, "ff_hid": 8, **other}
    with pytest.raises(SuiteError):
        converted("dptnet", "asteroid", models.DPTNet(**arguments), **arguments)
