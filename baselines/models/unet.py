"""The spectrogram U-Net: one network per stem masks patches of the mixture's magnitudes.

Andreas Jansson, Eric Humphrey, Nicola Montecchio, Rachel Bittner, Aparna Kumar and Tillman Weyde,
"Singing voice separation with deep U-Net convolutional networks", ISMIR 2017. Six strided 5x5
convolutions and their mirror image read patches of 512 bins and 128 frames at 8,192 Hz: 9,823,313
parameters per stem.

Where sources disagree:
- The paper reads magnitudes normalised to 0..1 (here: by the patch's peak) and so do its ports,
  except that of the Wave-U-Net authors, which reads log(1 + magnitude) (`features="log1p"`).
- Dropout belongs to the first three layers of the decoder; a well-known tutorial says encoder.

`unet:spleeter` is the network of Romain Hennequin, Anis Khlif, Felix Voituret and Manuel
Moussallam, "Spleeter: a fast and efficient music source separation tool with pre-trained models",
JOSS 5(50), 2020. Its code differs from Jansson et al. in more than the paper says, and this module
follows the code: skips take a convolution's output before norm and activation; the deepest level's
norm and activation are computed and discarded (its norm is idle here); the decoder normalises after
the activation; a dilated 4x4 convolution from one map to the channels ends the network; estimates
become ratio masks of squared magnitudes; the first patch begins two frames before the signal. All
activations are ELU for four and five stems; for two, they are ReLU, leaky in the encoder.

`unet:joint` trains a detector beside each network, which reads the network's estimate, as in the
stacked architecture of Jansson, Bittner, Ewert and Weyde ("Joint singing voice separation and F0
estimation with deep U-Net architectures", EUSIPCO 2019). It finds the frames in which its stem
sounds (after Stoller, Ewert and Dixon, "Jointly detecting and separating singing voice", LVA/ICA
2018), those of every stem (after Hung and Lerch, "Multitask learning for instrument activation
aware music source separation", ISMIR 2020), or the stem's pitch. Labels are computed from the
references of the batch; the detectors' layout is our own.

Padding, other sample rates, and the band above the network's: `baselines.layers.spectrogram_masks`.
Stereo: the first convolution reads all channels, and the last has a map for each. The L1 loss of
magnitudes sees the level; for the SI-SDR of `unet:small` estimates are fitted to the mixture.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.spectrogram_masks import (
    LOG_FLOOR,
    SMALL_SONG_ANALYSIS,
    SpectrogramSeparator,
    l1_loss,
)
from baselines.layers.unet import SLOPE, SameConv2d, StridedHyperparameters, UNet
from baselines.losses import in_full_precision
from baselines.model import SMALL_SONGS, Imported, ModelSpec, Weights
from baselines.separator import STEMS, Hyperparameters, require

LAYOUTS = ("jansson", "spleeter", "spleeter_relu")
TASKS = ("activity", "instruments", "pitch")
TWO_STEMS = ("vocals", "accompaniment")

# A source sounds in a frame that is less than 40 dB below the mixture's loudest frame.
SOUNDING = 1e-4
# Pitch is a semitone from C2; a candidate's salience is the sum of its weighted harmonics.
LOWEST_PITCH_HZ = 65.4
PITCHES = 48
HARMONICS = 5
HARMONIC_DECAY = 0.8


@dataclass(frozen=True, kw_only=True)
class UNetHyperparameters(StridedHyperparameters):
    """Layout of the networks, and their second task; the defaults are those of Jansson et al."""

    layout: str = "jansson"  # or spleeter, or spleeter_relu
    joint: str | None = None  # second task: activity, instruments or pitch
    joint_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(layout=LAYOUTS)
        require(
            self.joint is None or self.joint in TASKS,
            f"joint is {self.joint!r}; it can be {' or '.join(TASKS)}, or None.",
        )
        require(
            self.joint is None or self.loss == "magnitude_l1",
            f"loss is {self.loss!r}; a joint U-Net is trained by magnitude_l1.",
        )


class SpleeterUNet(UNet):
    """The U-Net as Spleeter's code has it for four and five stems."""

    def __init__(self, h: UNetHyperparameters) -> None:
        super().__init__(**h.network | {"outputs": 1})
        self.activation = self.in_encoder()
        self.mask = nn.Conv2d(1, h.channels, 4, padding=3, dilation=2)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):  # as Keras has them
                module.eps, module.momentum = 1e-3, 0.01

    @staticmethod
    def in_encoder() -> nn.Module:
        """Return the activation of the encoder."""
        return nn.ELU()

    @staticmethod
    def in_decoder() -> nn.Module:
        """Return the activation of the decoder."""
        return nn.ELU()

    def after(self, width: int, last: bool) -> list[nn.Module]:  # noqa: ARG002
        """Return the layers that follow a transposed convolution."""
        return [self.in_decoder(), nn.BatchNorm2d(width)]

    def encode(self, x: Tensor, film: object = None) -> list[Tensor]:  # noqa: ARG002
        """Return the convolutions of all levels for patches (p, channels, bins, frames)."""
        levels: list[Tensor] = []
        for down in self.down:
            y = down.get_submodule("conv")(x)
            levels.append(y)
            if len(levels) < len(self.down):
                x = self.activation(down.get_submodule("norm")(y))
        return levels

    def forward(self, x: Tensor, film: object = None) -> Tensor:
        """Map patches (p, channels, bins, frames) to scores of the same shape."""
        scores: Tensor = self.mask(self.decode(self.encode(x, film)))
        return scores


class SpleeterReluUNet(SpleeterUNet):
    """The U-Net as Spleeter's code has it for two stems."""

    @staticmethod
    def in_encoder() -> nn.Module:
        """Return the activation of the encoder."""
        return nn.LeakyReLU(SLOPE)

    @staticmethod
    def in_decoder() -> nn.Module:
        """Return the activation of the decoder."""
        return nn.ReLU()


class Detector(nn.Module):
    """Reads a stem's estimated magnitudes and returns a score per label and frame."""

    def __init__(self, *, channels: int, bins: int, labels: int, width: int = 16) -> None:
        super().__init__()
        self.conv = SameConv2d(channels, width, 5, (2, 1))
        self.norm = nn.BatchNorm2d(width)
        self.merge = nn.Conv2d(width, 1, 1)
        self.label = nn.Linear(bins // 2, labels)

    def forward(self, estimate: Tensor) -> Tensor:
        """Map magnitudes (p, channels, bins, frames) to scores (p, frames, labels)."""
        x = self.conv(1 + (estimate + LOG_FLOOR).log10() / 2)  # (p, width, bins / 2, frames)
        x = self.merge(self.norm(x).relu())[:, 0]  # (p, bins / 2, frames)
        scores: Tensor = self.label(x.transpose(1, 2))
        return scores


class JanssonUNet(SpectrogramSeparator):
    """One U-Net per named stem."""

    hyperparameters_class = UNetHyperparameters
    one_network_per_source = True

    def __init__(self, hyperparameters: UNetHyperparameters) -> None:
        super().__init__(hyperparameters, hyperparameters.multiple)
        h = self.u = hyperparameters
        self.networks = nn.ModuleList(_network(h) for _ in h.source_names)
        if h.layout != "jansson":
            deepest = len(h.widths) - 1
            self.idle_parameters = tuple(
                f"networks.{source}.down.{deepest}.norm.{name}"
                for source in range(h.n_src)
                for name in ("weight", "bias")
            )
        if h.joint:
            labels = {"activity": 1, "instruments": h.n_src, "pitch": PITCHES}[h.joint]
            self.detectors = nn.ModuleList(
                Detector(channels=h.channels, bins=h.bins, labels=labels) for _ in h.source_names
            )
            harmonics = _harmonics(h.bins, h.design_rate / h.n_fft)
            self.register_buffer("harmonics", harmonics, persistent=False)

    def scores(self, x: Tensor) -> Tensor:
        """Return scores (p, n_src, channels, bins, frames) of features (p, channels, ...)."""
        return torch.stack([network(x) for network in self.networks], dim=1)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the loss of the masks, with that of the second task if there is one; scalar."""
        if self.u.joint is None:
            return super().training_loss(batch)
        patches, references = self.training_patches(batch)
        estimates = self.masks(self.scores(self.features(patches))) * patches[:, None]
        scores = self.detections(estimates)
        if self.u.joint == "pitch":
            sounding, pitch = self.sounding(patches, references), self.pitch(references)
            second = pitch_loss(scores=scores, sounding=sounding, pitch=pitch)
        else:
            second = activity_loss(scores=scores, sounding=self.sounding(patches, references))
        separation = l1_loss(masked=estimates, references=references)
        return separation + self.u.joint_weight * second

    def detections(self, estimates: Tensor) -> Tensor:
        """Return the detectors' scores (p, n_src, frames, labels) for estimated magnitudes."""
        each = zip(self.detectors, estimates.unbind(1), strict=True)
        return torch.stack([detector(estimate) for detector, estimate in each], dim=1)

    @staticmethod
    def sounding(patches: Tensor, references: Tensor) -> Tensor:
        """Return 1 in the frames in which a source sounds, else 0: (p, n_src, frames)."""
        loudest = patches.square().sum((1, 2)).amax(-1)  # (p)
        energy = references.square().sum((2, 3))  # (p, n_src, frames)
        return (energy > SOUNDING * loudest[:, None, None]).to(energy.dtype)

    def pitch(self, references: Tensor) -> Tensor:
        """Return the index of the most salient pitch of each source, (p, n_src, frames)."""
        salience = references.sum(2).transpose(2, 3) @ self.get_buffer("harmonics")
        return salience.argmax(-1)


def _network(h: UNetHyperparameters) -> UNet:
    if h.layout == "jansson":
        return UNet(**h.network)
    return SpleeterUNet(h) if h.layout == "spleeter" else SpleeterReluUNet(h)


def _harmonics(bins: int, bin_hz: float) -> Tensor:
    """Return the weight of each bin in the salience of each pitch, (bins, PITCHES)."""
    pitch_hz = LOWEST_PITCH_HZ * 2 ** (torch.arange(PITCHES) / 12)
    weights = torch.zeros(bins, PITCHES)
    for harmonic in range(1, HARMONICS + 1):
        distance = torch.arange(bins)[:, None] - harmonic * pitch_hz / bin_hz  # in bins
        weights = weights + HARMONIC_DECAY**harmonic * (1 - distance.abs()).clamp(min=0)
    return weights


@in_full_precision
def activity_loss(*, scores: Tensor, sounding: Tensor) -> Tensor:
    """Return the cross-entropy of detected activity; scalar.

    Args:
        scores: shape (p, n_src, frames, labels); each detector has one label, or one per source.
        sounding: shape (p, n_src, frames).
    """
    if scores.shape[-1] == 1:
        labels = sounding[..., None]
    else:
        labels = sounding.transpose(1, 2)[:, None].expand_as(scores)  # (p, n_src, frames, n_src)
    return functional.binary_cross_entropy_with_logits(scores, labels)


@in_full_precision
def pitch_loss(*, scores: Tensor, sounding: Tensor, pitch: Tensor) -> Tensor:
    """Return the cross-entropy of detected pitches, mean over sounding frames; scalar.

    Args:
        scores: shape (p, n_src, frames, pitches).
        sounding: shape (p, n_src, frames).
        pitch: index, shape (p, n_src, frames).
    """
    cost = functional.cross_entropy(scores.movedim(-1, 1), pitch, reduction="none")
    return (cost * sounding).sum() / sounding.sum().clamp(min=1)


UNET = ModelSpec(
    name="unet",
    title="Spectrogram U-Net",
    task="music_separation",
    paper="Jansson, Humphrey, Montecchio, Bittner, Kumar and Weyde, ISMIR 2017",
    reference_licence=(
        "spleeter (MIT), compared on its weights; Wave-U-Net's port (MIT) and cunet (AFL-3.0) were "
        "read"
    ),
    separator=JanssonUNet,
    not_reproduced=(
        "The 20,000 song pairs and scores of the paper; early stopping; Spleeter's initial weights "
        "(He uniform), its Wiener filter, and the masks of its five stems."
    ),
    tiny=lambda: UNetHyperparameters(
        n_fft=128, hop_length=64, bins=64, frames=16, widths=(8, 16), dropout=0.0
    ),
    training={"optimizer": "adam", "weight_decay": 0.0, "batch_size": 16, "segment_s": 12.0},
)


@UNET.variant(parameters=2 * 9_823_313)
def paper() -> Hyperparameters:
    """The system of the paper for vocals and accompaniment, 9,823,313 parameters per stem."""
    return UNetHyperparameters()


@UNET.variant(
    "spleeter",
    parameters=4 * 9_823_749,
    optimizer="adam",
    learning_rate=1e-4,
    schedule="constant",
    weight_decay=0.0,
    batch_size=4,
    segment_s=11.85,
)
def spleeter() -> Hyperparameters:
    """Spleeter for four stems in stereo, 9,823,749 parameters per stem."""
    return _spleeter(STEMS, "spleeter")


@UNET.variant(
    "spleeter_2stems", parameters=2 * 9_823_749, **UNET.variants["unet:spleeter"].training
)
def spleeter_2stems() -> Hyperparameters:
    """Spleeter for vocals and accompaniment in stereo: ReLU in place of ELU."""
    return _spleeter(TWO_STEMS, "spleeter_relu")


def _spleeter(stems: tuple[str, ...], layout: str) -> UNetHyperparameters:
    return UNetHyperparameters(
        n_src=len(stems),
        sample_rate=44100,
        channels=2,
        source_names=stems,
        design_rate=44100,
        n_fft=4096,
        hop_length=1024,
        bins=1024,
        frames=512,
        features="raw",
        layout=layout,
        ratio_exponent=2.0,
        extension="zeros",
        lead=2,
    )


@UNET.imports("spleeter", "unet")
def from_spleeter(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert a checkpoint of Spleeter; its layers are numbered through all networks.

    Its kernels are (frames, bins, ...), ours (..., bins, frames).
    """
    stems = tuple(arguments.get("instrument_list", TWO_STEMS))
    require(
        len(stems) in (2, 4),
        f"instrument_list has {len(stems)} stems; Spleeter's networks here are for 2 or 4.",
    )
    hyperparameters = _spleeter(stems, "spleeter_relu" if len(stems) == 2 else "spleeter")
    levels = len(hyperparameters.widths)
    ours: Weights = {}
    for source in range(len(stems)):
        network = f"networks.{source}"
        for level in range(levels):
            down, up = f"{network}.down.{level}", f"{network}.up.{level}"
            convolution = (levels + 1) * source + level
            ours |= _layer(weights, "conv2d", convolution, f"{down}.conv")
            ours |= _layer(weights, "conv2d_transpose", levels * source + level, f"{up}.0")
            ours |= _norm(weights, 2 * levels * source + level, f"{down}.norm")
            ours |= _norm(weights, 2 * levels * source + levels + level, f"{up}.2")
        ours |= _layer(weights, "conv2d", (levels + 1) * source + levels, f"{network}.mask")
    return hyperparameters, ours


def _numbered(kind: str, number: int) -> str:
    """Return the name that Keras gives to a layer: the first one of a kind has no number."""
    return f"{kind}_{number}" if number else kind


def _layer(weights: Weights, kind: str, number: int, name: str) -> Weights:
    """Return kernel and bias of a convolution of Keras's as ours, called `name`."""
    theirs = _numbered(kind, number)
    kernel = weights[f"{theirs}/kernel"].permute(3, 2, 1, 0).contiguous()
    return {f"{name}.weight": kernel, f"{name}.bias": weights[f"{theirs}/bias"]}


def _norm(weights: Weights, number: int, name: str) -> Weights:
    """Return a batch norm of Keras's with its statistics as ours, called `name`."""
    theirs = _numbered("batch_normalization", number)
    parts = {
        "weight": "gamma",
        "bias": "beta",
        "running_mean": "moving_mean",
        "running_var": "moving_variance",
    }
    norm = {f"{name}.{ours}": weights[f"{theirs}/{part}"] for ours, part in parts.items()}
    return {**norm, f"{name}.num_batches_tracked": torch.tensor(0)}


@UNET.variant("joint")
def joint() -> Hyperparameters:
    """The paper's networks with a detector of activity behind each, trained together."""
    return UNetHyperparameters(joint="activity")


@UNET.variant("small", **SMALL_SONGS | {"batch_size": 2, "average_decay": 0.98})
def small() -> Hyperparameters:
    """For laptops: narrow networks, long frames, and masks that sum to one, trained by SI-SDR."""
    return UNetHyperparameters(
        **SMALL_SONG_ANALYSIS,
        n_src=4,
        source_names=STEMS,
        widths=(8, 16, 32, 64),
        dropout=0.0,
    )
