"""SepFormer: transformers within and across chunks of a learned basis.

Cem Subakan, Mirco Ravanelli, Samuele Cornell, Mirko Bronzi and Jianyuan Zhong, "Attention is All
You Need in Speech Separation", ICASSP 2021 (arXiv 2010.13154). Symbols are the paper's.

The arithmetic is that of SpeechBrain, the authors' implementation. Where its wrapper and its recipe
differ, the recipe counts: no dropout.

Padding. Zeros complete the last frame of the basis; SpeechBrain drops the samples beyond the last
whole frame, and returns zeros in their place. As in SpeechBrain, half a chunk of zeros precedes the
frames, and zeros after them complete an even number of chunks.

Positions. The sinusoidal code is computed for the length at hand, which has no limit; SpeechBrain's
table ends after 2,500 chunks. Memory grows with the square of the number of chunks.

Level. SI-SDR determines none: estimates are fitted to the mixture. For several channels, each basis
signal has one filter per channel.

Not expressed by the training fields: the rate stays constant for 85 epochs before it may fall, and
examples that are already separated by 30 dB add no loss.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import LearnedBasis
from baselines.layers.dual_path import overlap_add, segment
from baselines.layers.fitted import FittedSeparator
from baselines.layers.norms import GlobalNorm, global_norm
from baselines.layers.transformer import TransformerLayer, sinusoids
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require


# Axes: b batch, n_src, F features, t frames, C frames of a chunk, S chunks.
@dataclass(frozen=True, kw_only=True)
class SepFormerHyperparameters(Hyperparameters):
    """Sizes by the paper's symbols; the defaults are those of its best system."""

    F: int = 256  # basis signals of the encoder, and features of a frame
    L: int = 16  # length of a basis signal in samples, twice the stride
    C: int = 250  # frames of a chunk, twice the step between chunks
    N: int = 2  # blocks
    K: int = 8  # layers of a transformer
    heads: int = 8
    d_ff: int = 1024  # hidden features of a feed-forward network
    dropout: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("L", "C"):
            given = getattr(self, name)
            require(
                given >= 2 and given % 2 == 0,
                f"{name} is {given}; frames and chunks overlap by half: give an even number.",
            )


class PathTransformer(nn.Module):
    """K transformer layers along one axis of the chunks; the other one is part of the batch."""

    def __init__(self, h: SepFormerHyperparameters) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *(
                TransformerLayer(
                    features=h.F, heads=h.heads, hidden=h.d_ff, dropout=h.dropout, eps=1e-6
                )
                for _ in range(h.K)
            )
        )
        self.norm = nn.LayerNorm(h.F, eps=1e-6)
        self.global_norm = GlobalNorm(h.F)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, n, positions, F) to the same shape."""
        y = x.flatten(0, 1)  # (b * n, positions, F)
        y = self.norm(self.layers(y + sinusoids(y)))
        normed: Tensor = self.global_norm(y.view_as(x))
        return normed


class SepFormerBlock(nn.Module):
    """A transformer over the frames of each chunk, then one over the chunks."""

    def __init__(self, h: SepFormerHyperparameters) -> None:
        super().__init__()
        self.intra = PathTransformer(h)
        self.inter = PathTransformer(h)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, S, C, F) to the same shape."""
        x = x + self.intra(x)
        across: Tensor = self.inter(x.transpose(1, 2).contiguous())  # (b, C, S, F)
        return x + across.transpose(1, 2)


class MaskNetwork(nn.Module):
    """The paper's Figure 2: chunks, N blocks, overlap-add, and one mask per source."""

    def __init__(self, h: SepFormerHyperparameters) -> None:
        super().__init__()
        self.C, self.n_src = h.C, h.n_src
        self.norm = global_norm(h.F)
        self.input = nn.Linear(h.F, h.F, bias=False)
        self.blocks = nn.Sequential(*(SepFormerBlock(h) for _ in range(h.N)))
        self.prelu = nn.PReLU()
        self.split = nn.Linear(h.F, h.n_src * h.F)
        self.output = nn.Linear(h.F, h.F)
        self.gate = nn.Linear(h.F, h.F)
        self.mask = nn.Linear(h.F, h.F, bias=False)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, F, t) for the mixture's weights w (b, F, t)."""
        frames = w.shape[-1]
        x = self.input(self.norm(w).transpose(1, 2)).transpose(1, 2)  # (b, F, t)
        rest = self.C - (self.C // 2 + frames) % self.C  # an even number of chunks
        chunks = segment(functional.pad(x, (0, rest)), self.C)  # (b, F, C, S)
        x = self.blocks(chunks.permute(0, 3, 2, 1).contiguous())  # (b, S, C, F)
        x = self.split(self.prelu(x)).permute(0, 3, 2, 1)  # (b, n_src * F, C, S)
        x = overlap_add(x, frames).unflatten(1, (self.n_src, -1)).transpose(2, 3)
        masks: Tensor = self.mask(self.output(x).tanh() * self.gate(x).sigmoid())
        return masks.relu().transpose(2, 3)


class SepFormer(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = SepFormerHyperparameters
    silence_tolerance = 1.0

    def __init__(self, hyperparameters: SepFormerHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        self.basis = LearnedBasis(
            channels=h.channels, N=h.F, L=h.L, S=h.L // 2, padding="end", relu=True
        )
        self.masks = MaskNetwork(h)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, F, t)
        return self.basis.decode(w[:, None] * self.masks(w), mixture.shape[-1])


SEPFORMER = ModelSpec(
    name="sepformer",
    title="SepFormer",
    task="speech_separation",
    paper="Subakan et al., ICASSP 2021, arXiv 2010.13154",
    reference_licence="SpeechBrain (Apache-2.0), compared on copied weights",
    separator=SepFormer,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); the loss threshold of 30 dB.",
    tiny=lambda: SepFormerHyperparameters(F=32, L=16, C=16, N=1, K=1, heads=4, d_ff=64),
    training={
        "batch_size": 1,
        "segment_s": 4.0,
        "optimizer": "adam",
        "learning_rate": 1.5e-4,
        "weight_decay": 0.0,
        "schedule": "plateau",
        "patience": 2,
        "average_decay": 0.0,
        "slowest": 0.95,
        "fastest": 1.05,
    },
)


@SEPFORMER.variant(parameters=25_679_361)
def paper() -> Hyperparameters:
    """The best system of the paper."""
    return SepFormerHyperparameters()


@SEPFORMER.variant("small", **SMALL_SPEECH | {"learning_rate": 1e-3})
def small() -> Hyperparameters:
    """For laptops: a quarter of the frames, and one block of fewer, narrower layers."""
    return SepFormerHyperparameters(F=128, L=64, C=50, N=1, K=2, heads=4, d_ff=256)


_NAMES_IN_SPEECHBRAIN = {
    r"^encoder\.conv1d\.": "basis.encoder.",
    r"^decoder\.": "basis.decoder.",
    r"^masknet\.": "masks.",
    r"^masks\.conv1d\.": "masks.input.",
    r"^masks\.conv2d\.": "masks.split.",
    r"^masks\.end_conv1x1\.": "masks.mask.",
    r"^masks\.output\.0\.": "masks.output.",
    r"^masks\.output_gate\.0\.": "masks.gate.",
    r"^masks\.dual_mdl\.": "masks.blocks.",
    r"\.(intra|inter)_norm\.": r".\1.global_norm.",
    r"\.(intra|inter)_mdl\.mdl\.": r".\1.",
    r"\.self_att\.att\.in_proj_": ".attention.project.",
    r"\.self_att\.att\.out_proj\.": ".attention.output.",
    r"\.pos_ffn\.ffn\.0\.": ".feed_forward.1.",
    r"\.pos_ffn\.ffn\.3\.": ".feed_forward.4.",
    r"\.norm1\.norm\.": ".attention_norm.",
    r"\.norm2\.norm\.": ".feed_forward.0.",
    r"\.norm\.norm\.": ".norm.",
}
_NEEDED_IN_SPEECHBRAIN = {
    "masknet_norm": "ln",
    "masknet_useextralinearlayer": False,
    "masknet_extraskipconnection": True,
    "intra_use_positional": True,
    "inter_use_positional": True,
    "intra_norm_before": True,
    "inter_norm_before": True,
}


@SEPFORMER.imports("speechbrain", "SepformerWrapper")
def from_speechbrain(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `speechbrain.lobes.models.dual_path.SepformerWrapper` of equal transformers."""
    check_arguments(arguments, _NEEDED_IN_SPEECHBRAIN)
    for name, default in {"numlayers": 8, "nhead": 8, "dffn": 1024}.items():
        intra, inter = (arguments.get(f"{path}_{name}", default) for path in ("intra", "inter"))
        require(
            intra == inter,
            f"intra_{name} is {intra} and inter_{name} is {inter}; they have to be equal.",
        )
    learned = {name: value for name, value in weights.items() if not name.endswith("pos_enc.pe")}
    ours = {
        name: value.flatten(1) if value.ndim > 2 and name.startswith("masks.") else value
        for name, value in renamed(learned, _NAMES_IN_SPEECHBRAIN).items()
    }
    hyperparameters = SepFormerHyperparameters(
        n_src=arguments.get("masknet_numspks", 2),
        channels=arguments.get("encoder_in_nchannels", 1),
        F=arguments.get("encoder_out_nchannels", 256),
        L=arguments.get("encoder_kernel_size", 16),
        C=arguments.get("masknet_chunksize", 250),
        N=arguments.get("masknet_numlayers", 2),
        K=arguments.get("intra_numlayers", 8),
        heads=arguments.get("intra_nhead", 8),
        d_ff=arguments.get("intra_dffn", 1024),
    )
    return hyperparameters, ours
