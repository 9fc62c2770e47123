"""Find files in the folders of rendered sets that are in no record."""

import os
from array import array
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import numpy as np

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.files import TEMPORARY_PREFIX
from mixgen.core.paths import as_utf8, leads_out
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RECORDS_FOLDER
from mixgen.verify.problem import Problem


def unknown_in_mixture(folder: Path, mixture: Mixture, paths: Iterable[str]) -> Iterator[Problem]:
    """Find audio and temporary files in a mixture's folder that do not belong to it."""
    own = {folder / path for path in paths}
    if leads_out(folder, mixture.id):  # each file in it is reported already
        return
    yield from _unknown_below(folder / mixture.id, folder, own)


def unknown_in_set(folder: Path, known: "array[int]", others: Collection[str]) -> Iterator[Problem]:
    """Find sound and temporary files that are in no mixture's folder, nor in `others`."""
    np.asarray(known).sort()  # in place
    with os.scandir(folder) as entries:
        names = {entry.name for entry in entries if not holds(known, hash(entry.name))}
    for name in sorted(names - {RECORDS_FOLDER, *others}):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            yield from _unknown_below(path, folder)
        else:
            yield from _unknown(path, folder)


def unknown_in_tree(folder: Path, tops: Iterable[str], known: "array[int]") -> Iterator[Problem]:
    """Find sound and temporary files in the folders of a tree that are in none of its sets.

    Args:
        folder: of the tree.
        tops: names of its folders in which there are files of sets.
        known: hashes of the paths of these files, which are sorted here.
    """
    np.asarray(known).sort()  # in place
    for top in sorted(tops):
        for problem in _unknown_below(folder / top, folder):
            if problem.kind != "unknown" or not holds(known, hash(problem.path)):
                yield problem


def _unknown_below(
    parent: Path, folder: Path, own: Collection[Path] = frozenset()
) -> Iterator[Problem]:
    """Find files that are not `own`, one folder after the other; links are not followed."""
    failed: list[OSError] = []
    for below, folders, files in os.walk(parent, onerror=failed.append):
        folders.sort()
        for path in (Path(below, name) for name in sorted(files)):
            if path not in own:
                yield from _unknown(path, folder)
    for error in failed:
        if not isinstance(error, FileNotFoundError):  # its files are reported as missing
            name = as_utf8(Path(error.filename).relative_to(folder))
            yield Problem(name, "unreadable", f"its files cannot be listed: {error.strerror}")


def _unknown(path: Path, folder: Path) -> Iterator[Problem]:
    name = as_utf8(path.relative_to(folder))
    if path.name.startswith(TEMPORARY_PREFIX):
        yield Problem(name, "unknown", "an interrupted run left it")
    elif path.suffix.lower() in AUDIO_SUFFIXES:
        yield Problem(name, "unknown", "the manifest does not have this file")


def holds(ordered: "array[int]", number: int) -> bool:
    """Return whether a sorted array holds a number."""
    index = bisect_left(ordered, number)
    return index < len(ordered) and ordered[index] == number
