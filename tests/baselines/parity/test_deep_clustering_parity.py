"""Deep clustering on weights of nussl 1.1.9, and both losses beside nussl's and asteroid's."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.layers.clustering import affinity_loss, dominant_sources, whitened_k_means_loss
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference
from tests.baselines.parity.nussl_model import NusslModel, from_nussl, in_nussl, nussl_part

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_embeddings(activation: str, record_property: RecordProperty) -> None:
    arguments = {
        "num_features": 129,
        "hidden_size": 300,
        "num_layers": 4,
        "bidirectional": True,
        "dropout": 0.3,
        "embedding_size": 20,
        "embedding_activation": [activation, "unit_norm"],
    }
    theirs = randomise(NusslModel("build_recurrent_dpcl", **arguments))
    ours = converted("deep_clustering", "nussl", theirs, **arguments)
    magnitude = torch.rand(2, 1, 129, 40, dtype=torch.float64) ** 4
    expected = from_nussl(theirs(in_nussl(magnitude))["embedding"]).flatten(2)
    difference = relative_difference(ours.embeddings(magnitude), expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def bins() -> tuple[Tensor, Tensor, Tensor]:
    """Unit vectors (batch, D, N), assignments (batch, n_src, N) and weights (batch, N)."""
    embeddings = functional.normalize(torch.randn(3, 20, 500), dim=1)
    return embeddings, dominant_sources(torch.rand(3, 2, 500)), torch.rand(3, 500)


def test_losses_of_nussl(record_property: RecordProperty) -> None:
    """Weights are those of a factor of each product; the whitened loss is 2 L - D + n_src."""
    losses = nussl_part("train/loss.py")
    v, y, weights = bins()
    theirs = (v.mT, y.mT.contiguous(), weights.sqrt())
    affinity = affinity_loss(embeddings=v, assignments=y, weights=weights)
    whitened = whitened_k_means_loss(embeddings=v, assignments=y, weights=weights)
    differences = [
        relative_difference(affinity, losses.DeepClusteringLoss()(*theirs)),
        relative_difference(2 * whitened - 20 + 2, losses.WhitenedKMeansLoss()(*theirs)),
    ]
    record_property("largest difference", max(differences))
    assert max(differences) < 1e-5


def test_affinity_loss_of_asteroid(record_property: RecordProperty) -> None:
    """It is divided by the number of active bins, not by that of their pairs."""
    asteroid = pytest.importorskip("asteroid.losses.cluster", reason=WHY)
    v, y, weights = bins()
    active = (weights > 0.3).float()
    theirs = asteroid.deep_clustering_loss(v.mT, y.argmax(1).reshape(3, 25, 20), active[:, :, None])
    ours = affinity_loss(embeddings=v, assignments=y, weights=active)
    difference = relative_difference(ours, (theirs / active.sum(1)).mean())
    record_property("difference", difference)
    assert difference < 1e-5
