"""Example mixtures to look at and listen to: the worst ones, and others evenly spaced."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.audio.formats import encode_wav
from mixgen.audio.read import Samples, read_audio
from mixgen.core.errors import InputError
from mixgen.core.paths import inside
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.report.checks import Checks
from mixgen.report.rows import Rows, files_of
from mixgen.sets.rendered import FileRow

# The page embeds its audio: both limits keep it small enough to open and to send.
LONGEST_S = 10.0
_PAGE_BYTES = 24e6
PLAYED_CHANNELS = 2

_NO_SOURCE: dict[str, str | None] = {"role": None, "what": None, "label": None}


class EvenlySpaced:
    """Up to `per_split` mixtures of each split, evenly spaced over it, found in one pass."""

    def __init__(self, per_split: int) -> None:
        self._per_split = per_split
        self._splits: dict[str, _Thinned] = {}

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Consider one mixture, and the rows of its files."""
        if self._per_split > 0:
            kept = self._splits.setdefault(mixture.split, _Thinned(limit=8 * self._per_split))
            kept.add((mixture, rows))

    @property
    def is_empty(self) -> bool:
        """Whether no examples are wanted, or there are none."""
        return not self._splits

    def chosen(self) -> list[tuple[Mixture, Rows]]:
        """Return the mixtures, split by split, with the rows of their files."""
        chosen = []
        for kept in self._splits.values():
            count = min(self._per_split, len(kept.items))
            indices = np.linspace(0, len(kept.items) - 1, count)
            chosen += [kept.items[round(index)] for index in indices]
        return chosen


class _Thinned:
    """Every n-th item of a stream; n doubles, and half of them go, when they exceed `limit`."""

    def __init__(self, limit: int) -> None:
        self.items: list[tuple[Mixture, Rows]] = []
        self._limit = limit
        self._step = 1
        self._seen = 0

    def add(self, item: tuple[Mixture, Rows]) -> None:
        """Keep the item if it is an n-th one."""
        if self._seen % self._step == 0:
            self.items.append(item)
        self._seen += 1
        if len(self.items) > self._limit:
            self.items = self.items[::2]
            self._step *= 2


@dataclass(frozen=True)
class Example:
    """A mixture to show, and the names of the checks that it fails worst."""

    mixture: Mixture
    rows: Rows
    worst: list[str]


def choose(selection: EvenlySpaced, checks: Checks) -> list[Example]:
    """Return the worst mixture of each check, then those of the selection that are not among them.

    A mixture is there once. Without a selection there are no examples at all.
    """
    if selection.is_empty:
        return []
    worst = checks.worst()
    others = [(m, rows) for m, rows in selection.chosen() if m.id not in worst]
    return [
        *(Example(*found) for found in worst.values()),
        *(Example(mixture, rows, []) for mixture, rows in others),
    ]


@dataclass(frozen=True)
class Excerpt:
    """The beginning of one file, shape (channels, time), or the problem that prevents it."""

    name: str
    samples: Samples | None
    sample_rate: int
    problem: str = ""


def load(folder: Path, mixture: Mixture, rows: Rows, seconds: float) -> list[Excerpt]:
    """Read the first `seconds` of each file of a mixture; an unreadable file gives a problem."""
    frames = max(1, int(seconds * mixture.sample_rate))
    return [_load_file(folder, name, rows, mixture, frames) for name in mixture.file_names]


def _load_file(folder: Path, name: str, rows: Rows, mixture: Mixture, frames: int) -> Excerpt:
    if name not in rows:
        return Excerpt(name, None, mixture.sample_rate, "This file is not rendered.")
    try:
        path = inside(folder, rows[name].path)
        if not path.is_file():
            return Excerpt(name, None, mixture.sample_rate, "This file does not exist.")
        samples, sample_rate = read_audio(path, frames=min(frames, rows[name].frames))
    except InputError as error:
        # A path relative to the folder: the same set gives the same page wherever it is.
        reason = str(error).replace(f"{folder}/", "")
        return Excerpt(name, None, mixture.sample_rate, reason)
    return Excerpt(name, samples, sample_rate)


def describe(mixture: Mixture, rows: Rows, files: list[Excerpt]) -> dict[str, Any]:
    """Return one example as report.json holds it."""
    origins = {name: {**_NO_SOURCE, **origin} for name, origin in _origins(mixture)}
    return {
        "id": mixture.id,
        "split": mixture.split,
        "duration_s": round(mixture.duration_s, 3),
        "sample_rate": mixture.sample_rate,
        "files": [_describe_file(file, origins[file.name], rows.get(file.name)) for file in files],
    }


def _origins(mixture: Mixture) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each file name of a mixture with what the file holds, and of which source."""
    yield MIXTURE, {"what": "degraded sum"}
    # Without degradations the sum is the mixture itself, and replaces the line above.
    yield mixture.sum_name, {"what": "sum of all sources"}
    for source in mixture.sources:
        for name, what in files_of(source).items():
            yield name, {"role": source.role, "what": what, "label": source.label}


def _describe_file(
    file: Excerpt, origin: dict[str, str | None], row: FileRow | None
) -> dict[str, Any]:
    """Return one file of an example; `values` are [requested, measured] by quantity."""
    values: dict[str, list[float | None]] = {}
    if row:
        names = dict.fromkeys([*row.requested, *row.measured])
        values = {name: [row.requested.get(name), row.measured.get(name)] for name in names}
    return {
        "name": file.name,
        **origin,
        "duration_s": round(row.frames / row.sample_rate, 3) if row else None,
        "values": values,
        "problem": file.problem,
    }


def excerpt_seconds(mixtures: list[Mixture]) -> float:
    """Return how many seconds of each file the page plays: 10 s at most, fewer for a large page."""
    bytes_per_second = sum(
        2 * m.sample_rate * min(m.channels, PLAYED_CHANNELS) * len(m.file_names) for m in mixtures
    )
    return round(min(LONGEST_S, _PAGE_BYTES / max(bytes_per_second, 1)), 1)


def to_wav(excerpt: Samples, sample_rate: int) -> bytes:
    """Return the first two channels of (channels, time) samples as a WAV file of 16 bits.

    Chromium plays no FLAC below 0.6 s, and finds no position in one below 2.3 s.
    """
    steps = np.clip(np.rint(excerpt[:PLAYED_CHANNELS] * 2**15), -(2**15), 2**15 - 1)
    return encode_wav(steps.astype("<i2").T, sample_rate, 16)
