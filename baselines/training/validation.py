"""Validation: SI-SDR on the same mixtures of the split `valid` at every step of every run."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.losses import si_sdr_loss
from baselines.separator import Separator
from mixgen.audio.formats import FORMATS
from mixgen.corpora.roots import Roots
from mixgen.dataset import rendered_item
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

SPLIT = "valid"
_LONGEST_S = 10.0

Samples = NDArray[np.floating[Any]]
Loader = Callable[[Mixture], tuple[Samples, Samples]]
"""Returns a mixture (channels, time) and its references (n_src, channels, time)."""


@dataclass(frozen=True)
class Validation:
    """Mixtures (channels, time) with their references (n_src, channels, time), in memory."""

    examples: list[tuple[Tensor, Tensor]]
    named: bool

    @torch.no_grad()
    def si_sdr_db(self, separator: Separator) -> float:
        """Return the mean SI-SDR of the separator's estimates over the mixtures, in dB."""
        device = next(separator.parameters()).device
        was_training = separator.training
        separator.eval()
        scores = [
            self._score(separator(mixture[None].to(device)), references.to(device))
            for mixture, references in self.examples
        ]
        separator.train(was_training)
        return sum(scores) / len(scores)

    @cached_property
    def mixture_si_sdr_db(self) -> float:
        """Mean SI-SDR of the unseparated mixtures in dB, from which improvement is measured."""
        scores = [
            self._score(mixture.expand_as(references)[None], references)
            for mixture, references in self.examples
        ]
        return sum(scores) / len(scores)

    def _score(self, estimates: Tensor, references: Tensor) -> float:
        loss = si_sdr_loss(references=references[None], estimates=estimates, named=self.named)
        return -float(loss)


def load_validation(
    manifest: Manifest, load: Loader, *, count: int, named: bool
) -> Validation | None:
    """Load `count` mixtures spread evenly over the split, of long mixtures the middle.

    Returns None if the manifest has no split `valid` or `count` is 0.
    """
    mixtures = [mixture for mixture in manifest.mixtures if mixture.split == SPLIT]
    if not mixtures or not count:
        return None
    chosen = mixtures[:: max(1, len(mixtures) // count)][:count]
    return Validation([_middle(*load(mixture), mixture.sample_rate) for mixture in chosen], named)


def from_files(rendered: RenderedSet) -> Loader:
    """Return a loader of the mixtures of a rendered set."""

    def load(mixture: Mixture) -> tuple[Samples, Samples]:
        return rendered.load_mixture(mixture.id), rendered.load_references(mixture.id)

    return load


def from_sources(manifest: Manifest, roots: Roots) -> Loader:
    """Return a loader that renders mixtures in memory from their source files."""

    def load(mixture: Mixture) -> tuple[Samples, Samples]:
        item = rendered_item(mixture, roots, FORMATS[manifest.header.format])
        return item.mixture, item.references

    return load


def _middle(mixture: Samples, references: Samples, sample_rate: int) -> tuple[Tensor, Tensor]:
    frames = min(mixture.shape[-1], round(_LONGEST_S * sample_rate))
    start = (mixture.shape[-1] - frames) // 2
    kept = slice(start, start + frames)
    return (
        torch.from_numpy(mixture[..., kept].astype(np.float32)),
        torch.from_numpy(references[..., kept].astype(np.float32)),
    )
