"""Published sets, which the modules of this package register."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.registry import collect
from mixgen.published.importing import Imported
from mixgen.sets.layout import Layout
from mixgen.sets.rendered import RenderedSet


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A set that was published as lists of files and a script, or as files.

    Attributes:
        name: by which users choose the command and the layout.
        importer: the command `mixgen import NAME`: a function whose parameters are typer's options.
        layout: the tree that the set's script makes; None where there is no such tree.
        write_tables: writes the tables that the script writes beside the files of a rendered set;
            gets the set, and a folder for tables that are not finished.
    """

    name: str
    importer: Callable[..., Imported]
    layout: Layout | None = None
    write_tables: Callable[[RenderedSet, Path], None] | None = None


@functools.cache
def published_sets() -> dict[str, PublishedSet]:
    """Return all published sets by name."""
    return collect("mixgen.published", PublishedSet)
