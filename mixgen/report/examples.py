"""A few mixtures to look at and listen to, chosen without randomness."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.audio.formats import encode_flac
from mixgen.audio.read import Samples, read_audio
from mixgen.core.errors import InputError
from mixgen.core.paths import inside
from mixgen.manifest.mixture import Mixture
from mixgen.report.rows import Rows, files_of
from mixgen.sets.rendered import FileRow

# A page is one file with its sounds inside; what is beyond these limits is cut off.
LONGEST_S = 10.0
_PAGE_BYTES = 24e6

_NO_SOURCE = {"role": None, "what": None, "label": None}


class EvenlySpaced:
    """Up to `wanted` mixtures of each split, evenly spaced over it, found in one pass.

    At every moment each split keeps every n-th of its mixtures; when they are too many, every
    second one of them goes and n doubles.
    """

    def __init__(self, wanted: int) -> None:
        self._wanted = wanted
        self._splits: dict[str, _Thinned] = {}

    def add(self, mixture: Mixture, rows: Rows) -> None:
        """Take one mixture into account."""
        if self._wanted > 0:
            kept = self._splits.setdefault(mixture.split, _Thinned(limit=8 * self._wanted))
            kept.add((mixture, rows))

    def chosen(self) -> list[tuple[Mixture, Rows]]:
        """Return the mixtures, split by split, with the rows of their files."""
        chosen = []
        for kept in self._splits.values():
            places = np.linspace(0, len(kept.items) - 1, min(self._wanted, len(kept.items)))
            chosen += [kept.items[round(place)] for place in places]
        return chosen


class _Thinned:
    def __init__(self, limit: int) -> None:
        self.items: list[tuple[Mixture, Rows]] = []
        self._limit = limit
        self._step = 1
        self._met = 0

    def add(self, item: tuple[Mixture, Rows]) -> None:
        """Keep every n-th item, with n doubled whenever there are too many."""
        if self._met % self._step == 0:
            self.items.append(item)
        self._met += 1
        if len(self.items) > self._limit:
            self.items = self.items[::2]
            self._step *= 2


@dataclass(frozen=True)
class Excerpt:
    """The beginning of one file, shape (channels, time), or the reason why there is none."""

    name: str
    samples: Samples | None
    sample_rate: int
    problem: str = ""


def load(folder: Path, mixture: Mixture, rows: Rows, seconds: float) -> list[Excerpt]:
    """Read the first `seconds` of a mixture's files; one that cannot be read is told, not fatal."""
    frames = max(1, int(seconds * mixture.sample_rate))
    return [_load_one(folder, name, rows, mixture, frames) for name in mixture.file_names]


def _load_one(folder: Path, name: str, rows: Rows, mixture: Mixture, frames: int) -> Excerpt:
    if name not in rows:
        return Excerpt(name, None, mixture.sample_rate, "It is not rendered.")
    try:
        wanted = min(frames, rows[name].frames)
        samples, sample_rate = read_audio(inside(folder, rows[name].path), frames=wanted)
    except InputError as error:
        # The folder is left out: the same set gives the same page wherever it is.
        reason = str(error).replace(f"{folder}/", "")
        return Excerpt(name, None, mixture.sample_rate, reason)
    return Excerpt(name, samples, sample_rate)


def describe(mixture: Mixture, rows: Rows, files: list[Excerpt]) -> dict[str, Any]:
    """Return what report.json says of one example."""
    origins = {name: {**_NO_SOURCE, **origin} for name, origin in _origins(mixture)}
    return {
        "id": mixture.id,
        "split": mixture.split,
        "duration_s": round(mixture.duration_s, 3),
        "sample_rate": mixture.sample_rate,
        "files": [
            {
                "name": file.name,
                **origins[file.name],
                "duration_s": _duration_s(rows.get(file.name)),
                "values": _values(rows.get(file.name)),
                "problem": file.problem,
            }
            for file in files
        ],
    }


def _origins(mixture: Mixture) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (file name, what it is and of whom) of every file of a mixture."""
    yield "mixture", {"what": "degraded sum"}
    # Without degradations this is the mixture itself.
    yield mixture.sum_name, {"what": "sum of all sources"}
    for source in mixture.sources:
        for name, what in files_of(source).items():
            yield name, {"role": source.role, "what": what, "label": source.label}


def _duration_s(row: FileRow | None) -> float | None:
    return round(row.frames / row.sample_rate, 3) if row else None


def _values(row: FileRow | None) -> dict[str, list[float | None]]:
    """Return [requested, measured] by quantity."""
    if row is None:
        return {}
    names = dict.fromkeys([*row.requested, *row.measured])
    return {name: [row.requested.get(name), row.measured.get(name)] for name in names}


def excerpt_seconds(mixtures: list[Mixture]) -> float:
    """Return how much of each file all of them may play, at most 10 s, to keep a page small."""
    bytes_a_second = sum(2 * m.sample_rate * _played(m) * len(m.file_names) for m in mixtures)
    return round(min(LONGEST_S, _PAGE_BYTES / max(bytes_a_second, 1)), 1)


def _played(mixture: Mixture) -> int:
    """Return how many channels a player gets: two at most."""
    return min(mixture.channels, 2)


def to_flac(excerpt: Samples, sample_rate: int) -> bytes:
    """Return the first two channels of (channels, time) samples as a FLAC file of 16 bits."""
    steps = np.clip(np.rint(excerpt[:2] * 2**15), -(2**15), 2**15 - 1).astype(np.int16)
    return encode_flac(steps.T, sample_rate, "PCM_16")
