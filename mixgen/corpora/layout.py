"""Corpus layouts: they derive what an audio file contains from its path.

Each module in `mixgen.corpora.layouts` defines one `LAYOUT`. To add a layout, add a module: all are
collected.
"""

import functools
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.paths import as_utf8
from mixgen.core.registry import choose, collect
from mixgen.core.vocabulary import Kind

# Names of splits in corpora -> names of splits here.
SPLITS = {
    **dict.fromkeys(("train", "tr"), "train"),
    **dict.fromkeys(("valid", "validation", "val", "dev", "cv"), "valid"),
    **dict.fromkeys(("test", "eval", "tt"), "test"),
}
_WORD_ENDS = re.compile("[-_]")


def split_called(name: str) -> str:
    """Return the split of an official name: train of train-100, test of test_eval92; or the name.

    The first word of the name decides.
    """
    return SPLITS.get(_WORD_ENDS.split(name)[0], name)


@dataclass(frozen=True)
class Found:
    """An audio file of a corpus, with what its layout knows about it.

    `path` is relative to the root. `licence` is for corpora whose files have different licences;
    where it is empty, the licence of the layout applies. `unusable` is the reason why the file
    cannot be used, if the layout knows one.
    """

    path: str
    kind: Kind
    label: str
    group: str
    split: str = ""
    text: str = ""
    licence: str = ""
    unusable: str = ""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A corpus layout: its name, the origin of the corpus, and a function that finds the files.

    Attributes:
        name: the name that users give; also the name of its module.
        summary: the corpora it reads, for a list of all layouts.
        licence: the usual licence of the corpus; empty if the user has to give it.
        citation: the paper or the publisher's page; empty if the layout fits any corpus.
        home: web address of the corpus, or empty.
        find: (root, kind given by the user) -> the files, in any order.
        emotion: name of a file without suffix -> the emotion that it is spoken with, or nothing;
            for corpora of emotional speech.
    """

    name: str
    summary: str
    licence: str = ""
    citation: str = ""
    home: str = ""
    find: Callable[[Path, Kind], Iterator[Found]]
    emotion: Callable[[str], str] | None = None


@functools.cache
def layouts() -> dict[str, Layout]:
    """Return every layout by its name."""
    return collect("mixgen.corpora.layouts", Layout)


def get_layout(name: str) -> Layout:
    """Return the layout called `name`.

    Raises:
        UsageError: no layout has this name; the message suggests the nearest one.
    """
    return choose(layouts(), name, "layout")


def emotion_of(path: str) -> str:
    """Return the emotion that a file of a corpus of emotional speech is spoken with, by its name.

    Empty for files of other corpora. The names of these corpora exclude each other.
    """
    name = PurePosixPath(path).stem
    found = (layout.emotion(name) for layout in layouts().values() if layout.emotion is not None)
    return next(filter(None, found), "")


def audio_files(root: Path) -> Iterator[Path]:
    """Yield the audio files below `root`, relative to it; hidden files and folders are skipped.

    Folders that cannot be read are skipped as well; `unreadable_folders` lists them.
    """
    return (path for path in _files(root) if path.suffix.lower() in AUDIO_SUFFIXES)


def files_named(root: Path, suffix: str) -> list[Path]:
    """Return the files below `root` whose names end so in any case, sorted, without hidden ones."""
    return sorted(root / path for path in _files(root) if path.name.lower().endswith(suffix))


def unreadable_folders(root: Path) -> list[tuple[str, str]]:
    """Return the folders below `root`, relative to it, that cannot be read, with the reason."""
    failed: list[OSError] = []
    for _ in _files(root, failed.append):
        pass
    return [
        (as_utf8(Path(error.filename).relative_to(root)), f"cannot be read: {error.strerror}.")
        for error in failed
    ]


def _files(root: Path, onerror: Callable[[OSError], object] | None = None) -> Iterator[Path]:
    """Yield what is below `root` and no folder, relative to it, without hidden names."""
    for folder, folders, files in os.walk(root, onerror=onerror):
        folders[:] = (name for name in folders if not name.startswith("."))
        below = Path(folder).relative_to(root)
        yield from (below / name for name in files if not name.startswith("."))
