"""From files that exist already to a manifest of finished files."""

import contextlib
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from pydantic import ValidationError

from mixgen.audio.encoded import EncodedFile
from mixgen.audio.formats import (
    FORMATS,
    SampleFormat,
    file_samples,
    file_steps,
    read_file_samples,
)
from mixgen.audio.read import audio_info, is_cut_short
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.paths import inside
from mixgen.core.progress import track
from mixgen.core.records import explain
from mixgen.core.versions import created_by
from mixgen.core.vocabulary import Kind, Role, Task
from mixgen.core.workers import bounded_map, default_workers
from mixgen.corpora.roots import write_roots
from mixgen.manifest.file import Header, Import, write_manifest
from mixgen.manifest.finished import Finished, FinishedFile
from mixgen.manifest.mixture import MIXTURE, Gain, Level, Mixture, Source
from mixgen.published.importing import Imported


@dataclass(frozen=True, slots=True)
class FinishedMixture:
    """A mixture whose files exist already.

    Attributes:
        id: of the mixture.
        split: of the mixture.
        sources: as the record has them, without events.
        files: by their names in the record; None for those that are missing.
    """

    id: str
    split: str
    sources: Sequence[Source]
    files: Mapping[str, Path | None]


def finished_source(name: str, role: Role, kind: Kind, *, label: str = "") -> Source:
    """Return a source of finished files; its label is its name by default."""
    gain = Gain(rule="lufs")
    return Source(name=name, role=role, label=label or name, kind=kind, events=[], gain=gain)


def write_finished(
    mixtures: Sequence[FinishedMixture],
    folder: Path,
    out: Path,
    *,
    name: str,
    task: Task,
    licence: str,
    imported: Import,
    chosen: object,
    allow_missing: bool,
) -> Imported:
    """Write the manifest of files that exist already, and beside it where they are.

    Args:
        mixtures: in the order of the manifest.
        folder: that all files are in.
        out: the manifest.jsonl; an earlier one is replaced.
        name: of the set, and of its corpus.
        task: of the set.
        licence: of all files.
        imported: what the manifest says of its origin.
        chosen: what was chosen of the folder, as plain data.
        allow_missing: whether mixtures are left out of which a file cannot be used.

    Raises:
        InputError: a file of a mixture is missing or cannot be used.
    """
    paths = [path for one in mixtures for path in one.files.values() if path is not None]
    sample_format = _common_format(paths)
    reader = _Reader(folder, name, sample_format, licence)
    records, left_out, ids = [], [], set()
    with ThreadPoolExecutor(default_workers()) as pool:
        read = bounded_map(reader.read, mixtures, window=64, executor=pool)
        for one, record in track(read, "reading files", len(mixtures)):
            if isinstance(record, str):
                left_out.append((one.id, record))
            elif one.id.lower() in ids:
                left_out.append((one.id, f"{folder} has two mixtures {one.id}: rename one"))
            else:
                records.append(record)
                ids.add(one.id.lower())
    if left_out and not allow_missing:
        more = f" (and {len(left_out) - 1} more mixtures)" if len(left_out) > 1 else ""
        raise InputError(f"{left_out[0][1]}{more}, or leave them out with --allow-missing.")
    if not records:
        raise InputError(f"No mixture of {folder} has all its files.")
    hashes = [file.sha256 for r in records if r.finished for file in r.finished.files.values()]
    header = Header(
        name=name,
        task=task,
        format=sample_format.name,
        recipe_sha256=sha256_bytes(canonical_json([imported.as_dict(), chosen]).encode()),
        sources_sha256=sha256_bytes(canonical_json(hashes).encode()),
        seed=0,
        mixtures=len(records),
        created_by=created_by(),
        imported=imported,
        finished=name,
    )
    write_manifest(out, header, records)
    write_roots(out.parent, {name: folder})
    return Imported(len(records), left_out)


def _common_format(paths: Sequence[Path]) -> SampleFormat:
    """Return the format that holds the samples of all files without a change."""
    kinds: set[tuple[str, str]] = set()
    for path in paths:
        with contextlib.suppress(soundfile.LibsndfileError):  # reading says what is wrong with it
            info = soundfile.info(path)
            kinds.add((info.format, info.subtype))
    subtypes = {subtype for _, subtype in kinds}
    bits = 16 if subtypes <= {"PCM_16"} else 24 if subtypes <= {"PCM_16", "PCM_24"} else None
    if bits is None:
        return FORMATS["wav_float"]
    container = "flac" if {container for container, _ in kinds} == {"FLAC"} else "wav"
    return FORMATS[f"{container}{bits}"]


@dataclass(frozen=True)
class _Reader:
    """Reads the files of mixtures, and makes their records."""

    folder: Path
    corpus: str
    sample_format: SampleFormat
    licence: str

    def read(self, one: FinishedMixture) -> Mixture | str:
        """Return the record of a mixture, or why there is none."""
        try:
            return self._record(one)
        except InputError as error:
            return str(error).rstrip(".")
        except ValidationError as error:
            return f"mixture {one.id}: {explain(error)}"

    def _record(self, one: FinishedMixture) -> Mixture:
        files = {name: self._file(one, name, path) for name, path in one.files.items()}
        mixture = files[MIXTURE]
        parts = [file for source in one.sources for file in source.files]
        for file in parts:
            own = files[file.name]
            if own.sample_rate != mixture.sample_rate or (
                file.is_mixed and own.samples.shape != mixture.samples.shape
            ):
                raise InputError(
                    f"{one.files[file.name]} has {_size(own)}, and its mixture {_size(mixture)}: "
                    "make them equal"
                )
        frames, channels = mixture.samples.shape
        summed = {file.name: files[file.name] for file in parts if file.is_in_sum}
        return Mixture(
            id=one.id,
            split=one.split,
            sample_rate=mixture.sample_rate,
            channels=channels,
            frames=frames,
            seed=0,
            sources=list(one.sources),
            level=Level(reference_db=0.0),
            targets=[source.name for source in one.sources if source.role == "target"],
            finished=Finished(
                files={
                    name: self._finished(one.files[name], file, frames)
                    for name, file in files.items()
                },
                sums=_is_sum(mixture, summed, self.sample_format),
            ),
        )

    def _file(self, one: FinishedMixture, name: str, path: Path | None) -> EncodedFile:
        if path is None:
            raise InputError(f"{self.folder} has no file of {name} of {one.id}: restore it")
        info = audio_info(path)
        if is_cut_short(path):
            raise InputError(f"{path} is cut short: restore it")
        try:
            samples = read_file_samples(path, self.sample_format)
        except RuntimeError as error:
            raise InputError(f"{path} cannot be decoded ({error}): restore it") from None
        if len(samples) != info.frames or not len(samples):
            raise InputError(f"{path} holds {len(samples)} of {info.frames} samples: restore it")
        if samples.dtype.kind == "f" and not np.isfinite(samples).all():
            raise InputError(f"{path} holds NaN or infinite samples: restore it")
        return EncodedFile(samples, info.sample_rate, self.sample_format)

    def _finished(self, path: Path | None, file: EncodedFile, frames: int) -> FinishedFile:
        relative = Path(str(path)).relative_to(self.folder).as_posix()
        full = inside(self.folder, relative)
        return FinishedFile(
            corpus=self.corpus,
            path=relative,
            sha256=sha256_file(full),
            samples_sha256=file.sha256,
            peak=round(file.peak, 6),
            licence=self.licence,
            frames=None if len(file.samples) == frames else len(file.samples),
        )


def _size(file: EncodedFile) -> str:
    frames, channels = file.samples.shape
    return f"{frames} samples at {file.sample_rate} Hz in {channels} channel(s)"


def _is_sum(
    mixture: EncodedFile, summed: Mapping[str, EncodedFile], sample_format: SampleFormat
) -> bool:
    """Return whether files add up to the mixture, exactly and on the grid of the format."""
    rest = np.zeros(mixture.samples.T.shape, np.int64)
    for file in (mixture, *summed.values()):
        steps = file_steps(file.samples, sample_format)
        if not np.array_equal(file_samples(steps, sample_format), file.samples):
            return False  # floats between the steps
        rest += steps if file is mixture else -steps
    return bool(summed) and not rest.any()
