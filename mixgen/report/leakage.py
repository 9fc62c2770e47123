"""Leakage: talkers, files, songs and rooms that are in more than one split."""

import itertools
from collections import defaultdict
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from mixgen.manifest.mixture import Mixture
from mixgen.report.rows import Rows, parts_of

# What no two splits may share. Other labels are classes of sound, which splits share by design.
LEAKS = ("talkers", "files", "songs", "rooms")

_LISTED = 100


class Leakage:
    """Who and what is in each split.

    A file is known by its content, so a copy under another name is found as well. A song is a
    folder of music files with several labels (its stems): the manifest has no songs of its own.
    Splits whose names begin with "test" may share all of it among themselves.
    """

    def __init__(self) -> None:
        self._splits: dict[str, dict[str, dict[str, str]]] = {}  # split -> kind -> key -> name
        self._stems: dict[str, set[str]] = defaultdict(set)  # folder -> labels in it

    def add(self, mixture: Mixture, rows: Rows) -> None:  # noqa: ARG002 - one signature for all
        """Take one mixture into account."""
        split = self._splits.setdefault(mixture.split, defaultdict(dict))
        for kind, key, name in itertools.chain(_labels(mixture), _files(mixture), _rooms(mixture)):
            # The first name in the alphabet, so that the order of mixtures does not matter.
            split[kind][key] = min(name, split[kind].get(key, name))
        for folder, label in _music_folders(mixture):
            self._stems[folder].add(label)
            split["songs"][folder] = folder

    def as_data(self) -> dict[str, Any]:
        """Return what every pair of splits shares, for each kind of thing in the set."""
        kinds = sorted({kind for split in self._splits.values() for kind in split}, key=_order)
        pairs = [
            self._shared(first, second, kind)
            for first, second in itertools.combinations(self._splits, 2)
            for kind in kinds
        ]
        return {"found": any(pair["leak"] for pair in pairs), "kinds": kinds, "pairs": pairs}

    def _shared(self, first: str, second: str, kind: str) -> dict[str, Any]:
        ours, theirs = (self._things(split, kind) for split in (first, second))
        names = sorted(ours[key] for key in ours.keys() & theirs.keys())
        return {
            "splits": [first, second],
            "kind": kind,
            "in_each": [len(ours), len(theirs)],
            "shared": len(names),
            "leak": bool(names) and kind in LEAKS and not _are_tests(first, second),
            "names": names[:_LISTED],
        }

    def _things(self, split: str, kind: str) -> dict[str, str]:
        things = self._splits[split].get(kind, {})
        if kind != "songs":
            return things
        return {folder: name for folder, name in things.items() if len(self._stems[folder]) > 1}


def _are_tests(*splits: str) -> bool:
    """Tell whether all are tests (test, test_near, ...), which may hold the same in other ways."""
    return all(split.split("_")[0] == "test" for split in splits)


def _order(kind: str) -> tuple[int, str]:
    return (LEAKS.index(kind) if kind in LEAKS else len(LEAKS)), kind


def _labels(mixture: Mixture) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, key, name) of every label; two corpora may use one label for two talkers."""
    for source in mixture.sources:
        kind = "talkers" if source.kind == "speech" else f"{source.kind} labels"
        for corpus in {event.corpus for event in source.events} if source.label else ():
            name = f"{corpus}/{source.label}"
            yield kind, name, name


def _files(mixture: Mixture) -> Iterator[tuple[str, str, str]]:
    for part in parts_of(mixture):
        yield "files", part.sha256, part.name


def _music_folders(mixture: Mixture) -> Iterator[tuple[str, str]]:
    for source in mixture.sources:
        for event in source.events if source.kind == "music" else ():
            yield f"{event.corpus}/{PurePosixPath(event.path).parent}", source.label


def _rooms(mixture: Mixture) -> Iterator[tuple[str, str, str]]:
    if mixture.room:
        yield "rooms", mixture.room.name, mixture.room.name
