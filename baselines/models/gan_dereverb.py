"""Dereverberation by a generative adversarial network: a spectral mapping, and what judges it.

Ke Wang, Junbo Zhang, Sining Sun, Yujun Wang, Fei Xiang and Lei Xie, "Investigating Generative
Adversarial Networks based Speech Dereverberation for Robust Speech Recognition", Interspeech 2018
(arXiv 1803.10132).

The generator is the network of spectral_mapping, and separates as it does. The discriminator
tells features of clean speech from those that the generator estimates, and reads the features of
the mixture beside them where it is `conditional`, as in a conditional GAN; the paper finds that
this may hurt. Its losses, with d the scores and per score:

    least_squares    (d(clean) - 1)^2 / 2 + d(estimate)^2 / 2     (Mao et al., ICCV 2017)
    cross_entropy    -ln s(d(clean)) - ln(1 - s(d(estimate)))     (Goodfellow et al., NIPS 2014)

with the logistic function s. The generator minimises the mean squared error of the features plus
`adversarial_weight` times (d(estimate) - 1)^2 / 2, or -ln s(d(estimate)).

Both are updated with each minibatch: first the discriminator, then the generator by the scores of
the updated one. Each has its own optimizer.

The checkpoint holds the discriminator, because a longer training needs it, and the number of
parameters counts it; separation does not compute it. Its layers and the weight are ours.

Axes: b batch, n_src, channels, features, frames.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.losses import in_full_precision
from baselines.model import ModelSpec
from baselines.models.spectral_mapping import (
    LSTM,
    SMALL,
    SMALL_TRAINING,
    SPECTRAL_MAPPING,
    MappingHyperparameters,
    SpectralMapping,
    feature_loss,
)
from baselines.separator import SEPARATOR, Hyperparameters, require

LOSSES = ("least_squares", "cross_entropy")
KERNEL, STRIDE, SLOPE = 5, 2, 0.2
DISCRIMINATOR = "discriminator"


@dataclass(frozen=True, kw_only=True)
class GanHyperparameters(MappingHyperparameters):
    """The generator, as in spectral_mapping, and the discriminator."""

    network: str = "residual_lstm"
    conditional: bool = True  # the discriminator also reads the mixture
    loss: str = "least_squares"  # or cross_entropy
    adversarial_weight: float = 0.01
    discriminator_size: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_choices(loss=LOSSES)
        require(
            self.adversarial_weight > 0,
            f"adversarial_weight is {self.adversarial_weight}; it must be above 0; without a "
            "discriminator use spectral_mapping.",
        )
        self.check_least(1, "discriminator_size")


class Discriminator(nn.Module):
    """Convolutions over time, with a score for every fourth frame."""

    def __init__(self, h: GanHyperparameters, features: int) -> None:
        super().__init__()
        inputs = (2 if h.conditional else 1) * h.channels * features
        sizes = (inputs, h.discriminator_size, h.discriminator_size)
        self.conditional = h.conditional
        self.layers = nn.ModuleList(
            nn.Conv1d(before, after, KERNEL, STRIDE, KERNEL // 2)
            for before, after in pairwise(sizes)
        )
        self.last = nn.Conv1d(h.discriminator_size, 1, 1)

    def forward(self, sources: Tensor, mixture: Tensor) -> Tensor:
        """Return scores (b, n_src, frames / 4) of each source.

        Args:
            sources: features (b, n_src, channels, features, frames).
            mixture: features (b, channels, features, frames).
        """
        if self.conditional:
            sources = torch.cat([sources, mixture[:, None].expand_as(sources)], 2)
        x = sources.flatten(2, 3).flatten(0, 1)  # (b * n_src, inputs, frames)
        for layer in self.layers:
            x = functional.leaky_relu(layer(x), SLOPE)
        scores: Tensor = self.last(x)[:, 0].unflatten(0, sources.shape[:2])
        return scores


class GanDereverb(SpectralMapping):
    """A spectral mapping that a discriminator trains, too."""

    hyperparameters_class = GanHyperparameters
    opponents = (DISCRIMINATOR,)

    def __init__(self, hyperparameters: GanHyperparameters) -> None:
        super().__init__(hyperparameters)
        self.adversarial_weight = hyperparameters.adversarial_weight
        self.loss = least_squares if hyperparameters.loss == "least_squares" else cross_entropy
        self.discriminator = Discriminator(hyperparameters, self.spectra.size)

    def training_losses(self, batch: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
        """Yield the loss of the discriminator, then that of the generator."""
        power, clean_power = self.powers(batch)
        mixture, clean = self.spectra(power), self.spectra(clean_power)
        estimates = self.features(power)
        of_clean = self.loss(scores=self.discriminator(clean, mixture), real=True)
        of_estimates = self.loss(scores=self.discriminator(estimates.detach(), mixture), real=False)
        yield DISCRIMINATOR, of_clean + of_estimates

        error = feature_loss(
            references=clean, estimates=estimates, named=self.source_names is not None
        )
        with frozen(self.discriminator):
            adversarial = self.loss(scores=self.discriminator(estimates, mixture), real=True)
        yield SEPARATOR, error + self.adversarial_weight * adversarial

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of both losses without an update between them; scalar.

        Its gradient is, for each parameter, that of the loss that trains it.
        """
        return torch.stack([loss for _, loss in self.training_losses(batch)]).sum()


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Keep gradients of what is computed here from the module's parameters."""
    module.requires_grad_(False)
    try:
        yield
    finally:
        module.requires_grad_(True)


@in_full_precision
def least_squares(*, scores: Tensor, real: bool) -> Tensor:
    """Return half the mean squared distance of scores from 1 if real, else from 0; scalar."""
    return 0.5 * (scores - float(real)).square().mean()


@in_full_precision
def cross_entropy(*, scores: Tensor, real: bool) -> Tensor:
    """Return the mean binary cross-entropy of scores before the logistic function; scalar."""
    return functional.softplus(-scores if real else scores).mean()


GAN_DEREVERB = ModelSpec(
    name="gan_dereverb",
    title="GAN dereverberation",
    task="dereverberation",
    paper="Wang et al., Interspeech 2018, arXiv 1803.10132",
    reference_licence="none read; no public code of the paper was found",
    separator=GanDereverb,
    not_reproduced=(
        "Character error rates (the training data is not public); the generators with "
        "convolutions; sizes, which are ours."
    ),
    tiny=lambda: GanHyperparameters(
        n_src=2,
        sample_rate=8000,
        window_s=0.032,
        hop_s=0.016,
        range_db=40.0,
        context=1,
        layers=2,
        hidden_size=32,
        phase_iterations=0,
        adversarial_weight=0.001,
        discriminator_size=8,
    ),
    training=SPECTRAL_MAPPING.training,
)
MFCC_LSTM = LSTM | {"target": "mfcc", "phase_iterations": 0}


@GAN_DEREVERB.variant(parameters=25_739_534)
def paper() -> Hyperparameters:
    """A residual LSTM for MFCC against a conditional discriminator, by least squares."""
    return GanHyperparameters(**MFCC_LSTM)


@GAN_DEREVERB.variant("unconditioned")
def unconditioned() -> Hyperparameters:
    """The same against a discriminator that does not read the mixture."""
    return GanHyperparameters(**MFCC_LSTM, conditional=False)


@GAN_DEREVERB.variant("cross_entropy")
def by_cross_entropy() -> Hyperparameters:
    """The conditional GAN by cross-entropy."""
    return GanHyperparameters(**MFCC_LSTM, loss="cross_entropy")


@GAN_DEREVERB.variant("small", **SMALL_TRAINING)
def small() -> Hyperparameters:
    """For laptops: spectral_mapping:small against a conditional discriminator."""
    return GanHyperparameters(**SMALL)


@GAN_DEREVERB.variant("small_unconditioned", **SMALL_TRAINING)
def small_unconditioned() -> Hyperparameters:
    """For laptops: the same against a discriminator that does not read the mixture."""
    return GanHyperparameters(**SMALL, conditional=False)
