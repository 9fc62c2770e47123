"""Verify a rendered set against its manifest, file by file."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from mixgen.files import sha256_file
from mixgen.formats import FORMATS, SampleFormat, read_file_samples, samples_sha256
from mixgen.manifest import Mixture
from mixgen.progress import track
from mixgen.rendered import FileRow, RenderedSet, file_path, read_rendered


@dataclass(frozen=True)
class Problem:
    """One file that is not as it should be: missing, altered, unrecorded or inconsistent."""

    path: str
    kind: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data."""
        return asdict(self)


def verify_set(folder: Path, *, deep: bool = False, workers: int = 1) -> list[Problem]:
    """Return every file of the set that is missing or altered; an empty list proves the set.

    With `deep`, files are decoded as well and each mixture compared with the sum of its sources.

    Raises:
        InputError: the folder holds no set, or its records cannot be read.
    """
    rendered = RenderedSet(folder)
    header, rows = read_rendered(folder)
    problems = []
    if header.manifest_sha256 != rendered.manifest.sha256:
        detail = "not the manifest that the files were rendered from"
        problems.append(Problem("manifest.jsonl", "altered", detail))
    by_file = {row.path: row for row in rows}
    form = FORMATS[header.format]

    def check(mixture: Mixture) -> list[Problem]:
        return _check_mixture(folder, mixture, by_file, form, deep=deep)

    mixtures = rendered.manifest.mixtures
    with ThreadPoolExecutor(max(1, workers)) as pool:
        for found in track(pool.map(check, mixtures), "verifying", len(mixtures)):
            problems += found
    return problems


def _check_mixture(
    folder: Path,
    mixture: Mixture,
    rows: dict[str, FileRow],
    form: SampleFormat,
    *,
    deep: bool,
) -> list[Problem]:
    problems = []
    for name in mixture.file_names:
        path = file_path(mixture, name, form)
        row = rows.get(path)
        if row is None:
            problems.append(Problem(path, "unrecorded", "rendered.jsonl has no line for it"))
        else:
            problems += _check_file(folder, mixture, row, form)
    if deep and not problems:
        problems += _check_sum(folder, mixture, form)
    return problems


def _check_file(
    folder: Path, mixture: Mixture, row: FileRow, form: SampleFormat
) -> Iterator[Problem]:
    path = folder / row.path
    if (row.frames, row.sample_rate, row.channels) != (
        mixture.frames,
        mixture.sample_rate,
        mixture.channels,
    ):
        yield Problem(row.path, "altered", "its recorded length, rate or channels do not fit")
    if not path.is_file():
        yield Problem(row.path, "missing", "there is no such file")
    elif sha256_file(path) != row.file_sha256:
        yield Problem(row.path, "altered", _what_changed(path, row, form))


def _what_changed(path: Path, row: FileRow, form: SampleFormat) -> str:
    try:
        samples = read_file_samples(path, form)
    except (soundfile.LibsndfileError, RuntimeError):
        return "it cannot be decoded"
    if len(samples) != row.frames:
        return f"it has {len(samples)} samples instead of {row.frames}"
    if samples_sha256(samples) != row.sha256:
        return "its samples differ"
    return "its bytes differ, its samples do not"


def _check_sum(folder: Path, mixture: Mixture, form: SampleFormat) -> Iterator[Problem]:
    files = {
        name: read_file_samples(folder / file_path(mixture, name, form), form).astype(np.float64)
        for name in (mixture.sum_name, *(source.name for source in mixture.sources))
    }
    total = files.pop(mixture.sum_name)
    if not np.array_equal(total, sum(files.values(), np.zeros_like(total))):
        path = file_path(mixture, mixture.sum_name, form)
        yield Problem(path, "inconsistent", "it is not the sum of its sources")
