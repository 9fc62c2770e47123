"""Deep clustering: a BLSTM embeds every bin of the spectrogram, and k-means finds the sources.

John R. Hershey, Zhuo Chen, Jonathan Le Roux and Shinji Watanabe, "Deep clustering: discriminative
embeddings for segmentation and separation", ICASSP 2016 (arXiv 1508.04306), with the body of four
BLSTM layers of Yusuf Isik et al., "Single-channel multi-speaker separation using deep clustering",
Interspeech 2016 (arXiv 1607.02173). The whitened k-means loss is that of Zhong-Qiu Wang, Jonathan
Le Roux and John R. Hershey, "Alternative objective functions for deep clustering", ICASSP 2018.

Sizes and layout are those of nussl, whose embedding has D = 20 values; the first paper has 40.

Silent bins have no owner. Bins 40 dB below the loudest of the mixture have no weight in the loss
nor in k-means, which then assigns them to the nearest cluster as it does all bins. With weights by
magnitude, as Wang et al. have them, silent bins weigh little in both. k-means draws no random
numbers, so that an utterance is always separated in the same way.

Clusters come in any order, so named stems are refused. The number of sources is that of the
clusters: it may differ from the number trained with.

Level: a binary mask keeps the mixture's level. Padding: frames are centred on multiples of the hop,
beyond zeros. The analysis has a hop of a quarter window, as in both papers.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.layers.clustering import (
    DEEP_CLUSTERING_LOSSES,
    WEIGHTINGS,
    KMeans,
    bin_weights,
    dominant_sources,
)
from baselines.layers.recurrent_masks import (
    EMBEDDING_ACTIVATIONS,
    EmbeddingHead,
    RecurrentHyperparameters,
    RecurrentMasking,
    activation_in_nussl,
    sizes_in_nussl,
    weights_in_nussl,
)
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights
from baselines.separator import Hyperparameters, require

CHOICES = {
    "activation": EMBEDDING_ACTIVATIONS,
    "weighting": WEIGHTINGS,
    "loss": tuple(DEEP_CLUSTERING_LOSSES),
}


@dataclass(frozen=True, kw_only=True)
class DeepClusteringHyperparameters(RecurrentHyperparameters):
    """Those of the body, the embedding and the loss."""

    hidden_size: int = 300
    D: int = 20  # size of the embedding
    activation: str = "tanh"  # before each embedding is scaled to a length of one
    weighting: str = "active"  # of bins: those that are not silent; or magnitude
    loss: str = "affinity"  # or whitened

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        self.check_least(1, "D")
        require(
            self.source_names is None,
            "Deep clustering finds sources in any order and cannot separate named stems: use "
            "another system, or leave source_names out.",
        )


class DeepClustering(RecurrentMasking):
    """Binary masks, one per cluster of the embeddings of all bins."""

    hyperparameters_class = DeepClusteringHyperparameters
    assigns_whole_bins = True
    silence_tolerance = 2.0  # a bin between two clusters changes sides at once

    def __init__(self, hyperparameters: DeepClusteringHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.embedding = EmbeddingHead(h, h.D, h.activation)
        self.k_means = KMeans(h.n_src)

    def embeddings(self, magnitude: Tensor) -> Tensor:
        """Return unit vectors (batch, D, N), one per bin, for a mixture's magnitude."""
        embeddings: Tensor = self.embedding(self.body(magnitude))
        return embeddings.flatten(2)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return masks (batch, n_src, channels, bins, frames) for a mixture's magnitude."""
        weights = bin_weights(magnitude, self.h.weighting)
        clusters = self.k_means(self.embeddings(magnitude), weights)  # (batch, n_src, N)
        masks: Tensor = clusters.unflatten(2, magnitude.shape[1:])
        return masks

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the deep clustering loss; scalar."""
        magnitude = self.stft.analyse(batch["mixture"]).abs()
        return DEEP_CLUSTERING_LOSSES[self.h.loss](
            embeddings=self.embeddings(magnitude),
            assignments=dominant_sources(self.stft.analyse(batch["references"]).abs()),
            weights=bin_weights(magnitude, self.h.weighting),
        )


DEEP_CLUSTERING = ModelSpec(
    name="deep_clustering",
    title="Deep clustering",
    task="speech_separation",
    paper=(
        "Hershey et al., ICASSP 2016, arXiv 1508.04306; Isik et al., Interspeech 2016, arXiv "
        "1607.02173; sizes of nussl, Manilow et al., ISMIR 2018"
    ),
    reference_licence="nussl (MIT), compared on copied weights",
    separator=DeepClustering,
    not_reproduced=(
        "The WSJ0-2mix scores (the corpus is not free); the enhancement network and the end-to-end "
        "training of Isik et al.; curricula from short to long segments."
    ),
    tiny=lambda: DeepClusteringHyperparameters(
        n_fft=128, hop_length=64, hidden_size=16, n_layers=1, dropout=0.0, D=8
    ),
    training={"batch_size": 8, "segment_s": 3.2, "average_decay": 0.0},
)


@DEEP_CLUSTERING.variant(parameters=9_079_382)
def paper() -> Hyperparameters:
    """Four BLSTM layers of 300, embeddings of 20 values, k-means."""
    return DeepClusteringHyperparameters()


@DEEP_CLUSTERING.variant("whitened", parameters=9_079_382)
def whitened() -> Hyperparameters:
    """Trained by the whitened k-means loss, with bins weighted by their magnitude."""
    return DeepClusteringHyperparameters(
        activation="sigmoid", weighting="magnitude", loss="whitened"
    )


@DEEP_CLUSTERING.variant("small", **SMALL_SPEECH | {"batch_size": 8})
def small() -> Hyperparameters:
    """For laptops: half the frames, two layers of 200, D = 12, and the whitened loss."""
    return DeepClusteringHyperparameters(
        hop_length=128,
        hidden_size=200,
        n_layers=2,
        dropout=0.0,
        D=12,
        weighting="magnitude",
        loss="whitened",
    )


@DEEP_CLUSTERING.imports("nussl", "SeparationModel")
def from_nussl(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert a model that nussl's `build_recurrent_dpcl` configures."""
    h = DeepClusteringHyperparameters(
        D=arguments["embedding_size"],
        activation=activation_in_nussl(arguments["embedding_activation"], EMBEDDING_ACTIVATIONS),
        **sizes_in_nussl(arguments),
    )
    return h, weights_in_nussl(weights, h.bins)
