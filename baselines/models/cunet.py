"""The conditioned U-Net: one network for all stems, controlled by which one to separate.

Gabriel Meseguer-Brocal and Geoffroy Peeters, "Conditioned-U-Net: introducing a control mechanism in
the U-Net for multiple source separations", ISMIR 2019 (arXiv 1907.01277). A dense network turns the
one-hot condition into a factor and an offset (FiLM) for every level of the encoder of Jansson's
U-Net, after its batch norm: one of each per level (simple) or per map (complex).

What is reproduced exactly: both dense controls and the U-Net of the authors' code. Unlike that of
Jansson et al., its last layer has a batch norm, and the second to fourth layers of its decoder have
dropout. 9,844,847 parameters (simple) and 12,159,875 (complex) for four stems.

Where paper and code differ, and differences from both:
- Sizes of the control are those of the code's configuration, not of its comments.
- The code scales the spectrogram of each source by that source's own maximum, and its evaluation
  takes the level of the reference. Here the mixture's peak scales both, so that estimates have a
  level without a reference.
- Every step trains all stems of every example; the code draws a condition for each example, at
  times several stems or a fraction of one.
- Factors start near 1 instead of 0: at 0 the control mutes the encoder.

Padding, other sample rates, and the band above the network's: `baselines.layers.spectrogram_masks`.
Stereo: the first convolution reads all channels, and the last has a map for each. The L1 loss of
magnitudes sees the level; for the SI-SDR of `cunet:small` estimates are fitted to the mixture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.layers.spectrogram_masks import SMALL_SONG_ANALYSIS, SpectrogramSeparator
from baselines.layers.unet import Film, StridedHyperparameters, UNet
from baselines.model import SMALL_SONGS, ModelSpec
from baselines.separator import STEMS, Hyperparameters

FILMS = ("simple", "complex")
# Standard deviation of the control's initial weights.
SPREAD = 0.02


@dataclass(frozen=True, kw_only=True)
class CUNetHyperparameters(StridedHyperparameters):
    """Sizes of the U-Net and of its control; the defaults are those of the simple control."""

    n_src: int = 4
    source_names: tuple[str, ...] = STEMS
    film: str = "simple"  # one factor and offset per level; complex: per map
    control: tuple[int, ...] = (16, 64, 256)  # features of the layers of the control

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(film=FILMS)


class Control(nn.Module):
    """Factors and offsets for the levels of the encoder, from a condition."""

    def __init__(self, h: CUNetHyperparameters) -> None:
        super().__init__()
        self.sizes = [1] * len(h.widths) if h.film == "simple" else list(h.widths)
        layers: list[nn.Module] = []
        for number, (below, above) in enumerate(
            zip([h.n_src, *h.control], h.control, strict=False)
        ):
            layers += [nn.Linear(below, above), nn.ReLU()]
            if number > 0:
                layers += [nn.Dropout(h.dropout), nn.BatchNorm1d(above)]
        self.body = nn.Sequential(*layers)
        self.gamma = nn.Linear(h.control[-1], sum(self.sizes))
        self.beta = nn.Linear(h.control[-1], sum(self.sizes))
        for layer in self.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=SPREAD)
                nn.init.zeros_(layer.bias)
        nn.init.ones_(self.gamma.bias)

    def forward(self, condition: Tensor) -> Film:
        """Return a factor and an offset (p, maps or 1, 1, 1) per level for (p, n_src)."""
        x = self.body(condition)
        gammas, betas = (
            layer(x)[..., None, None].split(self.sizes, dim=1) for layer in (self.gamma, self.beta)
        )
        return list(zip(gammas, betas, strict=True))


class CUNet(SpectrogramSeparator):
    """One U-Net, which separates the stem of the condition."""

    hyperparameters_class = CUNetHyperparameters

    def __init__(self, hyperparameters: CUNetHyperparameters) -> None:
        super().__init__(hyperparameters, hyperparameters.multiple)
        h = hyperparameters
        self.control = Control(h)
        self.unet = UNet(**h.network, dropped=(1, 2, 3), last_norm=True)

    def scores(self, x: Tensor) -> Tensor:
        """Return scores (p, n_src, channels, bins, frames) of features (p, channels, ...)."""
        conditions = torch.eye(self.n_src, dtype=x.dtype, device=x.device).repeat(len(x), 1)
        each = x.repeat_interleave(self.n_src, dim=0)  # (p * n_src, channels, bins, frames)
        scores: Tensor = self.unet(each, self.control(conditions)).unflatten(0, (len(x), -1))
        return scores


CUNET = ModelSpec(
    name="cunet",
    title="Conditioned U-Net",
    task="music_separation",
    paper="Meseguer-Brocal and Peeters, ISMIR 2019, arXiv 1907.01277",
    reference_licence="cunet (AFL-3.0), read; it does not run here",
    separator=CUNet,
    not_reproduced=(
        "The convolutional controls; conditions on several stems or on a fraction of one; early "
        "stopping; the scores on MUSDB18."
    ),
    tiny=lambda: CUNetHyperparameters(
        n_src=2,
        source_names=("vocals", "accompaniment"),
        n_fft=256,
        hop_length=128,
        bins=128,
        frames=16,
        widths=(8, 16),
        film="complex",
        control=(8, 16),
        dropout=0.0,
    ),
    training={
        "optimizer": "adam",
        "weight_decay": 0.0,
        "beta1": 0.5,
        "schedule": "plateau",
        "patience": 15,
        "batch_size": 16,  # of four stems each
        "segment_s": 12.0,
    },
)


@CUNET.variant(parameters=9_844_847)
@CUNET.variant("simple", parameters=9_844_847)
def simple() -> Hyperparameters:
    """Simple dense control: one factor and offset for each of the six levels."""
    return CUNetHyperparameters()


@CUNET.variant("complex", parameters=12_159_875)
def complex_control() -> Hyperparameters:
    """Complex dense control: one factor and offset for each of the 1,008 maps of the encoder."""
    return CUNetHyperparameters(film="complex", control=(16, 256, 1024))


@CUNET.variant("small", **SMALL_SONGS | {"batch_size": 2, "average_decay": 0.98})
def small() -> Hyperparameters:
    """For laptops: a narrow network, long frames, and masks that sum to one, trained by SI-SDR."""
    return CUNetHyperparameters(
        **SMALL_SONG_ANALYSIS,
        widths=(16, 32, 64, 128),
        dropout=0.0,
        film="complex",
        control=(16, 64),
    )
