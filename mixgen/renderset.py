"""Render a whole set to disk: in blocks, by worker processes, resumed and repaired file by file."""

import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path

from mixgen.audio import peak
from mixgen.errors import InputError, MachineError, UsageError
from mixgen.files import (
    TEMPORARY_PREFIX,
    machine_errors,
    read_jsonl,
    sha256_file,
    write_bytes,
    write_jsonl,
)
from mixgen.formats import FORMATS, SampleFormat, file_samples, samples_sha256, write_samples
from mixgen.manifest import Manifest, Mixture
from mixgen.measure import Values, measure
from mixgen.progress import track
from mixgen.records import parse_record
from mixgen.render import Rendering, render
from mixgen.rendered import (
    MANIFEST_FILE,
    RENDERED_FILE,
    FileRow,
    RenderedHeader,
    file_path,
    read_rendered,
    write_rendered,
)
from mixgen.sources import Roots
from mixgen.versions import created_by

BLOCK = 32
LEDGER = ".rendering"

_FLAC_RATIO = 0.7
_RESERVE_BYTES = 16 << 20


@dataclass(frozen=True)
class BlockJob:
    """A run of mixtures for one worker, with what is recorded of their files already."""

    number: int
    mixtures: list[Mixture]
    known: list[FileRow]
    folder: Path
    roots: Roots
    form: SampleFormat


@dataclass
class Outcome:
    """What rendering did: the rows of all files, how many were written, which mixtures failed."""

    rows: list[FileRow] = field(default_factory=list)
    written: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


def render_set(
    manifest: Manifest,
    manifest_path: Path,
    folder: Path,
    roots: Roots,
    *,
    form: SampleFormat | None = None,
    workers: int = 1,
    shard: tuple[int, int] = (1, 1),
) -> Outcome:
    """Bring the set in `folder` to what the manifest says, touching only files that differ.

    A shard (i, N) renders every N-th block from the i-th on; the run that finds all blocks done
    writes rendered.jsonl.

    Raises:
        UsageError: i is not from 1 to N.
        InputError: the folder holds another set.
        MachineError: the disk is full, the folder cannot be written, or a worker was killed.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"A shard is i/N with i from 1 to N, not {shard[0]}/{shard[1]}.")
    form = form or FORMATS[manifest.header.format]
    _open_set(manifest, manifest_path, folder, form)
    jobs = _jobs(manifest, folder, roots, form, shard)
    outcome = Outcome()
    for number, result in _work(jobs, workers):
        outcome.written += result.written
        outcome.failures += result.failures
        outcome.rows += result.rows
        if result.written:
            write_jsonl(_ledger(folder, number), [row.as_dict() for row in result.rows])
    _finish(manifest, folder, form, outcome, shard)
    return outcome


def _ledger(folder: Path, number: int) -> Path:
    return folder / LEDGER / f"block-{number:06d}.jsonl"


def _open_set(manifest: Manifest, path: Path, folder: Path, form: SampleFormat) -> None:
    """Make the folder and its manifest, or check that they are of this manifest.

    Raises:
        InputError: the folder holds another set, or this one in another format.
    """
    kept = folder / MANIFEST_FILE
    there = read_rendered(folder)[0] if (folder / RENDERED_FILE).exists() else None
    same = kept.exists() and sha256_file(kept) == manifest.sha256
    # Where only the set's copy of the manifest was altered or lost, it is put back.
    ours = there.manifest_sha256 == manifest.sha256 if there else same or not kept.exists()
    if not ours:
        raise InputError(f"{folder} holds a set of another manifest: choose another folder.")
    if there and there.format != form.name:
        raise InputError(f"{folder} holds this set as {there.format}, not {form.name}.")
    if same:
        return
    with machine_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _check_space(manifest, folder, form)
        write_bytes(kept, path.read_bytes())


def _check_space(manifest: Manifest, folder: Path, form: SampleFormat) -> None:
    samples = sum(m.frames * m.channels * len(m.file_names) for m in manifest.mixtures)
    width = 4 if form.subtype == "FLOAT" else form.bits // 8
    ratio = _FLAC_RATIO if form.extension == "flac" else 1.0
    needed = int(samples * width * ratio)
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE_BYTES > free:
        raise MachineError(
            f"The set needs about {needed / 1e9:.1f} GB and {folder} has {free / 1e9:.1f} GB free: "
            "make room or choose another disk."
        )


def _jobs(
    manifest: Manifest, folder: Path, roots: Roots, form: SampleFormat, shard: tuple[int, int]
) -> list[BlockJob]:
    index, count = shard
    known = _known_rows(folder)
    jobs = []
    for number, start in enumerate(range(0, len(manifest.mixtures), BLOCK)):
        mixtures = manifest.mixtures[start : start + BLOCK]
        rows = [row for mixture in mixtures for row in known.get(mixture.id, [])]
        if number % count == index - 1:
            jobs.append(BlockJob(number, mixtures, rows, folder, roots, form))
    return jobs


def _known_rows(folder: Path) -> dict[str, list[FileRow]]:
    """Return what is recorded of the set so far, by mixture: rendered.jsonl, then the ledger."""
    rows: dict[str, list[FileRow]] = {}
    if (folder / RENDERED_FILE).exists():
        for mixture_id, group in itertools.groupby(read_rendered(folder)[1], lambda row: row.id):
            rows[mixture_id] = list(group)
    for path in sorted((folder / LEDGER).glob("block-*.jsonl")):
        entries = [parse_record(FileRow, line, str(path)) for line in read_jsonl(path)]
        for mixture_id, group in itertools.groupby(entries, lambda row: row.id):
            rows[mixture_id] = list(group)
    return rows


def _work(jobs: Sequence[BlockJob], workers: int) -> Iterator[tuple[int, Outcome]]:
    if workers <= 1 or len(jobs) <= 1:
        for job in track(jobs, "rendering blocks"):
            yield job.number, render_block(job)
        return
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=get_context("spawn")) as pool:
        futures = {pool.submit(render_block, job): job.number for job in jobs}
        try:
            for future in track(as_completed(futures), "rendering blocks", len(jobs)):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise MachineError(
                "A worker process was killed (often for memory): run the same command again with "
                "fewer workers; what is finished is kept."
            ) from None


def render_block(job: BlockJob) -> Outcome:
    """Render the mixtures of a block whose files are not all there and whole."""
    known = {
        mixture_id: list(rows)
        for mixture_id, rows in itertools.groupby(job.known, lambda row: row.id)
    }
    outcome = Outcome()
    for mixture in job.mixtures:
        rows = {row.name: row for row in known.get(mixture.id, [])}
        if set(rows) == set(mixture.file_names) and not _damaged(rows.values(), job.folder):
            outcome.rows += rows.values()
            continue
        try:
            fresh, written = _render_files(mixture, rows, job)
        except InputError as error:
            outcome.failures.append((mixture.id, str(error)))
            continue
        outcome.rows += fresh
        outcome.written += written
    return outcome


def _damaged(rows: Iterable[FileRow], folder: Path) -> bool:
    return any(not is_whole(row, folder) for row in rows)


def is_whole(row: FileRow, folder: Path) -> bool:
    """Tell whether a recorded file is there, byte for byte."""
    path = folder / row.path
    return path.is_file() and sha256_file(path) == row.file_sha256


def _render_files(
    mixture: Mixture, known: dict[str, FileRow], job: BlockJob
) -> tuple[list[FileRow], int]:
    """Render a mixture and write those of its files that are not there and whole."""
    rendering = render(mixture, job.roots, job.form)
    for stale in (job.folder / mixture.id).glob(f"{TEMPORARY_PREFIX}*"):
        stale.unlink(missing_ok=True)
    values = measure(mixture, rendering, job.roots)
    rows = []
    written = 0
    for name, steps in rendering.steps.items():
        samples = file_samples(steps, job.form)
        sha256 = samples_sha256(samples)
        row = known.get(name)
        if row is None or row.sha256 != sha256 or not is_whole(row, job.folder):
            path = job.folder / file_path(mixture, name, job.form)
            file_sha256 = write_samples(path, samples, mixture.sample_rate, job.form)
            row = _row(mixture, name, rendering, values[name], (sha256, file_sha256))
            written += 1
        rows.append(row)
    return rows, written


def _row(
    mixture: Mixture,
    name: str,
    rendering: Rendering,
    values: tuple[Values, Values],
    hashes: tuple[str, str],
) -> FileRow:
    highest = peak(rendering.steps[name]) * rendering.form.step
    return FileRow(
        id=mixture.id,
        name=name,
        path=file_path(mixture, name, rendering.form),
        frames=mixture.frames,
        sample_rate=mixture.sample_rate,
        channels=mixture.channels,
        peak=round(highest, 6),
        sha256=hashes[0],
        file_sha256=hashes[1],
        clip_gain_db=rendering.clip_gain_db,
        requested=values[0],
        measured=values[1],
    )


def _finish(
    manifest: Manifest, folder: Path, form: SampleFormat, outcome: Outcome, shard: tuple[int, int]
) -> None:
    """Write rendered.jsonl when every block of every shard has been through; drop the ledger."""
    if shard[1] > 1:
        known = _known_rows(folder)
        if any(mixture.id not in known for mixture in manifest.mixtures):
            return
        outcome.rows = [row for rows in known.values() for row in rows]
    place = {mixture.id: number for number, mixture in enumerate(manifest.mixtures)}
    rows = sorted(outcome.rows, key=lambda row: place[row.id])
    if outcome.written or not (folder / RENDERED_FILE).exists() or (folder / LEDGER).exists():
        header = RenderedHeader(
            manifest_sha256=manifest.sha256, format=form.name, created_by=created_by()
        )
        write_rendered(folder, header, rows)
    shutil.rmtree(folder / LEDGER, ignore_errors=True)


def parse_shard(word: str) -> tuple[int, int]:
    """Read `i/N`.

    Raises:
        UsageError: it is not of that form.
    """
    index, slash, count = word.partition("/")
    if not (slash and index.isdigit() and count.isdigit()):
        raise UsageError(f"--shard takes i/N, for example 3/16, not {word!r}.")
    return int(index), int(count)
