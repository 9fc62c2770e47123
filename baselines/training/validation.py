"""Validation: SI-SDR on the same mixtures of the split `valid` at every step of every run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.inputs import cut_inputs, inputs_of
from baselines.losses import si_sdr_loss
from baselines.separator import Separator
from mixgen.audio.formats import FORMATS
from mixgen.corpora.roots import Roots
from mixgen.dataset import MixtureItem, item_of_set, rendered_item
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

SPLIT = "valid"
_LONGEST_S = 10.0

Loader = Callable[[Mixture], MixtureItem]


@dataclass(frozen=True)
class ValidationExample:
    """A mixture (channels, time), its references (n_src, channels, time), and the inputs."""

    mixture: Tensor
    references: Tensor
    inputs: dict[str, Tensor]


@dataclass(frozen=True)
class Validation:
    """Mixtures with their references, in memory."""

    examples: list[ValidationExample]
    named: bool

    @torch.no_grad()
    def si_sdr_db(self, separator: Separator) -> float:
        """Return the mean SI-SDR of the separator's estimates over the mixtures, in dB."""
        device = next(separator.parameters()).device
        was_training = separator.training
        separator.eval()
        scores = [
            self._score(
                separator(
                    example.mixture[None].to(device),
                    **{name: signal[None].to(device) for name, signal in example.inputs.items()},
                ),
                example.references.to(device),
            )
            for example in self.examples
        ]
        separator.train(was_training)
        return sum(scores) / len(scores)

    @cached_property
    def mixture_si_sdr_db(self) -> float:
        """Mean SI-SDR of the unseparated mixtures in dB, from which improvement is measured."""
        scores = [
            self._score(example.mixture.expand_as(example.references)[None], example.references)
            for example in self.examples
        ]
        return sum(scores) / len(scores)

    def _score(self, estimates: Tensor, references: Tensor) -> float:
        loss = si_sdr_loss(references=references[None], estimates=estimates, named=self.named)
        return -float(loss)


def load_validation(
    manifest: Manifest, load: Loader, separator: Separator, *, count: int
) -> Validation | None:
    """Load `count` mixtures spread evenly over the split, of long mixtures the middle.

    Mixtures without a target, which have no SI-SDR, are left out. Returns None if the split `valid`
    has no other or `count` is 0.
    """
    mixtures = [m for m in manifest.mixtures if m.split == SPLIT and m.targets]
    if not mixtures or not count:
        return None
    chosen = mixtures[:: max(1, len(mixtures) // count)][:count]
    examples = [_middle(load(mixture), separator.inputs) for mixture in chosen]
    return Validation(examples, separator.named)


def from_files(rendered: RenderedSet) -> Loader:
    """Return a loader of the mixtures of a rendered set."""
    return lambda mixture: item_of_set(rendered, mixture)


def from_sources(manifest: Manifest, roots: Roots) -> Loader:
    """Return a loader that renders mixtures in memory from their source files."""
    sample_format = FORMATS[manifest.header.format]
    return lambda mixture: rendered_item(mixture, roots, sample_format)


def _middle(item: MixtureItem, inputs: tuple[str, ...]) -> ValidationExample:
    whole = item.mixture.shape[-1]
    frames = min(whole, round(_LONGEST_S * item.record.sample_rate))
    start = (whole - frames) // 2
    kept = slice(start, start + frames)

    def tensor(signal: Any) -> Tensor:
        return torch.from_numpy(signal.astype(np.float32))

    beside = {name: tensor(signal) for name, signal in inputs_of(inputs, item).items()}
    return ValidationExample(
        tensor(item.mixture[..., kept]),
        tensor(item.references[..., kept]),
        cut_inputs(beside, kept),
    )
