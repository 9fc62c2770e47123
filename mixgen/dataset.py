"""Mixtures as a training loop reads them: drawn and rendered in memory, or from a rendered set.

Every dataset here has a length and returns item i in any order and in any process, as
`torch.utils.data.DataLoader` needs of a map-style dataset.
"""

import copy
import functools
import itertools
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import get_spawning_popen
from multiprocessing.sharedctypes import RawValue
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.cache import DecodedCache, open_cache
from mixgen.audio.encoded import EncodedFile
from mixgen.audio.formats import SampleFormat, file_steps, format_called
from mixgen.audio.read import as_long
from mixgen.core.errors import UsageError
from mixgen.core.memory import keep_freed_memory
from mixgen.core.vocabulary import FormatName
from mixgen.corpora.roots import Roots, find_roots
from mixgen.corpora.sources import SourceRow, open_sources
from mixgen.draw.mixtures import MixtureDrawer
from mixgen.draw.sampler import Selection
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.recipe.read import open_recipe
from mixgen.recipe.schema import Recipe
from mixgen.render.exact import ExactRenderer
from mixgen.render.mixture import render
from mixgen.sets.rendered import RenderedSet, load_set

Signal = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MixtureItem:
    """One mixture (channels, time), its references (n_src, channels, time), and its record.

    Every sample of every format is a float32 without error. References are in the order of the
    record's `targets`, as are `enrolments`, each (1, time), where the recipe asks for them.
    `far_end` (channels, time) is the sum of the signals that echoes are of; None without an echo.
    """

    mixture: Signal
    references: Signal
    record: Mixture
    enrolments: Sequence[Signal] = ()
    far_end: Signal | None = None

    @property
    def id(self) -> str:
        """The mixture's id in its manifest."""
        return self.record.id


class RecipeDataset:
    """Mixtures `start` to `start + length` of a split, each as `draw` and `render` would make it.

    A split has no end: `length` may be more than the recipe's number of mixtures, and `set_epoch`
    goes on with the next ones. The files of all are selected here, so that any mixture can be drawn
    at once in any process.

    Args:
        recipe: a recipe.yaml, the name of a shipped set, or a recipe that was read.
        sources: sources.csv files to draw from, or their rows.
        split: of the recipe.
        roots: folder of each corpus, where `roots.json` beside the sources does not have it.
        seed: another seed than the recipe's.
        sample_format: on whose grid the samples are; the recipe's by default.
        length: how many mixtures; the recipe's number by default.
        start: the first one.
        cache: folder of decoded source files, by default that of MIXGEN_CACHE if it is set.

    Raises:
        UsageError: `start` is below 0 or `length` below 1, or there is no such format.
        InputError: the recipe has no such split, or the sources cannot fill it. Items raise it if a
            source file is missing, unreadable or not the one that was indexed.
    """

    def __init__(
        self,
        recipe: str | Path | Recipe,
        sources: Iterable[str | Path | SourceRow],
        split: str,
        *,
        roots: Mapping[str, Path | str] | None = None,
        seed: int | None = None,
        sample_format: FormatName | None = None,
        length: int | None = None,
        start: int = 0,
        cache: str | Path | None = None,
    ) -> None:
        plan = open_recipe(recipe)
        rows, self._roots = open_sources(sources, roots)
        self._format = format_called(sample_format or plan.format)
        self._selections = _Selections(
            functools.partial(MixtureDrawer, plan, rows, self._roots, split, seed=seed)
        )
        self._cache = open_cache(cache)
        self._length = plan.splits[split].mixtures if length is None else length
        self._begin(start)

    def _begin(self, start: int) -> None:
        self._start = start
        self._epoch = _SharedNumber(0)
        self._select(0)

    def _select(self, epoch: int) -> None:
        """Select the files of the mixtures of an epoch."""
        start = self._start + epoch * self._length
        if start < 0 or self._length < 1:
            raise UsageError(
                f"A dataset starts at mixture 0 or later and has at least one, not {self._length} "
                f"from {start} on."
            )
        self._selected = self._selections.of(range(start, start + self._length))
        self._selected_epoch = epoch

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> MixtureItem:
        return rendered_item(self.record(index), self._roots, self._format, self._cache)

    def record(self, index: int) -> Mixture:
        """Draw an item's record without rendering it.

        Raises:
            IndexError: the dataset is shorter.
            InputError: as `draw_mixtures`.
        """
        if self._selected_epoch != self._epoch.value:  # set in the process that has the loader
            self._select(self._epoch.value)
        return self._selections.drawer.draw(self._selected[index])

    def set_epoch(self, number: int) -> None:
        """Make this the dataset of an epoch, here and in workers that have it already.

        Epochs have as many mixtures, and none in common. Call it between two passes of a loader,
        like the `set_epoch` of `torch.utils.data.DistributedSampler`.

        Raises:
            UsageError: there is no such epoch.
        """
        self._select(number)
        self._epoch.value = number

    def epoch(self, number: int) -> "RecipeDataset":
        """Return a dataset of as many mixtures, of which no other epoch has any; 0 is the first.

        Raises:
            UsageError: there is no such epoch.
        """
        other = copy.copy(self)
        other._begin(self._start + number * self._length)
        return other


class _SharedNumber:
    """A whole number that all processes see which were started with it."""

    def __init__(self, value: int, memory: Any = None) -> None:
        self._memory = RawValue("q", value) if memory is None else memory

    def __reduce__(self) -> tuple[Any, ...]:
        # Memory can be handed to a process that is starting; any other copy has its own.
        memory = self._memory if get_spawning_popen() is not None else None
        return _SharedNumber, (self.value, memory)

    @property
    def value(self) -> int:
        """The number."""
        return int(self._memory.value)

    @value.setter
    def value(self, value: int) -> None:
        self._memory.value = value


class _Selections:
    """The files of a split's mixtures, which are selected in the order of the mixtures."""

    def __init__(self, new_drawer: Callable[[], MixtureDrawer]) -> None:
        self._new_drawer = new_drawer
        self.drawer = new_drawer()
        self._next = 0

    def of(self, wanted: range) -> list[Selection]:
        """Return the files of a range of mixtures; an earlier range starts again from the first."""
        if wanted.start < self._next:
            self.drawer, self._next = self._new_drawer(), 0
        first, self._next = self._next, sys.maxsize  # begin anew after an error on the way
        selected = map(self.drawer.select, range(first, wanted.stop))
        found = list(itertools.islice(selected, wanted.start - first, None))
        self._next = wanted.stop
        return found


class ManifestDataset:
    """The mixtures of a drawn manifest (of one split, or all), rendered in memory.

    `roots`, `sample_format` and `cache` are those of `RecipeDataset`.

    Raises:
        InputError: the manifest cannot be read or has no such split; an item raises it as in
            `RecipeDataset`.
    """

    def __init__(
        self,
        manifest: str | Path,
        split: str | None = None,
        *,
        roots: Mapping[str, Path | str] | None = None,
        sample_format: FormatName | None = None,
        cache: str | Path | None = None,
    ) -> None:
        opened = read_manifest(Path(manifest))
        self._records = opened.of_split(split)
        self._roots = find_roots([Path(manifest)], roots)
        self._format = format_called(sample_format or opened.header.format)
        self._cache = open_cache(cache)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> MixtureItem:
        return rendered_item(self._records[index], self._roots, self._format, self._cache)


class RenderedDataset:
    """The mixtures of a rendered set (of one split, or all), read from its files.

    Raises:
        InputError: the set has no such split; an item raises it where a file cannot be read.
    """

    def __init__(self, folder: str | Path, split: str | None = None) -> None:
        self._rendered = load_set(folder)
        self._records = self._rendered.mixtures(split)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> MixtureItem:
        return item_of_set(self._rendered, self._records[index])


def item_of_set(rendered: RenderedSet, record: Mixture) -> MixtureItem:
    """Read a mixture of a rendered set from its files.

    Raises:
        InputError: a file cannot be read.
    """
    mixture = rendered.load_mixture(record.id)
    references = rendered.load_references(record.id)
    enrolments = [e.astype(np.float32) for e in rendered.load_enrolments(record.id)]
    far_end = rendered.load_far_end(record.id).astype(np.float32) if record.far_end_files else None
    return MixtureItem(
        mixture.astype(np.float32), references.astype(np.float32), record, enrolments, far_end
    )


def rendered_item(
    record: Mixture,
    roots: Roots,
    sample_format: SampleFormat,
    cache: DecodedCache | None = None,
) -> MixtureItem:
    """Render a record in memory.

    Raises:
        InputError: a source file is missing, unreadable or not the one that was drawn.
    """
    keep_freed_memory()
    if record.is_exact:
        files = ExactRenderer(roots, sample_format, cache).render(record).files
        samples_of = {name: functools.partial(_samples_in, file) for name, file in files.items()}
    else:
        steps = render(record, roots, sample_format, cache).steps
        samples_of = {
            name: functools.partial(_samples_of, s, sample_format) for name, s in steps.items()
        }
    references = np.empty((len(record.targets), record.channels, record.frames), np.float32)
    for reference, name in zip(references, record.targets, strict=True):
        samples_of[name](out=reference)
    enrolments = [
        samples_of[file.name]() for file in record.source_files if file.part == "enrolment"
    ]
    far_ends = [as_long(samples_of[name](), record.frames) for name in record.far_end_files]
    far_end = np.asarray(sum(far_ends)) if far_ends else None
    return MixtureItem(samples_of[MIXTURE](), references, record, enrolments, far_end)


def _samples_in(file: EncodedFile, out: Signal | None = None) -> Signal:
    """Return the samples of a file, shape (channels, time), as they are read from it."""
    if file.sample_format.subtype != "FLOAT":
        steps = file_steps(file.samples, file.sample_format)
        return _samples_of(steps, file.sample_format, out)
    samples = np.ascontiguousarray(file.samples.T)
    if out is not None:
        out[...] = samples
    return samples


def _samples_of(
    steps: NDArray[np.int32], sample_format: SampleFormat, out: Signal | None = None
) -> Signal:
    """Return whole steps as samples, full scale 1.0, of which a float32 holds every one."""
    return np.multiply(
        steps, np.float32(sample_format.step), out=out, dtype=np.float32, casting="same_kind"
    )
