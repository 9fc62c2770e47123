"""A manifest and the rows of its rendered files, one mixture at a time however many there are."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mixgen.core.errors import InputError
from mixgen.manifest.file import Header, ManifestFile, open_manifest
from mixgen.manifest.mixture import Event, Mixture, Response, Source
from mixgen.sets.rendered import MANIFEST_FILE, RENDERED_FILE, FileRow, RowsInOrder, open_rendered

Rows = dict[str, FileRow]  # of one mixture, by file name; empty where it is not rendered


@dataclass(frozen=True)
class Given:
    """What is reported on: a manifest, and the folder it is rendered to if that is known."""

    manifest: ManifestFile
    folder: Path | None

    @property
    def header(self) -> Header:
        """The header of the manifest."""
        return self.manifest.header

    @property
    def sha256(self) -> str:
        """The hash of the manifest."""
        return self.manifest.sha256


def open_source(source: Path) -> Given:
    """Find the manifest in a rendered set, or take `source` as a manifest alone.

    Raises:
        InputError: the set is missing, is not rendered to its end or was rendered from another
            manifest; or the manifest cannot be read.
    """
    folder = source if source.is_dir() else None
    path = source / MANIFEST_FILE if folder else source
    if not path.exists():
        raise InputError(
            f"There is no {path}: give a folder made by `mixgen render`, or a manifest."
        )
    given = Given(open_manifest(path), folder)
    if folder:
        _check_rendered(given, folder)
    return given


def _check_rendered(given: Given, folder: Path) -> None:
    if not (folder / RENDERED_FILE).exists():
        raise InputError(
            f"{folder} has no {RENDERED_FILE}: finish the set with `mixgen render`, or "
            f"report on {given.manifest.path} alone."
        )
    if not given.manifest.has_sha256(open_rendered(folder).header.manifest_sha256):
        raise InputError(
            f"{folder} was rendered from another manifest than its {MANIFEST_FILE}: "
            "`mixgen render` with the right one repairs it."
        )


def mixtures_with_rows(given: Given) -> Iterator[tuple[Mixture, Rows]]:
    """Yield every mixture in the manifest's order with the rows of its files.

    Raises:
        InputError: a line is not valid, or rendered.jsonl is not in the order of the manifest.
    """
    rendered = RowsInOrder(open_rendered(given.folder) if given.folder else ())
    for mixture in given.manifest:
        yield mixture, {row.name: row for row in rendered.of(mixture.id)}
    if rendered.next_id is not None:
        raise InputError(
            f"{given.folder} has rows of mixture {rendered.next_id!r} in its {RENDERED_FILE} where "
            "the manifest has not: render the set again."
        )


@dataclass(frozen=True)
class Part:
    """One use of one file; a response has no length of its own in the mixture."""

    kind: str
    corpus: str
    path: str
    sha256: str
    licence: str
    duration_s: float = 0.0

    @property
    def name(self) -> str:
        """The file's name among those of all corpora."""
        return f"{self.corpus}/{self.path}"


def parts_of(mixture: Mixture) -> Iterator[Part]:
    """Yield every use of a file in a mixture; those of enrolments are a kind of their own."""
    for source in mixture.sources:
        for event in source.events:
            yield _part(source.kind, event, event.event_duration)
        if source.enrolment:
            yield _part("enrolment", source.enrolment, source.enrolment.event_duration)
        if isinstance(source.room, Response):
            yield _part("rir", source.room)


def files_of(source: Source) -> dict[str, str]:
    """Return what each rendered file of a source is, by its name: "target", "target, early"."""
    words = {
        "image": "echo" if source.echo else source.role,
        "far_end": "far-end signal",
        "enrolment": "enrolment",
    }
    return {file.name: words.get(file.part, f"{source.role}, {file.part}") for file in source.files}


def _part(kind: str, file: Event | Response, duration_s: float = 0.0) -> Part:
    return Part(kind, file.corpus, file.path, file.sha256, file.licence, duration_s)
