"""Mixtures as a training loop reads them: drawn and rendered in memory, or from a rendered set.

Every dataset here has a length and returns item i in any order and in any process, as
`torch.utils.data.DataLoader` needs of a map-style dataset.
"""

import copy
import functools
import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.formats import SampleFormat, format_called, from_grid
from mixgen.core.errors import UsageError
from mixgen.core.vocabulary import FormatName
from mixgen.corpora.roots import Roots, find_roots
from mixgen.corpora.sources import SourceRow, open_sources
from mixgen.draw.mixtures import MixtureDrawer
from mixgen.draw.sampler import Selection
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.recipe.read import open_recipe
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import render
from mixgen.sets.rendered import load_set

Signal = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class MixtureItem:
    """One mixture (channels, time), its references (n_src, channels, time), and its record.

    Every sample of every format is a float32 without error. References are in the order of the
    record's `targets`, as are `enrolments`, each (1, time), where the recipe asks for them.
    """

    mixture: Signal
    references: Signal
    record: Mixture
    enrolments: Sequence[Signal] = ()

    @property
    def id(self) -> str:
        """The mixture's id in its manifest."""
        return self.record.id


class RecipeDataset:
    """Mixtures `start` to `start + length` of a split, each as `draw` and `render` would make it.

    A split has no end: `length` may be more than the recipe's number of mixtures. The files of all
    are selected here, so that any mixture can be drawn at once in any process.

    Args:
        recipe: a recipe.yaml, the name of a shipped set, or a recipe that was read.
        sources: sources.csv files to draw from, or their rows.
        split: of the recipe.
        roots: folder of each corpus, where `roots.json` beside the sources does not have it.
        seed: another seed than the recipe's.
        sample_format: on whose grid the samples are; the recipe's by default.
        length: how many mixtures; the recipe's number by default.
        start: the first one.

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
    ) -> None:
        plan = open_recipe(recipe)
        rows, self._roots = open_sources(sources, roots)
        self._format = format_called(sample_format or plan.format)
        self._selections = _Selections(
            functools.partial(MixtureDrawer, plan, rows, self._roots, split, seed=seed)
        )
        self._begin(start, plan.splits[split].mixtures if length is None else length)

    def _begin(self, start: int, length: int) -> None:
        if start < 0 or length < 1:
            raise UsageError(
                f"A dataset starts at mixture 0 or later and has at least one, not {length} from "
                f"{start} on."
            )
        self._start = start
        self._selected = self._selections.of(range(start, start + length))

    def __len__(self) -> int:
        return len(self._selected)

    def __getitem__(self, index: int) -> MixtureItem:
        return rendered_item(self.record(index), self._roots, self._format)

    def record(self, index: int) -> Mixture:
        """Draw an item's record without rendering it.

        Raises:
            IndexError: the dataset is shorter.
            InputError: as `draw_mixtures`.
        """
        return self._selections.drawer.draw(self._selected[index])

    def epoch(self, number: int) -> "RecipeDataset":
        """Return a dataset of as many mixtures, of which no other epoch has any; 0 is this one.

        Raises:
            UsageError: there is no such epoch.
        """
        if number == 0:
            return self
        other = copy.copy(self)
        other._begin(self._start + number * len(self), len(self))
        return other


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
        selected = map(self.drawer.select, range(self._next, wanted.stop))
        found = list(itertools.islice(selected, wanted.start - self._next, None))
        self._next = wanted.stop
        return found


class ManifestDataset:
    """The mixtures of a drawn manifest (of one split, or all), rendered in memory.

    `roots` and `sample_format` are those of `RecipeDataset`.

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
    ) -> None:
        opened = read_manifest(Path(manifest))
        self._records = opened.of_split(split)
        self._roots = find_roots([Path(manifest)], roots)
        self._format = format_called(sample_format or opened.header.format)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> MixtureItem:
        return rendered_item(self._records[index], self._roots, self._format)


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
        record = self._records[index]
        mixture = self._rendered.load_mixture(record.id)
        references = self._rendered.load_references(record.id)
        enrolments = [e.astype(np.float32) for e in self._rendered.load_enrolments(record.id)]
        return MixtureItem(
            mixture.astype(np.float32), references.astype(np.float32), record, enrolments
        )


def rendered_item(record: Mixture, roots: Roots, sample_format: SampleFormat) -> MixtureItem:
    """Render a record in memory.

    Raises:
        InputError: a source file is missing, unreadable or not the one that was drawn.
    """
    steps = render(record, roots, sample_format).steps
    references = np.empty((len(record.targets), record.channels, record.frames), np.float32)
    for index, name in enumerate(record.targets):
        references[index] = from_grid(steps[name], sample_format)
    mixture = from_grid(steps[MIXTURE], sample_format).astype(np.float32)
    enrolments = [
        from_grid(steps[file.name], sample_format).astype(np.float32)
        for file in record.source_files
        if file.part == "enrolment"
    ]
    return MixtureItem(mixture, references, record, enrolments)


class Batch(TypedDict):
    """Items side by side, each followed by zeros up to the longest and to the most references.

    `mixture` is (batch, channels, time), `references` (batch, n_src, channels, time). `frames` and
    `n_src` hold the length in samples and the number of references of each item, shape (batch,).
    `enrolments` is (batch, n_src, time) and `enrolment_frames` (batch, n_src); without any, 0 long.
    """

    id: list[str]
    mixture: Signal
    references: Signal
    frames: NDArray[np.int64]
    n_src: NDArray[np.int64]
    enrolments: Signal
    enrolment_frames: NDArray[np.int64]


def collate(items: Sequence[MixtureItem]) -> Batch:
    """Put items of any lengths and numbers of references into one batch."""
    frames = np.array([item.mixture.shape[1] for item in items])
    n_src = np.array([len(item.references) for item in items])
    channels = len(items[0].mixture)
    mixture = np.zeros((len(items), channels, frames.max()), np.float32)
    references = np.zeros((len(items), n_src.max(), channels, frames.max()), np.float32)
    for index, item in enumerate(items):
        mixture[index, :, : frames[index]] = item.mixture
        references[index, : n_src[index], :, : frames[index]] = item.references
    enrolments, enrolment_frames = _side_by_side([item.enrolments for item in items], n_src.max())
    return Batch(
        id=[item.id for item in items],
        mixture=mixture,
        references=references,
        frames=frames,
        n_src=n_src,
        enrolments=enrolments,
        enrolment_frames=enrolment_frames,
    )


def _side_by_side(
    enrolments: Sequence[Sequence[Signal]], n_src: int
) -> tuple[Signal, NDArray[np.int64]]:
    """Return all of a batch as one array (batch, n_src, time), and their lengths (batch, n_src)."""
    frames = np.zeros((len(enrolments), n_src), np.int64)
    for index, signals in enumerate(enrolments):
        frames[index, : len(signals)] = [signal.shape[1] for signal in signals]
    padded = np.zeros((*frames.shape, frames.max(initial=0)), np.float32)
    for index, signals in enumerate(enrolments):
        for number, signal in enumerate(signals):
            padded[index, number, : signal.shape[1]] = signal[0]
    return padded, frames
