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
from baselines.training.counting import CountedValidation
from baselines.training.data import MEETINGS
from baselines.training.streams import on_streams, utterances_of
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

    def measure(self, separator: Separator) -> dict[str, float]:
        """Return what a row of the history has of the separator, first its mean SI-SDR in dB."""
        score_db = self.si_sdr_db(separator)
        return {
            "valid_si_sdr_db": score_db,
            "valid_si_sdri_db": score_db - self.mixture_si_sdr_db,
        }

    def summary(self, row: dict[str, float]) -> str:
        """Return what a row of the history says, for a line on the terminal."""
        return f"valid SI-SDRi {row['valid_si_sdri_db']:.2f} dB"

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
    manifest: Manifest, load: Loader, separator: Separator, *, count: int
) -> Validation | CountedValidation | None:
    """Load `count` mixtures spread evenly over the split, of long mixtures the middle.

    Returns None if the manifest has no split `valid` or `count` is 0.
    """
    mixtures = [mixture for mixture in manifest.mixtures if mixture.split == SPLIT]
    if not mixtures or not count:
        return None
    chosen = mixtures[:: max(1, len(mixtures) // count)][:count]
    if manifest.header.task == MEETINGS:
        load = _onto_streams(load)
    examples = [_middle(*load(mixture), mixture.sample_rate) for mixture in chosen]
    if separator.counts_vary:
        return CountedValidation(examples)
    return Validation(examples, named=separator.source_names is not None)


def _onto_streams(load: Loader) -> Loader:
    """Return a loader of references on streams, (groups, streams, channels, time)."""

    def load_streams(mixture: Mixture) -> tuple[Samples, Samples]:
        samples, references = load(mixture)
        return samples, on_streams(utterances_of(mixture), references.astype(np.float32), 0)

    return load_streams


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
