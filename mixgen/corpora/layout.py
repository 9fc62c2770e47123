"""Corpus layouts: how the path of an audio file tells what is in it.

There is one module per layout in `mixgen.corpora.layouts`. Each defines `LAYOUT` and is found by
being there; to add a layout, add a file.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.registry import choose, collect
from mixgen.core.vocabulary import Kind

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


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A corpus layout: what it is for, where the corpus comes from, and how its files are found.

    Attributes:
        name: as it is asked for; also the name of its file.
        summary: what it is for, in a few words.
        licence: that the corpus usually has; empty where the user has to say.
        citation: the paper or the publisher's page; empty for layouts of no corpus in particular.
        home: address from which the corpus comes, or empty.
        find: (root, kind asked for by the user) -> the files, in any order.
    """

    name: str
    summary: str
    licence: str = ""
    citation: str = ""
    home: str = ""
    find: Callable[[Path, Kind], Iterator[Found]]


@functools.cache
def layouts() -> dict[str, Layout]:
    """Return every layout under its name."""
    return collect("mixgen.corpora.layouts", Layout)


def get_layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        UsageError: there is none; the sentence has the nearest name.
    """
    return choose(layouts(), name, "layout")


def audio_files(root: Path) -> Iterator[Path]:
    """Yield the audio files below `root` as paths relative to it, without hidden ones."""
    for path in root.rglob("*"):
        relative = path.relative_to(root)
        hidden = any(part.startswith(".") for part in relative.parts)
        if path.suffix.lower() in AUDIO_SUFFIXES and not hidden and path.is_file():
            yield relative
