"""From the official lists of a published set to a manifest: what all sets do in the same way.

A set reads its lists into `ListedMixture`s. Here their source files are found and measured, each
once, and the records that the set makes of them are written.
"""

import math
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from mixgen.audio.read import audio_info
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.paths import inside
from mixgen.core.progress import track
from mixgen.core.versions import created_by
from mixgen.core.vocabulary import FormatName, Task
from mixgen.core.workers import bounded_map, default_workers
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import SourceRow, open_sources
from mixgen.manifest.file import Header, Import, write_manifest
from mixgen.manifest.mixture import Event, Mixture
from mixgen.manifest.published import Step
from mixgen.scenes.draws import seconds_of

_NOT_IN_IDS = re.compile(r"[^A-Za-z0-9._-]+")

FileKey = tuple[str, str]
"""(corpus, path relative to its root)"""


@dataclass(frozen=True)
class Corpus:
    """A corpus that a set takes files from.

    Attributes:
        name: in records.
        root: its folder on this machine.
        option: by which the root was given.
        layout: by which `mixgen index` reads it.
        sample_rate: that all files have to have, in Hz.
        licence: of files whose licence no sources.csv has; that of the layout if it is empty.
    """

    name: str
    root: Path
    option: str
    layout: str
    sample_rate: int
    licence: str = ""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """What records have to know of a source file."""

    corpus: str
    path: str
    frames: int
    sample_rate: int
    sha256: str
    licence: str
    text: str

    def event(
        self,
        steps: Sequence[Step],
        *,
        frames: int | None = None,
        start: int = 0,
        first: int = 0,
        submix: int = 0,
    ) -> Event:
        """Return the event of the file, with its steps.

        Args:
            steps: what is done to the samples.
            frames: how many samples of the file are read; all from the first on by default.
            start: the sample of the mixture in which the event begins, at the rate of the file.
            first: the first sample of the file that is read.
            submix: of the source, that the event belongs to.
        """
        factor = math.prod(step.multiply for step in steps if step.multiply is not None)
        factor /= math.prod(step.divide for step in steps if step.divide is not None)
        begin_s, end = seconds_of(first, self.sample_rate), first + (frames or self.frames - first)
        duration_s = seconds_of(end, self.sample_rate) - begin_s
        while int((begin_s + duration_s) * self.sample_rate) < end:
            duration_s = math.nextafter(duration_s, math.inf)
        return Event(
            corpus=self.corpus,
            path=self.path,
            sha256=self.sha256,
            source_time=begin_s,
            event_time=start / self.sample_rate,
            event_duration=duration_s,
            snr=round(20.0 * math.log10(abs(factor)), 6) if factor else -300.0,
            licence=self.licence,
            text=self.text,
            steps=list(steps),
            submix=submix,
        )


@dataclass(frozen=True, slots=True)
class ListedMixture:
    """A mixture as an official list has it.

    Attributes:
        where: the list and the line.
        name: official name of the mixture.
        subset: official name of the split.
        files: source files in the order of the list.
        gains: the number that the list has for each file, where it has one.
    """

    where: str
    name: str
    subset: str
    files: tuple[FileKey, ...]
    gains: tuple[float, ...] = ()


_Listed = TypeVar("_Listed", bound=ListedMixture)


@dataclass(frozen=True)
class Imported:
    """The result of an import: how many mixtures the manifest has, and what was left out."""

    mixtures: int
    left_out: list[tuple[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class SetImport(Generic[_Listed]):
    """What a published set says about an import, and what all imports do.

    Attributes:
        header: set, lists and script.
        name: of the manifest.
        task: of the manifest.
        sample_format: of the set's files.
        corpora: of the source files.
        variants: of a mixture, as plain data.
        records: makes a record for each variant of a mixture, from its measured source files.
        problem: why a mixture cannot be made from its source files; None if it can.
    """

    header: Import
    name: str
    task: Task
    sample_format: FormatName
    corpora: Sequence[Corpus]
    variants: Sequence[Sequence[str | int]]
    records: Callable[[_Listed, Sequence[SourceFile]], Sequence[Mixture]]
    problem: Callable[[_Listed, Sequence[SourceFile]], str | None] = lambda *_: None

    def write(
        self,
        mixtures: Sequence[_Listed],
        out: Path,
        *,
        sources: Sequence[Path] = (),
        allow_missing: bool = False,
        workers: int | None = None,
    ) -> Imported:
        """Write the manifest of listed mixtures, and beside it where their corpora are.

        Args:
            mixtures: as the lists have them.
            out: the manifest.jsonl; an earlier one is replaced.
            sources: sources.csv files, whose lengths and hashes are believed.
            allow_missing: whether mixtures are left out of which a file cannot be used.
            workers: threads that measure files.

        Raises:
            InputError: there are no mixtures; or a file of one is missing or cannot be used, and
                the sentence names the file, the line of the list and the option.
        """
        if not mixtures:
            raise InputError(
                f"{', '.join(self.header.lists)} has no mixtures: give the list of the set."
            )
        files = _SourceFiles(self.corpora, sources)
        files.measure({key for mixture in mixtures for key in mixture.files}, workers)
        kept, left_out = [], []
        for mixture in mixtures:
            reason = files.problem(mixture) or self.problem(mixture, files.of(mixture))
            if reason is None:
                kept.append(mixture)
            else:
                left_out.append((mixture.name, f"{mixture.where}: {reason}"))
        if left_out and not allow_missing:
            more = f" (and {len(left_out) - 1} more mixtures)" if len(left_out) > 1 else ""
            raise InputError(f"{left_out[0][1]}{more}, or leave them out with --allow-missing.")
        if not kept:
            raise InputError(f"No mixture of {', '.join(self.header.lists)} has all its files.")
        count = len(kept) * len(self.variants)
        header = self._header(count, files.hashes())
        write_manifest(out, header, self._all_records(kept, files))
        write_roots(out.parent, {corpus.name: corpus.root for corpus in self.corpora})
        return Imported(count, left_out)

    def _header(self, count: int, hashes: Sequence[Sequence[str]]) -> Header:
        chosen = {**self.header.as_dict(), "variants": [list(v) for v in self.variants]}
        return Header(
            name=self.name,
            task=self.task,
            format=self.sample_format,
            recipe_sha256=sha256_bytes(canonical_json(chosen).encode()),
            sources_sha256=sha256_bytes(canonical_json(hashes).encode()),
            seed=0,
            mixtures=count,
            created_by=created_by(),
            layouts={corpus.name: corpus.layout for corpus in self.corpora},
            imported=self.header,
        )

    def _all_records(self, mixtures: Sequence[_Listed], files: "_SourceFiles") -> Iterator[Mixture]:
        for mixture in track(mixtures, "importing mixtures"):
            yield from self.records(mixture, files.of(mixture))


class _SourceFiles:
    """The source files of an import: what is known of each, or why it cannot be used."""

    def __init__(self, corpora: Sequence[Corpus], sources: Sequence[Path]) -> None:
        self._corpora = {corpus.name: corpus for corpus in corpora}
        self._listed = _listed_files(sources)
        self._found: dict[FileKey, SourceFile] = {}
        self._problems: dict[FileKey, str] = {}

    def measure(self, keys: set[FileKey], workers: int | None) -> None:
        """Measure files, each once."""
        with ThreadPoolExecutor(workers or default_workers()) as pool:
            measured = bounded_map(self._measured, sorted(keys), window=64, executor=pool)
            for key, found in track(measured, "measuring files", len(keys)):
                if isinstance(found, SourceFile):
                    self._found[key] = found
                else:
                    self._problems[key] = found

    def _measured(self, key: FileKey) -> SourceFile | str:
        """Return what is known of a file, or why it cannot be used."""
        corpus, path = self._corpora[key[0]], key[1]
        try:
            full = inside(corpus.root, path)
            if not full.is_file():
                return f"{path} is not in {corpus.root}: check {corpus.option}"
            known = self._listed.get(f"{corpus.root.resolve()}/{path}")
            if known is not None and known.frames:
                frames, rate = known.frames, known.sample_rate
            else:
                info = audio_info(full)
                frames, rate = info.frames, info.sample_rate
            sha256 = known.sha256 if known else sha256_file(full)
        except InputError as error:
            return str(error).rstrip(".")
        if rate != corpus.sample_rate or frames == 0:
            return (
                f"{full} has {frames} samples at {rate} Hz, and the set needs some at "
                f"{corpus.sample_rate} Hz: restore the original file"
            )
        licence = corpus.licence or get_layout(corpus.layout).licence
        text = ""
        if known is not None:
            licence, text = known.licence, known.text
        return SourceFile(corpus.name, path, frames, rate, sha256, licence, text)

    def problem(self, mixture: ListedMixture) -> str | None:
        """Return why a mixture cannot be made; None if all of its files can be used."""
        found = (self._problems[key] for key in mixture.files if key in self._problems)
        return next(found, None)

    def of(self, mixture: ListedMixture) -> list[SourceFile]:
        """Return the files of a mixture that can be used, in their order."""
        return [self._found[key] for key in mixture.files if key in self._found]

    def hashes(self) -> list[list[str]]:
        """Return corpus, path and hash of every file, in order."""
        return [[*key, file.sha256] for key, file in sorted(self._found.items())]


def _listed_files(sources: Sequence[Path]) -> dict[str, SourceRow]:
    """Return the rows of sources.csv files by the paths of their files on this machine."""
    rows, roots = open_sources(sources)
    for row in rows:
        if row.corpus not in roots:
            raise InputError(
                f"The root of the corpus {row.corpus!r} in --sources is unknown: keep the "
                "roots.json that `mixgen index` wrote beside its list."
            )
    resolved = {name: root.resolve() for name, root in roots.items()}
    return {f"{resolved[row.corpus]}/{row.path}": row for row in rows}


def resampled_frames(frames: int, from_rate: int, to_rate: int) -> int:
    """Return how many samples scipy's resample_poly makes of `frames`."""
    return -(-frames * to_rate // from_rate)


def suffix_of(sample_rate: int, *words: str) -> str:
    """Return what the variant of a mixture is called: `8k_min_both`."""
    return "_".join((f"{sample_rate // 1000}k", *words))


def id_of(name: str) -> str:
    """Return a name as the id of a mixture: with `_` for what no file name should have."""
    return _NOT_IN_IDS.sub("_", name).lstrip(".") or "_"


def list_hashes(lists: Sequence[Path]) -> dict[str, str]:
    """Return the hashes of official lists by their names.

    Raises:
        InputError: a list is missing, or two have one name.
    """
    hashes = {path.name: sha256_file(path) for path in lists}
    if len(hashes) < len(lists):
        raise InputError("Two of the lists have one name: import them one after the other.")
    return hashes


def number(cell: str, where: str) -> float:
    """Return the number in a cell of a list.

    Raises:
        InputError: it has none, or one that is not finite; the message begins with `where`.
    """
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise InputError(f"{where}: {cell!r} is not a number: restore the original list.")
    return value
