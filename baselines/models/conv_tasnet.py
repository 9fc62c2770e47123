"""Conv-TasNet: a learned basis, masked by a temporal convolutional network.

Yi Luo and Nima Mesgarani, "Conv-TasNet: Surpassing Ideal Time-Frequency Magnitude Masking for
Speech Separation", IEEE/ACM TASLP 27(8), 2019 (arXiv 1809.07454). Symbols are those of its Table I.

What the paper leaves open:
- Padding (`padding`, see `baselines.layers.basis`). Because gLN normalises over time, the choice
  changes every output sample a little; so does silence that follows the mixture.
- Level. SI-SDR determines neither the gain nor the sign of an estimate: estimates are fitted to the
  mixture, in the causal system at each sample to the mixture so far.
- Causality. The paper's causal system has cumulative norms (cLN); with gLN, as some implementations
  combine them, a causal network would read the whole signal, and is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import PADDINGS, LearnedBasis
from baselines.layers.fitted import FittedSeparator
from baselines.layers.masks import MASK_ACTIVATIONS, as_masks
from baselines.layers.norms import global_norm
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, renamed
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, N basis signals, B bottleneck, Sc skip, H hidden, k frames.
CHOICES = {
    "norm": ("gLN", "cLN"),
    "mask": MASK_ACTIVATIONS,
    "encoder": ("linear", "relu"),
    "padding": PADDINGS,
}


@dataclass(frozen=True, kw_only=True)
class ConvTasNetHyperparameters(Hyperparameters):
    """Table I of the paper; the defaults are those of its best non-causal system."""

    N: int = 512  # basis signals of the encoder
    L: int = 16  # length of a basis signal in samples
    S: int | None = None  # stride in samples; None: half of L
    B: int = 128  # channels of the bottleneck and of the residual path
    H: int = 512  # channels inside a convolutional block
    Sc: int = 128  # channels of the skip path
    P: int = 3  # kernel size of a block's depthwise convolution
    X: int = 8  # blocks in a repeat, of dilation 1, 2, ... 2^(X-1)
    R: int = 3  # repeats
    causal: bool = False
    norm: str = "gLN"  # global; or cLN: cumulative over the past
    mask: str = "sigmoid"
    encoder: str = "linear"
    padding: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        require(self.P % 2 == 1, f"P is {self.P}; an odd kernel keeps the number of frames.")
        require(1 <= self.stride <= self.L, f"S is {self.stride}; it can be 1 to L={self.L}.")
        require(
            not self.causal or self.norm == "cLN",
            f"norm={self.norm!r} uses the whole signal, which a causal Conv-TasNet cannot; give "
            "norm='cLN'.",
        )

    @property
    def stride(self) -> int:
        """Samples from the start of a frame to that of the next."""
        return self.S or self.L // 2


def learned_basis(h: ConvTasNetHyperparameters) -> LearnedBasis:
    """Return the encoder and the decoder of these sizes."""
    relu = h.encoder == "relu"
    return LearnedBasis(channels=h.channels, N=h.N, L=h.L, S=h.stride, padding=h.padding, relu=relu)


class CumulativeLayerNorm(nn.Module):
    """cLN of the paper: mean and variance over the channels of this and all earlier frames."""

    def __init__(self, channels: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (b, channels, k)."""
        _, channels, frames = x.shape
        count = channels * torch.arange(1, frames + 1, dtype=x.dtype, device=x.device)  # (k,)
        mean = x.sum(1, keepdim=True).cumsum(-1) / count  # (b, 1, k)
        power = x.square().sum(1, keepdim=True).cumsum(-1) / count
        variance = (power - mean.square()).clamp(min=0)
        return self.weight * (x - mean) / (variance + self.eps).sqrt() + self.bias


def normalisation(kind: str, channels: int) -> nn.Module:
    """Return a layer norm over channels and time (gLN), or over channels and the past (cLN)."""
    if kind == "cLN":
        return CumulativeLayerNorm(channels)
    return global_norm(channels)


class ConvolutionalBlock(nn.Module):
    """1-D Conv of the paper's Figure 1(C): 1x1, dilated depthwise, 1x1 to residual and skip."""

    def __init__(self, h: ConvTasNetHyperparameters, dilation: int) -> None:
        super().__init__()
        self.expand = nn.Conv1d(h.B, h.H, 1)
        self.expand_prelu = nn.PReLU()
        self.expand_norm = normalisation(h.norm, h.H)
        reach = (h.P - 1) * dilation
        self.past = reach if h.causal else 0  # zeros in front; else zeros on both sides
        around = 0 if h.causal else reach // 2
        self.depthwise = nn.Conv1d(h.H, h.H, h.P, padding=around, dilation=dilation, groups=h.H)
        self.depthwise_prelu = nn.PReLU()
        self.depthwise_norm = normalisation(h.norm, h.H)
        self.residual = nn.Conv1d(h.H, h.B, 1)
        self.skip = nn.Conv1d(h.H, h.Sc, 1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return residual (b, B, k) and skip (b, Sc, k) of x (b, B, k)."""
        y = self.expand_norm(self.expand_prelu(self.expand(x)))  # (b, H, k)
        if self.past:
            y = functional.pad(y, (self.past, 0))
        y = self.depthwise(y)
        y = self.depthwise_norm(self.depthwise_prelu(y))
        return self.residual(y), self.skip(y)


def pass_blocks(blocks: Iterable[nn.Module], x: Tensor, total: Tensor) -> tuple[Tensor, Tensor]:
    """Return the residual path x (b, B, k) and the sum of skips (b, Sc, k) after some blocks."""
    for block in blocks:
        residual, skip = block(x)
        x = x + residual
        total = total + skip
    return x, total


class TemporalConvolutions(nn.Module):
    """Figure 1(B) without its masks: bottleneck, R repeats of X blocks, and the output's 1x1."""

    def __init__(self, h: ConvTasNetHyperparameters, outputs: int) -> None:
        super().__init__()
        self.norm = normalisation(h.norm, h.N)
        self.bottleneck = nn.Conv1d(h.N, h.B, 1)
        self.blocks = nn.ModuleList(
            ConvolutionalBlock(h, dilation=2**x) for _ in range(h.R) for x in range(h.X)
        )
        self.output_prelu = nn.PReLU()
        self.output = nn.Conv1d(h.Sc, outputs, 1)

    def begin(self, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the first block gets for weights w (b, N, k): its input, no skips yet."""
        return self.bottleneck(self.norm(w)), w.new_zeros(())

    def end(self, total: Tensor) -> Tensor:
        """Return (b, outputs, k) for the sum of all skips (b, Sc, k)."""
        scores: Tensor = self.output(self.output_prelu(total))
        return scores

    def forward(self, w: Tensor) -> Tensor:
        """Return (b, outputs, k) for weights w (b, N, k)."""
        return self.end(pass_blocks(self.blocks, *self.begin(w))[1])

    def idle_parameters(self, name: str) -> tuple[str, ...]:
        """Return the parameters of the last residual convolution, whose output nothing reads.

        `name` is that of this module in the separator.
        """
        last = f"{name}.blocks.{len(self.blocks) - 1}.residual"
        return f"{last}.weight", f"{last}.bias"


class ConvTasNet(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = ConvTasNetHyperparameters

    def __init__(self, hyperparameters: ConvTasNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        # A frame's weights depend on all its L samples, so an estimate depends on L - 1 later ones.
        self.causal = h.causal
        self.look_ahead = h.L - 1 if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 0.5
        self.basis = learned_basis(h)
        self.separation = TemporalConvolutions(h, outputs=h.n_src * h.N)
        self.idle_parameters = self.separation.idle_parameters("separation")

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, N, k)
        scores = self.separation(w).unflatten(1, (self.n_src, -1))  # (b, n_src, N, k)
        d = w[:, None] * as_masks(scores, self.h.mask)
        return self.basis.decode(d, mixture.shape[-1])


CONV_TASNET = ModelSpec(
    name="conv_tasnet",
    title="Conv-TasNet",
    task="speech_separation",
    paper="Luo and Mesgarani, IEEE/ACM TASLP 27(8), 2019, arXiv 1809.07454",
    reference_licence="asteroid (MIT) and torchaudio (BSD-2-Clause), compared on copied weights",
    separator=ConvTasNet,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); networks without skip paths.",
    tiny=lambda: ConvTasNetHyperparameters(N=32, L=16, B=16, H=32, X=3, R=1),
    training={"batch_size": 4, "segment_s": 4.0, "schedule": "plateau", "average_decay": 0.0},
)


@CONV_TASNET.variant(parameters=5_050_545)
def paper() -> Hyperparameters:
    """The best non-causal system of the paper."""
    return ConvTasNetHyperparameters()


@CONV_TASNET.variant("causal", parameters=5_050_545)
def causal() -> Hyperparameters:
    """The paper's causal system: cumulative norms, 15 samples of look-ahead."""
    return ConvTasNetHyperparameters(causal=True, norm="cLN")


@CONV_TASNET.variant("relu", parameters=5_050_545)
def relu() -> Hyperparameters:
    """Masks without an upper limit, as most public recipes have them."""
    return ConvTasNetHyperparameters(mask="relu")


@CONV_TASNET.variant("softmax", parameters=5_050_545)
def softmax() -> Hyperparameters:
    """Masks that sum to one."""
    return ConvTasNetHyperparameters(mask="softmax")


_BLOCK_IN_ASTEROID = {
    r"^masker\.TCN\.(\d+)\.shared_block\.0\.": r"separation.blocks.\1.expand.",
    r"^masker\.TCN\.(\d+)\.shared_block\.1\.": r"separation.blocks.\1.expand_prelu.",
    r"^masker\.TCN\.(\d+)\.shared_block\.2\.": r"separation.blocks.\1.expand_norm.",
    r"^masker\.TCN\.(\d+)\.shared_block\.3(\.0)?\.": r"separation.blocks.\1.depthwise.",
    r"^masker\.TCN\.(\d+)\.shared_block\.4\.": r"separation.blocks.\1.depthwise_prelu.",
    r"^masker\.TCN\.(\d+)\.shared_block\.5\.": r"separation.blocks.\1.depthwise_norm.",
    r"^masker\.TCN\.(\d+)\.res_conv\.": r"separation.blocks.\1.residual.",
    r"^masker\.TCN\.(\d+)\.skip_conv\.": r"separation.blocks.\1.skip.",
}


_SLOPE = "onnx::PRelu_"


def _with_names(weights: Weights) -> Weights:
    """Return the weights of a graph in ONNX under asteroid's names, all others as they are.

    In a graph the slopes of PReLUs have numbers, in the order in which they are used, and the last
    residual convolution, on which no output depends, is missing.
    """
    numbered = [int(name.removeprefix(_SLOPE)) for name in weights if name.startswith(_SLOPE)]
    if not numbered:
        return weights
    named = {name: tensor for name, tensor in weights.items() if not name.startswith("onnx::")}
    blocks = len(numbered) // 2
    slopes = [
        f"masker.TCN.{b}.shared_block.{part}.weight" for b in range(blocks) for part in (1, 4)
    ]
    slopes.append("masker.mask_net.0.weight")
    for name, number in zip(slopes, sorted(numbered), strict=True):
        named[name] = weights[f"{_SLOPE}{number}"].flatten()
    for part in ("weight", "bias"):
        idle = torch.zeros_like(weights[f"masker.TCN.0.res_conv.{part}"])
        named.setdefault(f"masker.TCN.{blocks - 1}.res_conv.{part}", idle)
    return named


@CONV_TASNET.imports("asteroid", "ConvTasNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.ConvTasNet`, which pads nothing in front.

    The weights may be those of a graph that was exported to ONNX.
    """
    names = {
        r"\.gamma$": ".weight",
        r"\.beta$": ".bias",
        r"^(encoder|decoder)\.filterbank\._filters$": r"basis.\1.weight",
        r"^masker\.bottleneck\.0\.": "separation.norm.",
        r"^masker\.bottleneck\.1\.": "separation.bottleneck.",
        **_BLOCK_IN_ASTEROID,
        r"^masker\.mask_net\.0\.": "separation.output_prelu.",
        r"^masker\.mask_net\.1\.": "separation.output.",
    }
    causal = arguments.get("causal", False)
    norm_type = arguments.get("norm_type", "gLN")
    norm = {"gLN": "gLN", "cgLN": "cLN"}.get(norm_type)
    require(norm is not None, f"norm_type is {norm_type!r}; it can be 'gLN' or 'cgLN'.")
    ours = renamed(_with_names(weights), names)
    if norm == "cLN":  # asteroid's gains and biases have no axis for time
        norms = ("norm.weight", "norm.bias")
        ours = {k: v[:, None] if k.endswith(norms) else v for k, v in ours.items()}
    hyperparameters = ConvTasNetHyperparameters(
        n_src=arguments["n_src"],
        sample_rate=int(arguments.get("sample_rate", 8000)),
        N=arguments.get("n_filters", 512),
        L=arguments.get("kernel_size", 16),
        S=arguments.get("stride", 8),
        B=arguments.get("bn_chan", 128),
        H=arguments.get("hid_chan", 512),
        Sc=arguments.get("skip_chan", 128),
        P=arguments.get("conv_kernel_size", 3),
        X=arguments.get("n_blocks", 8),
        R=arguments.get("n_repeats", 3),
        causal=causal,
        norm=str(norm),
        mask=arguments.get("mask_act", "sigmoid"),
        encoder=arguments.get("encoder_activation") or "linear",
        padding="end",
    )
    return hyperparameters, ours


@CONV_TASNET.imports("torchaudio", "ConvTasNet")
def from_torchaudio(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `torchaudio.models.ConvTasNet`, which has no residual path in the last block."""
    block = r"^mask_generator\.conv_layers\.(\d+)\."
    names = {
        r"^(encoder|decoder)\.": r"basis.\1.",
        r"^mask_generator\.input_norm\.": "separation.norm.",
        r"^mask_generator\.input_conv\.": "separation.bottleneck.",
        block + r"conv_layers\.0\.": r"separation.blocks.\1.expand.",
        block + r"conv_layers\.1\.": r"separation.blocks.\1.expand_prelu.",
        block + r"conv_layers\.2\.": r"separation.blocks.\1.expand_norm.",
        block + r"conv_layers\.3\.": r"separation.blocks.\1.depthwise.",
        block + r"conv_layers\.4\.": r"separation.blocks.\1.depthwise_prelu.",
        block + r"conv_layers\.5\.": r"separation.blocks.\1.depthwise_norm.",
        block + r"res_out\.": r"separation.blocks.\1.residual.",
        block + r"skip_out\.": r"separation.blocks.\1.skip.",
        r"^mask_generator\.output_prelu\.": "separation.output_prelu.",
        r"^mask_generator\.output_conv\.": "separation.output.",
    }
    ours = renamed(weights, names)
    hyperparameters = ConvTasNetHyperparameters(
        n_src=arguments.get("num_sources", 2),
        N=arguments.get("enc_num_feats", 512),
        L=arguments.get("enc_kernel_size", 16),
        B=arguments.get("msk_num_feats", 128),
        H=arguments.get("msk_num_hidden_feats", 512),
        Sc=arguments.get("msk_num_feats", 128),
        P=arguments.get("msk_kernel_size", 3),
        X=arguments.get("msk_num_layers", 8),
        R=arguments.get("msk_num_stacks", 3),
        mask=arguments.get("msk_activate", "sigmoid"),
    )
    first, last = "separation.blocks.0.skip", hyperparameters.X * hyperparameters.R - 1
    for part in ("weight", "bias"):  # no output depends on these
        idle = torch.zeros_like(ours[f"{first}.{part}"])
        ours[f"separation.blocks.{last}.residual.{part}"] = idle
    return hyperparameters, ours


@CONV_TASNET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a quarter of the frames, four times as long, and fewer, narrower blocks."""
    return ConvTasNetHyperparameters(N=256, L=64, B=96, H=192, X=5, R=2)
