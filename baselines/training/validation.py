"""Validation: SI-SDR on the same mixtures of the split `valid` at every step of every run."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.inputs import cut_inputs, inputs_of
from baselines.losses import si_sdr_loss
from baselines.separator import Separator
from baselines.training.counting import CountedValidation
from baselines.training.data import MEETINGS
from baselines.training.streams import on_streams, utterances_of
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
) -> Validation | CountedValidation | None:
    """Load `count` mixtures spread evenly over the split, of long mixtures the middle.

    Mixtures without a target are left out, unless the separator estimates the number of sources.
    Returns None if the split `valid` has no other or `count` is 0.
    """
    # Without a target there is no SI-SDR; a system that counts has to find that.
    needed = 0 if separator.counts_vary else 1
    of_split = [mixture for mixture in manifest.mixtures if mixture.split == SPLIT]
    mixtures = [mixture for mixture in of_split if len(mixture.targets) >= needed]
    if not mixtures or not count:
        return None
    chosen = mixtures[:: max(1, len(mixtures) // count)][:count]
    if manifest.header.task == MEETINGS:
        load = _onto_streams(load)
    examples = [_middle(load(mixture), separator.inputs) for mixture in chosen]
    if separator.counts_vary:
        return CountedValidation([(e.mixture, e.references) for e in examples])
    return Validation(examples, separator.named)


def _onto_streams(load: Loader) -> Loader:
    """Return a loader of references on streams, (groups, streams, channels, time)."""

    def load_streams(mixture: Mixture) -> MixtureItem:
        item = load(mixture)
        references = item.references.astype(np.float32)
        return replace(item, references=on_streams(utterances_of(mixture), references, 0))

    return load_streams


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
