"""Mask inference on weights of nussl 1.1.9."""

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import converted, randomise, relative_difference
from tests.baselines.parity.nussl_model import NusslModel, from_nussl, in_nussl

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize(("n_src", "mask"), [(2, "sigmoid"), (3, "softmax"), (2, "relu")])
def test_masks(n_src: int, mask: str, record_property: RecordProperty) -> None:
    arguments = {
        "num_features": 129,
        "hidden_size": 600,
        "num_layers": 4,
        "bidirectional": True,
        "dropout": 0.3,
        "num_sources": n_src,
        "mask_activation": [mask],
    }
    theirs = randomise(NusslModel("build_recurrent_mask_inference", **arguments))
    ours = converted("mask_inference", "nussl", theirs, **arguments)
    magnitude = torch.rand(2, 1, 129, 40, dtype=torch.float64) ** 4
    difference = relative_difference(
        ours.masks(magnitude), from_nussl(theirs(in_nussl(magnitude))["mask"])
    )
    record_property("largest difference", difference)
    assert difference < TOLERANCE
