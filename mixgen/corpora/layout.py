"""Corpus layouts: how the path of an audio file tells what is in it.

There is one module per layout in `mixgen.corpora.layouts`. Each defines `LAYOUT` and is found by
being there; to add a layout, add a file.
"""

import difflib
import functools
import importlib
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.errors import SuiteError, UsageError
from mixgen.core.vocabulary import Kind
from mixgen.corpora import layouts as _folder

# What corpora call their splits, and what these are called here.
SPLITS = {
    **dict.fromkeys(("train", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "cv"), "valid"),
    **dict.fromkeys(("test", "eval", "tt"), "test"),
}


@dataclass(frozen=True)
class Found:
    """An audio file of a corpus and what its layout tells of it; `path` is relative to the root.

    `licence` is for corpora whose files differ in it; empty means that of the layout.
    """

    path: str
    kind: Kind
    label: str
    group: str
    split: str = ""
    text: str = ""
    licence: str = ""


@dataclass(frozen=True)
class Layout:
    """A corpus layout: its name, what it is for, its usual licence, and how files are found."""

    name: str
    summary: str
    licence: str
    find: Callable[[Path, Kind], Iterator[Found]]
    """(root, kind asked for by the user) -> the files, in any order."""


@functools.cache
def layouts() -> dict[str, Layout]:
    """Return every layout under its name."""
    found: dict[str, Layout] = {}
    for module in pkgutil.iter_modules(_folder.__path__):
        layout: Layout = importlib.import_module(f"{_folder.__name__}.{module.name}").LAYOUT
        if layout.name in found:
            raise SuiteError(f"Two corpus layouts are called {layout.name!r}.")
        found[layout.name] = layout
    return found


def get_layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        UsageError: there is none; the nearest name is told.
    """
    known = layouts()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"There is no layout {name!r}: choose one of {', '.join(known)}.{hint}")
    return known[name]


def audio_files(root: Path) -> Iterator[Path]:
    """Yield the audio files below `root` as paths relative to it, without hidden ones."""
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in AUDIO_SUFFIXES and not hidden and path.is_file():
            yield relative
