"""Verify a rendered set against its manifest, file by file."""

import functools
import math
import os
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mixgen.audio.formats import SampleFormat, read_file_samples, samples_sha256
from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.cluster import cluster_map
from mixgen.core.errors import UsageError
from mixgen.core.files import TEMPORARY_PREFIX, sha256_file
from mixgen.core.paths import leads_out
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import (
    MANIFEST_FILE,
    RENDERED_FILE,
    FileRow,
    RenderedSet,
    RowsInOrder,
    check_format,
    file_path,
)

_MIXTURES_PER_WORKER = 8


@dataclass(frozen=True)
class Problem:
    """One file with a problem: missing, altered, unrecorded, inconsistent or unknown."""

    path: str
    kind: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data."""
        return asdict(self)


@dataclass(frozen=True)
class _Recorded:
    """A mixture and the rows of its files."""

    mixture: Mixture
    rows: list[FileRow]


def verify_set(
    folder: str | Path,
    *,
    deep: bool = False,
    workers: int = 1,
    executor: Executor | None = None,
) -> list[Problem]:
    """Return every file of the set that is missing, altered or not recorded.

    An empty list means that the set is intact. With `deep`, files are also decoded, and each
    mixture is compared with the sum of its sources. `workers` threads read the files, or an
    `executor` on other machines (see `mixgen.core.cluster`).

    Raises:
        InputError: the folder holds no set, or its records cannot be read.
    """
    folder = Path(folder)
    rendered = RenderedSet(folder)
    manifest, sample_format = rendered.manifest_file, rendered.format
    check_format(rendered.record)
    problems = []
    if not manifest.has_sha256(rendered.record.header.manifest_sha256):
        detail = "not the manifest that the files were rendered from"
        problems.append(Problem(MANIFEST_FILE, "altered", detail))
    rows = RowsInOrder(rendered.record)
    known = array("q")  # hashes of ids, 8 bytes for each

    def recorded() -> Iterator[_Recorded]:
        for mixture in manifest:
            known.append(hash(mixture.id))
            yield _Recorded(mixture, rows.of(mixture.id))

    here = folder.absolute() if executor else folder
    check = functools.partial(_check_mixture, here, sample_format=sample_format, deep=deep)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        if executor is None:
            window = _MIXTURES_PER_WORKER * max(1, workers)
            checked = bounded_map(check, recorded(), window=window, executor=pool)
        else:
            seen = [here / MANIFEST_FILE, here / RENDERED_FILE]
            checked = cluster_map(
                check, recorded(), executor, folders=seen, batch=_MIXTURES_PER_WORKER
            )
        for _, found in track(checked, "verifying", manifest.count()):
            problems += found
    if rows.next_id is not None:
        detail = f"mixture {rows.next_id} is not where the manifest has it"
        problems.append(Problem(RENDERED_FILE, "altered", detail))
    return [*problems, *_unknown_in_set(folder, known)]


def _check_mixture(
    folder: Path, item: _Recorded, sample_format: SampleFormat, *, deep: bool
) -> list[Problem]:
    problems = []
    rows = {row.path: row for row in item.rows}
    for name in item.mixture.file_names:
        path = file_path(item.mixture, name, sample_format)
        row = rows.get(path)
        if row is None:
            problems.append(Problem(path, "unrecorded", f"{RENDERED_FILE} has no line for it"))
        else:
            problems += _check_file(folder, item.mixture, row, sample_format)
    if deep and not problems:
        problems += _check_sum(folder, item.mixture, sample_format)
    return [*problems, *_unknown_in_mixture(folder, item.mixture, sample_format)]


def _check_file(
    folder: Path, mixture: Mixture, row: FileRow, sample_format: SampleFormat
) -> Iterator[Problem]:
    path = folder / row.path
    if not _fits(row, mixture):
        yield Problem(row.path, "altered", "its recorded length, rate or channels do not fit")
    if leads_out(folder, row.path):
        yield Problem(row.path, "altered", "a link leads out of the set: remove the link")
    elif not path.is_file():
        yield Problem(row.path, "missing", "the file does not exist")
    elif sha256_file(path) != row.file_sha256:
        yield Problem(row.path, "altered", _what_changed(path, row, sample_format))


def _fits(row: FileRow, mixture: Mixture) -> bool:
    """Return whether a file is recorded with the size of its mixture; enrolments have another."""
    enrolments = {f.name for f in mixture.source_files if f.part == "enrolment"}
    other_size = row.name in enrolments
    size_fits = (row.frames, row.channels) == (mixture.frames, mixture.channels)
    return row.sample_rate == mixture.sample_rate and (other_size or size_fits)


def _what_changed(path: Path, row: FileRow, sample_format: SampleFormat) -> str:
    try:
        samples = read_file_samples(path, sample_format)
    except (soundfile.LibsndfileError, RuntimeError):
        return "it cannot be decoded"
    if len(samples) != row.frames:
        return f"it has {len(samples)} samples instead of {row.frames}"
    if samples_sha256(samples) != row.sha256:
        return "its samples differ"
    return "its bytes differ, its samples do not"


def _check_sum(folder: Path, mixture: Mixture, sample_format: SampleFormat) -> Iterator[Problem]:
    files = {
        name: read_file_samples(
            folder / file_path(mixture, name, sample_format), sample_format
        ).astype(np.float64)
        for name in (mixture.sum_name, *(f.name for f in mixture.source_files if f.is_in_sum))
    }
    total = files.pop(mixture.sum_name)
    if not np.array_equal(total, sum(files.values(), np.zeros_like(total))):
        path = file_path(mixture, mixture.sum_name, sample_format)
        yield Problem(path, "inconsistent", "it is not the sum of its sources")


def _unknown_in_mixture(
    folder: Path, mixture: Mixture, sample_format: SampleFormat
) -> Iterator[Problem]:
    """Find audio and temporary files in a mixture's folder that do not belong to it."""
    own = {folder / file_path(mixture, name, sample_format) for name in mixture.file_names}
    if leads_out(folder, mixture.id):  # each file in it is reported already
        return
    for path in _files_below(folder / mixture.id):
        if path not in own:
            yield from _unknown(path, folder)


def _unknown_in_set(folder: Path, known: "array[int]") -> Iterator[Problem]:
    """Find sound and temporary files that are in no mixture's folder."""
    np.asarray(known).sort()  # in place
    with os.scandir(folder) as entries:
        others = sorted(entry.name for entry in entries if not _holds(known, hash(entry.name)))
    for name in others:
        path = folder / name
        for file in _files_below(path) if path.is_dir() and not path.is_symlink() else [path]:
            yield from _unknown(file, folder)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yield the files below a folder, one folder after the other; links are not followed."""
    for parent, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(files))


def _unknown(path: Path, folder: Path) -> Iterator[Problem]:
    # Names that are not UTF-8 are shown with backslashes, so that they can be printed.
    name = os.fsencode(path.relative_to(folder)).decode(errors="backslashreplace")
    if path.name.startswith(TEMPORARY_PREFIX):
        yield Problem(name, "unknown", "an interrupted run left it")
    elif path.suffix.lower() in AUDIO_SUFFIXES:
        yield Problem(name, "unknown", "the manifest does not have this file")


def _holds(ordered: "array[int]", number: int) -> bool:
    index = bisect_left(ordered, number)
    return index < len(ordered) and ordered[index] == number


def verdict(folder: Path, problems: Sequence[Problem]) -> str:
    """Return one sentence: how many problems there are, and what to do about them."""
    unknown = sum(problem.kind == "unknown" for problem in problems)
    parts = []
    if unknown < len(problems):
        parts.append(
            f"{len(problems) - unknown} file(s) of {folder} are not as recorded: "
            "`mixgen render` with its manifest repairs them"
        )
    if unknown:
        parts.append(f"{unknown} file(s) in {folder} are in no record: remove them")
    return "; ".join(parts) + "."


def parse_tolerances(words: Iterable[str]) -> dict[str, float]:
    """Read `level_db=1` and the like.

    Raises:
        UsageError: it is not of that form.
    """
    tolerances = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            tolerances[name] = float(number)
        except ValueError:
            tolerances[name] = math.nan
        if not (name and tolerances[name] >= 0):
            raise UsageError(
                f"A tolerance is written like level_db=1 or overlap=0.1, not {word!r}."
            )
    return tolerances


def off_target(rows: Iterable[FileRow], tolerances: Mapping[str, float]) -> Iterator[Problem]:
    """Yield every value that is further from the requested one than its tolerance.

    Values that were not requested, or could not be measured, are skipped.

    Raises:
        UsageError: no file has the quantity of a tolerance.
    """
    if not tolerances:
        return
    known: set[str] = set()
    for row in rows:
        known |= row.requested.keys()
        for name, tolerance in tolerances.items():
            wanted, found = row.requested.get(name), row.measured.get(name)
            if wanted is not None and found is not None and abs(found - wanted) > tolerance:
                yield Problem(row.path, "off", f"{name} is {found:g}, requested {wanted:g}")
    unknown = sorted(tolerances.keys() - known)
    if unknown:
        raise UsageError(
            f"No file of the set has a requested {unknown[0]!r}: choose among "
            f"{', '.join(sorted(known))}."
        )
