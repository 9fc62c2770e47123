"""TDCN++: a temporal convolutional network on spectrograms, for an unknown number of sounds.

Kavalerov et al., "Universal Sound Separation", WASPAA 2019 (arXiv 1905.03330), and Wisdom et al.,
"What's all the FUSS about free universal sound separation data?", ICASSP 2021 (arXiv 2011.00803),
whose baseline it is: to Conv-TasNet's network it adds norms of each feature over time behind the
activations, connections from the input of each repeat to those of all later ones, and a scale of
each block's output that begins at 0.9^l. Sigmoid masks, and estimates that are moved so that they
add up to the mixture, by weights that the network predicts (Wisdom et al., "Differentiable
consistency constraints", ICASSP 2019, arXiv 1811.08521).

What the papers leave open, and where the released code differs:
- Gains of the norms. The paper normalises each feature; here each has a gain and a bias of its own
  (9.23 M parameters). The released code has one gain and one bias per norm, and a bias in the
  depthwise convolutions: `tdcn++:released` (9.18 M).
- What is no target. FUSS's background is one of its sources, so estimates add up to the mixture.
  Where a noise is no target, no estimate could be silent: with `rest`, one more estimate takes it,
  and is not returned.
- Frames are centred and padded with zeros on both sides; the released code pads at the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.layers.stft import Stft
from baselines.losses import fuss_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, Separator, require

# Axes: b batch, n_src, F bins, k frames, B bottleneck, H hidden.


@dataclass(frozen=True, kw_only=True)
class TDCNHyperparameters(Hyperparameters):
    """The defaults are those of FUSS's baseline: windows of 32 ms every 8 ms, four sources."""

    n_src: int = 4
    sample_rate: int = 16000
    n_fft: int = 512
    hop_length: int = 128
    B: int = 256  # features between blocks
    H: int = 512  # features inside a block
    P: int = 3  # frames of a depthwise convolution
    X: int = 8  # blocks in a repeat, of dilation 1, 2, ... 2^(X-1)
    R: int = 4  # repeats
    rest: bool = False  # one more estimate, which is not returned, of what is no target
    released: bool = False  # norms and convolutions as in the released code

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.P % 2 == 1, f"P is {self.P}; an odd kernel keeps the number of frames.")
        self.check_least(1, "B", "H", "X", "R")

    @property
    def outputs(self) -> int:
        """Number of masks."""
        return self.n_src + self.rest


class FeatureNorm(nn.Module):
    """Norm of each feature over time, with gains and biases of the features, or one for all."""

    def __init__(self, gains: int, eps: float = 1e-3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(gains, 1))
        self.bias = nn.Parameter(torch.zeros(gains, 1))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (b, features, k)."""
        variance, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        normalised: Tensor = self.weight * (x - mean) * (variance + self.eps).rsqrt() + self.bias
        return normalised


class Dense(nn.Module):
    """A linear layer over features with a scale for all of its outputs, which is learned."""

    def __init__(self, inputs: int, outputs: int, *, bias: bool, scale: float = 1.0) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 1, bias=bias)
        self.scale = nn.Parameter(torch.tensor(scale))

    def forward(self, x: Tensor) -> Tensor:
        """Transform x (b, inputs, k) to (b, outputs, k)."""
        y: Tensor = self.linear(x)
        return self.scale * y


class Block(nn.Module):
    """Dense, PReLU and norm, depthwise convolution, PReLU and norm, dense; added to the input."""

    def __init__(self, h: TDCNHyperparameters, number: int) -> None:
        super().__init__()
        dilation = 2 ** (number % h.X)
        gains = 1 if h.released else h.H
        self.expand = Dense(h.B, h.H, bias=False)
        self.expand_prelu = nn.PReLU(init=0.1)
        self.expand_norm = FeatureNorm(gains)
        self.depthwise = nn.Conv1d(
            h.H,
            h.H,
            h.P,
            padding=dilation * (h.P // 2),
            dilation=dilation,
            groups=h.H,
            bias=h.released,
        )
        self.depthwise_prelu = nn.PReLU(init=0.1)
        self.depthwise_norm = FeatureNorm(gains)
        self.contract = Dense(h.H, h.B, bias=False, scale=0.9**number)

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, B, k) plus what the block adds to it."""
        y = self.expand_norm(self.expand_prelu(self.expand(x)))
        y = self.depthwise_norm(self.depthwise_prelu(self.depthwise(y)))
        added: Tensor = self.contract(y)
        return x + added


class TDCN(nn.Module):
    """R repeats of X blocks; the input of a repeat also gets those of all repeats before it."""

    def __init__(self, h: TDCNHyperparameters, inputs: int) -> None:
        super().__init__()
        self.bottleneck = Dense(inputs, h.B, bias=True)
        self.repeats = nn.ModuleList(
            nn.Sequential(*(Block(h, repeat * h.X + x) for x in range(h.X)))
            for repeat in range(h.R)
        )
        self.connections = nn.ModuleDict(
            {
                f"{before}_to_{repeat}": Dense(h.B, h.B, bias=True)
                for repeat in range(h.R)
                for before in range(repeat)
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features (b, B, k) of x (b, inputs, k)."""
        x = self.bottleneck(x)
        inputs: list[Tensor] = []
        for number, repeat in enumerate(self.repeats):
            for before, earlier in enumerate(inputs):
                x = x + self.connections[f"{before}_to_{number}"](earlier)
            inputs.append(x)
            x = repeat(x)
        return x


class TDCNPlusPlus(Separator):
    """FUSS's baseline, trained by FUSS's loss."""

    hyperparameters_class = TDCNHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: TDCNHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.stft = Stft(h.n_fft, h.hop_length, window="sqrt_hann")
        bins = h.channels * self.stft.bins
        self.gain = nn.Parameter(torch.ones(()))  # of the norm of the mixture's magnitude
        self.bias = nn.Parameter(torch.zeros(()))
        self.tdcn = TDCN(h, bins)
        self.masks = nn.Conv1d(h.B, h.outputs * bins, 1, bias=False)
        self.weights = nn.Linear(h.B, h.outputs, bias=False)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        h = self.h
        spectrum = self.stft.analyse(mixture)  # (b, channels, F, k)
        magnitude = spectrum.abs()
        variance, mean = torch.var_mean(magnitude, (1, 2, 3), correction=0, keepdim=True)
        x = self.gain * (magnitude - mean) * (variance + 1e-3).rsqrt() + self.bias
        features = self.tdcn(x.flatten(1, 2))  # (b, B, k)
        masks = self.masks(features).sigmoid().unflatten(1, (h.outputs, h.channels, -1))
        estimates = self.stft.synthesise(masks * spectrum[:, None], mixture.shape[-1])
        missing = mixture[:, None] - estimates.sum(1, keepdim=True)  # (b, 1, channels, time)
        shares = self.weights(features.mean(-1)).softmax(-1)  # (b, outputs)
        consistent: Tensor = estimates + shares[:, :, None, None] * missing
        return consistent[:, : h.n_src]

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return FUSS's loss in dB; scalar."""
        return fuss_loss(
            references=batch["references"],
            estimates=self(batch["mixture"]),
            mixture=batch["mixture"],
            named=self.source_names is not None,
        )


TDCN_PLUS_PLUS = ModelSpec(
    name="tdcn++",
    title="TDCN++",
    task="universal_separation",
    paper="Wisdom et al., ICASSP 2021, arXiv 2011.00803; Kavalerov et al., WASPAA 2019",
    reference_licence="google-research/sound-separation (Apache-2.0), read for sizes and losses",
    separator=TDCNPlusPlus,
    not_reproduced="The FUSS scores (20 million steps); several microphones with one output.",
    tiny=lambda: TDCNHyperparameters(
        n_src=2, sample_rate=8000, n_fft=128, hop_length=32, B=16, H=32, X=3, R=2, rest=True
    ),
    training={
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "weight_decay": 0.0,
        "batch_size": 3,
        "segment_s": 10.0,
        "schedule": "constant",
        "warmup": 0.0,
        "average_decay": 0.0,
    },
)


@TDCN_PLUS_PLUS.variant(parameters=9_228_425)
def paper() -> Hyperparameters:
    """FUSS's baseline: four sources that add up to the mixture."""
    return TDCNHyperparameters()


@TDCN_PLUS_PLUS.variant("released", parameters=9_179_401)
def released() -> Hyperparameters:
    """The norms and convolutions of the released code."""
    return TDCNHyperparameters(released=True)


@TDCN_PLUS_PLUS.variant("rest")
def with_rest() -> Hyperparameters:
    """FUSS's baseline for sets with a noise that is no target."""
    return TDCNHyperparameters(rest=True)


@TDCN_PLUS_PLUS.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: talkers at 8 kHz in a noise that is no target, fewer, narrower blocks."""
    return TDCNHyperparameters(
        n_src=2, sample_rate=8000, n_fft=256, hop_length=64, B=128, H=256, X=6, R=2, rest=True
    )
