"""Wave-U-Net: a U-Net of convolutions on the waveform, without padding.

Daniel Stoller, Sebastian Ewert and Simon Dixon, "Wave-U-Net: a multi-scale neural network for
end-to-end audio source separation", ISMIR 2018 (arXiv 1806.03185). Twelve levels of a convolution
of 15 samples and a decimation by 2, then twelve of an interpolation by 2 and a convolution of 5;
each level has F more filters than the one above. Variants have the paper's names: `m1` (mono, zero
padding, one output per source), `m4` (the plain one: stereo, input context, the last source as
difference), `m5` (learned interpolation), `m7` (8,192 Hz, wider). M6 is M4 for four stems.

What is reproduced exactly: sizes, input context (147,443 samples in for 16,389 out; M7 233,459 for
102,405), both ways to interpolate, leaky ReLU, and tanh at the output. The authors' code decides
where the paper leaves room: no batch norm, F = 24, an odd number of samples at every level.

Padding. With context, the convolutions read real samples alone, and zeros where the recording ends.
An estimate is then the same however the signal is cut, because passes start at multiples of 2^L
samples; the code starts one every 16,389 samples instead. Without context (`m1`), blocks of `block`
samples are separated one by one with zeros around each, as in the paper.

Training. With context, the loss is on the samples whose context lies in the segment, 16,389 of
147,443 as in the paper; on the whole segment, with zeros around it, if it is shorter, or with
`zero_context`. The mean squared error sees the level; for the SI-SDR of `wave_unet:small` estimates
are fitted to the mixture. Unnamed sources are trained in the best permutation. Any sample rate and
number of channels can be given; the paper resamples to 22,050 Hz.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.fitted import FittedSeparator
from baselines.layers.permutation import assigned_cost
from baselines.losses import in_full_precision, si_sdr_loss
from baselines.model import SMALL_SONGS, ModelSpec
from baselines.separator import STEMS, Hyperparameters, require

CHOICES = {
    "upsampling": ("linear", "learned"),
    "output": ("difference", "direct"),
    "loss": ("mse", "si_sdr"),
}
SLOPE = 0.2  # of the leaky ReLU
# Multiples of 2^L samples that a pass estimates at most; more only take memory.
LARGEST_BLOCK = 64


@dataclass(frozen=True, kw_only=True)
class WaveUNetHyperparameters(Hyperparameters):
    """Sizes of the network; the defaults are those of M4."""

    n_src: int = 2
    sample_rate: int = 22050
    channels: int = 2
    source_names: tuple[str, ...] | None = ("accompaniment", "vocals")
    L: int = 12  # levels
    F: int = 24  # extra filters per level
    fd: int = 15  # samples of a filter on the way down
    fu: int = 5  # samples of a filter on the way up
    context: bool = True  # read real samples around the output; otherwise zeros around each block
    block: int = 16384  # samples that are estimated at once without context
    upsampling: str = "linear"
    output: str = "difference"  # of the mixture and the other sources: the last source
    loss: str = "mse"
    zero_context: bool = False  # train on whole segments, with zeros around them

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        for name in ("fd", "fu"):
            require(
                getattr(self, name) % 2 == 1, f"{name} is {getattr(self, name)}; it must be odd."
            )
        self.check_least(1, "L", "F")
        require(
            self.context or self.upsampling == "linear",
            "Learned upsampling needs the next sample of every one: give context=True.",
        )
        require(
            self.output == "direct" or self.loss == "mse",
            "SI-SDR leaves the level of a difference open: give output='direct' or loss='mse'.",
        )
        require(
            self.context or self.block % 2**self.L == 0,
            f"block is {self.block}; it can be a multiple of {2**self.L}.",
        )

    def sizes(self, time: int) -> tuple[int, int]:
        """Return the least samples in and out of a pass with context that gives `time` or more."""
        deepest = time
        for _ in range(self.L):
            deepest = -(-(deepest + self.fu) // 2)  # rounded up
        samples_in = samples_out = max(deepest, 2)
        samples_in += self.fd - 1
        for _ in range(self.L):
            samples_in = 2 * samples_in - 1 + self.fd - 1
            samples_out = 2 * samples_out - 1 - (self.fu - 1)
        return samples_in, samples_out

    @property
    def margin(self) -> int:
        """Samples of context on each side of the output."""
        samples_in, samples_out = self.sizes(1)
        return (samples_in - samples_out) // 2

    @cached_property
    def reach(self) -> tuple[int, int]:
        """Samples before and after a sample that its estimate may depend on.

        It is the farthest reach over the 2^L phases of decimation.
        """
        first = np.arange(2**self.L)
        last = first
        for _ in range(self.L):
            first = first // 2
            last = (last + self.fu) // 2  # rounded up, after the filter
        last = last + self.fd - 1
        for _ in range(self.L):
            first, last = 2 * first, 2 * last + self.fd - 1
        centre = np.arange(2**self.L) + self.margin
        return int((centre - first).max()), int((last - centre).max())


class Interpolation(nn.Module):
    """Puts a value between every two samples: their mean, or a learned weighting per feature."""

    def __init__(self, features: int, h: WaveUNetHyperparameters) -> None:
        super().__init__()
        self.context = h.context
        self.weight = nn.Parameter(torch.zeros(features, 1)) if h.upsampling == "learned" else None

    def forward(self, x: Tensor) -> Tensor:
        """Map (b, features, n) to (b, features, 2 n - 1), without context to 2 n."""
        if not self.context:
            x = torch.cat([x, x[..., -1:]], dim=-1)
        left, right = x[..., :-1], x[..., 1:]
        share = 0.5 if self.weight is None else self.weight.sigmoid()
        between = right + share * (left - right)
        pairs = torch.stack([left, between], dim=-1).flatten(-2)
        return torch.cat([pairs, x[..., -1:]], dim=-1) if self.context else pairs


class Network(nn.Module):
    """The convolutions and interpolations of all levels, and the output layer."""

    def __init__(self, h: WaveUNetHyperparameters) -> None:
        super().__init__()
        self.difference = h.output == "difference"
        self.n_src, self.channels = h.n_src, h.channels
        down, up = (0, 0) if h.context else (h.fd // 2, h.fu // 2)
        widths = [h.F * (level + 1) for level in range(h.L + 1)]
        self.down = nn.ModuleList(
            nn.Conv1d(below, above, h.fd, padding=down)
            for below, above in zip([h.channels, *widths], widths, strict=False)
        )
        self.interpolations = nn.ModuleList(Interpolation(width, h) for width in widths[1:])
        self.up = nn.ModuleList(
            nn.Conv1d(above + below, below, h.fu, padding=up) for below, above in pairwise(widths)
        )
        outputs = h.channels * (h.n_src - self.difference)
        self.output = nn.Conv1d(widths[0] + h.channels, outputs, 1)

    def forward(self, mixture: Tensor) -> Tensor:
        """Map a mixture (b, channels, samples in) to (b, n_src, channels, samples out)."""
        x = mixture
        skips = []
        for level, conv in enumerate(self.down):
            x = functional.leaky_relu_(conv(x), SLOPE)
            if level < len(self.up):
                skips.append(x)
                x = x[..., ::2]
        levels = list(zip(self.interpolations, self.up, skips, strict=True))
        for interpolate, conv, skip in reversed(levels):
            x = interpolate(x)
            x = torch.cat([centre(skip, x.shape[-1]), x], dim=1)
            x = functional.leaky_relu_(conv(x), SLOPE)
        mixture = centre(mixture, x.shape[-1])
        estimates: Tensor = self.output(torch.cat([mixture, x], dim=1)).tanh()
        estimates = estimates.unflatten(1, (-1, self.channels))
        if not self.difference:
            return estimates
        rest = mixture - estimates.sum(1)
        return torch.cat([estimates, rest[:, None]], dim=1)


def centre(x: Tensor, size: int) -> Tensor:
    """Return the middle samples of x (..., time)."""
    start = (x.shape[-1] - size) // 2
    return x[..., start : start + size]


class WaveUNet(FittedSeparator):
    """A Wave-U-Net on signals of any length."""

    hyperparameters_class = WaveUNetHyperparameters

    def __init__(self, hyperparameters: WaveUNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.net = Network(h)
        before, after = h.reach if h.context else (h.block - 1, h.block - 1)
        self.look_ahead = after
        self.receptive_field = before + 1 + after
        self.fitted = h.loss == "si_sdr"
        if self.fitted:  # the fit of the level reads the whole signal
            self.look_ahead = self.receptive_field = None
            self.silence_tolerance = 1e-3

    def network(self, mixture: Tensor) -> Tensor:
        """Return the network's estimates (b, n_src, channels, time) of a mixture."""
        if not self.h.context:
            return self._blocks_alone(mixture)
        time = mixture.shape[-1]
        size = LARGEST_BLOCK * 2**self.h.L
        passes = []
        for start in range(0, time, size):
            wanted = min(size, time - start)
            samples_in, _ = self.h.sizes(wanted)
            first = start - self.h.margin
            last = first + samples_in
            given = functional.pad(
                mixture[..., max(first, 0) : min(last, time)],
                (max(-first, 0), max(last - time, 0)),
            )
            passes.append(self.net(given)[..., :wanted])
        return torch.cat(passes, dim=-1)

    def _blocks_alone(self, mixture: Tensor) -> Tensor:
        """Return the estimates of all blocks, each without the others."""
        time, block = mixture.shape[-1], self.h.block
        filled = functional.pad(mixture, (0, -time % block)).unflatten(-1, (-1, block))
        estimates: Tensor = self.net(filled.transpose(1, 2).flatten(0, 1))  # (b * blocks, ...)
        estimates = estimates.unflatten(0, (len(mixture), -1)).permute(0, 2, 3, 1, 4)
        return estimates.flatten(-2)[..., :time]

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean squared error, or the negative SI-SDR in dB; scalar."""
        mixture, references = batch["mixture"], batch["references"]
        inner = mixture.shape[-1] - 2 * self.h.margin
        if self.h.context and not self.h.zero_context and inner > 0:
            estimates = self.inner(mixture)
            references = centre(references, estimates.shape[-1])
        else:
            estimates = self.network(mixture)
        named = self.source_names is not None
        if self.fitted:
            return si_sdr_loss(references=references, estimates=estimates, named=named)
        return mse_loss(references=references, estimates=estimates, named=named)

    def inner(self, mixture: Tensor) -> Tensor:
        """Return estimates of the samples whose context lies in the mixture."""
        inner = mixture.shape[-1] - 2 * self.h.margin
        samples_in, samples_out = self.h.sizes(inner)
        if samples_out > inner:  # the largest pass that fits
            samples_in = samples_in - 2**self.h.L
        if samples_in < self.h.sizes(1)[0]:
            return centre(self.network(mixture), inner)
        estimates: Tensor = self.net(centre(mixture, samples_in))
        return estimates


@in_full_precision
def mse_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the mean squared error of estimates (b, n_src, channels, time); scalar.

    Unless the sources are `named`, the best permutation counts.
    """
    if named:
        return functional.mse_loss(estimates, references)
    error = (references[:, :, None] - estimates[:, None, :]).square().mean((-1, -2))
    return assigned_cost(error, named=False).mean()


WAVE_UNET = ModelSpec(
    name="wave_unet",
    title="Wave-U-Net",
    task="music_separation",
    paper="Stoller, Ewert and Dixon, ISMIR 2018, arXiv 1806.03185",
    reference_licence="Wave-U-Net (MIT), read; it does not run here",
    separator=WaveUNet,
    not_reproduced=(
        "Fine-tuning with a doubled batch and a rate of 1e-5; attenuation of each source by a "
        "factor of 0.7 to 1 (here gains are drawn in dB, up and down); the scores on MUSDB18."
    ),
    tiny=lambda: WaveUNetHyperparameters(
        sample_rate=8000, channels=1, L=3, F=10, fd=9, fu=5, zero_context=True
    ),
    training={
        "optimizer": "adam",
        "weight_decay": 0.0,
        "learning_rate": 1e-4,
        "schedule": "constant",
        "batch_size": 16,
        "segment_s": 6.687,
        "gain_spread_db": 1.5,
    },
)


@WAVE_UNET.variant(parameters=10_263_390)
@WAVE_UNET.variant("m4", parameters=10_263_390)
def m4() -> Hyperparameters:
    """M4 of the paper: vocals and accompaniment in stereo, with input context."""
    return WaveUNetHyperparameters()


@WAVE_UNET.variant("m1", parameters=10_263_028)
def m1() -> Hyperparameters:
    """M1 of the paper: mono, zeros around blocks of 16,384 samples, one output per source."""
    return WaveUNetHyperparameters(channels=1, context=False, output="direct")


@WAVE_UNET.variant("m5", parameters=10_265_550)
def m5() -> Hyperparameters:
    """M5 of the paper: M4 with learned interpolation."""
    return WaveUNetHyperparameters(upsampling="learned")


@WAVE_UNET.variant("m7", parameters=20_594_652)
def m7() -> Hyperparameters:
    """M7 of the paper: mono at 8,192 Hz, 34 filters per level, for comparison with U-Nets."""
    return WaveUNetHyperparameters(sample_rate=8192, channels=1, F=34)


@WAVE_UNET.variant(
    "small",
    **SMALL_SONGS | {"batch_size": 2, "segment_s": 1.0, "average_decay": 0.98},
)
def small() -> Hyperparameters:
    """For laptops: eight filters per level and the SI-SDR loss of whole segments."""
    return WaveUNetHyperparameters(
        n_src=4,
        sample_rate=44100,
        source_names=STEMS,
        L=8,
        F=8,
        zero_context=True,
    )
