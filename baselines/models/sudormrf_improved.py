"""SuDoRM-RF++: simpler blocks and masks, and a decoder that reads the latents of all sources.

Efthymios Tzinis, Zhepei Wang, Xilin Jiang and Paris Smaragdis, "Compute and memory efficient
universal sound source separation", Journal of Signal Processing Systems 94, 2022 (arXiv
2103.02644). Symbols are those of the first paper (arXiv 2007.06833).

Reproduced exactly: the layers and parameter counts of the authors' code and of the sizes that they
released: 16 blocks with 512 basis signals, and 36 with 2048 and 4096. The large ones resample five
times, which their README does not mention.
- Masks. One 1x1 convolution estimates them, with ReLU in place of the softmax.
- Decoder. Every output channel reads the masked latents of every source, as in the authors' code.
  asteroid applies one decoder to each source instead, which is the case of zeros between sources
  and equal filters within them; its blocks have one slope per channel in their last PReLU
  (`output_slopes`).
- Padding. K_E // 2 zeros before the signal, and after it as many as make the number of frames a
  multiple of 2^Q. Because gLN reads all frames, silence after the mixture changes the estimates.
- Level. SI-SDR determines neither the gain nor the sign of an estimate: estimates are fitted to the
  mixture. The authors divide each mixture by its standard deviation; here nothing depends on it,
  because the basis has no biases and gLN follows.
- Channels. The paper is mono; for several channels, each basis signal has one filter per channel.

Training: the authors divide the rate by 3 every 50 of 200 epochs; a run here divides it after every
third of its ten validations. They limit the loss to 30 dB either way, which stops the gradient of
a batch that is separated better than that; this is left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from baselines.layers.fitted import FittedSeparator
from baselines.layers.norms import global_norm
from baselines.layers.u_conv_block import AlignedBasis, UConvHyperparameters, UConvolution
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.models.sudormrf import (
    BLOCK_IN_ASTEROID,
    PUBLISHED_TRAINING,
    without_duplicates,
)
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, C_E basis signals, C channels between and C_U inside blocks, k frames.


@dataclass(frozen=True, kw_only=True)
class ImprovedHyperparameters(UConvHyperparameters):
    """The defaults are those of the system of 16 blocks and 512 basis signals."""

    C: int = 256
    output_slopes: int = 1  # of a block's last PReLU: 1, or C_U

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.output_slopes in (1, self.C_U),
            f"output_slopes is {self.output_slopes}; it can be 1 or C_U={self.C_U}.",
        )


class UConvBlock(nn.Module):
    """The resampling path, added to the block's input."""

    def __init__(self, h: ImprovedHyperparameters) -> None:
        super().__init__()
        self.path = UConvolution(C=h.C, C_U=h.C_U, Q=h.Q, slopes=(1, h.output_slopes))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        y: Tensor = self.path(x) + x
        return y


class ImprovedSudoRmRf(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = ImprovedHyperparameters
    silence_tolerance = 1.5
    block_class: ClassVar[type[nn.Module]] = UConvBlock

    def __init__(self, hyperparameters: ImprovedHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        self.basis = AlignedBasis(channels=h.channels, n_src=h.n_src, C_E=h.C_E, K_E=h.K_E, Q=h.Q)
        nn.init.xavier_uniform_(self.basis.encoder.weight)
        nn.init.xavier_uniform_(self.basis.decoder.weight)
        self.norm = global_norm(h.C_E)
        self.bottleneck = nn.Conv1d(h.C_E, h.C, 1)
        self.blocks = nn.Sequential(*(self.block_class(h) for _ in range(h.B)))
        self.prelu = nn.PReLU()
        self.masks = nn.Conv1d(h.C, h.n_src * h.C_E, 1)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        weights = self.basis.encode(mixture)  # (b, C_E, k)
        y = self.blocks(self.bottleneck(self.norm(weights)))  # (b, C, k)
        masks = self.masks(self.prelu(y)).relu().unflatten(1, (self.n_src, -1))
        return self.basis.decode(masks * weights[:, None], mixture.shape[-1])


SUDORMRF_IMPROVED = ModelSpec(
    name="sudormrf_improved",
    title="SuDoRM-RF++",
    task="speech_separation",
    paper="Tzinis et al., Journal of Signal Processing Systems 94, 2022, arXiv 2103.02644",
    reference_licence="asteroid (MIT), compared on copied weights; sudo_rm_rf (MIT), on sizes",
    separator=ImprovedSudoRmRf,
    not_reproduced=(
        "The WSJ0-2mix and WHAMR! scores (the corpora are not free); the limit of the loss; "
        "models with attention."
    ),
    tiny=lambda: ImprovedHyperparameters(C_E=32, C=16, C_U=32, B=2, Q=2),
    training=PUBLISHED_TRAINING,
)


@SUDORMRF_IMPROVED.variant(parameters=5_016_353)
def paper() -> Hyperparameters:
    """The released system of 16 blocks and 512 basis signals."""
    return ImprovedHyperparameters()


@SUDORMRF_IMPROVED.variant("36x2048", parameters=23_239_241)
def large() -> Hyperparameters:
    """The released system of 36 blocks and 2048 basis signals."""
    return ImprovedHyperparameters(C_E=2048, C=512, C_U=512, B=36, Q=5)


@SUDORMRF_IMPROVED.variant("36x4096", parameters=26_608_201)
def largest() -> Hyperparameters:
    """The released system of 36 blocks and 4096 basis signals."""
    return ImprovedHyperparameters(C_E=4096, C=512, C_U=512, B=36, Q=5)


@SUDORMRF_IMPROVED.imports("asteroid", "SuDORMRFImprovedNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.SuDORMRFImprovedNet`, which has one decoder for all sources."""
    K_E = arguments.get("kernel_size", 21)
    check_arguments(arguments, {"mask_act": "relu", "stride": K_E // 2})
    names = {
        **BLOCK_IN_ASTEROID,
        r"\.gamma$": ".weight",
        r"\.beta$": ".bias",
        r"\.res_conv\.": ".path.project.",
        r"^(encoder|decoder)\.filterbank\._filters$": r"basis.\1.weight",
        r"^masker\.ln\.": "norm.",
        r"^masker\.bottleneck\.": "bottleneck.",
        r"^masker\.mask_net\.0\.": "prelu.",
        r"^masker\.mask_net\.1\.": "masks.",
    }
    ours = renamed(without_duplicates(weights), names)
    n_src, C_E = arguments["n_src"], arguments.get("n_filters", 512)
    shared = ours["basis.decoder.weight"]  # (C_E, 1, K_E)
    decoders = shared.new_zeros(n_src, C_E, n_src, shared.shape[-1])
    for source in range(n_src):
        decoders[source, :, source] = shared[:, 0]
    ours["basis.decoder.weight"] = decoders.flatten(0, 1)
    hyperparameters = ImprovedHyperparameters(
        n_src=n_src,
        sample_rate=int(arguments.get("sample_rate", 8000)),
        C_E=C_E,
        K_E=K_E,
        C=arguments.get("bn_chan", 128),
        C_U=C_E,
        B=arguments.get("num_blocks", 16),
        Q=arguments.get("upsampling_depth", 4) - 1,
        output_slopes=C_E,
    )
    return hyperparameters, ours


@SUDORMRF_IMPROVED.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a third of the frames, three times as long, and fewer, narrower blocks."""
    return ImprovedHyperparameters(C_E=256, K_E=65, C=96, C_U=192, B=8)
