"""Draw ranges of mixtures on other machines.

The files of a mixture depend on those of the mixtures before it. So a worker chooses the files of
every mixture from the first one on, which is quick, and decides the rest for its ranges alone.
"""

import functools
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mixgen.core.cluster import cluster_map
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots
from mixgen.corpora.sources import SourceRow, open_sources
from mixgen.draw.sampler import Selection
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe

_MIXTURES = 200  # of a range

_of_thread = threading.local()


class Drawer(Protocol):
    """Draws the mixtures of a split; see `mixgen.draw.mixtures.MixtureDrawer`."""

    def select(self, index: int) -> Selection: ...
    def draw(self, selection: Selection) -> Mixture: ...


MakeDrawer = Callable[[Recipe, list[SourceRow], Roots, str], Drawer]


@dataclass(frozen=True)
class _Job:
    """What every range of a draw has in common; `token` tells it from other draws."""

    token: str
    make_drawer: MakeDrawer
    recipe: Recipe
    sources: tuple[Path | SourceRow, ...]
    roots: Roots

    def open(self, split: str) -> Drawer:
        """Return a drawer of a split."""
        rows, _ = open_sources(self.sources, self.roots)
        return self.make_drawer(self.recipe, rows, self.roots, split)


@dataclass(frozen=True)
class _Range:
    """Consecutive mixtures of a split: from `start` up to `stop`, which is not one of them."""

    split: str
    start: int
    stop: int


@dataclass
class _Begun:
    """A drawer in use: for which draw and split, and the mixture that it chooses files for next."""

    key: tuple[str, str]
    drawer: Drawer
    following: int = 0

    def select(self) -> Selection:
        """Return the files of the next mixture."""
        self.following += 1
        return self.drawer.select(self.following - 1)


def draw_ranges(
    make_drawer: MakeDrawer,
    recipe: Recipe,
    sources: Iterable[str | Path | SourceRow],
    roots: Roots,
    executor: Executor,
    *,
    splits: Sequence[str] | None = None,
) -> Iterator[Mixture]:
    """Yield the mixtures of the recipe's splits (all by default), in order.

    Args:
        make_drawer: makes the drawer of a split of the recipe from rows and roots.
        recipe: what to draw.
        sources: sources.csv files, which every worker has to see, or their rows.
        roots: of the corpora, which every worker has to see.
        executor: of the workers.
        splits: only these.

    Raises:
        InputError: the recipe has no such split, or a mixture cannot be drawn.
        MachineError: a worker has other versions, or does not see a folder.
    """
    shared = tuple(s if isinstance(s, SourceRow) else Path(s).absolute() for s in sources)
    seen = {name: root.absolute() for name, root in roots.items()}
    job = _Job(secrets.token_hex(8), make_drawer, recipe, shared, seen)
    folders = [*seen.values(), *(source for source in shared if isinstance(source, Path))]
    work = functools.partial(_draw_range, job)
    for _, mixtures in cluster_map(work, _ranges(recipe, splits), executor, folders=folders):
        yield from mixtures


def _ranges(recipe: Recipe, splits: Sequence[str] | None) -> Iterator[_Range]:
    for split in dict.fromkeys(splits or recipe.splits):
        if split not in recipe.splits:
            raise InputError(f"The recipe has no split {split!r}.")
        count = recipe.splits[split].mixtures
        for start in range(0, count, _MIXTURES):
            yield _Range(split, start, min(start + _MIXTURES, count))


def _draw_range(job: _Job, of: _Range) -> list[Mixture]:
    """Draw a range with the drawer of this thread, if that is not beyond the range's start."""
    begun: _Begun | None = getattr(_of_thread, "begun", None)
    if begun is None or begun.key != (job.token, of.split) or begun.following > of.start:
        begun = _of_thread.begun = _Begun((job.token, of.split), job.open(of.split))
    while begun.following < of.start:
        begun.select()
    return [begun.drawer.draw(begun.select()) for _ in range(of.start, of.stop)]
