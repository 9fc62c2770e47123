"""DPRNN: recurrent layers that read a long sequence in chunks, first within them, then across.

Yi Luo, Zhuo Chen and Takuya Yoshioka, "Dual-path RNN: efficient long sequence modeling for
time-domain single-channel speech separation", ICASSP 2020 (arXiv 1910.06379).

The sizes are the paper's best system: basis signals of 2 samples, chunks of 250 frames that overlap
by half, 6 blocks of two BLSTMs with 128 units per direction on 64 features. The paper leaves the
layers around the blocks open. They are those that the authors published for FaSNet, as Tzinis et
al. (SuDoRM-RF, MLSP 2020) measured them for their table: 256 basis signals with ReLU, a gLN and a
bottleneck in front, a gate of tanh times sigmoid and a 1x1 convolution behind, ReLU masks. The
first author has since written that DPRNN had no gate: `gated=False` leaves it out. asteroid has 64
linear basis signals, sigmoid masks and the gate; its weights are read.

Padding: L - S zeros at both ends of the mixture, and half a chunk of them around the frames, so
that every sample lies in as many frames and every frame in two chunks (asteroid: no zeros in front
of the mixture, a whole chunk around the frames). gLN is over the whole signal, so this padding and
silence after the mixture change every sample a little. The estimates are fitted to the mixture's
level, which SI-SDR leaves open.

Training: the paper multiplies the rate by 0.98 every second epoch; a validation stands for an
epoch. It stops after 10 epochs without a better one, for which there is no field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn

from baselines.layers.dual_path_separator import (
    DualPathHyperparameters,
    DualPathSeparator,
    sequences,
)
from baselines.layers.norms import AxesNorm
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require

# Axes: b batch, B features, K frames of a chunk, S chunks.


@dataclass(frozen=True, kw_only=True)
class DPRNNHyperparameters(DualPathHyperparameters):
    """The sizes of the paper's best system."""

    H: int = 128  # units of a recurrent layer per direction


class RecurrentPath(nn.Module):
    """A BLSTM over the frames of each chunk or over the chunks, a linear layer and a gLN."""

    def __init__(self, h: DPRNNHyperparameters, within_chunks: bool) -> None:
        super().__init__()
        self.within_chunks = within_chunks
        self.blstm = nn.LSTM(h.B, h.H, batch_first=within_chunks, bidirectional=True)
        self.linear = nn.Linear(2 * h.H, h.B)
        self.norm = AxesNorm(h.B, axes=(0, 2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return x (S, b, K, B) plus what the path adds to it."""
        hidden, _ = self.blstm(sequences(x, self.within_chunks))  # (..., ..., 2 * H)
        added: Tensor = self.norm(self.linear(hidden).view_as(x))
        return x + added


class DPRNN(DualPathSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = DPRNNHyperparameters

    def __init__(self, hyperparameters: DPRNNHyperparameters) -> None:
        super().__init__(hyperparameters, partial(RecurrentPath, hyperparameters))


DPRNN_TASNET = ModelSpec(
    name="dprnn",
    title="DPRNN",
    task="speech_separation",
    paper="Luo, Chen and Yoshioka, ICASSP 2020, arXiv 1910.06379",
    reference_licence=(
        "asteroid (MIT), compared on copied weights; size and MACs as sudo_rm_rf (MIT) measured"
    ),
    separator=DPRNN,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); stopping after 10 epochs.",
    tiny=lambda: DPRNNHyperparameters(N=32, L=16, B=16, H=16, K=16, R=1),
    training={
        "optimizer": "adam",
        "weight_decay": 0.0,
        "batch_size": 4,
        "segment_s": 4.0,
        "schedule": "step",
        "decay": 0.98,
        "patience": 2,
        "validations": 100,
        "warmup": 0.0,
        "average_decay": 0.0,
    },
)


@DPRNN_TASNET.variant(parameters=2_633_729)
def paper() -> Hyperparameters:
    """The paper's best system: basis signals of 2 samples, chunks of 250 frames."""
    return DPRNNHyperparameters()


@DPRNN_TASNET.variant("win16", parameters=2_640_897)
def win16() -> Hyperparameters:
    """Basis signals of 16 samples and chunks of 100 frames: a seventh of the computation."""
    return DPRNNHyperparameters(L=16, K=100)


@DPRNN_TASNET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a 32nd of the frames, and fewer blocks."""
    return DPRNNHyperparameters(L=64, B=64, H=64, K=40, R=3)


# What the importers for asteroid read of a dual-path system beside its paths.
AROUND_THE_PATHS_IN_ASTEROID = {
    r"\.gamma$": ".weight",
    r"\.beta$": ".bias",
    r"^(encoder|decoder)\.filterbank\._filters$": r"basis.\1.weight",
    r"^masker\.first_out\.0\.": "masks.prelu.",
    r"^masker\.first_out\.1\.": "masks.output.",
    r"^masker\.net_out\.0\.": "masks.value.",
    r"^masker\.net_gate\.0\.": "masks.gate.",
}


def sizes_in_asteroid(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the hyperparameters that asteroid's dual-path systems have in common.

    Raises:
        UsageError: the hop is not half a chunk, or the norm is not gLN.
    """
    K = arguments.get("chunk_size", 100)
    hop = arguments.get("hop_size") or K // 2
    require(2 * hop == K, f"hop_size is {hop}; chunks of {K} frames overlap by half.")
    check_arguments(arguments, {"norm_type": "gLN"})
    return {
        "n_src": arguments["n_src"],
        "sample_rate": int(arguments.get("sample_rate", 8000)),
        "N": arguments.get("n_filters", 64),
        "L": arguments.get("kernel_size", 16),
        "stride": arguments.get("stride", 8),
        "K": K,
        "R": arguments.get("n_repeats", 6),
        "margin": K,
        "padding": "end",
    }


@DPRNN_TASNET.imports("asteroid", "DPRNNTasNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.DPRNNTasNet`: linear basis, sigmoid masks, a biased bottleneck."""
    names = {
        **AROUND_THE_PATHS_IN_ASTEROID,
        r"^masker\.bottleneck\.0\.": "masks.norm.",
        r"^masker\.bottleneck\.1\.": "masks.bottleneck.",
        r"^masker\.mask_net\.": "masks.mask.",
    }
    mask = arguments.get("mask_act", "sigmoid")
    require(
        mask != "softmax",
        "asteroid's softmax is over the features of a mask; weights with other masks are read.",
    )
    hyperparameters = DPRNNHyperparameters(
        **sizes_in_asteroid(arguments),
        B=arguments.get("bn_chan", 128),
        H=arguments.get("hid_size", 128),
        encoder=arguments.get("encoder_activation") or "linear",
        mask=mask,
        bias=True,
    )
    for block in range(hyperparameters.R):
        for place, axis in enumerate(("intra", "inter")):
            theirs, ours = rf"^masker\.net\.{block}\.{axis}_", f"masks.paths.{2 * block + place}."
            names[theirs + r"RNN\.rnn\."] = ours + "blstm."
            names[theirs] = ours
    renamed_weights = renamed(weights, names)
    output = renamed_weights["masks.output.weight"]  # of a 1x1 convolution: (n_src * B, B, 1, 1)
    renamed_weights["masks.output.weight"] = output.flatten(1)
    return hyperparameters, renamed_weights
