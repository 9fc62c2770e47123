"""DPTNet: attention with a recurrent layer in place of the feed-forward one, on two paths.

Jingjing Chen, Qirong Mao and Dong Liu, "Dual-Path Transformer Network: Direct Context-Aware
Modeling for End-to-End Monaural Speech Separation", Interspeech 2020 (arXiv 2007.13975).

Each path of DPRNN becomes an improved transformer: four heads of attention and then a BLSTM, ReLU
and a linear layer, each added to its input and normalised per frame. No positions are encoded: the
BLSTM finds the order.

The size is that of the authors' script: 256 basis signals and a bottleneck of 64 features. The
paper has 64 basis signals (`n64`, the authors' code at that size) and prints 2.69 M parameters,
which no public implementation reaches. asteroid has neither bottleneck nor last convolution, and
its norm is over the frames of a sequence, too (`norm="gLN"`); its weights are read with `ff_hid` =
H, 2,801,025 of them at the paper's size, and two identities in those places.

Padding and level are DPRNN's: L - S zeros at both ends, half a chunk of zeros around the frames,
estimates fitted to the mixture.

Training: Adam's rate rises for 4,000 steps to 4e-4 (here: 2 % of the run) and is then multiplied by
0.98 every second epoch; a validation stands for an epoch. The rise is linear in both.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from baselines.layers.dual_path_separator import (
    DualPathHyperparameters,
    DualPathSeparator,
    sequences,
)
from baselines.layers.norms import AxesNorm
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.models.dprnn import AROUND_THE_PATHS_IN_ASTEROID, sizes_in_asteroid
from baselines.separator import Hyperparameters, require

# Axes: b batch, B features, K frames of a chunk, S chunks.
NORMS = ("LN", "gLN")


@dataclass(frozen=True, kw_only=True)
class DPTNetHyperparameters(DualPathHyperparameters):
    """The sizes of the authors' script."""

    H: int = 128  # units of a recurrent layer per direction
    heads: int = 4
    norm: str = "LN"  # per frame; or gLN: over all frames of a sequence

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(norm=NORMS)
        require(
            self.B % self.heads == 0,
            f"heads is {self.heads}; it must divide the features, B={self.B}.",
        )


class TransformerPath(nn.Module):
    """The paper's improved transformer over the frames of each chunk or over the chunks."""

    def __init__(self, h: DPTNetHyperparameters, within_chunks: bool) -> None:
        super().__init__()
        self.within_chunks = within_chunks
        self.attention = nn.MultiheadAttention(h.B, h.heads, batch_first=within_chunks)
        self.attention_norm = self._norm(h)
        self.blstm = nn.LSTM(h.B, h.H, batch_first=within_chunks, bidirectional=True)
        self.linear = nn.Linear(2 * h.H, h.B)
        self.output_norm = self._norm(h)

    def _norm(self, h: DPTNetHyperparameters) -> nn.Module:
        if h.norm == "LN":
            return nn.LayerNorm(h.B)
        return AxesNorm(h.B, axes=(1, 2) if self.within_chunks else (0, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (S, b, K, B) as the transformer changes it."""
        y = sequences(x, self.within_chunks)
        attended, _ = self.attention(y, y, y, need_weights=False)
        y = self.attention_norm(y + attended)
        hidden, _ = self.blstm(y)  # (..., ..., 2 * H)
        y = self.output_norm(y + self.linear(hidden.relu()))
        changed: Tensor = y.view_as(x)
        return changed


class DPTNet(DualPathSeparator):
    """The authors' system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = DPTNetHyperparameters

    def __init__(self, hyperparameters: DPTNetHyperparameters) -> None:
        super().__init__(hyperparameters, partial(TransformerPath, hyperparameters))


DPTNET = ModelSpec(
    name="dptnet",
    title="DPTNet",
    task="speech_separation",
    paper="Chen, Mao and Liu, Interspeech 2020, arXiv 2007.13975",
    reference_licence=(
        "asteroid (MIT), compared on copied weights; size of the authors' code (no licence)"
    ),
    separator=DPTNet,
    not_reproduced="The WSJ0-2mix score (the corpus is not free).",
    tiny=lambda: DPTNetHyperparameters(N=32, L=16, B=16, H=16, K=16, R=1),
    training={
        "optimizer": "adam",
        "beta2": 0.98,
        "weight_decay": 0.0,
        "batch_size": 1,
        "segment_s": 4.0,
        "learning_rate": 4e-4,
        "schedule": "step",
        "decay": 0.98,
        "patience": 2,
        "validations": 100,
        "warmup": 0.02,
        "average_decay": 0.0,
    },
)


@DPTNET.variant(parameters=2_834_945)
def script() -> Hyperparameters:
    """The configuration of the authors' script, 256 basis signals."""
    return DPTNetHyperparameters()


@DPTNET.variant("n64", parameters=2_809_217)
def n64() -> Hyperparameters:
    """The authors' code with the 64 basis signals of the paper."""
    return DPTNetHyperparameters(N=64)


@DPTNET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a 32nd of the frames, and fewer blocks."""
    return DPTNetHyperparameters(L=64, B=64, H=64, K=40, R=2)


@DPTNET.imports("asteroid", "DPTNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.DPTNet`, which masks the features of the paths themselves."""
    check_arguments(arguments, {"ff_activation": "relu"})
    sizes = sizes_in_asteroid(arguments)
    hyperparameters = DPTNetHyperparameters(
        **sizes,
        B=sizes["N"],
        H=arguments.get("ff_hid", 256),
        heads=arguments.get("n_heads", 4),
        norm="gLN",
        encoder=arguments.get("encoder_activation", "relu") or "linear",
        mask=arguments.get("mask_act", "relu"),
    )
    names = {**AROUND_THE_PATHS_IN_ASTEROID, r"^masker\.in_norm\.": "masks.norm."}
    for block in range(hyperparameters.R):
        for place in (0, 1):
            theirs, ours = (
                rf"^masker\.layers\.{block}\.{place}\.",
                f"masks.paths.{2 * block + place}.",
            )
            names[theirs + r"mha\."] = ours + "attention."
            names[theirs + r"norm_mha\."] = ours + "attention_norm."
            names[theirs + r"recurrent\."] = ours + "blstm."
            names[theirs + r"norm_ff\."] = ours + "output_norm."
            names[theirs] = ours
    renamed_weights = renamed(weights, names)
    # asteroid takes the mean of the two chunks that a frame lies in, where we take the sum.
    output = renamed_weights["masks.output.weight"]  # of a 1x1 convolution: (n_src * B, B, 1, 1)
    renamed_weights["masks.output.weight"] = output.flatten(1) / 2
    renamed_weights["masks.output.bias"] = renamed_weights["masks.output.bias"] / 2
    identity = torch.eye(hyperparameters.N, dtype=output.dtype)[:, :, None]
    renamed_weights["masks.bottleneck.weight"] = identity
    renamed_weights["masks.mask.weight"] = identity
    return hyperparameters, renamed_weights
