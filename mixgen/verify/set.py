"""Verify a rendered set against its manifest, file by file."""

import functools
import itertools
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import soundfile

from mixgen.audio.formats import SampleFormat, read_file_samples, samples_sha256
from mixgen.core.cluster import cluster_map
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from mixgen.core.paths import leads_out
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map
from mixgen.corpora.roots import Roots, find_roots
from mixgen.manifest.mixture import Mixture
from mixgen.sets.format import check_format
from mixgen.sets.layout import FINISHED, Layout
from mixgen.sets.rendered import (
    RENDERED_FILE,
    FileRow,
    RenderedSet,
    RowsInOrder,
    file_path,
    open_rendered,
    sets_in,
)
from mixgen.verify.contents import read_contents
from mixgen.verify.problem import Problem
from mixgen.verify.unknown import holds, unknown_in_mixture, unknown_in_set, unknown_in_tree

_MIXTURES_PER_WORKER = 8


@dataclass(frozen=True)
class _Recorded:
    """A mixture and the rows of its files."""

    mixture: Mixture
    rows: list[FileRow]


def verify_set(
    folder: str | Path,
    *,
    deep: bool = False,
    roots: Mapping[str, Path | str] | None = None,
    workers: int = 1,
    executor: Executor | None = None,
) -> list[Problem]:
    """Return every file of the set that is missing, altered or not recorded.

    An empty list means that the set is intact. With `deep`, files are also decoded: each mixture is
    compared with the sum of its sources, and all that is recorded of a file is found again, except
    for the versions in the header. What is measured of sources in rooms takes their responses; if
    those are not here, one problem of the kind "unchecked" says so.

    Args:
        folder: of the set, or its manifest where the files existed already.
        deep: whether to decode the files.
        roots: folder of each corpus with room responses, where `roots.json` in the set or beside it
            does not have it.
        workers: threads that verify.
        executor: verifies on other machines instead; see `mixgen.core.cluster`.

    Raises:
        InputError: the folder holds no set, or its records cannot be read.
    """
    folder = Path(folder)
    tree = _Tree()
    problems = []
    # Those in a tree first: what is in it is then known when the folder itself is searched.
    for records in reversed(sets_in(folder) or [folder]):
        rendered = RenderedSet(records, roots)
        if not rendered.is_finished:
            check_format(open_rendered(records))
        known_roots = find_roots([records, rendered.path], roots) if deep else None
        known = _Tree() if rendered.record.header.layout is None else tree
        found = _verify(rendered, known_roots, known, workers, executor)
        problems += _unchecked_last(found, _name_in(folder, rendered.record.path))
        if known is not tree:
            problems += unknown_in_set(folder, known.names, tree.tops)
    if folder == tree.root:
        problems += unknown_in_tree(folder, tree.tops, tree.names)
    return problems


@dataclass
class _Tree:
    """What all sets in one tree have: hashes of the paths of files, and their first folders.

    Of a set without a layout, `names` are those of the folders of mixtures. `whole` are hashes of
    the rows whose files were found to be as recorded, so that a file that sets share is read once.
    """

    root: Path | None = None
    names: "array[int]" = field(default_factory=lambda: array("q"))  # 8 bytes for each
    tops: set[str] = field(default_factory=set)
    whole: "array[int]" = field(default_factory=lambda: array("q"))

    def add(self, rendered: RenderedSet, mixture: Mixture) -> None:
        """Note the files of a mixture."""
        if rendered.record.header.layout is None:
            self.names.append(hash(mixture.id))
            return
        self.root = rendered.root
        for name in mixture.file_names:
            path = rendered.file_path(mixture, name)
            self.names.append(hash(path))
            self.tops.add(path.partition("/")[0])


def _verify(
    rendered: RenderedSet,
    roots: Roots | None,
    known: _Tree,
    workers: int,
    executor: Executor | None,
) -> list[Problem]:
    """Compare all files of a set with their rows, and these with the manifest; fill in `known`."""
    manifest, folder = rendered.manifest_file, rendered.root
    problems = []
    if not manifest.has_sha256(rendered.record.header.manifest_sha256):
        detail = "not the manifest that the files were rendered from"
        problems.append(Problem(_name_in(folder, manifest.path), "altered", detail))
    rows = RowsInOrder(rendered.record)

    def recorded() -> Iterator[_Recorded]:
        for mixture in manifest:
            known.add(rendered, mixture)
            yield _Recorded(mixture, rows.of(mixture.id))

    np.asarray(known.whole).sort()  # in place
    found_whole = array("q")
    groups = _variants(recorded())
    with ThreadPoolExecutor(max(1, workers)) as pool:
        if executor is None:
            place = _Place.of(rendered, known.whole)
            check = functools.partial(_check_variants, place=place, roots=roots)
            window = _MIXTURES_PER_WORKER * max(1, workers)
            checked = bounded_map(check, groups, window=window, executor=pool)
        else:
            checked = _on_other_machines(groups, rendered, roots, executor)
        for item, found in track(_by_mixture(checked), "verifying", manifest.count()):
            problems += found
            wrong = {problem.path for problem in found}
            whole = (row for row in item.rows if row.path not in wrong)
            found_whole.extend(hash((row.path, row.file_sha256)) for row in whole)
    known.whole.extend(found_whole)
    if rows.next_id is not None:
        detail = f"mixture {rows.next_id} is not where the manifest has it"
        problems.append(Problem(_name_in(folder, rendered.record.path), "altered", detail))
    return problems


_Variants = tuple[_Recorded, ...]


def _variants(recorded: Iterable[_Recorded]) -> Iterator[_Variants]:
    """Yield the variants of each mixture, which follow each other and share files, together."""
    for _, group in itertools.groupby(recorded, key=lambda item: item.mixture.common_name):
        yield tuple(group)


def _by_mixture(
    checked: Iterable[tuple[_Variants, list[list[Problem]]]],
) -> Iterator[tuple[_Recorded, list[Problem]]]:
    """Yield every mixture with its problems."""
    for variants, problems in checked:
        yield from zip(variants, problems, strict=True)


def _name_in(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name


@dataclass(frozen=True)
class _Place:
    """Where the files of a set are, in which format, and the sorted hashes of whole rows."""

    root: Path
    sample_format: SampleFormat
    layout: Layout | None
    whole: "array[int]" = field(default_factory=lambda: array("q"))

    @classmethod
    def of(cls, rendered: RenderedSet, whole: "array[int]") -> "_Place":
        return cls(rendered.root, rendered.format, rendered.record.header.layout, whole)


def _on_other_machines(
    groups: Iterable[_Variants], rendered: RenderedSet, roots: Roots | None, executor: Executor
) -> Iterator[tuple[_Variants, list[list[Problem]]]]:
    """Yield the variants of every mixture with the problems of their files.

    Workers have to see the corpora that are seen here, because responses are looked for there.
    """
    seen = [rendered.path.absolute(), rendered.record.path.absolute()]
    if roots is not None:
        roots = {name: root.absolute() for name, root in roots.items()}
        seen += [root for root in roots.values() if root.exists()]
    place = replace(_Place.of(rendered, array("q")), root=rendered.root.absolute())
    check = functools.partial(_check_variants, place=place, roots=roots)
    return cluster_map(check, groups, executor, folders=seen, batch=_MIXTURES_PER_WORKER)


def _unchecked_last(problems: list[Problem], records: str) -> list[Problem]:
    """Return the problems, with one for all the mixtures that were not checked."""
    unchecked = [problem for problem in problems if problem.kind == "unchecked"]
    others = [problem for problem in problems if problem.kind != "unchecked"]
    if not unchecked:
        return others
    detail = f"what is measured of {len(unchecked)} mixture(s): {unchecked[0].detail}"
    return [*others, Problem(records, "unchecked", detail)]


_Checked = dict[tuple[str, str], list[Problem]]
"""The problems of files by their paths and by the hashes that they should have."""


def _check_variants(variants: _Variants, place: _Place, roots: Roots | None) -> list[list[Problem]]:
    """Return the problems of each variant of a mixture; a file that they share is read once."""
    checked: _Checked = {}
    return [_check_mixture(item, place, roots, checked) for item in variants]


def _check_mixture(
    item: _Recorded, place: _Place, roots: Roots | None, checked: _Checked
) -> list[Problem]:
    """Check the files of a mixture, and with `roots` also their contents.

    Args:
        item: the mixture.
        place: of the files.
        roots: of the corpora; None if the files are not decoded.
        checked: files that were checked before; those of this mixture are added.
    """
    mixture, folder, sample_format = item.mixture, place.root, place.sample_format
    paths = {
        name: file_path(mixture, name, sample_format, place.layout) for name in mixture.file_names
    }
    problems = list(_check_rows(item.rows, paths))
    rows = {row.name: row for row in item.rows if row.path == paths.get(row.name)}
    for row in rows.values():
        if not fits(row, mixture):
            detail = "its recorded length, rate or channels do not fit"
            problems.append(Problem(row.path, "altered", detail))
        key = row.path, row.file_sha256
        if key not in checked:
            known = holds(place.whole, hash(key))
            checked[key] = [] if known else list(_check_file(folder, row, sample_format))
        problems += checked[key]
    if roots is not None and not problems:
        any_format = place.layout == FINISHED
        contents = read_contents(folder, mixture, rows, sample_format, any_format=any_format)
        problems += contents if isinstance(contents, list) else contents.problems(roots)
    if place.layout is None:
        problems += unknown_in_mixture(folder, mixture, paths.values())
    return problems


def _check_rows(rows: Sequence[FileRow], paths: Mapping[str, str]) -> Iterator[Problem]:
    """Check that a mixture has one row for each of its files, and no other."""
    count = Counter(row.name for row in rows if row.path == paths.get(row.name))
    for name, path in paths.items():
        if count[name] == 0:
            yield Problem(path, "unrecorded", f"{RENDERED_FILE} has no line for it")
        elif count[name] > 1:
            detail = f"{RENDERED_FILE} has {count[name]} lines for it"
            yield Problem(path, "misrecorded", detail)
    for row in rows:
        if row.path != paths.get(row.name):
            detail = f"{RENDERED_FILE} has it as {row.name!r}, which is none of the mixture's files"
            yield Problem(row.path, "misrecorded", detail)


def _check_file(folder: Path, row: FileRow, sample_format: SampleFormat) -> Iterator[Problem]:
    path = folder / row.path
    try:
        if leads_out(folder, row.path):
            yield Problem(row.path, "altered", "a link leads out of the set: remove the link")
        elif not path.is_file():
            yield Problem(row.path, "missing", "the file does not exist")
        elif sha256_file(path) != row.file_sha256:
            yield Problem(row.path, "altered", _what_changed(path, row, sample_format))
    except (InputError, OSError) as error:
        yield Problem(row.path, "unreadable", str(error))


def fits(row: FileRow, mixture: Mixture) -> bool:
    """Return whether a file is recorded with the size of its mixture.

    Enrolments have another one, and so may far-end signals that existed already. A dry reference
    may have one channel.
    """
    free = ("enrolment", "far_end") if mixture.finished else ("enrolment",)
    other_size = row.name in {f.name for f in mixture.source_files if f.part in free}
    is_mono = row.name in {f.name for f in mixture.source_files if f.is_mono}
    size_fits = (row.frames, row.channels) == (mixture.frames, 1 if is_mono else mixture.channels)
    return row.sample_rate == mixture.sample_rate and (other_size or size_fits)


def _what_changed(path: Path, row: FileRow, sample_format: SampleFormat) -> str:
    try:
        samples = read_file_samples(path, sample_format)
    except (soundfile.LibsndfileError, RuntimeError):
        return "it cannot be decoded"
    if len(samples) != row.frames:
        return f"it has {len(samples)} samples instead of {row.frames}"
    if samples_sha256(samples) != row.sha256:
        return "its samples differ"
    return "its bytes differ, its samples do not"


def parse_tolerances(words: Iterable[str]) -> dict[str, float]:
    """Read `level_db=1` and the like.

    Raises:
        UsageError: it is not of that form.
    """
    tolerances = {}
    for word in words:
        name, _, number = word.partition("=")
        try:
            tolerances[name] = float(number)
        except ValueError:
            tolerances[name] = math.nan
        if not (name and tolerances[name] >= 0):
            raise UsageError(
                f"A tolerance is written like level_db=1 or overlap=0.1, not {word!r}."
            )
    return tolerances


def off_target(rows: Iterable[FileRow], tolerances: Mapping[str, float]) -> Iterator[Problem]:
    """Yield every value that is further from the requested one than its tolerance.

    Values that were not requested, or could not be measured, are skipped.

    Raises:
        UsageError: no file has the quantity of a tolerance.
    """
    if not tolerances:
        return
    known: set[str] = set()
    for row in rows:
        known |= row.requested.keys()
        for name, tolerance in tolerances.items():
            wanted, found = row.requested.get(name), row.measured.get(name)
            if wanted is not None and found is not None and abs(found - wanted) > tolerance:
                yield Problem(row.path, "off", f"{name} is {found:g}, requested {wanted:g}")
    unknown = sorted(tolerances.keys() - known)
    if unknown:
        raise UsageError(
            f"No file of the set has a requested {unknown[0]!r}: choose among "
            f"{', '.join(sorted(known))}."
        )
