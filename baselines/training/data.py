"""What training reads: items that depend on the seed and their index alone, and batches of them.

Workers, batch size and interruptions therefore change no item. Axes: batch, n_src, channels, time.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import count
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mixgen.audio.formats import FORMATS
from mixgen.audio.read import read_audio
from mixgen.corpora.roots import Roots
from mixgen.dataset import rendered_item
from mixgen.manifest.file import Manifest
from mixgen.manifest.mixture import MIXTURE
from mixgen.sets.rendered import RenderedSet

Signal = NDArray[np.float32]
Item = tuple[Signal, Signal]  # mixture (channels, time), references (n_src, channels, time)
Batch = dict[str, Tensor]

_BATCHES_AHEAD = 4
_ITEM_STREAM, _ORDER_STREAM = 0, 1


class Items(Protocol):
    """Endless training items, each the same whenever it is asked for."""

    def item(self, index: int) -> Item:
        """Item number `index`."""


def item_rng(seed: int, index: int, stream: int = _ITEM_STREAM) -> np.random.Generator:
    """The random generator of one item: counter-based, so that no item depends on another."""
    return np.random.Generator(np.random.Philox(key=[seed, index], counter=[0, 0, 0, stream]))


class RenderedItems:
    """Segments of a rendered split at random offsets, every mixture once per pass over the set.

    A mixture shorter than the segment is followed by silence.
    """

    def __init__(self, rendered: RenderedSet, split: str, *, segment_s: float, seed: int) -> None:
        self.rendered = rendered
        self.mixtures = rendered.mixtures(split)
        self.frames = round(segment_s * self.mixtures[0].sample_rate)
        self.seed = seed

    def item(self, index: int) -> Item:
        """A segment of mixture and references; raises InputError for a file that cannot be read."""
        mixture = self.mixtures[_shuffled(self.seed, index, len(self.mixtures))]
        start = _start(self.seed, index, mixture.frames, self.frames)
        names = [MIXTURE, *mixture.targets]
        signals = np.stack([self._read(mixture.id, name, start, mixture.frames) for name in names])
        return signals[0], signals[1:]

    def _read(self, mixture_id: str, name: str, start: int, available: int) -> Signal:
        frames = min(self.frames, available - start)
        path = self.rendered.reference_path(mixture_id, name)
        samples = read_audio(path, start, frames)[0]
        return np.pad(samples, ((0, 0), (0, self.frames - frames))).astype(np.float32)


class RecordItems:
    """Segments of a manifest's mixtures, rendered in memory exactly as their records say.

    As from the rendered set: every mixture once per pass, at random offsets, followed by silence
    where it is short.
    """

    def __init__(
        self, manifest: Manifest, roots: Roots, split: str, *, segment_s: float, seed: int
    ) -> None:
        self.mixtures = manifest.of_split(split)
        self.roots = roots
        self.sample_format = FORMATS[manifest.header.format]
        self.frames = round(segment_s * self.mixtures[0].sample_rate)
        self.seed = seed

    def item(self, index: int) -> Item:
        """A segment of mixture and references; raises InputError for a file that cannot be read."""
        record = self.mixtures[_shuffled(self.seed, index, len(self.mixtures))]
        whole = rendered_item(record, self.roots, self.sample_format)
        start = _start(self.seed, index, record.frames, self.frames)
        return self._cut(whole.mixture, start), self._cut(whole.references, start)

    def _cut(self, signal: Signal, start: int) -> Signal:
        cut = signal[..., start : start + self.frames]
        short = [(0, 0)] * (cut.ndim - 1) + [(0, self.frames - cut.shape[-1])]
        return np.pad(cut, short)


def _shuffled(seed: int, index: int, size: int) -> int:
    """Which of `size` mixtures item `index` is of: each once per pass, in an order of its own."""
    epoch, position = divmod(index, size)
    return int(_order(seed, epoch, size)[position])


def _start(seed: int, index: int, available: int, frames: int) -> int:
    return int(item_rng(seed, index).integers(max(available - frames, 0) + 1))


@lru_cache(maxsize=2)
def _order(seed: int, epoch: int, size: int) -> NDArray[np.int64]:
    return item_rng(seed, epoch, _ORDER_STREAM).permutation(size)


def make_batch(items: Items, step: int, batch_size: int) -> Batch:
    """The batch of a training step: `mixture` and `references`, float32."""
    indices = range(step * batch_size, (step + 1) * batch_size)
    mixtures, references = zip(*(items.item(index) for index in indices), strict=True)
    return {
        "mixture": torch.from_numpy(np.stack(mixtures)),  # (batch, channels, time)
        "references": torch.from_numpy(np.stack(references)),  # (batch, n_src, channels, time)
    }


def batches(items: Items, *, batch_size: int, first_step: int, workers: int) -> Iterator[Batch]:
    """Yield the batches from `first_step` on, made ahead of their use by `workers` threads.

    With no workers each is made when it is asked for.
    """
    if workers == 0:
        yield from (make_batch(items, step, batch_size) for step in count(first_step))
    with ThreadPoolExecutor(workers) as pool:
        ahead = deque(
            pool.submit(make_batch, items, step, batch_size)
            for step in range(first_step, first_step + _BATCHES_AHEAD)
        )
        for step in count(first_step + _BATCHES_AHEAD):
            yield ahead.popleft().result()
            ahead.append(pool.submit(make_batch, items, step, batch_size))
