"""DPRNN on weights copied from asteroid 0.7, at equal padding."""

from typing import Any

import pytest
import torch

from mixgen.core.errors import SuiteError
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
PUBLISHED = {"bn_chan": 64, "kernel_size": 2, "stride": 1, "chunk_size": 250, "hop_size": 125}


@pytest.mark.parametrize(
    ("arguments", "time"),
    [
        ({"n_src": 2, **PUBLISHED}, 126),
        ({"n_src": 3, "n_repeats": 2, "hid_size": 32, "chunk_size": 20}, 1600),
        ({"n_src": 2, "n_repeats": 1, "encoder_activation": "relu", "mask_act": "relu"}, 1608),
    ],
)
def test_asteroid_surrounds_the_frames_by_whole_chunks(
    arguments: dict[str, Any], time: int, record_property: RecordProperty
) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    theirs = randomise(models.DPRNNTasNet(**arguments))
    ours = converted("dprnn", "asteroid", theirs, **arguments)
    mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
    difference = relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture))
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_the_published_size_of_asteroid() -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, **PUBLISHED}
    ours = converted("dprnn", "asteroid", models.DPRNNTasNet(**arguments), **arguments)
    assert sum(parameter.numel() for parameter in ours.parameters()) == 2_608_065


@pytest.mark.parametrize(
    "other", [{"mask_act": "softmax"}, {"norm_type": "cLN"}, {"hop_size": 10}, {"rnn_type": "GRU"}]
)
def test_what_asteroid_has_and_dprnn_has_not_is_refused(other: dict[str, Any]) -> None:
    models = pytest.importorskip("asteroid.models", reason=WHY)
    arguments = {"n_src": 2, "n_repeats": 1, "hid_size": 8, **other}
    with pytest.raises(SuiteError):
        converted("dprnn", "asteroid", models.DPRNNTasNet(**arguments), **arguments)
