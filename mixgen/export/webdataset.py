"""Rendered sets as tar files for WebDataset, a format for file systems that suffer from many files.

A sample is the files of a mixture and its record: `KEY.json`, `KEY.mixture.flac`, `KEY.s1.flac`.
The key is the id of the mixture, with `%2E` for dots, because WebDataset takes the first dot of a
name for its end. The same set and options give the same bytes.

Source: A. Aizman, G. Maltby, T. Breuel, "High Performance I/O For Large Scale Deep Learning",
IEEE Big Data 2019, arXiv 2001.01858; the tar format is that of POSIX.1-2001 (pax).
"""

import functools
import io
import itertools
import shutil
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mixgen.audio.formats import SampleFormat
from mixgen.core.cluster import cluster_map
from mixgen.core.errors import InputError
from mixgen.core.files import (
    atomic_path,
    has_sha256,
    machine_errors,
    read_json,
    read_jsonl,
    remove_unfinished,
    sha256_bytes,
    sha256_file,
    to_json,
    write_json,
    write_jsonl,
)
from mixgen.core.paths import leads_out
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map
from mixgen.export.exporter import Export, Exporter, check_manifest, rendered_mixtures
from mixgen.sets.rendered import FileRow, RenderedSet

SCHEMA = "webdataset/1"
LIST_FILE = "shards.jsonl"

_JOURNAL_FOLDER = ".exporting"
_HEADER_FILE = "header.json"
_BLOCK = 512  # bytes of a tar header; contents are padded to a multiple
_END = 20 * _BLOCK  # at the end of a tar file, at most
# A file is at most this much larger than its samples: FLAC of noise, and headers.
_LARGEST_RATIO, _LARGEST_HEADER = 1.02, 16_384


@dataclass(frozen=True)
class _File:
    """A file of a sample: its name after the key, its path in the set and its hash."""

    suffix: str
    path: str
    sha256: str


@dataclass(frozen=True)
class _Sample:
    """A mixture in a tar file; `room` is how many bytes it takes there at most."""

    key: str
    record: str
    files: list[_File]
    room: int


@dataclass
class _Shard:
    """A tar file to write, and what was recorded of it if it was written before."""

    name: str
    samples: list[_Sample] = field(default_factory=list)
    room: int = _END
    known: dict[str, Any] | None = None

    def add(self, sample: _Sample) -> None:
        """Append a sample."""
        self.samples.append(sample)
        self.room += sample.room


def export_webdataset(export: Export) -> str:
    """Write a rendered set as tar files and the list of them; whole ones of an earlier run stay.

    Raises:
        InputError: there is no rendered set, a file of it is not as recorded, it has no such split,
            or the folder holds another export.
        MachineError: the disk is full, the folder cannot be written, or a worker was killed.
    """
    rendered, out = export.rendered_set(), export.out
    check_manifest(rendered)
    header = {
        "schema": SCHEMA,
        "set_sha256": sha256_file(rendered.record.path),
        "split": export.split,
        "shard_bytes": export.shard_bytes,
    }
    shards = _planned(rendered, export.split, export.shard_bytes)
    first = next(shards)
    known = _begin(out, header)
    jobs = (_with_known(shard, out, known) for shard in itertools.chain([first], shards))
    written = track(_written(jobs, rendered, export), "writing tar files")
    rows = sorted((row for _, row in written), key=lambda row: row["path"])
    write_jsonl(out / LIST_FILE, [header, *rows])
    shutil.rmtree(out / _JOURNAL_FOLDER, ignore_errors=True)
    remove_unfinished(out, "*.tar")  # of workers that were killed
    return f"{sum(row['mixtures'] for row in rows)} mixtures in {len(rows)} tar files in {out}."


def _planned(rendered: RenderedSet, split: str | None, shard_bytes: int) -> Iterator[_Shard]:
    """Yield the tar files: those of a split hold its mixtures in order.

    Sizes are planned from the lengths of files, so no file has to be looked at.
    """
    under_way: dict[str, _Shard] = {}
    finished: dict[str, int] = {}
    for rendered_mixture in rendered_mixtures(rendered, split):
        mixture = rendered_mixture.record
        sample = _sample(mixture.as_dict(), rendered_mixture.files.values(), rendered.format)
        shard = under_way.get(mixture.split)
        if shard is not None and shard.room + sample.room > shard_bytes:
            yield under_way.pop(mixture.split)
            finished[mixture.split] = finished.get(mixture.split, 0) + 1
        if mixture.split not in under_way:
            number = finished.get(mixture.split, 0)
            under_way[mixture.split] = _Shard(f"{mixture.split}-{number:06d}.tar")
        under_way[mixture.split].add(sample)
    yield from under_way.values()


def _sample(record: dict[str, Any], rows: Iterable[FileRow], form: SampleFormat) -> _Sample:
    key = record["id"].replace(".", "%2E")
    files = []
    text = to_json({"mixture": record, "files": [row.as_dict() for row in rows]})
    room = _room(f"{key}.json", len(text.encode()))
    width = 4 if form.subtype == "FLOAT" else form.bits // 8
    for row in rows:
        files.append(_File(f"{row.name}{Path(row.path).suffix}", row.path, row.file_sha256))
        samples = row.frames * row.channels * width
        room += _room(f"{key}.{row.name}", int(samples * _LARGEST_RATIO) + _LARGEST_HEADER)
    return _Sample(key, text, files, room)


def _room(name: str, content: int) -> int:
    """Return how many bytes of a tar file a member takes at most."""
    return content + len(name) + 5 * _BLOCK  # three headers if the name is long, and padding


def _begin(out: Path, header: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Claim the folder; return the rows of a finished export by the names of the tar files.

    Raises:
        InputError: the folder holds an export of another set, or with other options.
    """
    journal, listed = out / _JOURNAL_FOLDER / _HEADER_FILE, out / LIST_FILE
    rows = read_jsonl(listed) if listed.is_file() else []
    for before in (*rows[:1], *([read_json(journal)] if journal.is_file() else [])):
        if before != header:
            raise InputError(
                f"{out} holds an export of another set, split or size: choose another folder."
            )
    write_json(journal, header)
    return {row["path"]: row for row in rows[1:]}


def _with_known(shard: _Shard, out: Path, known: dict[str, dict[str, Any]]) -> _Shard:
    row = _row_path(out, shard)
    shard.known = read_json(row) if row.is_file() else known.get(shard.name)
    return shard


def _row_path(out: Path, shard: _Shard) -> Path:
    return out / _JOURNAL_FOLDER / f"{shard.name}.json"


def _written(
    shards: Iterator[_Shard], rendered: RenderedSet, export: Export
) -> Iterator[tuple[_Shard, dict[str, Any]]]:
    if export.executor is None:
        work = functools.partial(_write_shard, rendered.root, export.out)
        return bounded_map(work, shards, workers=export.workers)
    seen = [rendered.record.path.absolute(), export.out.absolute()]
    work = functools.partial(_write_shard, rendered.root.absolute(), export.out.absolute())
    return cluster_map(work, shards, export.executor, folders=seen)


def _write_shard(folder: Path, out: Path, shard: _Shard) -> dict[str, Any]:
    """Write a tar file, if it is not there already, and return its row of the list."""
    path = out / shard.name
    if shard.known is not None and has_sha256(path, shard.known["sha256"]):
        return shard.known
    with (
        atomic_path(path) as temporary,
        machine_errors(path),
        tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for sample in shard.samples:
            _add(tar, f"{sample.key}.json", sample.record.encode())
            for file in sample.files:
                _add(tar, f"{sample.key}.{file.suffix}", _content(folder, file))
    row = {
        "path": shard.name,
        "mixtures": len(shard.samples),
        "bytes": path.stat().st_size,
        "sha256": sha256_file(path),
    }
    write_json(_row_path(out, shard), row)
    return row


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)  # of nobody, at the beginning of 1970
    member.size = len(content)
    tar.addfile(member, io.BytesIO(content))


def _content(folder: Path, file: _File) -> bytes:
    """Return the bytes of a file of the set.

    Raises:
        InputError: they are not those that were recorded.
    """
    try:
        content = b"" if leads_out(folder, file.path) else (folder / file.path).read_bytes()
    except OSError:
        content = b""
    if sha256_bytes(content) != file.sha256:
        raise InputError(
            f"{folder / file.path} is not as recorded: `mixgen verify` lists what differs, and "
            "`mixgen render` repairs it."
        )
    return content


EXPORTER = Exporter(
    name="webdataset",
    summary="a folder of tar files with the audio of a rendered set, for WebDataset",
    example="mixgen export sets/speech --to webdataset --out shards/speech",
    write=export_webdataset,
)
