"""A manifest and the rows of its rendered files, read one mixture at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.manifest.file import Header, ManifestFile, open_manifest
from mixgen.manifest.mixture import Mixture, Source
from mixgen.sets.rendered import (
    MANIFEST_FILE,
    RENDERED_FILE,
    FileRow,
    FinishedFiles,
    RenderedFile,
    RenderedSet,
    RowsInOrder,
    open_rendered,
    sets_in,
)

Rows = dict[str, FileRow]  # of one mixture, by file name; empty if it is not rendered


@dataclass(frozen=True)
class ReportSource:
    """What a report covers: a manifest, and what is recorded of its files if they exist.

    Attributes:
        manifest: the manifest.
        record: of the files.
    """

    manifest: ManifestFile
    record: RenderedFile | FinishedFiles | None = None

    @property
    def root(self) -> Path | None:
        """What the paths of the files are relative to."""
        return self.record.root if self.record else None

    @property
    def header(self) -> Header:
        """The header of the manifest."""
        return self.manifest.header

    @property
    def sha256(self) -> str:
        """The hash of the manifest."""
        return self.manifest.sha256


def open_source(source: Path) -> ReportSource:
    """Open a set whose files exist, or a manifest alone.

    Raises:
        InputError: the set is missing, not completely rendered or rendered from another manifest,
            or the manifest cannot be read.
    """
    folder = source if source.is_dir() else None
    if folder and sets_in(folder):
        folder = RenderedSet(folder).folder
    path = folder / MANIFEST_FILE if folder else source
    if not path.exists():
        raise InputError(
            f"{path} does not exist: give a folder made by `mixgen render`, or a manifest."
        )
    manifest = open_manifest(path)
    if folder is not None:
        _check_rendered(manifest, folder)
    elif manifest.header.finished is None:
        return ReportSource(manifest)
    return ReportSource(manifest, RenderedSet(folder or path).record)


def _check_rendered(manifest: ManifestFile, folder: Path) -> None:
    if not (folder / RENDERED_FILE).exists():
        raise InputError(
            f"{folder} has no {RENDERED_FILE}: finish the set with `mixgen render`, or "
            f"report on {manifest.path} alone."
        )
    if not manifest.has_sha256(open_rendered(folder).header.manifest_sha256):
        raise InputError(
            f"{folder} was rendered from another manifest than its {MANIFEST_FILE}: "
            "run `mixgen render` with the right one."
        )


def mixtures_with_rows(source: ReportSource) -> Iterator[tuple[Mixture, Rows]]:
    """Yield every mixture, in the order of the manifest, with the rows of its files.

    Raises:
        InputError: a line is not valid, or rendered.jsonl is not in the order of the manifest.
    """
    rendered = RowsInOrder(source.record or ())
    for mixture in source.manifest:
        yield mixture, {row.name: row for row in rendered.of(mixture.id)}
    if source.record and rendered.next_id is not None:
        raise InputError(
            f"The rows of mixture {rendered.next_id!r} in {source.record.path} do not "
            "follow the order of the manifest: render the set again."
        )


def files_of(source: Source) -> dict[str, str]:
    """Return what each file of a source holds, by file name: "target", "target, early", "echo"."""
    descriptions = {
        "image": "echo" if source.echo else source.role,
        "far_end": "far-end signal",
        "enrolment": "enrolment",
    }
    return {
        file.name: descriptions.get(file.part, f"{source.role}, {file.part}")
        for file in source.files
    }
