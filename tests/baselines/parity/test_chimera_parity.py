"""Both heads of Chimera++ on weights of nussl 1.1.9."""

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import converted, randomise, relative_difference
from tests.baselines.parity.nussl_model import NusslModel, from_nussl, in_nussl

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize("mask", ["softmax", "sigmoid"])
def test_masks_and_embeddings(mask: str, record_property: RecordProperty) -> None:
    arguments = {
        "num_features": 129,
        "hidden_size": 600,
        "num_layers": 4,
        "bidirectional": True,
        "dropout": 0.3,
        "embedding_size": 20,
        "embedding_activation": ["sigmoid", "unit_norm"],
        "num_sources": 2,
        "mask_activation": [mask],
    }
    theirs = randomise(NusslModel("build_recurrent_chimera", **arguments))
    ours = converted("chimera", "nussl", theirs, **arguments)
    magnitude = torch.rand(2, 1, 129, 40, dtype=torch.float64) ** 4
    expected = theirs(in_nussl(magnitude))
    embeddings = ours.embedding(ours.body(magnitude))
    differences = [
        relative_difference(ours.masks(magnitude), from_nussl(expected["mask"])),
        relative_difference(embeddings, from_nussl(expected["embedding"])),
    ]
    record_property("largest differences of masks and embeddings", differences)
    assert max(differences) < TOLERANCE
