"""Oracles: the masks of a perfect network, computed from the references.

The ideal binary and ratio masks that the Conv-TasNet paper compares with (Luo and Mesgarani, TASLP
2019, section III); the phase-sensitive mask of Erdogan et al., ICASSP 2015, truncated to 0..1; and
the multichannel Wiener filter with the spectra and spatial covariances of the references (Duong,
Vincent and Gribonval, TASLP 2010), the oracle of SiSEC 2018.

The rest of the mixture (noise) counts as one more source in every mask, without an estimate.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from baselines.layers.stft import Stft
from baselines.layers.wiener import expectation_maximisation
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator, require

MASKS = ("ibm", "irm", "psm", "mwf")


@dataclass(frozen=True, kw_only=True)
class OracleHyperparameters(Hyperparameters):
    """The mask and the length of its frames."""

    mask: str = "irm"
    window_s: float = 0.04  # rounded to a power of two: 256 samples at 8 kHz, 2048 at 44.1 kHz

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(mask=MASKS)

    @property
    def n_fft(self) -> int:
        """Window length in samples: the power of two nearest to `window_s`."""
        exponent = round(math.log2(self.window_s * self.sample_rate))
        return int(2 ** max(exponent, 2))


class Oracle(Separator):
    """Estimates from the mixture and its references: an upper bound, not a real system."""

    hyperparameters_class = OracleHyperparameters
    inputs = ("references",)

    def __init__(self, hyperparameters: OracleHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.mask = hyperparameters.mask
        self.stft = Stft(hyperparameters.n_fft, hyperparameters.n_fft // 4)

    # `inputs` announces the second argument to callers.
    def forward(self, mixture: Tensor, references: Tensor) -> Tensor:  # type: ignore[override]
        """Return estimates of the shape of the references, (batch, sources, channels, time).

        A mixture may have another number of sources than the separator was built for.
        """
        self.check_mixture(mixture)
        require(
            (*references.shape[:1], *references.shape[2:]) == mixture.shape,
            f"The references have shape {tuple(references.shape)}; expected are the sources of "
            f"{tuple(mixture.shape)} on an axis after the first.",
        )
        if references.shape[1] == 0:  # an empty scene
            return references
        rest = mixture - references.sum(1)
        sources = self.stft.analyse(torch.cat([references, rest[:, None]], dim=1))
        spectrum = self.stft.analyse(mixture)  # (batch, channels, bins, frames)
        estimates = self._separate(spectrum, sources)[:, :-1]
        return self.stft.synthesise(estimates, mixture.shape[-1])

    def _separate(self, spectrum: Tensor, sources: Tensor) -> Tensor:
        """Estimate all sources (batch, sources + 1, channels, bins, frames), the rest last."""
        if self.mask == "mwf":
            return expectation_maximisation(sources, spectrum, iterations=1)
        mask = {"ibm": binary_mask, "irm": ratio_mask, "psm": phase_sensitive_mask}[self.mask]
        return mask(spectrum, sources) * spectrum[:, None]


def binary_mask(_spectrum: Tensor, sources: Tensor) -> Tensor:
    """Return 1 in the bins in which a source is the loudest, else 0."""
    magnitude = sources.abs()
    loudest = magnitude.argmax(dim=1, keepdim=True)
    return torch.zeros_like(magnitude).scatter_(1, loudest, 1.0)


def ratio_mask(_spectrum: Tensor, sources: Tensor) -> Tensor:
    """Return the share of a source in the sum of magnitudes."""
    magnitude = sources.abs()
    total = magnitude.sum(1, keepdim=True)
    return magnitude / total.clamp(min=torch.finfo(total.dtype).tiny)


def phase_sensitive_mask(spectrum: Tensor, sources: Tensor) -> Tensor:
    """Return a source's component in phase with the mixture, divided by it and cut to 0..1."""
    power = spectrum.abs().square()[:, None]
    in_phase = (sources * spectrum[:, None].conj()).real
    return (in_phase / power.clamp(min=torch.finfo(power.dtype).tiny)).clamp(0, 1)


ORACLE = ModelSpec(
    name="oracle",
    title="Ideal masks from the references",
    task=None,
    paper=(
        "Masks as in Luo and Mesgarani, IEEE/ACM TASLP 27(8), 2019; Erdogan et al., ICASSP 2015; "
        "Duong, Vincent and Gribonval, IEEE TASLP 18(7), 2010"
    ),
    reference_licence="none read; the multichannel filter is compared with openunmix 1.3 (MIT)",
    separator=Oracle,
)


@ORACLE.variant("ibm")
def ideal_binary_mask() -> Hyperparameters:
    """Assigns each bin to its loudest source."""
    return OracleHyperparameters(mask="ibm")


@ORACLE.variant("irm")
def ideal_ratio_mask() -> Hyperparameters:
    """Shares each bin in proportion to magnitudes."""
    return OracleHyperparameters(mask="irm")


@ORACLE.variant("psm")
def phase_sensitive() -> Hyperparameters:
    """Shares each bin in proportion to the components in phase with the mixture."""
    return OracleHyperparameters(mask="psm")


@ORACLE.variant("mwf")
def multichannel_wiener_filter() -> Hyperparameters:
    """Filters each bin with the true spectra and spatial covariances."""
    return OracleHyperparameters(mask="mwf")
