"""BS-RoFormer: transformers with rotary positions, over time and over bands in turn.

Wei-Tsung Lu, Ju-Chiang Wang, Qiuqiang Kong and Yun-Ning Hung, "Music Source Separation with
Band-Split RoPE Transformer", ICASSP 2024 (arXiv 2309.02612).

The bins of the spectrogram are split into bands of growing width. Each band of each frame becomes a
vector of D features; pre-norm transformers attend along time within a band, then along bands within
a frame. One network per stem and band turns the result into complex masks.

The paper's model has D=384 and 6, 9 or 12 layers, one model per stem. No weights of it are public;
the configurations here are those of ZFTurbo's recipes, which train on MUSDB18, with the structure
of the package BS-RoFormer 0.4.1: a gate per head after the attention, root mean square norms, and a
norm at the end only. The 62 bands are the package's. The 64 rotary frequencies are among the
parameters, as in published weights, but are fixed.

Differences from the package:
- The ends are padded with zeros, not by reflection, so that a recording may have any length, and
  estimates are as long as the mixture, where the package cuts them to whole hops.
- Masks start near equal shares of the mixture, there near 0.
- Bands of one width are computed together. This changes the layout of weights, not the result.

The loss is the L1 norm of the waveforms' error plus those of its complex spectrograms in five
resolutions, which fixes the level. ZFTurbo's recipe instead drops the largest 5 % of squared
errors. Beyond the fields of a training configuration it draws the gains of stems from 0.5 to 1.5,
clips no gradient, looks at the loss every 1000 steps, and rounds to float16, here to bfloat16.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.attention import AttentionProducts
from baselines.layers.fitted import FittedSeparator
from baselines.layers.stft import Stft
from baselines.losses import multi_resolution_l1_loss
from baselines.model import Imported, ModelSpec, Weights, check_arguments
from baselines.separator import STEMS, Hyperparameters, SongHyperparameters, require

LOSSES = ("l1", "si_sdr")
BANDS = (2,) * 24 + (4,) * 12 + (12,) * 8 + (24,) * 8 + (48,) * 8 + (128, 129)
# The smallest rotary frequency is nearly 1 / THETA radians per position.
THETA = 10000.0
# Keeps the norm of silence finite, and is far below the power of any recording's spectrogram.
EPSILON = 1e-24

# Axes: b batch, n_src, c channels, t frames, f bands, D features, n positions, heads, d features of
# a head, g bands of one width, m = b * t.


@dataclass(frozen=True, kw_only=True)
class BsRoformerHyperparameters(SongHyperparameters):
    """Sizes of the analysis and the network; the defaults are ZFTurbo's for MUSDB18."""

    n_fft: int = 2048
    hop_length: int = 512
    bands: tuple[int, ...] = BANDS  # widths in bins, from low to high
    D: int = 192
    layers: int = 6  # each of a transformer over time and one over bands
    time_blocks: int = 1  # of a transformer over time
    band_blocks: int = 1  # of a transformer over bands
    heads: int = 8
    d: int = 64  # features of a head
    expansion: int = 4  # of the feed-forward networks
    mask_expansion: int = 4  # of the hidden layers in the networks of the masks
    mask_layers: int = 2  # of the networks of the masks, the last one included
    dropout: float = 0.1
    loss: str = "l1"  # of the waveforms and spectrograms; or si_sdr
    loss_windows: tuple[int, ...] = (4096, 2048, 1024, 512, 256)
    loss_hop: int = 147

    def __post_init__(self) -> None:
        super().__post_init__()
        bins = self.n_fft // 2 + 1
        require(
            sum(self.bands) == bins and min(self.bands) >= 1,
            f"The bands have {sum(self.bands)} bins; n_fft={self.n_fft} gives {bins}.",
        )
        require(self.d % 2 == 0, f"d is {self.d}; rotary positions turn pairs: give an even d.")
        self.check_least(1, "mask_layers")
        self.check_choices(loss=LOSSES)

    @property
    def groups(self) -> list[tuple[int, int]]:
        """Runs of bands of one width: how many bands, and values of a band in a frame."""
        runs = ((len(list(run)), width) for width, run in groupby(self.bands))
        return [(count, 2 * self.channels * width) for count, width in runs]


class BandLinear(nn.Module):
    """A linear layer for each of g bands, computed together."""

    def __init__(self, g: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(g, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(g, 1, outputs).uniform_(-bound, bound))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (g, m, inputs) to (g, m, outputs)."""
        return torch.baddbmm(self.bias, x, self.weight)

    def macs(self, _given: Tensor, output: Tensor) -> int:
        """Count a matrix product per band."""
        return output.numel() * self.weight.shape[1]


class RmsNorm(nn.Module):
    """Root mean square norm over the last axis, with gains of a shape that ends with it."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (..., *shape)."""
        x = x.to(self.weight.dtype)
        return functional.rms_norm(x, x.shape[-1:], eps=EPSILON) * self.weight


class BandSplit(nn.Module):
    """Turns the values of each band into D features."""

    def __init__(self, h: BsRoformerHyperparameters) -> None:
        super().__init__()
        self.groups = h.groups
        self.norms = nn.ModuleList(RmsNorm(g, width) for g, width in h.groups)
        self.reads = nn.ModuleList(BandLinear(g, width, h.D) for g, width in h.groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (m, values of a frame), from low to high frequencies, to (f, m, D)."""
        values = x.split([prod(group) for group in self.groups], dim=-1)
        features = [
            read(norm(value.unflatten(-1, group)).transpose(0, 1))  # (g, m, D)
            for value, group, norm, read in zip(
                values, self.groups, self.norms, self.reads, strict=True
            )
        ]
        return torch.cat(features)


class MaskNetwork(nn.Module):
    """Turns the features of each band into one complex mask value per channel and bin."""

    def __init__(self, h: BsRoformerHyperparameters) -> None:
        super().__init__()
        self.counts = [g for g, _ in h.groups]
        widths = [h.D] + [h.D * h.mask_expansion] * (h.mask_layers - 1)
        self.hidden = nn.ModuleList(BandLinear(len(h.bands), *pair) for pair in pairwise(widths))
        # The second half of the outputs gates the first.
        outputs = [BandLinear(g, widths[-1], 2 * width) for g, width in h.groups]
        for layer, (_, width) in zip(outputs, h.groups, strict=True):
            layer.bias.data[..., :width:2] += 2 / h.n_src  # real parts, of which half passes a gate
        self.outputs = nn.ModuleList(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (f, m, D) to (m, values of a frame)."""
        for layer in self.hidden:
            x = layer(x).tanh()
        values = [
            functional.glu(layer(part)).transpose(0, 1).flatten(1)  # (m, g * width)
            for part, layer in zip(x.split(self.counts), self.outputs, strict=True)
        ]
        return torch.cat(values, dim=-1)


class RotaryAttention(nn.Module):
    """Self-attention whose queries and keys turn with their position, and a gate per head.

    Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021
    (arXiv 2104.09864).
    """

    def __init__(self, h: BsRoformerHyperparameters) -> None:
        super().__init__()
        self.heads = h.heads
        self.dropout = h.dropout
        self.norm = RmsNorm(h.D)
        self.to_qkv = nn.Linear(h.D, 3 * h.heads * h.d, bias=False)
        self.products = AttentionProducts(h.dropout)
        self.to_gates = nn.Linear(h.D, h.heads)
        self.to_out = nn.Linear(h.heads * h.d, h.D, bias=False)

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        """Map x (b, n, D) to its shape; `turns` (n, d / 2) are complex and of magnitude 1."""
        x = self.norm(x)
        qkv = self.to_qkv(x).unflatten(-1, (3, self.heads, -1))  # (b, n, 3, heads, d)
        qkv = qkv.permute(2, 0, 3, 1, 4)  # (3, b, heads, n, d)
        q, k = rotate(qkv[:2], turns)
        attended = self.products(k, qkv[2], q)  # (b, heads, n, d)
        gates = self.to_gates(x).sigmoid()  # (b, n, heads)
        gated = attended.transpose(1, 2) * gates[..., None]  # (b, n, heads, d)
        out: Tensor = self.to_out(gated.flatten(2))
        return functional.dropout(out, self.dropout, self.training)


def rotate(x: Tensor, turns: Tensor) -> Tensor:
    """Turn each pair of features of x (..., n, d) by complex `turns` (n, d / 2)."""
    pairs = x.to(turns.real.dtype).unflatten(-1, (-1, 2))
    turned = torch.view_as_complex(pairs) * turns
    return torch.view_as_real(turned).flatten(-2).to(x.dtype)


class Block(nn.Module):
    """Attention and a feed-forward network, each added to its input."""

    def __init__(self, h: BsRoformerHyperparameters) -> None:
        super().__init__()
        self.attention = RotaryAttention(h)
        self.feed_forward = nn.Sequential(
            RmsNorm(h.D),
            nn.Linear(h.D, h.expansion * h.D),
            nn.GELU(),
            nn.Dropout(h.dropout),
            nn.Linear(h.expansion * h.D, h.D),
            nn.Dropout(h.dropout),
        )

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        """Map x (b, n, D) to its shape."""
        x = x + self.attention(x, turns)
        update: Tensor = self.feed_forward(x)
        return x + update


class Transformer(nn.ModuleList):
    """Blocks along one axis."""

    def __init__(self, h: BsRoformerHyperparameters, blocks: int) -> None:
        super().__init__(Block(h) for _ in range(blocks))

    def forward(self, x: Tensor, turns: Tensor) -> Tensor:
        """Map x (b, n, D) to its shape."""
        for block in self:
            x = block(x, turns)
        return x


class BsRoformer(FittedSeparator):
    """Complex masks for named stems, of all channels at once."""

    hyperparameters_class = BsRoformerHyperparameters
    silence_tolerance = 1.0
    # The rotary frequencies are fixed.
    idle_parameters = ("time_frequencies", "band_frequencies")

    def __init__(self, hyperparameters: BsRoformerHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.fitted = h.loss == "si_sdr"
        self.stft = Stft(h.n_fft, h.hop_length)
        self.split = BandSplit(h)
        self.over_time = nn.ModuleList(Transformer(h, h.time_blocks) for _ in range(h.layers))
        self.over_bands = nn.ModuleList(Transformer(h, h.band_blocks) for _ in range(h.layers))
        frequencies = 1 / THETA ** (torch.arange(0, h.d, 2) / h.d)
        self.time_frequencies = nn.Parameter(frequencies, requires_grad=False)
        self.band_frequencies = nn.Parameter(frequencies.clone(), requires_grad=False)
        self.norm = RmsNorm(h.D)
        self.masks = nn.ModuleList(MaskNetwork(h) for _ in range(h.n_src))

    def network(self, mixture: Tensor) -> Tensor:
        """Return the masked mixture (b, n_src, c, time)."""
        spectrum = self.stft.analyse(mixture)  # (b, c, bins, t)
        parts = torch.view_as_real(spectrum).permute(0, 3, 2, 1, 4)  # (b, t, bins, c, 2)
        x = self.features(parts.flatten(2))  # (f, b * t, D)
        masks = torch.stack([network(x) for network in self.masks])  # (n_src, b * t, values)
        masks = masks.to(parts.dtype).view(self.n_src, *parts.shape)
        masked = torch.view_as_complex(masks).permute(1, 0, 4, 3, 2) * spectrum[:, None]
        return self.stft.synthesise(masked, mixture.shape[-1])

    def features(self, values: Tensor) -> Tensor:
        """Return the features of all bands (f, b * t, D) for values of frames (b, t, ...)."""
        batch, frames, _ = values.shape
        bands = len(self.h.bands)
        along_time = _turns(self.time_frequencies, frames)
        along_bands = _turns(self.band_frequencies, bands)
        x = self.split(values.flatten(0, 1)).unflatten(1, (batch, frames))  # (f, b, t, D)
        x = x.permute(1, 2, 0, 3)  # (b, t, f, D)
        for over_time, over_bands in zip(self.over_time, self.over_bands, strict=True):
            x = over_time(x.transpose(1, 2).flatten(0, 1), along_time)  # (b * f, t, D)
            x = x.unflatten(0, (batch, bands)).transpose(1, 2).flatten(0, 1)  # (b * t, f, D)
            x = over_bands(x, along_bands).unflatten(0, (batch, frames))
        normalised: Tensor = self.norm(x.flatten(0, 1))  # (b * t, f, D)
        return normalised.transpose(0, 1)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the L1 loss of signals and spectrograms, or the negative SI-SDR in dB; scalar."""
        if self.fitted:
            return super().training_loss(batch)
        estimates, references = self.network(batch["mixture"]), batch["references"]
        return multi_resolution_l1_loss(
            references=references,
            estimates=estimates,
            windows=self.h.loss_windows,
            hop=self.h.loss_hop,
            n_fft=self.h.n_fft,
        )


def _turns(frequencies: Tensor, n: int) -> Tensor:
    """Return complex turns (n, d / 2) of magnitude 1 for n positions."""
    angles = torch.arange(n, device=frequencies.device)[:, None] * frequencies
    return torch.polar(torch.ones_like(angles), angles)


BS_ROFORMER = ModelSpec(
    name="bs_roformer",
    title="BS-RoFormer",
    task="music_separation",
    paper="Lu, Wang, Kong and Hung, ICASSP 2024, arXiv 2309.02612",
    reference_licence="BS-RoFormer 0.4.1 (MIT), compared on copied weights",
    separator=BsRoformer,
    not_reproduced=(
        "The MUSDB18 scores, which need an accelerator; the paper's sizes, of which no "
        "weights are public; reflection at the ends of the signal (here zeros)."
    ),
    tiny=lambda: BsRoformerHyperparameters(
        n_fft=64,
        hop_length=32,
        bands=(2,) * 4 + (5,) * 5,
        D=8,
        layers=1,
        heads=1,
        d=8,
        mask_expansion=1,
        dropout=0.0,
        loss="si_sdr",
    ),
    training={
        "batch_size": 10,
        "segment_s": 131_584 / 44100,
        "optimizer": "adam",
        "learning_rate": 5e-5,
        "weight_decay": 0.0,
        "schedule": "plateau",
        "decay": 0.95,
        "patience": 2,
        "average_decay": 0.999,
        "gain_spread_db": 3.0,
        "precision": "bfloat16",
    },
)


@BS_ROFORMER.variant(parameters=24_591_340)
def vocals() -> Hyperparameters:
    """ZFTurbo's configuration for the vocals of MUSDB18; a set may have other stems."""
    return BsRoformerHyperparameters(n_src=1, source_names=("vocals",))


@BS_ROFORMER.variant("four_stems", parameters=230_223_204)
def four_stems() -> Hyperparameters:
    """The wider configuration for all stems of MUSDB18."""
    return BsRoformerHyperparameters(D=384, layers=8, hop_length=441)


@BS_ROFORMER.imports("bs_roformer", "BSRoformer")
def from_bs_roformer(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `bs_roformer.BSRoformer` of version 0.4.1, without value residuals."""
    stereo = arguments.get("stereo", False)
    n_src = arguments.get("num_stems", 1)
    n_fft = arguments.get("stft_n_fft", 2048)
    needed = {"stft_win_length": n_fft, "stft_normalized": False}
    check_arguments(arguments, needed, defaults={"stft_win_length": 2048})
    h = BsRoformerHyperparameters(
        n_src=n_src,
        channels=2 if stereo else 1,
        source_names=STEMS[:n_src],
        n_fft=n_fft,
        hop_length=arguments.get("stft_hop_length", 512),
        bands=arguments.get("freqs_per_bands", BANDS),
        D=arguments["dim"],
        layers=arguments["depth"],
        time_blocks=arguments.get("time_transformer_depth", 2),
        band_blocks=arguments.get("freq_transformer_depth", 2),
        heads=arguments.get("heads", 8),
        d=arguments.get("dim_head", 64),
        mask_layers=arguments.get("mask_estimator_depth", 2),
        dropout=arguments.get("ff_dropout", 0.0),
    )
    rotary = "layers.0.{}.layers.0.0.rotary_embed.freqs"
    ours = {
        "time_frequencies": weights[rotary.format(0)],
        "band_frequencies": weights[rotary.format(1)],
        "norm.weight": weights["final_norm.gamma"],
        **_transformers(weights, h),
        **_bands(weights, h),
    }
    return h, ours


def _transformers(weights: Weights, h: BsRoformerHyperparameters) -> Weights:
    """Return the transformers' weights under our names."""
    names = {
        "0.norm.gamma": "attention.norm.weight",
        "0.to_qkv.weight": "attention.to_qkv.weight",
        "0.to_gates.weight": "attention.to_gates.weight",
        "0.to_gates.bias": "attention.to_gates.bias",
        "0.to_out.0.weight": "attention.to_out.weight",
        "1.net.0.gamma": "feed_forward.0.weight",
        "1.net.1.weight": "feed_forward.1.weight",
        "1.net.1.bias": "feed_forward.1.bias",
        "1.net.4.weight": "feed_forward.4.weight",
        "1.net.4.bias": "feed_forward.4.bias",
    }
    axes = (("over_time", h.time_blocks), ("over_bands", h.band_blocks))
    return {
        f"{axis}.{layer}.{block}.{ours}": weights[f"layers.{layer}.{index}.layers.{block}.{theirs}"]
        for layer in range(h.layers)
        for index, (axis, blocks) in enumerate(axes)
        for block in range(blocks)
        for theirs, ours in names.items()
    }


def _bands(weights: Weights, h: BsRoformerHyperparameters) -> Weights:
    """Return the weights of bands of one width stacked, under our names."""
    ours = {}
    ends = torch.tensor([g for g, _ in h.groups]).cumsum(0).tolist()
    runs = [range(end - g, end) for end, (g, _) in zip(ends, h.groups, strict=True)]

    def stack(ours_name: str, theirs_name: str, run: range) -> None:
        matrices = [weights[f"{theirs_name.format(band)}.weight"].T for band in run]
        biases = [weights[f"{theirs_name.format(band)}.bias"][None] for band in run]
        ours[f"{ours_name}.weight"] = torch.stack(matrices)
        ours[f"{ours_name}.bias"] = torch.stack(biases)

    for index, run in enumerate(runs):
        gains = [weights[f"band_split.to_features.{band}.0.gamma"] for band in run]
        ours[f"split.norms.{index}.weight"] = torch.stack(gains)
        stack(f"split.reads.{index}", "band_split.to_features.{}.1", run)
    for source in range(h.n_src):
        network = f"mask_estimators.{source}.to_freqs.{{}}.0."
        for layer in range(h.mask_layers - 1):
            hidden = f"masks.{source}.hidden.{layer}"
            stack(hidden, f"{network}{2 * layer}", range(len(h.bands)))
        for index, run in enumerate(runs):
            outputs = f"masks.{source}.outputs.{index}"
            stack(outputs, f"{network}{2 * (h.mask_layers - 1)}", run)
    return ours


@BS_ROFORMER.variant(
    "small",
    batch_size=2,
    segment_s=2.0,
    learning_rate=4e-3,
    beta2=0.98,
    valid_items=10,
)
def small() -> Hyperparameters:
    """For laptops: half the frames, fewer bands, two narrow layers, and the SI-SDR loss."""
    return BsRoformerHyperparameters(
        hop_length=1024,
        bands=(4,) * 16 + (16,) * 8 + (64,) * 12 + (65,),
        D=48,
        layers=2,
        heads=4,
        d=12,
        expansion=2,
        mask_expansion=1,
        dropout=0.0,
        loss="si_sdr",
    )
