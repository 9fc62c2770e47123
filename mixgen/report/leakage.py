"""Leakage: talkers, files, songs and rooms that are in more than one split."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.manifest.uses import file_uses
from mixgen.report.rows import Rows

# What no two splits may share. Other labels are classes of sound, which splits share by design.
LEAKS = ("talkers", "files", "songs", "rooms")

_LISTED = 100


class Leakage:
    """The talkers, files, songs, rooms and labels in each split.

    A file is identified by its content, so a copy under another name is the same file. A song is a
    folder of music files with several labels (its stems), because a manifest names no songs. The
    splits `test`, `test_near`, ... may share anything with each other, because they may hold the
    same sounds in different mixtures.
    """

    def __init__(self) -> None:
        self._splits: dict[str, dict[str, dict[str, str]]] = {}  # split -> kind -> key -> name
        self._stems: dict[str, set[str]] = defaultdict(set)  # folder -> labels in it

    def add(self, mixture: Mixture, rows: Rows) -> None:  # noqa: ARG002 - one signature for all
        """Count one mixture."""
        split = self._splits.setdefault(mixture.split, defaultdict(dict))
        for kind, key, name in _contents(mixture):
            # The first name in the alphabet, so that the order of mixtures does not matter.
            split[kind][key] = min(name, split[kind].get(key, name))
        for source in mixture.sources:
            for event in source.events if source.kind == "music" else ():
                folder = f"{event.corpus}/{PurePosixPath(event.path).parent}"
                self._stems[folder].add(source.label)
                split["songs"][folder] = folder

    def as_data(self) -> dict[str, Any]:
        """Return what every pair of splits shares, for each kind of content in the set."""
        kinds = sorted({kind for split in self._splits.values() for kind in split}, key=_order)
        pairs = [
            self._shared(first, second, kind)
            for first, second in itertools.combinations(self._splits, 2)
            for kind in kinds
        ]
        return {"found": any(pair["leak"] for pair in pairs), "kinds": kinds, "pairs": pairs}

    def _shared(self, first: str, second: str, kind: str) -> dict[str, Any]:
        in_first, in_second = (self._names(split, kind) for split in (first, second))
        names = sorted(in_first[key] for key in in_first.keys() & in_second.keys())
        are_tests = all(split.split("_")[0] == "test" for split in (first, second))
        return {
            "splits": [first, second],
            "kind": kind,
            "in_each": [len(in_first), len(in_second)],
            "shared": len(names),
            "leak": bool(names) and kind in LEAKS and not are_tests,
            "names": names[:_LISTED],
        }

    def _names(self, split: str, kind: str) -> dict[str, str]:
        """Return the names of one kind in a split, by key."""
        names = self._splits[split].get(kind, {})
        if kind != "songs":
            return names
        return {folder: name for folder, name in names.items() if len(self._stems[folder]) > 1}


def _order(kind: str) -> tuple[int, str]:
    return (LEAKS.index(kind) if kind in LEAKS else len(LEAKS)), kind


def _contents(mixture: Mixture) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, key, name) of the labels, files and room of a mixture."""
    for source in mixture.sources:
        kind = "talkers" if source.kind == "speech" else f"{source.kind} labels"
        # The corpus is in the name: two corpora may use one label for two talkers.
        for corpus in {event.corpus for event in source.events} if source.label else ():
            name = f"{corpus}/{source.label}"
            yield kind, name, name
    for use in file_uses(mixture):
        yield "files", use.sha256, use.name
    if mixture.room:
        yield "rooms", mixture.room.name, mixture.room.name
