"""The frame of every spectrogram U-Net: patches of magnitudes in, masks of the mixture out.

A network reads the lowest `bins` of the mixture's magnitudes, one patch of frames at a time, and
returns a mask per source and channel. The estimates have the mixture's phase.

Padding:
- Zeros follow the signal until a frame holds nothing else; zeros complete the last patch and, where
  the spectrogram has fewer bins than the network, the band. In systems with patches of a fixed
  length, silence after the mixture therefore changes nothing.
- Bins above the network's get a mask of 0, the mean of the mask, or the mean of its highest eighth.
- At another sample rate than the paper's, frames keep their duration and bins their frequency: the
  network reads the same band, without resampling.

Axes: b batch, p patches (of all examples), n_src, channels, bins, frames.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from baselines.layers.fitted import FittedSeparator
from baselines.layers.masks import MASK_ACTIVATIONS, as_masks
from baselines.layers.stft import Stft
from baselines.losses import in_full_precision
from baselines.separator import SongHyperparameters, require

CHOICES = {
    "features": ("raw", "peak", "log1p", "log"),
    "mask": MASK_ACTIVATIONS,
    "extension": ("zeros", "average", "edge"),
    "loss": ("magnitude_l1", "si_sdr"),
}
SMALLEST_PEAK = 1e-8
# 80 dB below the peak; the feature "log" is -1 there and 1 at the peak.
LOG_FLOOR = 1e-4
EPSILON = 1e-10
# Of a spectrogram; a source below it has no SI-SDR.
SILENT_ENERGY = 1e-6


# Of small variants for stereo songs: the band up to 5.5 kHz in long frames, as one patch.
SMALL_SONG_ANALYSIS: dict[str, Any] = {
    "sample_rate": 44100,
    "channels": 2,
    "design_rate": 44100,
    "n_fft": 4096,
    "hop_length": 2048,
    "bins": 512,
    "frames": None,
    "features": "log",
    "mask": "softmax",
    "extension": "edge",
    "loss": "si_sdr",
}


@dataclass(frozen=True, kw_only=True)
class SpectrogramHyperparameters(SongHyperparameters):
    """Analysis, patches, features, masks and loss; the defaults are those of Jansson et al."""

    n_src: int = 2
    sample_rate: int = 8192
    channels: int = 1
    source_names: tuple[str, ...] = ("vocals", "accompaniment")
    design_rate: int = 8192  # sample rate that n_fft and hop_length are given for
    n_fft: int = 1024
    hop_length: int = 768
    bins: int = 512  # of the spectrogram, from the lowest, that the network reads
    frames: int | None = 128  # of a patch; None: the whole signal is one patch
    lead: int = 0  # frames before the signal with which the first patch begins
    features: str = "peak"  # magnitudes over the patch's peak; raw, or a logarithm of either
    mask: str = "sigmoid"
    ratio_exponent: float | None = None  # of estimates in ratio masks, outside training
    extension: str = "average"  # masks above the network's bins
    loss: str = "magnitude_l1"  # or si_sdr, within the network's bins

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(**CHOICES)
        require(
            0 < self.hop_length <= 3 * self.n_fft // 4,
            f"hop_length is {self.hop_length}; for n_fft={self.n_fft} it can be 1 to "
            f"{3 * self.n_fft // 4}.",
        )

    def check_shape(self, bins: int, frames: int) -> None:
        """Check that patches are whole multiples of what a network needs.

        Raises:
            UsageError: they are not.
        """
        require(self.bins % bins == 0, f"bins is {self.bins}; it can be a multiple of {bins}.")
        require(
            self.frames is None or self.frames % frames == 0,
            f"frames is {self.frames}; it can be a multiple of {frames}, or None.",
        )

    @property
    def stft(self) -> tuple[int, int]:
        """Window and hop in samples at `sample_rate`."""
        n_fft = max(2 * round(self.n_fft * self.sample_rate / self.design_rate / 2), 4)
        return n_fft, max(round(self.hop_length * n_fft / self.n_fft), 1)


class FilledStft(Stft):
    """An STFT of a signal that zeros fill up; its hop may exceed half the window."""

    def __init__(self, n_fft: int, hop_length: int) -> None:
        super().__init__(n_fft, n_fft // 2)
        self.hop_length = hop_length

    def analyse(self, signal: Tensor) -> Tensor:
        """Return the complex spectrogram (..., bins, frames) of a signal (..., time)."""
        time = signal.shape[-1]
        hops = -(-(time + self.n_fft // 2) // self.hop_length)  # rounded up
        return super().analyse(functional.pad(signal, (0, hops * self.hop_length - time)))


class SpectrogramSeparator(FittedSeparator):
    """Masks from a network that reads patches of magnitudes; subclasses write `scores`.

    Args:
        hyperparameters: of the system.
        multiple: bins and frames that a patch is a multiple of.
    """

    hyperparameters_class = SpectrogramHyperparameters

    def __init__(
        self, hyperparameters: SpectrogramHyperparameters, multiple: tuple[int, int]
    ) -> None:
        super().__init__(hyperparameters)
        self.h = hyperparameters
        self.fitted = hyperparameters.loss == "si_sdr"
        self.h.check_shape(*multiple)
        self.multiple = multiple[1]
        self.stft = FilledStft(*hyperparameters.stft)
        # A patch that is the whole signal grows with it.
        self.silence_tolerance = 0.0 if hyperparameters.frames else 0.5

    def scores(self, x: Tensor) -> Tensor:
        """Return scores (p, n_src, channels, bins, frames) of features (p, channels, ...)."""
        raise NotImplementedError

    def network(self, mixture: Tensor) -> Tensor:
        """Return the masked mixture (b, n_src, channels, time)."""
        lead = self.h.lead * self.stft.hop_length
        mixture = functional.pad(mixture, (lead, 0))
        spectrum = self.stft.analyse(mixture)  # (b, channels, all bins, frames)
        patches, _ = self.scaled(self.patches(spectrum.abs()))
        masks = self.masks(self.scores(self.features(patches)))
        if self.h.ratio_exponent is not None:
            masks = ratio_masks(masks * patches[:, None], self.h.ratio_exponent)
        masks = self.extended(self.joined(masks.to(spectrum.real.dtype), spectrum), spectrum)
        return self.stft.synthesise(masks * spectrum[:, None], mixture.shape[-1])[..., lead:]

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the L1 loss of masked magnitudes, or the negative SI-SDR in dB; scalar."""
        if self.fitted:
            return self.band_si_sdr_loss(batch)
        patches, references = self.training_patches(batch)
        masks = self.masks(self.scores(self.features(patches)))
        return l1_loss(masked=masks * patches[:, None], references=references)

    def band_si_sdr_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the negative SI-SDR of the masked spectrogram within the band in dB; scalar."""
        spectrum = self.stft.analyse(batch["mixture"])  # (b, channels, all bins, frames)
        patches, _ = self.scaled(self.patches(spectrum.abs()))
        masks = self.joined(self.masks(self.scores(self.features(patches))), spectrum)
        return masked_si_sdr_loss(
            masks=masks,
            mixture=spectrum[..., : self.h.bins, :],
            references=self.stft.analyse(batch["references"])[..., : self.h.bins, :],
        )

    def training_patches(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Return scaled magnitudes of the mixture (p, channels, bins, frames) and the references.

        Those of the references are (p, n_src, channels, bins, frames), at the mixture's scale.
        """
        references = self.stft.analyse(batch["references"]).abs()
        parts = self.patches(references.flatten(0, 1)).unflatten(0, (*references.shape[:2], -1))
        patches, peak = self.scaled(self.patches(self.stft.analyse(batch["mixture"]).abs()))
        return patches, parts.transpose(1, 2).flatten(0, 1) / peak[:, None]

    def patches(self, magnitude: Tensor) -> Tensor:
        """Cut magnitudes (b, channels, all bins, frames) to (p, channels, bins, frames)."""
        frames = self.h.frames or -(-magnitude.shape[-1] // self.multiple) * self.multiple
        missing = max(self.h.bins - magnitude.shape[2], 0)
        band = functional.pad(
            magnitude[:, :, : self.h.bins], (0, -magnitude.shape[-1] % frames, 0, missing)
        )
        cut: Tensor = band.unflatten(-1, (-1, frames)).permute(0, 3, 1, 2, 4)
        return cut.flatten(0, 1)

    def joined(self, masks: Tensor, spectrum: Tensor) -> Tensor:
        """Return masks (b, n_src, channels, bins, frames) from (p, n_src, channels, bins, frames).

        The spectrogram (b, channels, all bins, frames) is the one that the patches are cut from.
        """
        batch, _, bins, frames = spectrum.shape
        masks = masks.unflatten(0, (batch, -1)).permute(0, 2, 3, 4, 1, 5).flatten(-2)
        return masks[..., :bins, :frames]

    def extended(self, masks: Tensor, spectrum: Tensor) -> Tensor:
        """Return masks of all bins of the spectrogram from masks of the network's bins."""
        above = spectrum.shape[2] - masks.shape[3]
        if above == 0:
            return masks
        if self.h.extension == "zeros":
            return functional.pad(masks, (0, 0, 0, above))
        highest = masks[..., -(self.h.bins // 8) :, :] if self.h.extension == "edge" else masks
        mean = highest.mean(3, keepdim=True).expand(-1, -1, -1, above, -1)
        return torch.cat([masks, mean], dim=3)

    def scaled(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """Return patches (p, channels, bins, frames) over their scale, and it (p, 1, 1, 1)."""
        peak = patches.amax((1, 2, 3), keepdim=True).clamp(min=SMALLEST_PEAK)
        peak = torch.ones_like(peak) if self.h.features in ("raw", "log1p") else peak
        return patches / peak, peak

    def features(self, patches: Tensor) -> Tensor:
        """Return what the network reads of scaled magnitudes (p, channels, bins, frames)."""
        if self.h.features == "log":
            return 1 + (patches + LOG_FLOOR).log10() / 2
        return patches.log1p() if self.h.features == "log1p" else patches

    def masks(self, scores: Tensor) -> Tensor:
        """Return masks of scores, both (p, n_src, channels, bins, frames)."""
        return as_masks(scores, self.h.mask)


def ratio_masks(estimates: Tensor, exponent: float) -> Tensor:
    """Return each source's share of the sum of powered magnitudes (p, n_src, ...)."""
    powers = estimates**exponent
    share = EPSILON / estimates.shape[1]
    return (powers + share) / (powers.sum(1, keepdim=True) + EPSILON)


@in_full_precision
def l1_loss(*, masked: Tensor, references: Tensor) -> Tensor:
    """Return the mean absolute difference of magnitudes of one shape; scalar."""
    return functional.l1_loss(masked, references)


@in_full_precision
def masked_si_sdr_loss(*, masks: Tensor, mixture: Tensor, references: Tensor) -> Tensor:
    """Return the negative SI-SDR of masked spectrograms in dB, mean over sounding sources; scalar.

    Real and imaginary parts take the place of samples. Real masks need no complex gradients and no
    synthesis, which makes a step several times faster than the SI-SDR of waveforms.

    Args:
        masks: real, shape (b, n_src, channels, bins, frames).
        mixture: complex, shape (b, channels, bins, frames).
        references: complex, shape (b, n_src, channels, bins, frames).
    """
    x, s = torch.view_as_real(mixture)[:, None], torch.view_as_real(references)
    energy = s.square().sum((2, 3, 4, 5))  # (b, n_src)
    product = (masks * (x * s).sum(-1)).sum((2, 3, 4))
    estimated = (masks.square() * x.square().sum(-1)).sum((2, 3, 4))
    target = product.square() / (energy + EPSILON)
    error = (estimated - target).clamp(min=0)
    cost = 10 * torch.log10((error + EPSILON) / (target + EPSILON))
    sounding = energy > SILENT_ENERGY
    return torch.where(sounding, cost, 0).sum() / sounding.sum().clamp(min=1)
