"""The files that a score reads: the set as it was rendered, the estimates as they are."""

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from evalsuite.scoring.estimates import estimate_path
from mixgen.audio.formats import read_file_samples, samples_sha256
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map, default_workers
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.rendered import FileRow, RenderedSet, is_whole


def check_set_files(rendered: RenderedSet, mixtures: Sequence[Mixture]) -> None:
    """Check that the mixtures and references hold the samples that rendered.jsonl records.

    Raises:
        InputError: a file is missing, altered or not recorded.
    """
    rows = list(_rows_of(rendered, mixtures))

    def check(row: FileRow) -> None:
        if not is_whole(row, rendered.folder) and not _has_samples(row, rendered):
            raise InputError(
                f"{rendered.folder / row.path} does not hold the samples that were rendered: "
                f"`mixgen verify {rendered.folder}` lists what changed, and `mixgen render` "
                "repairs it."
            )

    with ThreadPoolExecutor(default_workers()) as pool:
        for _ in track(bounded_map(check, rows, window=64, executor=pool), "check", len(rows)):
            pass


def _rows_of(rendered: RenderedSet, mixtures: Sequence[Mixture]) -> Iterator[FileRow]:
    """Yield the row of each mixture and of its references."""
    recorded = {(row.id, row.name): row for row in rendered.record}
    for mixture in mixtures:
        for name in (MIXTURE, *mixture.targets):
            row = recorded.get((mixture.id, name))
            if row is None:
                raise InputError(
                    f"{rendered.record.path} has no line for {mixture.id}/{name}: run `mixgen "
                    "render` with the set's manifest to finish the set."
                )
            yield row


def _has_samples(row: FileRow, rendered: RenderedSet) -> bool:
    """Return whether a file with other bytes, such as other tags, has the recorded samples."""
    try:
        samples = read_file_samples(rendered.folder / row.path, rendered.format)
    except (OSError, RuntimeError):
        return False
    return samples_sha256(samples) == row.sha256


def estimates_sha256(folder: Path, mixtures: Sequence[Mixture], names: Iterable[str]) -> str:
    """Return one hash of all estimates of the mixtures; missing files are a part of it."""
    paths = [estimate_path(folder, mixture.id, name) for mixture in mixtures for name in names]
    with ThreadPoolExecutor(default_workers()) as pool:
        hashes = list(pool.map(_sha256_or_none, paths))
    return sha256_bytes(canonical_json(hashes).encode())


def _sha256_or_none(path: Path) -> str | None:
    try:
        return sha256_file(path)
    except OSError:
        return None
