"""Mask inference: a BLSTM reads the spectrogram in decibels and estimates a mask per source.

The masking network of Erdogan et al. ("Phase-sensitive and recognition-boosted speech separation
using deep recurrent neural networks", ICASSP 2015) with permutation-invariant training (Kolbaek et
al., TASLP 2017), in the configuration and layout of nussl (Manilow, Seetharaman and Pardo, "The
Northwestern University Source Separation Library", ISMIR 2018).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from baselines.layers.masks import MASK_ACTIVATIONS
from baselines.layers.recurrent_masks import (
    MaskHead,
    RecurrentHyperparameters,
    RecurrentMasking,
    activation_in_nussl,
    sizes_in_nussl,
    weights_in_nussl,
)
from baselines.losses import magnitude_l1_loss
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights
from baselines.separator import Hyperparameters

LOSSES = ("magnitude_l1", "si_sdr")


@dataclass(frozen=True, kw_only=True)
class MaskInferenceHyperparameters(RecurrentHyperparameters):
    """Those of the body, the masks and the loss."""

    mask: str = "sigmoid"
    loss: str = "magnitude_l1"  # or si_sdr, of the waveforms

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(mask=MASK_ACTIVATIONS, loss=LOSSES)


class MaskInference(RecurrentMasking):
    """One mask per source, trained by the masked magnitudes or by the waveforms."""

    hyperparameters_class = MaskInferenceHyperparameters

    def __init__(self, hyperparameters: MaskInferenceHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.fitted = h.loss == "si_sdr"
        self.mask = MaskHead(h, h.n_src, h.mask)

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return masks (batch, n_src, channels, bins, frames) for a mixture's magnitude."""
        masks: Tensor = self.mask(self.body(magnitude))
        return masks

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the L1 loss of masked magnitudes, or the negative SI-SDR in dB; scalar."""
        if self.fitted:
            return super().training_loss(batch)
        magnitude = self.stft.analyse(batch["mixture"]).abs()
        return magnitude_l1_loss(
            references=self.stft.analyse(batch["references"]).abs(),
            estimates=self.masks(magnitude) * magnitude[:, None],
            named=self.source_names is not None,
        )


MASK_INFERENCE = ModelSpec(
    name="mask_inference",
    title="Mask inference (BLSTM)",
    task="speech_separation",
    paper=(
        "Erdogan et al., ICASSP 2015; Kolbaek et al., IEEE/ACM TASLP 25(10), 2017; configuration "
        "of nussl, Manilow et al., ISMIR 2018"
    ),
    reference_licence="nussl (MIT), compared on copied weights",
    separator=MaskInference,
    not_reproduced="The WSJ0-2mix scores (the corpus is not free).",
    tiny=lambda: MaskInferenceHyperparameters(
        n_fft=128, hop_length=64, hidden_size=16, n_layers=1, dropout=0.0
    ),
    training={"batch_size": 8, "segment_s": 3.2, "slowest": 0.9, "fastest": 1.1},
)


@MASK_INFERENCE.variant(parameters=29_767_460)
def paper() -> Hyperparameters:
    """The configuration of nussl for two talkers at 8 kHz."""
    return MaskInferenceHyperparameters()


@MASK_INFERENCE.variant("small", **SMALL_SPEECH | {"batch_size": 8})
def small() -> Hyperparameters:
    """For laptops: half the frames, two layers, and the SI-SDR loss, which learns fastest."""
    return MaskInferenceHyperparameters(
        hop_length=128, hidden_size=200, n_layers=2, dropout=0.0, loss="si_sdr"
    )


@MASK_INFERENCE.imports("nussl", "SeparationModel")
def from_nussl(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert a model that nussl's `build_recurrent_mask_inference` configures."""
    h = MaskInferenceHyperparameters(
        n_src=arguments["num_sources"],
        mask=activation_in_nussl(arguments["mask_activation"], MASK_ACTIVATIONS),
        **sizes_in_nussl(arguments),
    )
    return h, weights_in_nussl(weights, h.bins)
