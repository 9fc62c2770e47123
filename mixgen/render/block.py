"""Render the mixtures of a block to files, in whatever process or on whatever machine."""

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mixgen.audio.cache import DecodedCache
from mixgen.audio.encoded import EncodedFile
from mixgen.audio.formats import SampleFormat, file_samples
from mixgen.core.errors import InputError
from mixgen.core.files import has_sha256, remove_unfinished, write_bytes
from mixgen.core.memory import keep_freed_memory
from mixgen.core.paths import leads_out
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture
from mixgen.render.exact import ExactRenderer
from mixgen.render.journal import Block
from mixgen.render.measure import Pair, measure, reasons_for_null
from mixgen.render.mixture import render
from mixgen.sets.layout import Layout
from mixgen.sets.rendered import FileRow, file_path, is_whole


@dataclass(frozen=True)
class Site:
    """Where mixtures are rendered to, in which format, and where their sources are.

    Attributes:
        folder: that paths of files are relative to.
        roots: of the corpora.
        sample_format: of the files.
        records: folder of the manifest and of the rows.
        cache: of decoded source files.
        layout: of the files; None for a folder for each mixture.
        scratch: folder of files that are not finished, where they cannot be beside the others.
        measures: whether levels of published sets are measured, as those of all others are.
    """

    folder: Path
    roots: Roots
    sample_format: SampleFormat
    records: Path
    cache: DecodedCache | None = None
    layout: Layout | None = None
    scratch: Path | None = None
    measures: bool = False

    def path_of(self, mixture: Mixture, name: str) -> str:
        """Return where a file of a mixture is, relative to the folder."""
        return file_path(mixture, name, self.sample_format, self.layout)


@dataclass
class BlockOutcome:
    """The result of a block: rows of its files, number of files written, mixtures that failed."""

    rows: list[FileRow] = field(default_factory=list)
    written: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True)
class _Rendered:
    """The files of a mixture, and (requested, measured) of each, by their names."""

    files: dict[str, EncodedFile]
    values: dict[str, Pair]
    clip_gain_db: float


def render_block(block: Block, site: Site) -> BlockOutcome:
    """Render the mixtures of a block that have a file missing or altered."""
    keep_freed_memory()
    known = {
        mixture_id: list(rows)
        for mixture_id, rows in itertools.groupby(block.rows or (), lambda row: row.id)
    }
    return _BlockRenderer(site).render(block.mixtures, known)


class _BlockRenderer:
    """Renders mixtures one after the other, and writes those of their files that differ."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._exact = ExactRenderer(site.roots, site.sample_format, site.cache)
        self._brought: dict[str, str] = {}  # path to hash of files that variants share
        self._inside: set[str] = set()  # folders that are no links to elsewhere

    def render(
        self, mixtures: Iterable[Mixture], known: Mapping[str, list[FileRow]]
    ) -> BlockOutcome:
        """Render mixtures; `known` has the rows of those that were rendered before."""
        done = BlockOutcome()
        for mixture in mixtures:
            rows = self._own_rows(mixture, known.get(mixture.id, ()))
            complete = rows.keys() == set(mixture.file_names)
            if complete and all(is_whole(row, self._site.folder) for row in rows.values()):
                done.rows += rows.values()
                continue
            try:
                done.rows += self._render_files(mixture, rows, done)
            except InputError as error:
                done.failures.append((mixture.id, str(error)))
        return done

    def _own_rows(self, mixture: Mixture, rows: Iterable[FileRow]) -> dict[str, FileRow]:
        """Return the rows by name, without those whose path is not that of the file."""
        return {row.name: row for row in rows if row.path == self._site.path_of(mixture, row.name)}

    def _render_files(
        self, mixture: Mixture, known: dict[str, FileRow], done: BlockOutcome
    ) -> list[FileRow]:
        """Render a mixture and write those of its files that are missing or altered."""
        site = self._site
        paths = {name: site.path_of(mixture, name) for name in mixture.file_names}
        for folder in {path.rpartition("/")[0] for path in paths.values()} - self._inside:
            if leads_out(site.folder, folder):
                link = site.folder / folder
                raise InputError(
                    f"{link} is a link that leads out of {site.folder}: remove the link."
                )
            self._inside.add(folder)
        rendered = self._rendered(mixture)
        if site.layout is None:
            remove_unfinished(site.folder / mixture.id)
        rows = []
        for name, file in rendered.files.items():
            row = known.get(name)
            if row is None or row.sha256 != file.sha256 or not is_whole(row, site.folder):
                done.written += self._bring(paths[name], file)
                row = _row(mixture, name, paths[name], rendered)
            rows.append(row)
        return rows

    def _rendered(self, mixture: Mixture) -> _Rendered:
        site = self._site
        if mixture.is_exact:
            return self._rendered_exactly(mixture)
        rendering = render(mixture, site.roots, site.sample_format, site.cache)
        files = {
            name: EncodedFile(
                file_samples(steps, site.sample_format), mixture.sample_rate, site.sample_format
            )
            for name, steps in rendering.steps.items()
        }
        values = measure(mixture, rendering, site.roots)
        return _Rendered(files, values, rendering.clip_gain_db)

    def _rendered_exactly(self, mixture: Mixture) -> _Rendered:
        """Render a mixture of a published set or a folder; levels are measured on request."""
        site = self._site
        rendering = self._exact.render(mixture)
        values: dict[str, Pair] = {name: ({}, {}) for name in rendering.files}
        if site.measures:
            values = measure(mixture, rendering.on_grid(), site.roots)
        if site.layout is not None and site.layout.needs_ratios:
            ratios = self._exact.energy_ratios_db(mixture, rendering)
            for name, ratio_db in ratios.items():
                values[name][1]["energy_ratio_db"] = ratio_db
        return _Rendered(rendering.files, values, rendering.clip_gain_db)

    def _bring(self, path: str, file: EncodedFile) -> bool:
        """Write a file unless it holds this content already; return whether it was written."""
        full, site = self._site.folder / path, self._site
        if self._brought.get(path) == file.file_sha256:
            return False
        self._brought[path] = file.file_sha256
        if not full.is_symlink() and has_sha256(full, file.file_sha256):
            return False
        write_bytes(full, file.content, flush=False, scratch=site.scratch)
        return True


def _row(mixture: Mixture, name: str, path: str, rendered: _Rendered) -> FileRow:
    file, (requested, measured) = rendered.files[name], rendered.values[name]
    frames, channels = file.samples.shape
    return FileRow(
        id=mixture.id,
        name=name,
        path=path,
        frames=frames,
        sample_rate=mixture.sample_rate,
        channels=channels,
        peak=round(file.peak, 6),
        sha256=file.sha256,
        file_sha256=file.file_sha256,
        clip_gain_db=rendered.clip_gain_db,
        requested=requested,
        measured=measured,
        reasons=reasons_for_null(measured),
    )
