"""Hybrid Demucs: U-Nets on the waveform and on the spectrogram, which share their deepest levels.

Alexandre Défossez, "Hybrid Spectrogram and Waveform Source Separation", MDX workshop at ISMIR 2021
(arXiv 2111.03600).

Reproduced exactly: the network of the maintained code with the complex spectrogram as channels: two
dilated convolutions in a residual branch of each level, with recurrence and attention in the two
deepest, and an embedding of the frequencies.

Padding. Zeros complete the last sample of each stride; the spectrogram reflects the signal at its
ends. The models that the paper's authors submitted to the challenge had zeros there.

Level. Waveform and spectrogram each enter with mean 0 and deviation 1, over all of the mixture that
is given, and both outputs are scaled back. The loss (L1) sees level.

The paper penalises the largest singular values of the weights, repitches songs, and averages the
estimates of several models and delays; training here mixes stems of several songs and varies their
speed and gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from baselines.layers.hybrid import HybridHyperparameters
from baselines.layers.hybrid_separator import (
    HybridSeparator,
    fields_from_demucs,
    weights_from_demucs,
)
from baselines.model import SMALL_SONGS, Imported, ModelSpec, Weights, check_arguments
from baselines.separator import Hyperparameters, require


@dataclass(frozen=True, kw_only=True)
class HDemucsHyperparameters(HybridHyperparameters):
    """The defaults are the paper's."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            any(level.merges for level in self.levels()),
            f"The branches merge where one frequency is left: n_fft={self.n_fft} needs more levels "
            f"of S={self.S} than depth={self.depth}.",
        )


class HDemucs(HybridSeparator):
    """The paper's system; its decoders start from zeros: all passes through the skips."""

    hyperparameters_class = HDemucsHyperparameters

    def middle(self, x: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return zeros."""
        return torch.zeros_like(x), torch.zeros_like(waves)


PUBLISHED_TRAINING: dict[str, Any] = {
    "batch_size": 32,
    "segment_s": 10.0,
    "learning_rate": 3e-4,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "schedule": "constant",
    "slowest": 0.88,
    "fastest": 1.12,
    "gain_spread_db": 3.0,
}

HDEMUCS = ModelSpec(
    name="hdemucs",
    title="Hybrid Demucs",
    task="music_separation",
    paper="Défossez, MDX workshop at ISMIR 2021, arXiv 2111.03600",
    reference_licence="demucs 4.1 (MIT), compared on copied weights",
    separator=HDemucs,
    not_reproduced=(
        "The penalty on singular values in training; spectrograms that are split into bands, masks "
        "and Wiener filters instead of complex channels; ensembles."
    ),
    tiny=lambda: HDemucsHyperparameters(
        C=4, depth=3, n_fft=64, norm_from=1, recurrent_from=2, compress=2
    ),
    training=PUBLISHED_TRAINING,
)


@HDEMUCS.variant(parameters=83_637_832)
def paper() -> Hyperparameters:
    """The system of the paper."""
    return HDemucsHyperparameters()


@HDEMUCS.imports("demucs", "HDemucs")
def from_demucs(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `demucs.hdemucs.HDemucs` with complex channels and whole bands."""
    recurrent_from = arguments.get("dconv_lstm", 4)
    needed = {"dconv_attn": recurrent_from, "hybrid": True, "hybrid_old": False}
    check_arguments(arguments, needed, defaults={"dconv_attn": 4})
    hyperparameters = HDemucsHyperparameters(
        recurrent_from=recurrent_from, **fields_from_demucs(arguments)
    )
    return hyperparameters, weights_from_demucs(weights)


@HDEMUCS.variant("small", **SMALL_SONGS | {"segment_s": 2.0, "learning_rate": 1e-3})
def small() -> Hyperparameters:
    """For laptops: four narrow levels, with strides of 8."""
    return HDemucsHyperparameters(C=12, depth=4, n_fft=2048, S=8, norm_from=3, recurrent_from=3)
