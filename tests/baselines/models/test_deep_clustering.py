"""Deep clustering: its masks, its options and its training."""

from typing import Any

import pytest
import torch

from baselines.models.deep_clustering import DeepClustering, DeepClusteringHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones


def tiny(**changes: Any) -> DeepClustering:
    sizes = {"n_fft": 64, "hop_length": 16, "hidden_size": 8, "n_layers": 1, "D": 5}
    return DeepClustering(DeepClusteringHyperparameters(**{**sizes, **changes})).eval()


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_embeddings_have_a_length_of_one(activation: str) -> None:
    separator = tiny(activation=activation, channels=2)
    embeddings = separator.embeddings(torch.rand(3, 2, 33, 9))
    assert embeddings.shape == (3, 5, 2 * 33 * 9)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3, 2 * 33 * 9))


@pytest.mark.parametrize("n_src", [2, 3])
def test_every_bin_belongs_to_one_source(n_src: int) -> None:
    masks = tiny(n_src=n_src, channels=2).masks(torch.rand(2, 2, 33, 9))
    assert masks.shape == (2, n_src, 2, 33, 9)
    assert masks.unique().tolist() == [0, 1]
    assert (masks.sum(1) == 1).all()


def test_estimates_add_up_to_the_mixture() -> None:
    mixture = torch.randn(2, 1, 500)
    torch.testing.assert_close(tiny()(mixture).sum(1), mixture, rtol=0, atol=1e-5)


def test_the_number_of_clusters_is_no_weight_of_the_network() -> None:
    three = tiny(n_src=3)
    three.load_state_dict(tiny(n_src=2).state_dict())
    assert three(torch.randn(1, 1, 300)).shape == (1, 3, 1, 300)


@pytest.mark.parametrize("loss", ["affinity", "whitened"])
@pytest.mark.parametrize("weighting", ["active", "magnitude"])
def test_each_loss_falls_when_trained(
    loss: str, weighting: str, train_on_tones: TrainOnTones
) -> None:
    separator = tiny(loss=loss, weighting=weighting).train()
    tones_hz = [torch.tensor([[400, 2400]])] * 30
    losses = train_on_tones(separator, tones_hz, learning_rate=1e-2)
    lowest = 0 if loss == "affinity" else 5 - 2  # D - n_src
    assert losses[-1] - lowest < 0.5 * (losses[0] - lowest)


@pytest.mark.parametrize(
    "wrong",
    [{"activation": "relu"}, {"weighting": "none"}, {"loss": "mse"}, {"D": 0}],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_named_stems_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot separate named stems"):
        tiny(source_names=("vocals", "drums"))
