"""TasNet: a learned basis with gates, masked by recurrent layers.

Yi Luo and Nima Mesgarani, "TasNet: time-domain audio separation network for real-time,
single-channel speech separation", ICASSP 2018 (arXiv 1711.00541).

The mixture is cut into frames of 40 samples without overlap. Each is scaled to unit energy and
analysed by 500 basis signals: ReLU of one filter times the sigmoid of another. Four BLSTM layers
read the weights, normalised per frame; a linear layer and a softmax over the sources give masks.
The masked weights are synthesised and have the energy of their frame again. The paper's causal
system, of one frame of latency, has LSTMs of twice the units: `causal=True, H=1000`.

The paper adds identity skips between every two layers from the second on. Here the output of the
second layer is added to that of the fourth: pairs of layers, each after the first with a skip.
Public implementations leave the skips out (kaituoxu), sum the pairs (tky823) or overlap the frames
(asteroid: by half, neither skips nor unit energy, one norm over the whole signal); asteroid's
weights are read. A mono network has one filter per basis signal, a stereo one has two, and a
frame's energy is that of both channels.

Padding: zeros only complete the last frame, and L - S zeros lie at both ends if frames overlap.
The estimates are fitted to the mixture's level, which SI-SDR leaves open; in the causal system, at
each sample to the mixture so far.

Training is that of public recipes: half-second segments, a weight decay without which kaituoxu's
reimplementation stayed behind the published score, and a rate that is halved when it stalls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import PADDINGS, LearnedBasis
from baselines.layers.fitted import FittedSeparator
from baselines.layers.masks import MASK_ACTIVATIONS, as_masks
from baselines.layers.norms import AxesNorm
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, renamed
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, N basis signals, k frames.
CHOICES = {
    "norm": ("LN", "gLN"),
    "mask": MASK_ACTIVATIONS,
    "padding": PADDINGS,
}
# Frames with a smaller norm than this count as silence.
SMALLEST_NORM = 1e-8


@dataclass(frozen=True, kw_only=True)
class TasNetHyperparameters(Hyperparameters):
    """The paper's non-causal system."""

    N: int = 500  # basis signals
    L: int = 40  # length of a basis signal in samples
    S: int | None = None  # stride in samples; None: L, frames without overlap
    H: int = 500  # units of a recurrent layer per direction
    layers: int = 4  # recurrent, an even number
    causal: bool = False
    skip: bool = True  # from each pair of layers to the output of the next
    unit_energy: bool = True  # of each frame before its analysis
    norm: str = "LN"  # per frame; or gLN: over the whole signal
    mask: str = "softmax"
    padding: str = "both"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        require(1 <= self.stride <= self.L, f"S is {self.stride}; it can be 1 to L={self.L}.")
        require(
            self.layers >= 2 and self.layers % 2 == 0,
            f"layers is {self.layers}; skips are between pairs of layers, so it must be even.",
        )
        require(
            not self.causal or self.norm == "LN",
            f"norm={self.norm!r} uses the whole signal, which a causal TasNet cannot; give "
            "norm='LN'.",
        )

    @property
    def stride(self) -> int:
        """Samples from the start of a frame to that of the next."""
        return self.S or self.L


class GatedBasis(LearnedBasis):
    """A learned basis whose weights are gated by a second one."""

    def __init__(self, h: TasNetHyperparameters) -> None:
        super().__init__(channels=h.channels, N=h.N, L=h.L, S=h.stride, padding=h.padding)
        self.gate = nn.Conv1d(h.channels, h.N, h.L, h.stride, bias=False)
        self.unit_energy = h.unit_energy

    def analyse(self, signal: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weights (b, N, k) of a signal (b, channels, time), and with its energy."""
        padded = functional.pad(signal, self.framing(signal.shape[-1]))
        w, gate = self.encoder(padded), self.gate(padded)  # (b, N, k)
        if not self.unit_energy:
            w = w.relu() * gate.sigmoid()
            return w, w
        frames = padded.unfold(-1, self.L, self.S)  # (b, channels, k, L)
        norm = torch.linalg.vector_norm(frames, dim=(1, 3)).clamp(min=SMALLEST_NORM)[:, None]
        w = (w / norm).relu() * (gate / norm).sigmoid()
        return w, w * norm


class Separation(nn.Module):
    """Pairs of recurrent layers, and one mask per source."""

    def __init__(self, h: TasNetHyperparameters) -> None:
        super().__init__()
        self.h = h
        self.norm = nn.LayerNorm(h.N) if h.norm == "LN" else AxesNorm(h.N, axes=(1, 2))
        width = h.H if h.causal else 2 * h.H
        self.pairs = nn.ModuleList(
            nn.LSTM(size, h.H, num_layers=2, batch_first=True, bidirectional=not h.causal)
            for size in (h.N, *[width] * (h.layers // 2 - 1))
        )
        self.output = nn.Linear(width, h.n_src * h.N)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) for the mixture's weights w (b, N, k)."""
        x = self.norm(w.transpose(1, 2))  # (b, k, N)
        for index, pair in enumerate(self.pairs):
            hidden, _ = pair(x)  # (b, k, width)
            x = x + hidden if self.h.skip and index > 0 else hidden
        scores: Tensor = self.output(x).transpose(1, 2)  # (b, n_src * N, k)
        return as_masks(scores.unflatten(1, (self.h.n_src, self.h.N)), self.h.mask)


class TasNet(FittedSeparator):
    """The paper's system, trained by permutation-invariant SI-SDR."""

    hyperparameters_class = TasNetHyperparameters

    def __init__(self, hyperparameters: TasNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        # A frame's weights depend on all its L samples, so an estimate depends on L - 1 later ones.
        self.causal = h.causal
        self.look_ahead = h.L - 1 if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 0.5
        self.basis = GatedBasis(h)
        self.separation = Separation(h)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w, w_with_energy = self.basis.analyse(mixture)  # (b, N, k)
        d = w_with_energy[:, None] * self.separation(w)  # (b, n_src, N, k)
        return self.basis.decode(d, mixture.shape[-1])


TASNET = ModelSpec(
    name="tasnet",
    title="TasNet (BLSTM)",
    task="speech_separation",
    paper="Luo and Mesgarani, ICASSP 2018, arXiv 1711.00541",
    reference_licence="asteroid (MIT), compared on copied weights",
    separator=TasNet,
    not_reproduced="The WSJ0-2mix score (the corpus is not free); the paper's curriculum.",
    tiny=lambda: TasNetHyperparameters(N=32, L=16, H=16),
    training={
        "optimizer": "adam",
        "weight_decay": 1e-5,
        "batch_size": 128,
        "segment_s": 0.5,
        "schedule": "plateau",
        "average_decay": 0.0,
    },
)


@TASNET.variant(parameters=23_094_000)
def paper() -> Hyperparameters:
    """The paper's non-causal system."""
    return TasNetHyperparameters()


@TASNET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: longer frames that overlap by half, and narrower layers."""
    return TasNetHyperparameters(N=256, L=64, S=32, H=96)


@TASNET.imports("asteroid", "LSTMTasNet")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `asteroid.models.LSTMTasNet`: frames that overlap, sigmoid masks, no skips."""
    mask = arguments.get("mask_act", "sigmoid")
    require(
        mask != "softmax",
        "asteroid's softmax is over the frames; weights with other masks are read.",
    )
    require(
        arguments.get("bidirectional", True),
        "The norm of asteroid's causal system is cumulative; weights of BLSTMs are read.",
    )
    hyperparameters = TasNetHyperparameters(
        n_src=arguments["n_src"],
        sample_rate=int(arguments.get("sample_rate", 8000)),
        N=arguments.get("n_filters", 64),
        L=arguments.get("kernel_size", 16),
        S=arguments.get("stride", 8),
        H=arguments.get("hid_size", 512),
        layers=arguments.get("n_layers", 4),
        skip=False,
        unit_energy=False,
        norm="gLN",
        mask=mask,
        padding="end",
    )
    names = {
        r"^encoder\.encoder_relu\.filterbank\._filters$": "basis.encoder.weight",
        r"^encoder\.encoder_sig\.filterbank\._filters$": "basis.gate.weight",
        r"^decoder\.filterbank\._filters$": "basis.decoder.weight",
        r"^masker\.bn_layer\.gamma$": "separation.norm.weight",
        r"^masker\.bn_layer\.beta$": "separation.norm.bias",
        r"^masker\.masker\.1\.": "separation.output.",
    }
    for layer in range(hyperparameters.layers):
        pair, second = divmod(layer, 2)
        names[rf"^masker\.masker\.0\.rnn\.(\w+)_l{layer}"] = (
            rf"separation.pairs.{pair}.\1_l{second}"
        )
    ours = renamed(weights, names)
    ours.pop("encoder.filterbank._filters", None)  # the first filters under a second name
    return hyperparameters, ours
