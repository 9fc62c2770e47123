"""Exporters, which the modules of this package register, and what several of them need."""

import contextlib
import functools
import gzip
import io
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import atomic_folder, read_json, sha256_file, write_json
from mixgen.core.paths import inside
from mixgen.core.registry import collect
from mixgen.core.vocabulary import PathStyle
from mixgen.corpora.roots import Roots, find_roots
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Event, Mixture, Source
from mixgen.sets.rendered import (
    MANIFEST_FILE,
    FileRow,
    RenderedSet,
    RowsInOrder,
)

SHARD_BYTES = 1_000_000_000
EXPORT_FILE = "export.json"


@dataclass(frozen=True, kw_only=True)
class Export:
    """What is exported, where to, and by how many processes.

    Attributes:
        source: a manifest.jsonl, or the folder of a rendered set.
        out: file or folder to write.
        split: only this one.
        given_roots: folder of each corpus, where `roots.json` beside the manifest does not have it.
        paths: how formats that name audio files spell them; `relative` is to the set.
        shard_bytes: size that no archive exceeds, for formats that have archives.
        workers: processes that write, for formats that take long.
        executor: writes on other machines instead; see `mixgen.core.cluster`.
    """

    source: Path
    out: Path
    split: str | None = None
    given_roots: Mapping[str, Path | str] = field(default_factory=dict)
    paths: PathStyle = "absolute"
    shard_bytes: int = SHARD_BYTES
    workers: int = 1
    executor: Executor | None = None

    @property
    def manifest(self) -> Path:
        """The manifest.jsonl."""
        return self.source / MANIFEST_FILE if self.source.is_dir() else self.source

    def mixtures(self) -> list[Mixture]:
        """Read the mixtures.

        Raises:
            InputError: the manifest is not valid, or has no such split.
        """
        return read_manifest(self.manifest).of_split(self.split)

    def roots(self) -> Roots:
        """Return the folders of the corpora.

        Raises:
            InputError: as in `find_roots`.
        """
        return find_roots([self.manifest], self.given_roots)

    def rendered_set(self) -> RenderedSet:
        """Open the set, for formats of audio.

        Raises:
            InputError: the source is no set whose files exist.
        """
        return RenderedSet(self.source, self.given_roots)

    def audio_root(self, *, relative_to: str = "") -> str:
        """Return what to put before the paths of rendered files; `relative_to` if relative.

        Raises:
            InputError: the set is in a folder whose name is not UTF-8, which no text file can hold.
        """
        whole = self.paths == "absolute"
        root = f"{os.path.abspath(self.rendered_set().root)}/" if whole else relative_to
        try:
            root.encode()
        except UnicodeEncodeError:
            raise InputError(
                f"The path {root!r} is not UTF-8, and the export would name it: move the set."
            ) from None
        return root


@dataclass(frozen=True, kw_only=True)
class Exporter:
    """A format of another program.

    Attributes:
        name: the name by which users choose it, and the name of its module.
        summary: what it writes, in a few words.
        example: a command that writes it.
        write: writes an export and returns a sentence about what it wrote. Raises InputError if the
            format cannot hold a mixture.
        relative_paths: whether it can name audio files by their paths in the set.
    """

    name: str
    summary: str
    example: str
    write: Callable[[Export], str]
    relative_paths: bool = False

    def check_paths(self, export: Export) -> None:
        """Check that the format has paths of the style that was asked for.

        Raises:
            UsageError: they would be relative, and its readers know no folder to start from.
        """
        if export.paths == "relative" and not self.relative_paths:
            raise UsageError(
                f"{self.name} takes no --paths relative: leave it out (the formats that take it "
                f"are {', '.join(name for name, e in exporters().items() if e.relative_paths)})."
            )


@functools.cache
def exporters() -> dict[str, Exporter]:
    """Return all exporters by name."""
    return collect("mixgen.export", Exporter)


@dataclass(frozen=True)
class RenderedMixture:
    """A mixture of a rendered set: its record, and the rows of its files by their names."""

    record: Mixture
    files: dict[str, FileRow]


def rendered_mixtures(rendered: RenderedSet, split: str | None) -> Iterator[RenderedMixture]:
    """Yield the mixtures of a set, or of one of its splits, in the order of the manifest.

    Raises:
        InputError: there are none, or a file of a mixture is not recorded.
    """
    rows, found = RowsInOrder(rendered.record), False
    for mixture in rendered.manifest_file:
        files = {row.name: row for row in rows.of(mixture.id)}
        if split not in (None, mixture.split):
            continue
        if set(files) != set(mixture.file_names):
            raise InputError(
                f"{rendered.record.path} lacks files of mixture {mixture.id}: run "
                "`mixgen render` to finish the set."
            )
        found = True
        yield RenderedMixture(mixture, files)
    if not found:
        of_split = "" if split is None else f" of the split {split!r}"
        raise InputError(f"{rendered.place} has no mixture{of_split}.")


class HeardEvent(NamedTuple):
    """An event as far as it is heard in its mixture, in seconds; an echo begins after its delay."""

    event: Event
    start_s: float
    duration_s: float


def heard_events(mixture: Mixture, source: Source) -> Iterator[tuple[int, HeardEvent]]:
    """Yield the number of each event of a source, and the event, where it is heard at all."""
    delay_s = source.echo.delay_s if source.echo else 0.0
    for number, event in enumerate(source.events):
        start_s = event.event_time + delay_s
        if start_s < mixture.duration_s:
            duration_s = min(event.sounding_s, mixture.duration_s - start_s)
            yield number, HeardEvent(event, start_s, duration_s)


def check_manifest(rendered: RenderedSet) -> None:
    """Check that a set holds the manifest that it was rendered from.

    That takes no time if the manifest was read to its end before.

    Raises:
        InputError: it holds another one.
    """
    if not rendered.manifest_file.has_sha256(rendered.record.header.manifest_sha256):
        raise InputError(
            f"The manifest in {rendered.place} is not the one that its files were rendered from: "
            "run `mixgen render` again."
        )


@contextlib.contextmanager
def new_folder(export: Export, format_name: str) -> Iterator[Path]:
    """Yield an empty folder that becomes `export.out` at the end, or is removed after an error.

    Beside what the body writes, export.json names the set and the options. An earlier export of
    the same set with the same options is replaced.

    Raises:
        UsageError: `export.out` is a file, or a folder with other things in it.
        InputError: it is an export of another set, or with other options; or the set was not
            finished.
        MachineError: the disk is full or the folder cannot be written.
    """
    header = {
        "schema": f"{format_name}/1",
        "set_sha256": sha256_file(export.rendered_set().record.path),
        "split": export.split,
        "paths": export.paths,
    }
    _check_destination(export.out, header)
    with atomic_folder(export.out) as folder:
        yield folder
        write_json(folder / EXPORT_FILE, header)


def _check_destination(out: Path, header: dict[str, Any]) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / EXPORT_FILE).is_file():
        raise UsageError(f"{out} is in use and holds no export: give another --out.")
    if read_json(out / EXPORT_FILE) != header:
        raise InputError(
            f"{out} holds an export of another set, format, split or style of paths: choose "
            "another folder."
        )


class TextFiles(contextlib.ExitStack):
    """Text files in a folder, each open from its first use to the end of the `with` statement.

    They are in UTF-8; those whose name ends in `.gz` are compressed, and equal text gives equal
    bytes.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self._streams: dict[str, TextIO] = {}

    def __getitem__(self, name: str) -> TextIO:
        """Return a file to write to, by its path in the folder.

        Raises:
            InputError: the path leads out of the folder.
        """
        if name not in self._streams:
            self._streams[name] = self._open(inside(self.folder, name))
        return self._streams[name]

    def _open(self, path: Path) -> TextIO:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".gz":
            return self.enter_context(open(path, "w", encoding="utf-8", newline=""))
        packed = self.enter_context(gzip.GzipFile(path, "wb", 6, mtime=0))
        return self.enter_context(io.TextIOWrapper(packed, encoding="utf-8", newline=""))
