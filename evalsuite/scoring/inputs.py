"""The files that a score reads: the set as it was rendered, the estimates as they are."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mixgen.audio.formats import read_file_samples, samples_sha256
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map, default_workers
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.sets.rendered import FileRow, RenderedSet, is_whole

FileRows = Mapping[tuple[str, str], FileRow]
"""(mixture id, file name) to what is recorded of the file."""


def recorded_files(rendered: RenderedSet, mixtures: Sequence[Mixture]) -> FileRows:
    """Return what rendered.jsonl records of the files of the mixtures.

    Raises:
        InputError: it has no line for a mixture or a reference.
    """
    ids = {mixture.id for mixture in mixtures}
    rows = {(row.id, row.name): row for row in rendered.record if row.id in ids}
    for key in _scored_files(mixtures):
        if key not in rows:
            raise InputError(
                f"{rendered.record.path} has no line for {'/'.join(key)}: run `mixgen render` with "
                "the set's manifest to finish the set."
            )
    return rows


def _scored_files(mixtures: Iterable[Mixture]) -> Iterator[tuple[str, str]]:
    """Yield the files that estimates and scores depend on: id of the mixture, name of the file.

    They are the mixture, references, echoes and what separators get: far ends and enrolments.
    """
    for mixture in mixtures:
        echoes = (file for s in mixture.sources if s.role == "far_end" for file in s.files)
        enrolments = (file for file in mixture.source_files if file.part == "enrolment")
        others = (file.name for file in (*echoes, *enrolments))
        for name in dict.fromkeys((MIXTURE, *mixture.targets, *others)):
            yield mixture.id, name


def check_files(rendered: RenderedSet, mixtures: Sequence[Mixture], rows: FileRows) -> None:
    """Check that the files of the mixtures hold the samples that were rendered.

    Raises:
        InputError: a file is missing or altered.
    """

    def check(row: FileRow) -> None:
        """Raise an error unless the file of a row is whole."""
        if not is_whole(row, rendered.root) and not _has_samples(row, rendered):
            repair = "restore them" if rendered.is_finished else "`mixgen render` repairs it"
            raise InputError(
                f"{rendered.root / row.path} does not hold the samples that were recorded: "
                f"`mixgen verify {rendered.place}` lists what changed, and {repair}."
            )

    scored = [rows[key] for key in _scored_files(mixtures)]
    with ThreadPoolExecutor(default_workers()) as pool:
        checked = bounded_map(check, scored, window=64, executor=pool)
        for _ in track(checked, "check", len(scored)):
            pass


def conditions_of(mixture: Mixture, rows: FileRows) -> dict[str | None, dict[str, float]]:
    """Return what was measured of each target of a mixture when it was rendered.

    The keys of a target's conditions are `overlap` of the mixture, and where the target is a source
    or a part of it, `snr_db` against all other sources together and `t60_s` of the room. Those of
    the whole mixture have the target None.
    """
    of_mixture = {"overlap": rows[mixture.id, MIXTURE].measured.get("overlap")}
    found: dict[str | None, dict[str, float | None]] = {None: of_mixture}
    source_of = {file: source.name for file, source in mixture.source_of.items()}
    for target in mixture.targets:
        row = rows.get((mixture.id, source_of.get(target, target)))
        measured = {} if row is None else row.measured
        own = {"snr_db": measured.get("energy_ratio_db"), "t60_s": measured.get("t60_s")}
        found[target] = {**of_mixture, **own}
    return {
        target: {name: value for name, value in conditions.items() if value is not None}
        for target, conditions in found.items()
    }


def labels_of(mixture: Mixture) -> dict[str, str]:
    """Return target to talker, stem or class, where the target is a source or a part of one."""
    label_of = {file: source.label for file, source in mixture.source_of.items()}
    return {target: label_of[target] for target in mixture.targets if target in label_of}


def _has_samples(row: FileRow, rendered: RenderedSet) -> bool:
    """Return whether a file with other bytes, such as other tags, has the recorded samples."""
    try:
        samples = read_file_samples(rendered.root / row.path, rendered.format)
    except (OSError, RuntimeError):
        return False
    return samples_sha256(samples) == row.sha256


def files_sha256(paths: Iterable[Path | None]) -> str:
    """Return one hash of all files in their order; missing ones are a part of it."""
    with ThreadPoolExecutor(default_workers()) as pool:
        hashes = list(pool.map(_sha256_or_none, paths))
    return sha256_bytes(canonical_json(hashes).encode())


def _sha256_or_none(path: Path | None) -> str | None:
    try:
        return None if path is None else sha256_file(path)
    except InputError:
        return None
