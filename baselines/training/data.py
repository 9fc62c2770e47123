"""Training examples, each determined by the seed and its index alone, and batches of them.

Workers, batch size and interruptions therefore change no example. Axes: batch, n_src, channels,
time.
"""

from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from baselines.inputs import (
    Samples,
    enrolment_files,
    enrolments_of,
    inputs_of,
    looped,
    side_by_side,
)
from baselines.training.streams import on_streams, utterances_of
from mixgen.audio.cache import open_cache
from mixgen.audio.formats import FORMATS
from mixgen.audio.read import as_long, read_audio
from mixgen.corpora.roots import Roots
from mixgen.dataset import rendered_item
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.rendered import RenderedSet

Signal = NDArray[np.float32]
TrainingExample = dict[str, Signal]
"""`mixture` (channels, time), `references` (n_src, channels, time), and what a separator gets
beside the mixture, by the names in `baselines.inputs`. References of meetings are on streams,
(groups, streams, channels, time)."""
Batch = dict[str, Tensor]

MEETINGS = "meetings"
"""The task of sets whose talkers are laid onto streams."""

_BATCHES_AHEAD = 4
_EXAMPLE_STREAM, _ORDER_STREAM, ENROLMENT_STREAM = 0, 1, 2


class ExampleSource(Protocol):
    """An endless sequence of training examples; an index always gives the same example."""

    def example(self, index: int) -> TrainingExample:
        """Return the signals of an example by their names, float32."""


def example_rng(seed: int, index: int, stream: int = _EXAMPLE_STREAM) -> np.random.Generator:
    """Return the random generator of one example: counter-based, so that examples are independent.

    Other streams of a seed and index give other numbers.
    """
    return np.random.Generator(np.random.Philox(key=[seed, index], counter=[0, 0, 0, stream]))


class SegmentExamples:
    """Segments of the mixtures of a split at random offsets, every mixture once per pass.

    A mixture that is shorter than the segment is followed by silence; one with fewer targets than
    others has silent references at the end. Of the `inputs`, a far end is cut as the mixture is,
    and an enrolment is a segment of its own.

    Subclasses write `cut`.

    Args:
        manifest: of the mixtures.
        split: of the manifest.
        segment_s: length of a segment in seconds.
        seed: of the order of the mixtures and the offsets.
        inputs: what a separator gets beside the mixture.

    Raises:
        InputError: the manifest has no such split.
    """

    def __init__(
        self,
        manifest: Manifest,
        split: str,
        *,
        segment_s: float,
        seed: int,
        inputs: Sequence[str] = (),
    ) -> None:
        self.mixtures = manifest.of_split(split)
        self.frames = round(segment_s * self.mixtures[0].sample_rate)
        self.seed = seed
        self.inputs = inputs
        self.n_src = max(len(mixture.targets) for mixture in self.mixtures)
        self.streams = manifest.header.task == MEETINGS

    def cut(self, mixture: Mixture, start: int) -> tuple[TrainingExample, list[Samples]]:
        """Return the signals of a segment from sample `start` on, and the whole enrolments.

        The signals are mixture, references and, if it is an input, the far end.
        """
        raise NotImplementedError

    def example(self, index: int) -> TrainingExample:
        """Return a segment of a mixture, of its references and of the inputs.

        Raises:
            InputError: a file cannot be read.
        """
        mixture = self.mixtures[_mixture_index(self.seed, index, len(self.mixtures))]
        latest = max(mixture.frames - self.frames, 0)
        start = int(example_rng(self.seed, index).integers(latest + 1))
        example, enrolments = self.cut(mixture, start)
        if self.streams:
            references = on_streams(utterances_of(mixture), example["references"], start)
        else:
            references = _with_silence(example["references"], self.n_src)
        example["references"] = references
        if "enrolment" in self.inputs:
            segments = _enrolment(enrolments, mixture, self.frames, self.seed, index)
            example["enrolment"] = _with_silence(segments, self.n_src)
        return example


class RenderedExamples(SegmentExamples):
    """Segments that are read from the files of a rendered set.

    `options` are the arguments of `SegmentExamples`.
    """

    def __init__(self, rendered: RenderedSet, split: str, **options: Any) -> None:
        super().__init__(rendered.manifest, split, **options)
        self.rendered = rendered

    def cut(self, mixture: Mixture, start: int) -> tuple[TrainingExample, list[Samples]]:
        """Read the signals of a segment, and the whole enrolments."""
        names = [MIXTURE, *mixture.targets]
        signals = np.stack([self._read(mixture, name, start) for name in names])
        segment = {"mixture": signals[0], "references": signals[1:]}
        if "far_end" in self.inputs:
            far_end = self.rendered.load_far_end(mixture.id)[:, start:]
            segment["far_end"] = as_long(far_end, self.frames).astype(np.float32)
        enrolments = enrolment_files(mixture) if "enrolment" in self.inputs else []
        return segment, [self.rendered.load_source(mixture.id, name) for name in enrolments]

    def _read(self, mixture: Mixture, name: str, start: int) -> Signal:
        frames = min(self.frames, mixture.frames - start)
        path = self.rendered.reference_path(mixture.id, name)
        return as_long(read_audio(path, start, frames)[0], self.frames).astype(np.float32)


class RecordExamples(SegmentExamples):
    """Segments of mixtures that are rendered in memory as their records describe them.

    The examples are those of the rendered set (`RenderedExamples`). With MIXGEN_CACHE, source files
    are decoded once. `options` are the arguments of `SegmentExamples`.
    """

    def __init__(self, manifest: Manifest, roots: Roots, split: str, **options: Any) -> None:
        super().__init__(manifest, split, **options)
        self.roots = roots
        self.cache = open_cache()
        self.sample_format = FORMATS[manifest.header.format]

    def cut(self, mixture: Mixture, start: int) -> tuple[TrainingExample, list[Samples]]:
        """Render a mixture; return the signals of a segment, and the whole enrolments."""
        whole = rendered_item(mixture, self.roots, self.sample_format, self.cache)
        segment = {
            "mixture": self._segment(whole.mixture, start),
            "references": self._segment(whole.references, start),
        }
        if "far_end" in self.inputs:
            segment["far_end"] = self._segment(inputs_of(["far_end"], whole)["far_end"], start)
        return segment, enrolments_of(whole) if "enrolment" in self.inputs else []

    def _segment(self, signal: Signal, start: int) -> Signal:
        return as_long(signal[..., start:], self.frames)


def _with_silence(signals: Signal, n_src: int) -> Signal:
    """Return signals (sources, ..., time), followed by silent ones up to `n_src`."""
    return np.pad(signals, [(0, n_src - len(signals))] + [(0, 0)] * (signals.ndim - 1))


def _enrolment(
    signals: Sequence[Samples], mixture: Mixture, frames: int, seed: int, index: int
) -> Signal:
    """Return a segment (n_src, channels, time) of each enrolment at a random offset.

    One that is shorter than the segment starts again at its end.
    """
    rng = example_rng(seed, index, ENROLMENT_STREAM)
    segments = [
        looped(signal, int(rng.integers(max(signal.shape[1] - frames, 0) + 1)), frames)
        for signal in signals
    ]
    return side_by_side(segments, mixture.channels).astype(np.float32)


def _mixture_index(seed: int, index: int, mixtures: int) -> int:
    """Return which mixture an example is of: each once per pass, in a random order per pass."""
    epoch, position = divmod(index, mixtures)
    return int(_order(seed, epoch, mixtures)[position])


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, mixtures: int) -> NDArray[np.int64]:
    return example_rng(seed, epoch, _ORDER_STREAM).permutation(mixtures)


def make_batch(examples: ExampleSource, step: int, batch_size: int) -> Batch:
    """Return the batch of a training step: the signals of examples by name, (batch, ...) each.

    Examples with fewer references, or groups of them, than others get silent ones.
    """
    indices = range(step * batch_size, (step + 1) * batch_size)
    chosen = [examples.example(index) for index in indices]
    most = max(len(example["references"]) for example in chosen)
    for example in chosen:
        example["references"] = _with_silence(example["references"], most)
    return {
        name: torch.from_numpy(np.stack([example[name] for example in chosen]))
        for name in chosen[0]
    }


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
