"""Chimera++: one BLSTM with two heads, masks and the embeddings of deep clustering.

Zhong-Qiu Wang, Jonathan Le Roux and John R. Hershey, "Alternative objective functions for deep
clustering", ICASSP 2018, after Yi Luo, Zhuo Chen, John R. Hershey, Jonathan Le Roux and Nima
Mesgarani, "Deep clustering and conventional networks for music separation: stronger together",
ICASSP 2017 (arXiv 1611.06265). The layout and the size are those of nussl, too.

The loss is alpha times the whitened k-means loss of the embeddings, bins weighted by magnitude,
plus 1 - alpha times the L1 distance of the masked magnitudes from the phase-sensitive ones of the
sources, truncated to between zero and the mixture's, in the best order of the sources. The distance
is a mean over bins and the k-means loss one over mixtures; the paper does not say how it scales
either. The embeddings only help to train the body: masks alone separate, so that running the
network costs as much as mask inference.

Public code disagrees on the activation of the masks: sigmoid here, softmax in many recipes.

Level: the loss of the masks sees it. Padding: frames are centred on multiples of the hop, beyond
zeros.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.layers.clustering import bin_weights, dominant_sources, whitened_k_means_loss
from baselines.layers.masks import MASK_ACTIVATIONS
from baselines.layers.recurrent_masks import (
    EMBEDDING_ACTIVATIONS,
    EmbeddingHead,
    MaskHead,
    RecurrentHyperparameters,
    RecurrentMasking,
    activation_in_nussl,
    sizes_in_nussl,
    weights_in_nussl,
)
from baselines.losses import magnitude_l1_loss
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights
from baselines.separator import Hyperparameters, require

EPSILON = 1e-8


@dataclass(frozen=True, kw_only=True)
class ChimeraHyperparameters(RecurrentHyperparameters):
    """Those of the body, the two heads and the loss."""

    D: int = 20  # size of the embedding
    activation: str = "sigmoid"  # before each embedding is scaled to a length of one
    mask: str = "sigmoid"
    alpha: float = 0.975  # weight of the embeddings' loss; the masks' has the rest

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(activation=EMBEDDING_ACTIVATIONS, mask=MASK_ACTIVATIONS)
        self.check_least(1, "D")
        require(0 < self.alpha < 1, f"alpha is {self.alpha}; it lies between 0 and 1.")


class Chimera(RecurrentMasking):
    """One mask per source, learned together with embeddings of all bins."""

    hyperparameters_class = ChimeraHyperparameters

    def __init__(self, hyperparameters: ChimeraHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.mask = MaskHead(h, h.n_src, h.mask)
        self.embedding = EmbeddingHead(h, h.D, h.activation)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return masks (batch, n_src, channels, bins, frames) for a mixture's magnitude."""
        masks: Tensor = self.mask(self.body(magnitude))
        return masks

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses of both heads; scalar."""
        spectrum = self.stft.analyse(batch["mixture"])  # (batch, channels, bins, frames)
        references = self.stft.analyse(batch["references"])
        magnitude = spectrum.abs()
        hidden = self.body(magnitude)
        clustering = whitened_k_means_loss(
            embeddings=self.embedding(hidden).flatten(2),
            assignments=dominant_sources(references.abs()),
            weights=bin_weights(magnitude, "magnitude"),
        )
        masking = magnitude_l1_loss(
            references=truncated_phase_sensitive(references, spectrum),
            estimates=self.mask(hidden) * magnitude[:, None],
            named=self.source_names is not None,
        )
        return self.h.alpha * clustering + (1 - self.h.alpha) * masking


def truncated_phase_sensitive(references: Tensor, mixture: Tensor) -> Tensor:
    """Return the part of each reference in phase with the mixture, from zero to the mixture's.

    These are the magnitudes that masks between zero and one bring nearest to the references.

    Args:
        references: spectrograms, shape (batch, n_src, channels, bins, frames).
        mixture: shape (batch, channels, bins, frames).
    """
    magnitude = mixture.abs()[:, None]
    product = (references * mixture.conj()[:, None]).real
    in_phase = product / magnitude.clamp(min=EPSILON)
    return in_phase.clamp(min=0).minimum(magnitude)


CHIMERA = ModelSpec(
    name="chimera",
    title="Chimera++",
    task="speech_separation",
    paper="Wang, Le Roux and Hershey, ICASSP 2018; Luo et al., ICASSP 2017, arXiv 1611.06265",
    reference_licence="nussl (MIT), compared on copied weights",
    separator=Chimera,
    not_reproduced=(
        "The WSJ0-2mix scores (the corpus is not free); the mel front-end for music of Luo et al.; "
        "separation by clusters of the embeddings, which the papers only compare with."
    ),
    tiny=lambda: ChimeraHyperparameters(
        n_fft=128, hop_length=64, hidden_size=16, n_layers=1, dropout=0.0, D=8
    ),
    training={"batch_size": 8, "segment_s": 3.2, "average_decay": 0.0},
)


@CHIMERA.variant(parameters=32_866_040)
def paper() -> Hyperparameters:
    """The paper's four BLSTM layers of 600 and embeddings of 20 values."""
    return ChimeraHyperparameters()


@CHIMERA.variant("softmax", parameters=32_866_040)
def softmax() -> Hyperparameters:
    """Masks that sum to one."""
    return ChimeraHyperparameters(mask="softmax")


@CHIMERA.variant("small", **SMALL_SPEECH | {"batch_size": 8})
def small() -> Hyperparameters:
    """For laptops: half the frames, two layers of 200, D = 12."""
    return ChimeraHyperparameters(hop_length=128, hidden_size=200, n_layers=2, dropout=0.0, D=12)


@CHIMERA.imports("nussl", "SeparationModel")
def from_nussl(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert a model that nussl's `build_recurrent_chimera` configures."""
    h = ChimeraHyperparameters(
        n_src=arguments["num_sources"],
        D=arguments["embedding_size"],
        activation=activation_in_nussl(arguments["embedding_activation"], EMBEDDING_ACTIVATIONS),
        mask=activation_in_nussl(arguments["mask_activation"], MASK_ACTIVATIONS),
        **sizes_in_nussl(arguments),
    )
    return h, weights_in_nussl(weights, h.bins)
