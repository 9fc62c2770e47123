"""Render a whole set to disk, in blocks, by worker processes; resume it, repair single files."""

import contextlib
import functools
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from pathlib import Path

from mixgen.audio.cache import open_cache
from mixgen.audio.formats import SampleFormat, format_called
from mixgen.core.cluster import cluster_map
from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.core.files import (
    copy_file,
    machine_errors,
    remove_unfinished,
    scratch_folder,
    sha256_file,
)
from mixgen.core.locks import file_lock
from mixgen.core.progress import track
from mixgen.core.versions import created_by
from mixgen.core.vocabulary import FormatName
from mixgen.core.workers import bounded_map
from mixgen.corpora.roots import find_roots
from mixgen.manifest.file import ManifestFile, open_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.manifest.uses import with_licence_warning
from mixgen.render.block import BlockOutcome, Site, render_block
from mixgen.render.journal import Block, RenderJournal, UnfinishedError, block_count
from mixgen.sets.format import check_format
from mixgen.sets.layout import Layout
from mixgen.sets.rendered import (
    MANIFEST_FILE,
    RENDERED_FILE,
    RenderedHeader,
    open_rendered,
    records_folder,
    write_rendered,
)

LOCK_FILE = ".lock"
SCRATCH_FOLDER = ".scratch"

_FLAC_RATIO = 0.7
_RESERVE_BYTES = 16 << 20
_KEPT = 1024  # mixtures, about 10 kB each
_SHARD = re.compile("([0-9]{1,9})/([0-9]{1,9})")


@dataclass
class Outcome:
    """What rendering did: files written, files in place afterwards, and mixtures that failed.

    `records` is the folder of the manifest and of rendered.jsonl.
    """

    records: Path
    written: int = 0
    in_place: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)

    def add(self, block: BlockOutcome) -> None:
        """Count the result of a block."""
        self.written += block.written
        self.in_place += len({row.path for row in block.rows})  # variants share files
        self.failures += block.failures


@dataclass(frozen=True)
class _Size:
    """The mixtures of a manifest, how many blocks they make, and how many samples in files.

    Few mixtures are kept in memory, so that their records are read once.
    """

    mixtures: Iterable[Mixture]
    blocks: int
    samples: int


def render_set(
    manifest: str | Path,
    out: str | Path,
    *,
    roots: Mapping[str, Path | str] | None = None,
    sample_format: FormatName | None = None,
    workers: int = 1,
    shard: tuple[int, int] = (1, 1),
    cache: str | Path | None = None,
    executor: Executor | None = None,
    layout: Layout | None = None,
    measures: bool = False,
) -> Outcome:
    """Write the set of a manifest to the folder `out`, touching only files that differ.

    However many mixtures there are, the records of a thousand at most are in memory.

    Args:
        manifest: a manifest.jsonl.
        out: folder of the rendered set.
        roots: folder of each corpus, where `roots.json` beside the manifest does not have it.
        sample_format: of the files; the manifest's by default.
        workers: processes that render.
        shard: (i, N) renders every N-th block from the i-th on; the run that finds all blocks done
            writes rendered.jsonl.
        cache: folder of decoded source files, by default that of MIXGEN_CACHE if it is set.
        executor: renders on other machines instead; see `mixgen.core.cluster`.
        layout: tree of the files, where several sets may be; the records are then in
            OUT/.sets/HASH. By default there is a folder for each mixture.
        measures: whether levels of published sets are measured, as those of all others are.

    Raises:
        UsageError: i is not from 1 to N, or there is no such format.
        InputError: a record of the manifest is not valid, or the folder holds another set.
        MachineError: the disk is full, the folder cannot be written, another run is at work in
            it, a worker was killed, or one on another machine does not see a folder.
    """
    if not 1 <= shard[0] <= shard[1]:
        raise UsageError(f"A shard is i/N with i from 1 to N, not {shard[0]}/{shard[1]}.")
    opened, folder = open_manifest(Path(manifest)), Path(out)
    known_roots = find_roots([opened.path], roots)
    written_as = format_called(sample_format or opened.header.format)
    site = Site(
        folder,
        known_roots,
        written_as,
        records=folder,
        cache=open_cache(cache),
        layout=layout,
        measures=measures,
    )
    return _bring_up_to_date(opened, site, workers, shard, executor)


def _bring_up_to_date(
    manifest: ManifestFile,
    site: Site,
    workers: int,
    shard: tuple[int, int],
    executor: Executor | None,
) -> Outcome:
    size = _checked_size(manifest)
    if site.layout is not None:
        site = replace(site, records=records_folder(site.folder, manifest.sha256))
    with machine_errors(site.records):
        site.records.mkdir(parents=True, exist_ok=True)
    # The shards of a set are rendered at the same time, but each of them once.
    share = f"{shard[0]}-of-{shard[1]}"
    with (
        file_lock(site.records / LOCK_FILE, shared=shard[1] > 1),
        file_lock(site.records / f"{LOCK_FILE}.{share}"),
        _scratch_for(site, share) as scratch,
    ):
        if shard[1] == 1:  # no other run is writing them
            for name in (MANIFEST_FILE, RENDERED_FILE):
                remove_unfinished(site.records, name)
        site = replace(site, scratch=scratch)
        return _render_blocks(manifest, size, site, workers, shard, executor)


def _scratch_for(site: Site, share: str) -> contextlib.AbstractContextManager[Path | None]:
    """Return the folder of files that are not finished; None where they are beside the others.

    In a tree, what a killed run leaves would be among the files of other sets.
    """
    if site.layout is None:
        return contextlib.nullcontext()
    return scratch_folder(site.records / f"{SCRATCH_FOLDER}.{share}")


def _render_blocks(
    manifest: ManifestFile,
    size: _Size,
    site: Site,
    workers: int,
    shard: tuple[int, int],
    executor: Executor | None,
) -> Outcome:
    folder, sample_format = site.records, site.sample_format
    journal = RenderJournal(folder, manifest.sha256, sample_format)
    _open_set(manifest, size, folder, sample_format, journal.header)
    count = len(range(shard[0] - 1, size.blocks, shard[1]))
    outcome = Outcome(folder)
    blocks = journal.blocks(size.mixtures, shard)
    if executor is None:
        work = functools.partial(render_block, site=site)
        done = bounded_map(work, blocks, workers=min(workers, count))
    else:
        done = _on_other_machines(blocks, site, executor)
    for block, rendered in track(done, "rendering blocks", count):
        outcome.add(rendered)
        if rendered.written or rendered.rows != block.rows:
            journal.write(block.number, rendered.rows)
    if not journal.is_settled:
        _settle(journal, manifest, size, site)
    return outcome


def _on_other_machines(
    blocks: Iterable[Block], site: Site, executor: Executor
) -> Iterator[tuple[Block, BlockOutcome]]:
    """Yield every block with its result; what was written has to be seen here."""
    roots = {name: root.absolute() for name, root in site.roots.items()}
    shared = replace(
        site,
        folder=site.folder.absolute(),
        scratch=site.scratch and site.scratch.absolute(),
        roots=roots,
    )
    work = functools.partial(render_block, site=shared)
    folders = [shared.folder, *roots.values()]
    if shared.cache is not None:
        folders.append(shared.cache.folder)
    for block, rendered in cluster_map(work, blocks, executor, folders=folders):
        if rendered.written and not (shared.folder / rendered.rows[-1].path).is_file():
            raise MachineError(
                f"A worker wrote {rendered.rows[-1].path} to a folder {shared.folder} that is not "
                "the one of this machine: sets have to be on a file system that all machines share."
            )
        yield block, rendered


def _checked_size(manifest: ManifestFile) -> _Size:
    """Read the whole manifest, so that a wrong record is found before anything is rendered."""
    kept: list[Mixture] = []
    mixtures = samples = groups = 0
    name = ""
    checked = track(manifest, "checking mixtures", manifest.count())
    for mixture in with_licence_warning(checked):
        mixtures += 1
        samples += mixture.frames * mixture.channels * len(mixture.file_names)
        groups += mixture.common_name != name
        name = mixture.common_name
        if mixtures <= _KEPT:
            kept.append(mixture)
    return _Size(kept if mixtures <= _KEPT else manifest, block_count(groups), samples)


def _open_set(
    manifest: ManifestFile,
    size: _Size,
    folder: Path,
    sample_format: SampleFormat,
    there: RenderedHeader | None,
) -> None:
    """Put a copy of the manifest into the folder, or check that the one there is of this manifest.

    Raises:
        InputError: the folder holds another set, or this one in another format.
    """
    kept = folder / MANIFEST_FILE
    same = _is_copy(kept, manifest)
    # If only the set's copy of the manifest was altered or lost, it is restored.
    ours = manifest.has_sha256(there.manifest_sha256) if there else same or not kept.exists()
    if not ours:
        raise InputError(f"{folder} holds a set of another manifest: choose another folder.")
    if there and there.format != sample_format.name:
        check_format(open_rendered(folder))
        raise InputError(
            f"{folder} holds this set as {there.format}, not {sample_format.name}: give --format "
            f"{there.format}, or another folder."
        )
    if same:
        return
    with machine_errors(folder):
        _check_space(size.samples, folder, sample_format)
        copy_file(manifest.path, kept)


def _is_copy(kept: Path, manifest: ManifestFile) -> bool:
    """Return whether a file holds this manifest, in this or an older form."""
    if not kept.is_file():
        return False
    if sha256_file(kept) == sha256_file(manifest.path):
        return True
    try:
        return open_manifest(kept).sha256 == manifest.sha256
    except InputError:
        return False


def _check_space(samples: int, folder: Path, sample_format: SampleFormat) -> None:
    width = 4 if sample_format.subtype == "FLOAT" else sample_format.bits // 8
    ratio = _FLAC_RATIO if sample_format.extension == "flac" else 1.0
    needed = int(samples * width * ratio)
    free = shutil.disk_usage(folder).free
    if needed + _RESERVE_BYTES > free:
        raise MachineError(
            f"The set needs about {_in_words(needed)} and {folder} has {_in_words(free)} free: "
            "make room or choose another disk."
        )


def _in_words(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{math.ceil(size / 1e6)} MB"


def _settle(
    journal: RenderJournal,
    manifest: ManifestFile,
    size: _Size,
    site: Site,
) -> None:
    """Write rendered.jsonl if every block of every shard is rendered; then drop the journal."""
    header = RenderedHeader(
        manifest_sha256=manifest.sha256,
        format=site.sample_format.name,
        created_by=created_by(),
        layout=site.layout,
    )
    try:
        write_rendered(site.records, header, journal.rows(size.mixtures, size.blocks))
    except UnfinishedError:
        return
    journal.drop()


def parse_shard(word: str) -> tuple[int, int]:
    """Read `i/N`.

    Raises:
        UsageError: it has another form.
    """
    numbers = _SHARD.fullmatch(word)
    if numbers is None:
        raise UsageError(f"--shard takes i/N, for example 3/16, not {word!r}.")
    return int(numbers[1]), int(numbers[2])
