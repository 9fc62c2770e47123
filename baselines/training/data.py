"""Training examples, each determined by the seed and its index alone, and batches of them.

Workers, batch size and interruptions therefore change no example. Axes: batch, n_src, channels,
time.
"""

from collections import deque
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.training.streams import on_streams, utterances_of
from mixgen.audio.cache import open_cache
from mixgen.audio.formats import FORMATS
from mixgen.audio.read import read_audio
from mixgen.corpora.roots import Roots
from mixgen.dataset import rendered_item
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.rendered import RenderedSet

Signal = NDArray[np.float32]
TrainingExample = tuple[Signal, Signal]
"""Mixture (channels, time) and references (n_src, channels, time), those of meetings on streams:
(groups, streams, channels, time). Their number may differ from example to example."""
Batch = dict[str, Tensor]

MEETINGS = "meetings"
"""The task of sets whose talkers are laid onto streams."""

_BATCHES_AHEAD = 4
_EXAMPLE_STREAM, _ORDER_STREAM = 0, 1


class ExampleSource(Protocol):
    """An endless sequence of training examples; an index always gives the same example."""

    def example(self, index: int) -> TrainingExample:
        """Return a mixture and its references, float32."""


def example_rng(seed: int, index: int, stream: int = _EXAMPLE_STREAM) -> np.random.Generator:
    """Return the random generator of one example: counter-based, so that examples are independent.

    Other streams of a seed and index give other numbers.
    """
    return np.random.Generator(np.random.Philox(key=[seed, index], counter=[0, 0, 0, stream]))


class RenderedExamples:
    """Segments of a rendered split at random offsets, every mixture once per pass over the split.

    A mixture that is shorter than the segment is followed by silence.
    """

    def __init__(self, rendered: RenderedSet, split: str, *, segment_s: float, seed: int) -> None:
        self.rendered = rendered
        self.mixtures = rendered.mixtures(split)
        self.frames = round(segment_s * self.mixtures[0].sample_rate)
        self.seed = seed
        self.streams = rendered.manifest.header.task == MEETINGS

    def example(self, index: int) -> TrainingExample:
        """Read a segment of a mixture and its references.

        Raises:
            InputError: a file cannot be read.
        """
        mixture = self.mixtures[_mixture_index(self.seed, index, len(self.mixtures))]
        start = _segment_start(self.seed, index, mixture.frames, self.frames)
        names = [MIXTURE, *mixture.targets]
        signals = np.stack([self._read(mixture.id, name, start, mixture.frames) for name in names])
        return signals[0], _laid(mixture, signals[1:], start, self.streams)

    def _read(self, mixture_id: str, name: str, start: int, available: int) -> Signal:
        frames = min(self.frames, available - start)
        path = self.rendered.reference_path(mixture_id, name)
        samples = read_audio(path, start, frames)[0]
        return np.pad(samples, ((0, 0), (0, self.frames - frames))).astype(np.float32)


class RecordExamples:
    """Segments of a manifest's mixtures, each rendered in memory as its record describes it.

    The segments are those of the rendered set: every mixture once per pass, at random offsets,
    followed by silence if it is shorter than the segment. With MIXGEN_CACHE, source files are
    decoded once.
    """

    def __init__(
        self, manifest: Manifest, roots: Roots, split: str, *, segment_s: float, seed: int
    ) -> None:
        self.mixtures = manifest.of_split(split)
        self.roots = roots
        self.cache = open_cache()
        self.sample_format = FORMATS[manifest.header.format]
        self.frames = round(segment_s * self.mixtures[0].sample_rate)
        self.seed = seed
        self.streams = manifest.header.task == MEETINGS

    def example(self, index: int) -> TrainingExample:
        """Render a mixture and return a segment of it and its references.

        Raises:
            InputError: a source file cannot be read.
        """
        record = self.mixtures[_mixture_index(self.seed, index, len(self.mixtures))]
        whole = rendered_item(record, self.roots, self.sample_format, self.cache)
        start = _segment_start(self.seed, index, record.frames, self.frames)
        references = self._segment(whole.references, start)
        return self._segment(whole.mixture, start), _laid(record, references, start, self.streams)

    def _segment(self, signal: Signal, start: int) -> Signal:
        segment = signal[..., start : start + self.frames]
        missing = self.frames - segment.shape[-1]
        return np.pad(segment, [(0, 0)] * (segment.ndim - 1) + [(0, missing)])


def _laid(mixture: Mixture, references: Signal, start: int, streams: bool) -> Signal:
    """Return the references of a segment, those of a meeting on streams."""
    return on_streams(utterances_of(mixture), references, start) if streams else references


def _mixture_index(seed: int, index: int, mixtures: int) -> int:
    """Return which mixture an example is of: each once per pass, in a random order per pass."""
    epoch, position = divmod(index, mixtures)
    return int(_order(seed, epoch, mixtures)[position])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, mixtures: int) -> NDArray[np.int64]:
    return example_rng(seed, epoch, _ORDER_STREAM).permutation(mixtures)


def _segment_start(seed: int, index: int, available: int, frames: int) -> int:
    return int(example_rng(seed, index).integers(max(available - frames, 0) + 1))


def make_batch(examples: ExampleSource, step: int, batch_size: int) -> Batch:
    """Return the batch of a training step: `mixture` and `references`, float32.

    Examples with fewer references than others get silent ones.
    """
    indices = range(step * batch_size, (step + 1) * batch_size)
    mixtures, references = zip(*(examples.example(index) for index in indices), strict=True)
    most = max(map(len, references))
    equal = [_with_silence(signals, most) for signals in references]
    return {
        "mixture": torch.from_numpy(np.stack(mixtures)),  # (batch, channels, time)
        "references": torch.from_numpy(np.stack(equal)),  # (batch, n_src, channels, time)
    }


def _with_silence(references: Signal, count: int) -> Signal:
    """Return references (count, ...) of which the last ones are silent."""
    return np.pad(references, [(0, count - len(references))] + [(0, 0)] * (references.ndim - 1))


def batches(
    examples: ExampleSource, *, batch_size: int, first_step: int, workers: int
) -> Generator[Batch, None, None]:
    """Yield the batches from `first_step` on, made ahead of time by `workers` threads.

    Without workers each batch is made when it is needed.
    """
    if workers == 0:
        yield from (make_batch(examples, step, batch_size) for step in count(first_step))
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(
            pool.submit(make_batch, examples, step, batch_size)
            for step in range(first_step, first_step + _BATCHES_AHEAD)
        )
        for step in count(first_step + _BATCHES_AHEAD):
            yield ahead.popleft().result()
            ahead.append(pool.submit(make_batch, examples, step, batch_size))
