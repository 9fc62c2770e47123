"""The multi-channel U-Net: one network with a mask for every stem, and a weighted loss.

Venkatesh S. Kadandale, Juan F. Montesinos, Gloria Haro and Emilia Gómez, "Multi-channel U-Net for
music source separation", MMSP 2020 (arXiv 2003.10414). The network reads log magnitudes on a
logarithmic frequency scale, 256 bands of 512 bins at 10,880 Hz, and its loss is the L1 distance of
ratio masks, which are cut at 10. The losses of the stems are added with weights (`weighting`):
- unit: equal weights.
- dwa: dynamic weight average, after Liu, Johns and Davison (CVPR 2019). A stem's weight follows the
  ratio of its last two mean losses, over `epoch_steps` steps each: n_src softmax(ratio / T).
- energy: the reciprocal of a stem's energy, here over all batches so far, scaled to a sum of n_src.

What is reproduced: the network, the features and the losses of the authors' code and of the U-Net
library that it imports; with two 3x3 convolutions, batch norms and leaky ReLUs per level, seven
levels of 32 to 2,048 maps, pooling by 2 and transposed 2x2 convolutions it has 124 million
parameters. The exact count is that of this layout.

Where paper and code differ: the code's dynamic weights are written for two stems and leave the
other two of four at 1; here they follow the paper's equation. Its energy weights changed from those
of a batch to constants of MUSDB18, which would not fit another set. Masks above the band do not
exist at 10,880 Hz; elsewhere: `baselines.layers.spectrogram_masks`, as for padding.

`body="strided"` replaces the network by the U-Net of Jansson et al. with a mask per stem, at a
small part of the cost. Stereo: the first convolution reads all channels, and the last has a map for
each. Masks are fitted to ratios of magnitudes and so have the level of the stems; for the SI-SDR of
`munet:small` estimates are fitted to the mixture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.spectrogram_masks import (
    SMALL_SONG_ANALYSIS,
    SpectrogramHyperparameters,
    SpectrogramSeparator,
)
from baselines.layers.unet import UNet
from baselines.losses import in_full_precision
from baselines.model import SMALL_SONGS, ModelSpec
from baselines.separator import STEMS, Hyperparameters, require

CHOICES = {"body": ("double", "strided"), "weighting": ("unit", "dwa", "energy")}
SLOPE = 0.1  # of the leaky ReLU
LARGEST_RATIO = 10.0
# Of the frequency scale: bands of equal width on it are e-fold for every 1 / ln 21 of its length.
WARP = 21.0
EPSILON = 1e-8
PARAMETERS = 124_448_772


@dataclass(frozen=True, kw_only=True)
class MUNetHyperparameters(SpectrogramHyperparameters):
    """Analysis, network and weights of the losses; the defaults are those of the authors."""

    n_src: int = 4
    sample_rate: int = 10880
    source_names: tuple[str, ...] = STEMS
    design_rate: int = 10880
    n_fft: int = 1022
    hop_length: int = 256
    frames: int | None = 256
    features: str = "log"
    mask: str = "relu"
    bands: int | None = 256  # on a logarithmic scale, of the bins; None: the bins themselves
    widths: tuple[int, ...] = (32, 64, 128, 256, 512, 1024, 2048)
    body: str = "double"  # convolutions per level; or strided ones, as Jansson et al. have them
    weighting: str = "unit"
    temperature: float = 2.0  # of dwa
    epoch_steps: int = 1000  # of dwa

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        self.check_least(1, "epoch_steps")
        require(self.temperature > 0, f"temperature is {self.temperature}; it must be above 0.")
        require(
            self.bands is None or self.bands % self.reduction == 0,
            f"bands is {self.bands}; it can be a multiple of {self.reduction}, or None.",
        )

    @property
    def reduction(self) -> int:
        """Bands and frames of a patch for one of the deepest level."""
        return int(2 ** (len(self.widths) - (self.body == "double")))


class DoubleUNet(nn.Module):
    """Two convolutions per level, pooling by 2 on the way down, transposed ones on the way up."""

    def __init__(self, *, inputs: int, outputs: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        self.down = nn.ModuleList(
            _double(below, above) for below, above in zip([inputs, *widths], widths, strict=False)
        )
        self.rise = nn.ModuleList(
            nn.ConvTranspose2d(above, below, 2, 2) for below, above in pairwise(widths)
        )
        self.up = nn.ModuleList(_double(2 * width, width) for width in widths[:-1])
        self.output = nn.Conv2d(widths[0], outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map patches (p, inputs, bands, frames) to (p, outputs, bands, frames)."""
        skips = []
        for number, down in enumerate(self.down):
            x = down(functional.max_pool2d(x, 2) if number else x)
            skips.append(x)
        levels = list(zip(self.rise, self.up, skips[:-1], strict=True))
        for rise, up, skip in reversed(levels):
            x = up(torch.cat([rise(x), skip], dim=1))
        scores: Tensor = self.output(x)
        return scores


def _double(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
        nn.Conv2d(outputs, outputs, 3, padding=1),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(SLOPE, inplace=True),
    )


class MUNet(SpectrogramSeparator):
    """One U-Net with a mask per stem and channel."""

    hyperparameters_class = MUNetHyperparameters

    # Of the weighting: mean losses of the two last epochs, newest last; the sum in this epoch; its
    # steps; the energy of every stem.
    means: Tensor
    total: Tensor
    steps: Tensor
    energy: Tensor

    def __init__(self, hyperparameters: MUNetHyperparameters) -> None:
        h = hyperparameters
        super().__init__(h, (1 if h.bands else h.reduction, h.reduction))
        self.m = h
        network = DoubleUNet if h.body == "double" else UNet
        self.unet = network(inputs=h.channels, outputs=h.n_src * h.channels, widths=h.widths)
        if h.bands:
            self.register_buffer("warp", warping(h.bands, h.bins), persistent=False)
            self.register_buffer("unwarp", unwarping(h.bands, h.bins), persistent=False)
        self.register_buffer("means", torch.ones(2, h.n_src))
        self.register_buffer("total", torch.zeros(h.n_src))
        self.register_buffer("steps", torch.zeros(()))
        self.register_buffer("energy", torch.zeros(h.n_src))

    def scores(self, x: Tensor) -> Tensor:
        """Return scores (p, n_src, channels, bins, frames) of features (p, channels, ...)."""
        if not self.m.bands:
            return self.band_scores(x)
        return self.get_buffer("unwarp") @ self.band_scores(self.get_buffer("warp") @ x)

    def band_scores(self, x: Tensor) -> Tensor:
        """Return scores (p, n_src, channels, bands, frames) of features (p, channels, ...)."""
        scores: Tensor = self.unet(x).unflatten(1, (self.n_src, -1))
        return scores

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the weighted L1 loss of ratio masks, or the negative SI-SDR in dB; scalar."""
        if self.fitted:
            return super().training_loss(batch)
        patches, references = self.training_patches(batch)
        features = self.features(patches)
        if self.m.bands:
            warp = self.get_buffer("warp")
            features, patches, references = warp @ features, warp @ patches, warp @ references
        masks = self.masks(self.band_scores(features))
        losses = ratio_losses(masks=masks, references=references, mixture=patches)
        weights = self.weights(losses.detach(), references.detach())
        return (weights * losses).mean()

    @torch.no_grad()
    def weights(self, losses: Tensor, references: Tensor) -> Tensor:
        """Return the weight of each stem's loss, (n_src), and remember the losses in training.

        Args:
            losses: shape (n_src).
            references: magnitudes, shape (p, n_src, channels, bins, frames).
        """
        if self.training:
            self.energy += references.square().sum((0, 2, 3, 4))
        weights = torch.ones_like(losses)
        if self.m.weighting == "dwa":
            ratio = self.means[1] / (self.means[0] + EPSILON)
            weights = self.n_src * (ratio / self.m.temperature).softmax(0)
        if self.m.weighting == "energy":
            inverse = 1 / (self.energy + EPSILON)
            weights = self.n_src * inverse / inverse.sum()
        if self.training:
            self._remember(losses)
        return weights

    def _remember(self, losses: Tensor) -> None:
        """Add the losses of a step; after an epoch of steps, move the means on."""
        self.total += losses
        self.steps += 1
        done = self.steps % self.m.epoch_steps == 0
        first = self.steps == self.m.epoch_steps
        mean = self.total / self.m.epoch_steps
        # Until two epochs have ended their ratio is 1.
        older = torch.where(first, mean, self.means[1])
        self.means.copy_(torch.where(done, torch.stack([older, mean]), self.means))
        self.total.mul_(torch.where(done, 0.0, 1.0))


def _interpolation(positions: Tensor, size: int) -> Tensor:
    """Return the matrix (positions, size) that interpolates `size` values linearly."""
    return (1 - (positions[:, None] - torch.arange(size)).abs()).clamp(min=0)


def warping(bands: int, bins: int) -> Tensor:
    """Return the matrix (bands, bins) from linear to logarithmic frequency."""
    share = torch.linspace(0, 1, bands)
    return _interpolation((WARP**share - 1) / (WARP - 1) * (bins - 1), bins)


def unwarping(bands: int, bins: int) -> Tensor:
    """Return the matrix (bins, bands) from logarithmic to linear frequency."""
    share = torch.linspace(0, 1, bins)
    position = ((WARP - 1) * share + 1).log() / torch.tensor(WARP).log()
    return _interpolation(position * (bands - 1), bands)


@in_full_precision
def ratio_losses(*, masks: Tensor, references: Tensor, mixture: Tensor) -> Tensor:
    """Return the mean absolute difference of masks and ratio masks of each source, (n_src).

    Args:
        masks: shape (p, n_src, channels, bins, frames).
        references: magnitudes, shape (p, n_src, channels, bins, frames).
        mixture: magnitudes, shape (p, channels, bins, frames).
    """
    ratios = (references / (mixture[:, None] + EPSILON)).clamp(max=LARGEST_RATIO)
    return (masks - ratios).abs().mean((0, 2, 3, 4))


MUNET = ModelSpec(
    name="munet",
    title="Multi-channel U-Net",
    task="music_separation",
    paper="Kadandale, Montesinos, Haro and Gómez, MMSP 2020, arXiv 2003.10414",
    reference_licence="multichannel-unet-bss (MIT), read; its U-Net library is not maintained",
    separator=MUNet,
    not_reproduced="Energy weights that were computed on MUSDB18; its scores.",
    tiny=lambda: MUNetHyperparameters(
        n_src=2,
        sample_rate=8192,
        source_names=("vocals", "accompaniment"),
        design_rate=8192,
        n_fft=128,
        hop_length=64,
        bins=64,
        bands=None,
        frames=16,
        widths=(8, 16, 24),
        mask="relu",
    ),
    training={
        "optimizer": "sgd",
        "learning_rate": 1e-2,
        "beta1": 0.9,
        "weight_decay": 0.0,
        "schedule": "plateau",
        "decay": 0.1,
        "patience": 7,
        "batch_size": 16,
        "segment_s": 6.0,
    },
)


@MUNET.variant(parameters=PARAMETERS)
def unit() -> Hyperparameters:
    """The authors' network for four stems with equal weights."""
    return MUNetHyperparameters()


@MUNET.variant("dwa", parameters=PARAMETERS)
def dynamic_weight_average() -> Hyperparameters:
    """Weights that follow how fast each stem's loss falls."""
    return MUNetHyperparameters(weighting="dwa")


@MUNET.variant("energy", parameters=PARAMETERS)
def energy_based() -> Hyperparameters:
    """Weights that undo the differences of the stems' energies."""
    return MUNetHyperparameters(weighting="energy")


@MUNET.variant("small", **SMALL_SONGS | {"average_decay": 0.98})
def small() -> Hyperparameters:
    """For laptops: a narrow strided network, and masks that sum to one, trained by SI-SDR."""
    return MUNetHyperparameters(
        **SMALL_SONG_ANALYSIS,
        bands=None,
        widths=(16, 32, 64, 128),
        body="strided",
    )
