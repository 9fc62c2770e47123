"""Hybrid Transformer Demucs: two U-Nets whose deepest levels attend to each other.

Simon Rouard, Francisco Massa and Alexandre Défossez, "Hybrid Transformers for Music Source
Separation", ICASSP 2023 (arXiv 2211.08553).

Reproduced exactly: the network of the maintained code with dense attention. Four levels of Hybrid
Demucs remain on each side; between them, layers of self-attention within each branch alternate with
layers of attention from each branch to the other. The defaults are the released configuration,
whose transformer has 512 channels and five layers.

Padding and level are those of Hybrid Demucs (see `hdemucs`). The released system extends every
mixture with zeros to the length of its training segments, 7.8 s; this one reads what it is given.

The paper's sparse attention for long segments needs kernels of a graphics card and is left out. So
are remixing by tempo and pitch and fine-tuning per stem; training here mixes stems of several songs
and varies their speed and gain.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.attention import AttentionProducts
from baselines.layers.hybrid import HybridHyperparameters
from baselines.layers.hybrid_separator import (
    HybridSeparator,
    fields_from_demucs,
    weights_from_demucs,
)
from baselines.model import SMALL_SONGS, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.models.hdemucs import PUBLISHED_TRAINING
from baselines.separator import Hyperparameters, require

# Axes: b batch, C channels, f frequencies, k frames, D channels of the transformer, p positions.
LONGEST_PERIOD = 10000.0  # of the positional encodings
INITIAL_GAIN = 1e-4  # of what each layer adds


@dataclass(frozen=True, kw_only=True)
class HTDemucsHyperparameters(HybridHyperparameters):
    """The defaults are the released configuration."""

    depth: int = 4
    compress: int = 8
    branch_scale: float = 1e-3
    bottom: int | None = 512  # channels of the transformer; None: those of the deepest level
    layers: int = 5  # of the transformer; the first, third, ... are self-attention
    heads: int = 8
    hidden_scale: float = 4.0  # hidden channels of a layer, relative to its channels

    def __post_init__(self) -> None:
        super().__post_init__()
        levels = self.levels()
        require(
            all(level.spectral and not level.merges for level in levels),
            f"The branches must stay apart: n_fft={self.n_fft} has fewer levels of S={self.S} than "
            f"depth={self.depth}.",
        )
        require(
            self.width % 4 == 0 and self.width > 4 and self.width % self.heads == 0,
            f"bottom={self.bottom} gives the transformer {self.width} channels; it must have a "
            f"multiple of 4 above 4 and of heads={self.heads}.",
        )

    @property
    def width(self) -> int:
        """Channels of the transformer."""
        return self.levels()[-1].width if self.bottom is None else self.bottom


class TransformerLayer(nn.Module):
    """Attention and a hidden layer, each after a norm; a last norm is over all positions."""

    def __init__(self, h: HTDemucsHyperparameters, *, cross: bool) -> None:
        super().__init__()
        D, hidden = h.width, int(h.width * h.hidden_scale)
        self.heads = h.heads
        self.norm = nn.LayerNorm(D)
        self.other_norm = nn.LayerNorm(D) if cross else None
        self.query = nn.Linear(D, D)
        self.memory = nn.Linear(D, 2 * D)  # keys and values
        self.attention = AttentionProducts()
        self.output = nn.Linear(D, D)
        self.attention_gain = nn.Parameter(torch.full((D,), INITIAL_GAIN))
        self.hidden_norm = nn.LayerNorm(D)
        self.expand = nn.Linear(D, hidden)
        self.contract = nn.Linear(hidden, D)
        self.hidden_gain = nn.Parameter(torch.full((D,), INITIAL_GAIN))
        self.last_weight = nn.Parameter(torch.ones(D))
        self.last_bias = nn.Parameter(torch.zeros(D))
        for layer in (self.query, self.memory, self.output):
            nn.init.zeros_(layer.bias)
        for weight in (self.query.weight, *self.memory.weight.chunk(2)):
            nn.init.uniform_(weight, -((1.5 / D) ** 0.5), (1.5 / D) ** 0.5)

    def forward(self, x: Tensor, other: Tensor | None = None) -> Tensor:
        """Return (b, p, D) of x (b, p, D), which attends to itself or to the other branch."""
        normed = self.norm(x)
        read = normed if self.other_norm is None else self.other_norm(other)
        queries, keys, values = (
            y.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (b, heads, p, D / heads)
            for y in (self.query(normed), *self.memory(read).chunk(2, dim=-1))
        )
        attended = self.attention(keys, values, queries).transpose(1, 2).flatten(2)
        x = torch.addcmul(x, self.attention_gain, self.output(attended))
        hidden = self.contract(functional.gelu(self.expand(self.hidden_norm(x))))
        x = torch.addcmul(x, self.hidden_gain, hidden)
        whole = functional.layer_norm(x, x.shape[1:])
        return torch.addcmul(self.last_bias, whole, self.last_weight)


class CrossTransformer(nn.Module):
    """Layers for the spectrogram and layers for the waveform, of which every second one crosses."""

    def __init__(self, h: HTDemucsHyperparameters) -> None:
        super().__init__()
        self.spectral_norm = nn.LayerNorm(h.width)
        self.temporal_norm = nn.LayerNorm(h.width)
        crosses = [number % 2 == 1 for number in range(h.layers)]
        self.spectral = nn.ModuleList(TransformerLayer(h, cross=cross) for cross in crosses)
        self.temporal = nn.ModuleList(TransformerLayer(h, cross=cross) for cross in crosses)

    def forward(self, x: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return the shapes of x (b, D, f, k) and waves (b, D, k)."""
        _, width, frequencies, frames = x.shape
        x = self.spectral_norm(x.permute(0, 3, 2, 1).flatten(1, 2))  # (b, k * f, D)
        x = x + grid_positions(width, frequencies, frames, x)
        waves = self.temporal_norm(waves.transpose(1, 2))  # (b, k, D)
        waves = waves + line_positions(width, waves.shape[1], waves)
        for spectral, temporal in zip(self.spectral, self.temporal, strict=True):
            if spectral.other_norm is None:
                x, waves = spectral(x), temporal(waves)
            else:
                x, waves = spectral(x, waves), temporal(waves, x)
        x = x.unflatten(1, (frames, frequencies)).permute(0, 3, 2, 1)
        return x, waves.transpose(1, 2)


def line_positions(width: int, count: int, like: Tensor) -> Tensor:
    """Return (count, width): cosines, then sines, of periods from 2 pi to 2 pi LONGEST_PERIOD."""
    half = width // 2
    position = torch.arange(count, device=like.device)[:, None]
    exponent = torch.arange(half, device=like.device) / (half - 1)
    phase = position / LONGEST_PERIOD**exponent
    return torch.cat([phase.cos(), phase.sin()], dim=-1).to(like.dtype)


def grid_positions(width: int, frequencies: int, frames: int, like: Tensor) -> Tensor:
    """Return (frames * frequencies, width): half of the channels for each of the two axes."""
    half = width // 2
    exponent = torch.arange(0, half, 2, device=like.device) / half

    def encode(count: int) -> Tensor:
        position = torch.arange(count, device=like.device)[:, None]
        phase = position / LONGEST_PERIOD**exponent
        return torch.stack([phase.sin(), phase.cos()], dim=-1).flatten(1)  # (count, half)

    by_frame = encode(frames)[:, None].expand(-1, frequencies, -1)
    by_frequency = encode(frequencies).expand(frames, -1, -1)
    return torch.cat([by_frame, by_frequency], dim=-1).flatten(0, 1).to(like.dtype)


class HTDemucs(HybridSeparator):
    """The paper's system."""

    hyperparameters_class = HTDemucsHyperparameters

    def __init__(self, hyperparameters: HTDemucsHyperparameters) -> None:
        super().__init__(hyperparameters)
        deepest, width = self.levels[-1].width, hyperparameters.width
        self.bottom = hyperparameters.bottom
        if self.bottom is not None:
            self.spectral_in = nn.Conv1d(deepest, width, 1)
            self.spectral_out = nn.Conv1d(width, deepest, 1)
            self.temporal_in = nn.Conv1d(deepest, width, 1)
            self.temporal_out = nn.Conv1d(width, deepest, 1)
        self.transformer = CrossTransformer(hyperparameters)

    def middle(self, x: Tensor, waves: Tensor) -> tuple[Tensor, Tensor]:
        """Return what the transformer makes of the deepest levels."""
        if self.bottom is None:
            made: tuple[Tensor, Tensor] = self.transformer(x, waves)
            return made
        frequencies = x.shape[2]
        x = self.spectral_in(x.flatten(2)).unflatten(2, (frequencies, -1))
        x, waves = self.transformer(x, self.temporal_in(waves))
        x = self.spectral_out(x.flatten(2)).unflatten(2, (frequencies, -1))
        return x, self.temporal_out(waves)


HTDEMUCS = ModelSpec(
    name="htdemucs",
    title="Hybrid Transformer Demucs",
    task="music_separation",
    paper="Rouard, Massa and Défossez, ICASSP 2023, arXiv 2211.08553",
    reference_licence="demucs 4.1 (MIT), compared on copied weights",
    separator=HTDemucs,
    not_reproduced=(
        "Sparse attention; extension of the mixture to the length of the training segments; "
        "fine-tuning per stem."
    ),
    tiny=lambda: HTDemucsHyperparameters(
        C=8, depth=2, n_fft=256, bottom=16, layers=2, heads=2, hidden_scale=2.0
    ),
    training=PUBLISHED_TRAINING | {"segment_s": 7.8},
)


@HTDEMUCS.variant(parameters=41_473_616)
def paper() -> Hyperparameters:
    """The released configuration: a transformer of 512 channels and five layers."""
    return HTDemucsHyperparameters()


_NAMES_IN_DEMUCS = {
    r"^channel_up": "spectral_in.",
    r"^channel_down": "spectral_out.",
    r"^spectral_(in|out)\.sampler\.": r"spectral_\1.",
    r"^spectral_(in|out)\.sampler_t\.": r"temporal_\1.",
    r"^crosstransformer\.norm_in\.": "transformer.spectral_norm.",
    r"^crosstransformer\.norm_in_t\.": "transformer.temporal_norm.",
    r"^crosstransformer\.layers\.": "transformer.spectral.",
    r"^crosstransformer\.layers_t\.": "transformer.temporal.",
    r"_attn\.out_proj\.": "_attn.output.",
    r"\.gamma_1\.scale$": ".attention_gain",
    r"\.gamma_2\.scale$": ".hidden_gain",
    r"\.linear1\.": ".expand.",
    r"\.linear2\.": ".contract.",
    r"\.norm_out\.": ".last_",
    r"^(transformer.*)\.norm1\.": r"\1.norm.",
    r"^(transformer.*)\.norm3\.": r"\1.hidden_norm.",
    r"^(transformer\.\w+\.\d*[13579])\.norm2\.": r"\1.other_norm.",
    r"^(transformer\.\w+\.\d+)\.norm2\.": r"\1.hidden_norm.",
    r"\.(self|cross)_attn\.": ".",
}


_NEEDED_IN_DEMUCS = {
    "t_emb": "sin",
    "t_norm_in": True,
    "t_norm_first": True,
    "t_norm_out": True,
    "t_norm_in_group": False,
    "t_group_norm": False,
    "t_layer_scale": True,
    "t_gelu": True,
    "t_max_period": 10000.0,
    "t_weight_pos_embed": 1.0,
    "t_sparse_self_attn": False,
    "t_sparse_cross_attn": False,
    "t_cross_first": False,
}


def _split_projections(weights: Weights) -> Weights:
    """Divide the joint projection of queries, keys and values."""
    ours: Weights = {}
    for name, value in weights.items():
        layer, joint, part = name.partition(".in_proj_")
        if joint:
            ours[f"{layer}.query.{part}"], keys, values = value.chunk(3)
            ours[f"{layer}.memory.{part}"] = torch.cat([keys, values])
        else:
            ours[name] = value
    return ours


@HTDEMUCS.imports("demucs", "HTDemucs")
def from_demucs(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `demucs.htdemucs.HTDemucs` with complex channels, whole bands and dense attention."""
    check_arguments(arguments, _NEEDED_IN_DEMUCS)
    hyperparameters = HTDemucsHyperparameters(
        bottom=arguments.get("bottom_channels", 0) or None,
        layers=arguments.get("t_layers", 5),
        heads=arguments.get("t_heads", 8),
        hidden_scale=arguments.get("t_hidden_scale", 4.0),
        recurrent_from=arguments.get("depth", 4),
        **fields_from_demucs(arguments),
    )
    ours = renamed(weights_from_demucs(weights), _NAMES_IN_DEMUCS)
    return hyperparameters, _split_projections(ours)


@HTDEMUCS.variant("small", **SMALL_SONGS | {"segment_s": 2.0, "learning_rate": 1e-3})
def small() -> Hyperparameters:
    """For laptops: three narrow levels with strides of 8, and a transformer of 64 channels."""
    return HTDemucsHyperparameters(C=12, depth=3, S=8, bottom=64, layers=3, heads=4, compress=4)
