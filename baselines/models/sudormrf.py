"""SuDoRM-RF: masks on a learned basis, from blocks that resample their features successively.

Efthymios Tzinis, Zhepei Wang and Paris Smaragdis, "Sudo rm -rf: Efficient Networks for Universal
Audio Source Separation", MLSP 2020 (arXiv 2007.06833). The causal variant: Tzinis, Wang, Jiang and
Smaragdis, "Compute and memory efficient universal sound source separation", Journal of Signal
Processing Systems 94, 2022 (arXiv 2103.02644). Symbols are those of the first paper.

Reproduced exactly: the layers, parameter counts and multiplications of the authors' code.
- Norms. The paper normalises each channel over time; the authors' code, and so this module,
  normalises over channels and time (gLN).
- Masks. A convolution per source slides along the C_E basis signals of one frame (the paper's
  "transposed" output), and a softmax over the sources makes the masks sum to one. A convolution
  along so short an axis is a product with a Toeplitz matrix, which is what runs here.
- Padding. K_E // 2 zeros before the signal, and after it as many as make the number of frames a
  multiple of 2^Q. Because gLN reads all frames, silence after the mixture changes the estimates.
- Level. SI-SDR determines neither the gain nor the sign of an estimate: estimates are fitted to the
  mixture, in the causal system at each sample to the mixture so far.
- Channels. The paper is mono; for several channels, each basis signal has one filter per channel.

The causal system is another network: no norms, blocks that start as the identity (a gain of zero),
and latents from PReLU rather than masks. The published layout holds taps for the future that its
code multiplies by zero; they are kept in the weights, for its size, and not computed. The decoder's
half frame is the look-ahead. The authors divide each mixture by its standard deviation, which reads
the whole signal, and is left out.

Training: the authors divide the rate by 3 every 50 of 200 epochs; a run here divides it after every
third of its ten validations. asteroid's network has one decoder for all sources and no biases in
the basis: its weights are read as equal decoders and zero biases.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import toeplitz
from baselines.layers.fitted import FittedSeparator
from baselines.layers.norms import global_norm
from baselines.layers.u_conv_block import (
    AlignedBasis,
    UConvHyperparameters,
    UConvolution,
    resample,
)
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, C_E basis signals, C channels between and C_U inside blocks, k frames.


@dataclass(frozen=True, kw_only=True)
class SudoRmRfHyperparameters(UConvHyperparameters):
    """The defaults are those of SuDoRM-RF 1.0x."""

    causal: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.C_E % 2 == 0, f"C_E is {self.C_E}; an even number keeps the masks' size.")


class UConvBlock(nn.Module):
    """Figure 2 of the paper: the resampling path, the residual path, and the norm of their sum."""

    def __init__(self, h: SudoRmRfHyperparameters) -> None:
        super().__init__()
        self.path = UConvolution(C=h.C, C_U=h.C_U, Q=h.Q, slopes=(h.C_U, h.C_U))
        self.path_norm = global_norm(h.C)
        self.norm = global_norm(h.C)
        self.prelu = nn.PReLU(h.C)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        y: Tensor = self.prelu(self.norm(self.path_norm(self.path(x)) + x))
        return y


class SourceConvolutions(nn.Module):
    """One convolution per source along the C_E basis signals of a frame, with C_E + 1 taps."""

    def __init__(self, C_E: int, n_src: int) -> None:
        super().__init__()
        self.C_E = C_E
        bound = (C_E + 1) ** -0.5  # as for any convolution
        self.weight = nn.Parameter(torch.empty(n_src, 1, C_E + 1).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(n_src).uniform_(-bound, bound))

    def forward(self, y: Tensor) -> Tensor:
        """Return scores (b, n_src * C_E, k) of y (b, C_E, k)."""
        rows = toeplitz(self.weight)[..., None]  # (n_src * C_E, C_E, 1)
        return functional.conv1d(y, rows, self.bias.repeat_interleave(self.C_E))

    def macs(self, _given: Tensor, output: Tensor) -> int:
        """Return the multiplications of one call."""
        return output.numel() * self.C_E


class Masking(nn.Module):
    """The system of the first paper: weights of the mixture times masks that sum to one."""

    def __init__(self, h: SudoRmRfHyperparameters) -> None:
        super().__init__()
        self.n_src = h.n_src
        self.basis = AlignedBasis(
            channels=h.channels,
            n_src=h.n_src,
            C_E=h.C_E,
            K_E=h.K_E,
            Q=h.Q,
            groups=h.n_src,
            bias=True,
        )
        self.norm = global_norm(h.C_E)
        self.bottleneck = nn.Conv1d(h.C_E, h.C, 1)
        self.blocks = nn.Sequential(*(UConvBlock(h) for _ in range(h.B)))
        self.expand = nn.Conv1d(h.C, h.C_E, 1) if h.C != h.C_E else nn.Identity()
        self.scores = SourceConvolutions(h.C_E, h.n_src)
        self.idle_norm = global_norm(h.C_E)  # in the published layout, and read by nothing

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) of a mixture (b, channels, time)."""
        weights = self.basis.encode(mixture).relu()  # (b, C_E, k)
        y = self.expand(self.blocks(self.bottleneck(self.norm(weights))))  # (b, C_E, k)
        scores = self.scores(y).unflatten(1, (self.n_src, -1))  # (b, n_src, C_E, k)
        masks = scores.softmax(1) if self.n_src > 1 else scores.sigmoid()
        return self.basis.decode(masks * weights[:, None], mixture.shape[-1])


class CausalConv1d(nn.Conv1d):
    """A convolution of an odd kernel, whose taps after the middle are in the weights only."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, out_channels, k / stride) of x (b, in_channels, k)."""
        past = self.kernel_size[0] // 2
        weight = self.weight[..., : past + 1]
        x = functional.pad(x, (past, 0))
        return functional.conv1d(x, weight, self.bias, self.stride, groups=self.groups)

    def macs(self, _given: Tensor, output: Tensor) -> int:
        """Return the multiplications of one call."""
        return output.numel() * self.in_channels // self.groups * (self.kernel_size[0] // 2 + 1)


class CausalBlock(nn.Module):
    """A U-ConvBlock without norms, with depthwise kernels of 21 taps; at first the identity."""

    def __init__(self, h: SudoRmRfHyperparameters) -> None:
        super().__init__()
        self.expand = nn.Sequential(nn.Conv1d(h.C, h.C_U, 1), nn.PReLU())
        self.depthwise = nn.ModuleList(
            nn.Sequential(
                CausalConv1d(h.C_U, h.C_U, 21, stride=2 if level else 1, groups=h.C_U), nn.PReLU()
            )
            for level in range(h.Q + 1)
        )
        self.project = nn.Conv1d(h.C_U, h.C, 1)
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        projected: Tensor = self.project(resample(self.expand(x), self.depthwise))
        return x + self.gain * projected


class CausalBasis(AlignedBasis):
    """An aligned basis whose encoder reads the samples up to a frame's centre, twice as many."""

    def __init__(self, h: SudoRmRfHyperparameters) -> None:
        super().__init__(channels=h.channels, n_src=h.n_src, C_E=h.C_E, K_E=h.K_E, Q=h.Q)
        self.encoder = CausalConv1d(h.channels, h.C_E, 2 * h.K_E - 1, self.S, bias=False)
        nn.init.xavier_uniform_(self.encoder.weight)
        nn.init.xavier_uniform_(self.decoder.weight)

    def encode(self, signal: Tensor) -> Tensor:
        """Return the weights (b, C_E, k) of a signal (b, channels, time)."""
        time = signal.shape[-1]
        frame = self.S * self.multiple
        weights: Tensor = self.encoder(functional.pad(signal, (0, -time % frame)))
        return weights


class CausalLatents(nn.Module):
    """The causal system of the second paper: latents of the sources, not masks."""

    def __init__(self, h: SudoRmRfHyperparameters) -> None:
        super().__init__()
        self.n_src = h.n_src
        self.basis = CausalBasis(h)
        self.bottleneck = nn.Conv1d(h.C_E, h.C, 1)
        self.blocks = nn.Sequential(*(CausalBlock(h) for _ in range(h.B)))
        self.prelu = nn.PReLU()
        self.latents = nn.Conv1d(h.C, h.n_src * h.C_E, 1)
        self.latents_prelu = nn.PReLU()

    def forward(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) of a mixture (b, channels, time)."""
        y = self.blocks(self.bottleneck(self.basis.encode(mixture)))  # (b, C, k)
        latents = self.latents_prelu(self.latents(self.prelu(y)))  # (b, n_src * C_E, k)
        return self.basis.decode(latents.unflatten(1, (self.n_src, -1)), mixture.shape[-1])


class SudoRmRf(FittedSeparator):
    """The papers' systems, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = SudoRmRfHyperparameters

    def __init__(self, hyperparameters: SudoRmRfHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        self.causal = h.causal
        self.look_ahead = h.K_E // 2 if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 0.5
        self.separation = CausalLatents(h) if h.causal else Masking(h)
        idle = ("separation.idle_norm.weight", "separation.idle_norm.bias")
        self.idle_parameters = () if h.causal else idle

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        estimates: Tensor = self.separation(mixture)
        return estimates


PUBLISHED_TRAINING: dict[str, Any] = {
    "batch_size": 4,
    "segment_s": 4.0,
    "optimizer": "adam",
    "weight_decay": 0.0,
    "schedule": "step",
    "decay": 1 / 3,
    "warmup": 0.0,
    "average_decay": 0.0,
}

SUDORMRF = ModelSpec(
    name="sudormrf",
    title="SuDoRM-RF",
    task="speech_separation",
    paper=(
        "Tzinis, Wang and Smaragdis, MLSP 2020, arXiv 2007.06833; causal: Tzinis et al., Journal "
        "of Signal Processing Systems 94, 2022, arXiv 2103.02644"
    ),
    reference_licence="asteroid (MIT), compared on copied weights; sudo_rm_rf (MIT), on sizes",
    separator=SudoRmRf,
    not_reproduced=(
        "The WSJ0-2mix and ESC-50 scores (the corpora are not free); the causal system's division "
        "by the mixture's standard deviation."
    ),
    tiny=lambda: SudoRmRfHyperparameters(C_E=32, C=16, C_U=32, B=2, Q=2),
    training=PUBLISHED_TRAINING,
)


@SUDORMRF.variant(parameters=2_662_022)
def paper() -> Hyperparameters:
    """The paper's largest system (1.0x)."""
    return SudoRmRfHyperparameters()


@SUDORMRF.variant("0.5x", parameters=1_414_790)
def half() -> Hyperparameters:
    """The paper's system of half as many blocks."""
    return SudoRmRfHyperparameters(B=8)


@SUDORMRF.variant("0.25x", parameters=791_174)
def quarter() -> Hyperparameters:
    """The paper's system of a quarter of the blocks."""
    return SudoRmRfHyperparameters(B=4)


@SUDORMRF.variant("causal", parameters=3_090_146)
def causal() -> Hyperparameters:
    """The causal system of the authors' code: no norms, 10 samples of look-ahead."""
    return SudoRmRfHyperparameters(causal=True, Q=3)


BLOCK_IN_ASTEROID = {
    r"^masker\.sm\.": "blocks.",
    r"\.proj_1x1\.conv\.": ".path.expand.",
    r"\.proj_1x1\.norm\.": ".path.expand_norm.",
    r"\.proj_1x1\.act\.": ".path.expand_prelu.",
    r"\.spp_dw\.(\d+)\.conv\.": r".path.depthwise.\1.0.",
    r"\.spp_dw\.(\d+)\.norm\.": r".path.depthwise.\1.1.",
    r"\.final_norm\.norm\.": ".path.sum_norm.",
    r"\.final_norm\.act\.": ".path.sum_prelu.",
}


def without_duplicates(weights: Weights) -> Weights:
    """Leave out the second of the two names under which asteroid holds the encoder's filters."""
    return {name: value for name, value in weights.items() if "encoder.encoder" not in name}


@SUDORMRF.imports("asteroid", "SuDORMRFNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.SuDORMRFNet`, whose basis has no biases and a shared decoder."""
    K_E = arguments.get("kernel_size", 21)
    check_arguments(arguments, {"mask_act": "softmax", "stride": K_E // 2})
    names = {
        **BLOCK_IN_ASTEROID,
        r"^blocks\.": "separation.blocks.",
        r"\.conv_1x1_exp\.conv\.": ".path.project.",
        r"\.conv_1x1_exp\.norm\.": ".path_norm.",
        r"\.module_act\.norm\.": ".norm.",
        r"\.module_act\.act\.": ".prelu.",
        r"^(encoder|decoder)\.filterbank\._filters$": r"separation.basis.\1.weight",
        r"^masker\.ln\.": "separation.norm.",
        r"^masker\.l1\.": "separation.bottleneck.",
        r"^masker\.reshape_before_masks\.": "separation.expand.",
        r"^masker\.m\.": "separation.scores.",
    }
    ours = renamed(without_duplicates(weights), names)
    hyperparameters = SudoRmRfHyperparameters(
        n_src=arguments["n_src"],
        sample_rate=int(arguments.get("sample_rate", 8000)),
        C_E=arguments.get("n_filters", 512),
        K_E=K_E,
        C=arguments.get("bn_chan", 128),
        C_U=arguments.get("n_filters", 512),
        B=arguments.get("num_blocks", 16),
        Q=arguments.get("upsampling_depth", 4) - 1,
    )
    n_src, C_E = hyperparameters.n_src, hyperparameters.C_E
    basis = "separation.basis"
    shared = ours[f"{basis}.decoder.weight"]  # (C_E, 1, K_E)
    ours[f"{basis}.decoder.weight"] = shared.repeat(n_src, 1, 1)
    ours[f"{basis}.encoder.bias"] = shared.new_zeros(C_E)
    ours[f"{basis}.decoder.bias"] = shared.new_zeros(n_src)
    ours["separation.scores.weight"] = ours["separation.scores.weight"][..., 0]
    ours["separation.idle_norm.weight"] = shared.new_ones(C_E)
    ours["separation.idle_norm.bias"] = shared.new_zeros(C_E)
    return hyperparameters, ours


@SUDORMRF.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: half the frames, twice as long, and fewer, narrower blocks."""
    return SudoRmRfHyperparameters(C_E=256, K_E=41, C=96, C_U=192, B=6)
