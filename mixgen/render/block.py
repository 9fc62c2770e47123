"""Render the mixtures of a block to files, in whatever process or on whatever machine."""

import contextlib
import itertools
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from mixgen.audio.cache import DecodedCache
from mixgen.audio.formats import SampleFormat, encode_samples, file_samples, samples_sha256
from mixgen.audio.read import peak
from mixgen.core.errors import InputError
from mixgen.core.files import TEMPORARY_PREFIX, has_sha256, sha256_bytes, write_bytes
from mixgen.core.paths import leads_out
from mixgen.corpora.roots import Roots
from mixgen.manifest.mixture import Mixture
from mixgen.render.journal import Block
from mixgen.render.measure import Values, measure, reasons_for_null
from mixgen.render.mixture import Rendering, render
from mixgen.sets.rendered import FileRow, file_path, is_whole


@dataclass(frozen=True)
class Site:
    """Where mixtures are rendered to, in which format, and where their sources are."""

    folder: Path
    roots: Roots
    sample_format: SampleFormat
    cache: DecodedCache | None = None


@dataclass
class BlockOutcome:
    """The result of a block: rows of its files, number of files written, mixtures that failed."""

    rows: list[FileRow] = field(default_factory=list)
    written: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


def render_block(block: Block, site: Site) -> BlockOutcome:
    """Render the mixtures of a block that have a file missing or altered."""
    known = {
        mixture_id: list(rows)
        for mixture_id, rows in itertools.groupby(block.rows or (), lambda row: row.id)
    }
    done = BlockOutcome()
    for mixture in block.mixtures:
        rows = _own_rows(mixture, known.get(mixture.id, ()), site.sample_format)
        complete = rows.keys() == set(mixture.file_names)
        if complete and all(is_whole(row, site.folder) for row in rows.values()):
            done.rows += rows.values()
            continue
        try:
            fresh, written = _render_files(mixture, rows, site)
        except InputError as error:
            done.failures.append((mixture.id, str(error)))
            continue
        done.rows += fresh
        done.written += written
    return done


def _own_rows(
    mixture: Mixture, rows: Iterable[FileRow], sample_format: SampleFormat
) -> dict[str, FileRow]:
    """Return the rows by name, without those whose path is not that of the file."""
    return {
        row.name: row for row in rows if row.path == file_path(mixture, row.name, sample_format)
    }


def _render_files(
    mixture: Mixture, known: dict[str, FileRow], site: Site
) -> tuple[list[FileRow], int]:
    """Render a mixture and write those of its files that are missing or altered."""
    if leads_out(site.folder, mixture.id):
        link = site.folder / mixture.id
        raise InputError(f"{link} is a link that leads out of {site.folder}: remove the link.")
    rendering = render(mixture, site.roots, site.sample_format, site.cache)
    _remove_stale(site.folder / mixture.id)
    values = measure(mixture, rendering, site.roots)
    rows = []
    written = 0
    for name, steps in rendering.steps.items():
        samples = file_samples(steps, site.sample_format)
        sha256 = samples_sha256(samples)
        row = known.get(name)
        if row is None or row.sha256 != sha256 or not is_whole(row, site.folder):
            content = encode_samples(samples, mixture.sample_rate, site.sample_format)
            file_sha256 = sha256_bytes(content)
            path = site.folder / file_path(mixture, name, site.sample_format)
            written += _bring_to(path, content, file_sha256)
            row = _row(mixture, name, rendering, values[name], (sha256, file_sha256))
        rows.append(row)
    return rows, written


def _remove_stale(folder: Path) -> None:
    """Remove what interrupted runs left in the folder of a mixture."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY_PREFIX):
                Path(entry).unlink(missing_ok=True)


def _bring_to(path: Path, content: bytes, sha256: str) -> bool:
    """Write a file unless it holds this content already; return whether it was written."""
    if not path.is_symlink() and has_sha256(path, sha256):
        return False
    write_bytes(path, content, flush=False)
    return True


def _row(
    mixture: Mixture,
    name: str,
    rendering: Rendering,
    values: tuple[Values, Values],
    hashes: tuple[str, str],
) -> FileRow:
    steps = rendering.steps[name]
    return FileRow(
        id=mixture.id,
        name=name,
        path=file_path(mixture, name, rendering.sample_format),
        frames=steps.shape[1],
        sample_rate=mixture.sample_rate,
        channels=steps.shape[0],
        peak=round(peak(steps) * rendering.sample_format.step, 6),
        sha256=hashes[0],
        file_sha256=hashes[1],
        clip_gain_db=rendering.clip_gain_db,
        requested=values[0],
        measured=values[1],
        reasons=reasons_for_null(values[1]),
    )
