"""Index a corpus: measure every audio file once, and give a reason for every file skipped."""

import hashlib
import math
import os
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from mixgen.audio.activity import active_spans
from mixgen.audio.cache import DecodedCache
from mixgen.audio.decoded import SourceStatus
from mixgen.audio.levels import integrated_lufs
from mixgen.audio.read import AudioInfo, audio_info, check_loudest, is_cut_short, peak, read_audio
from mixgen.core.cluster import cluster_map
from mixgen.core.errors import InputError, SuiteError, UsageError
from mixgen.core.files import reading, sha256_file
from mixgen.core.paths import as_utf8, check_name, inside
from mixgen.core.progress import track
from mixgen.core.vocabulary import Kind
from mixgen.core.workers import bounded_map
from mixgen.corpora.layout import Found, Layout, unreadable_folders
from mixgen.corpora.song_tags import TAGS_FILE, read_tags, to_text
from mixgen.corpora.sources import SourceRow

_FILES_PER_WORKER = 32  # handed out ahead
_BYTES_PER_SAMPLE = 32  # what measuring takes: the samples, weighted, squared, and what it returns


@dataclass(frozen=True)
class Index:
    """The rows of a corpus, and the skipped files and folders as (path, reason)."""

    rows: list[SourceRow]
    refused: list[tuple[str, str]]


@dataclass(frozen=True)
class SplitPlan:
    """How files get their split: from the layout, one for all files, or by shares.

    Attributes:
        name: the split of all files.
        by: what `parts` keeps together: files of one "label", otherwise files of one group.
        parts: the share of labels (or groups) in each split, by the name of the split.
    """

    name: str | None = None
    by: str | None = None
    parts: dict[str, float] | None = None


def index_corpus(
    layout: Layout,
    root: Path,
    *,
    corpus: str,
    kind: Kind = "speech",
    licence: str | None = None,
    splits: SplitPlan | None = None,
    workers: int = 1,
    cache: DecodedCache | None = None,
    executor: Executor | None = None,
) -> Index:
    """Measure every file that `layout` finds below `root`, and store it decoded in the cache.

    Files that are not usable and folders that cannot be read are refused with a reason, and do not
    stop the others. `workers` processes measure, or an `executor` on other machines (see
    `mixgen.core.cluster`).

    Raises:
        InputError: the root is not a folder or holds no usable audio, or its table of tags is not
            valid.
    """
    check_name(corpus)
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: give the root of the corpus.")
    everything = sorted(layout.find(root, kind), key=lambda item: item.path)
    refused = unreadable_folders(root)
    if not everything and refused:
        raise InputError(f"No audio below {root}, where folders cannot be read: {refused[0][0]}.")
    if not everything:
        raise InputError(
            f"No audio in the layout {layout.name!r} below {root}: check the folder and the layout."
        )
    named, unnamed = _with_utf8_names(everything)
    refused += unnamed + [(item.path, item.unusable) for item in named if item.unusable]
    found = [item for item in named if not item.unusable]
    found = _with_tags(found, root / TAGS_FILE)
    found, duplicates = _without_duplicate_ids(assign_splits(found, splits or SplitPlan()))
    refused += duplicates
    # The user's licence replaces that of a file, which replaces that of the layout.
    if licence is None:
        found = [replace(item, licence=item.licence or layout.licence) for item in found]
    else:
        found = [replace(item, licence=licence) for item in found]
    rows = []
    measured = _measure_all(root, found, corpus, workers, cache, executor)
    for item, outcome in zip(found, measured, strict=True):
        if isinstance(outcome, str):
            refused.append((item.path, outcome))
        else:
            rows.append(outcome.model_copy(update={"layout": layout.name}))
    if not rows:
        raise InputError(
            f"None of the {len(everything)} audio files below {root} is usable. "
            f"The first: {refused[0][1]}"
        )
    return Index(rows, refused)


def _with_utf8_names(found: list[Found]) -> tuple[list[Found], list[tuple[str, str]]]:
    """Refuse files whose names are not UTF-8, because sources.csv cannot hold them."""
    kept, refused = [], []
    for item in found:
        shown = as_utf8(item.path)
        if shown == item.path:
            kept.append(item)
        else:
            refused.append((shown, "its name is not UTF-8: rename it."))
    return kept, refused


def _without_duplicate_ids(found: list[Found]) -> tuple[list[Found], list[tuple[str, str]]]:
    """Refuse all but the first of the files whose paths differ only in the suffix."""
    first: dict[Path, Found] = {}
    refused = []
    for item in found:
        kept = first.setdefault(Path(item.path).with_suffix(""), item)
        if kept is not item:
            refused.append((item.path, f"it has the source_id of {kept.path}: remove one."))
    return list(first.values()), refused


def _with_tags(found: list[Found], table: Path) -> list[Found]:
    """Append the tags in `table`, if it exists, to the text of the files of each song."""
    songs = {item.group for item in found if item.kind == "music"}
    if not songs or not table.is_file():
        return found
    texts = {group: to_text(tags) for group, tags in read_tags(table, songs).items()}
    return [
        replace(item, text=f"{item.text} {texts.get(item.group, '')}".strip()) for item in found
    ]


def _measure_all(
    root: Path,
    found: list[Found],
    corpus: str,
    workers: int,
    cache: DecodedCache | None,
    executor: Executor | None,
) -> Iterator[SourceRow | str]:
    root = root.absolute() if executor else root
    jobs = [(root, item, corpus, cache) for item in found]
    workers = min(workers, len(jobs))
    if executor is None:
        measured = bounded_map(_measure, jobs, workers=workers, window=_FILES_PER_WORKER * workers)
    else:
        folders = [root] if cache is None else [root, cache.folder]
        batch = _FILES_PER_WORKER // 4
        measured = cluster_map(_measure, jobs, executor, folders=folders, batch=batch)
    for _, outcome in track(measured, "indexing", len(jobs)):
        yield outcome


def _measure(job: tuple[Path, Found, str, DecodedCache | None]) -> SourceRow | str:
    """Return the row of one file, or the reason why it cannot be used."""
    try:
        return measure_file(*job)
    except (SuiteError, OSError) as error:
        return str(error)
    except MemoryError:
        return f"{job[1].path} does not fit into the memory: cut it into parts."


def measure_file(
    root: Path, found: Found, corpus: str, cache: DecodedCache | None = None
) -> SourceRow:
    """Read one file, measure length, peak, loudness, activity and hash, and return its row.

    The cache stores the samples.

    Raises:
        InputError: the file is empty, truncated, not finite, silent, too loud, too long or
            unreadable.
    """
    path = inside(root, found.path)
    with reading(path):
        if path.is_file() and path.stat().st_size == 0:
            raise InputError(f"{path} has zero bytes.")
    _check_memory(path, audio_info(path))
    with reading(path):
        status = SourceStatus.of(path)
    samples, sample_rate = read_audio(path)
    if samples.shape[1] == 0:
        raise InputError(f"{path} holds no samples.")
    if is_cut_short(path):
        raise InputError(f"{path} is cut short: its header announces more samples than it holds.")
    check_loudest(samples, path)
    highest = peak(samples)
    if highest == 0:
        raise InputError(f"{path} is digital silence from start to end.")
    sha256 = sha256_file(path)
    if cache is not None and found.kind != "rir":  # responses are kept in memory
        cache.store(path, sha256, status, samples, sample_rate)
    return SourceRow(
        source_id=f"{corpus}/{Path(found.path).with_suffix('').as_posix()}",
        corpus=corpus,
        path=found.path,
        kind=found.kind,
        label=found.label,
        group=found.group,
        split=found.split,
        duration_s=round(samples.shape[1] / sample_rate, 6),
        sample_rate=sample_rate,
        channels=samples.shape[0],
        peak=round(highest, 6),
        loudness_lufs=round(integrated_lufs(samples[:5], sample_rate), 3),
        sha256=sha256,
        licence=found.licence,
        text=found.text,
        active=active_spans(samples, sample_rate),
        frames=samples.shape[1],
    )


def _check_memory(path: Path, info: AudioInfo) -> None:
    needed = info.frames * info.channels * _BYTES_PER_SAMPLE
    present = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > present:
        raise InputError(
            f"{path} needs {needed / 1e9:.0f} GB of memory to be measured, and this machine has "
            f"{present / 1e9:.0f} GB: cut it into parts."
        )


def assign_splits(found: list[Found], plan: SplitPlan) -> list[Found]:
    """Return the files with the splits that `plan` gives them.

    Raises:
        UsageError: the plan has both a name and parts, or more parts than labels (or groups) exist.
    """
    if plan.name is not None and plan.parts:
        raise UsageError("Give either one split for all files or parts, not both.")
    if plan.name is not None:
        return [replace(item, split=plan.name) for item in found]
    if not plan.parts:
        return found
    split_of = _split_units(sorted({_unit(item, plan.by) for item in found}), plan.parts)
    return [replace(item, split=split_of[_unit(item, plan.by)]) for item in found]


def _unit(item: Found, by: str | None) -> str:
    """Return the name of the unit whose files stay in one split."""
    return item.label if by == "label" else item.group


def _split_units(units: list[str], parts: dict[str, float]) -> dict[str, str]:
    """Assign the units, in an order that depends only on their names, to the splits."""
    if len(units) < len(parts):
        raise UsageError(f"{len(units)} label(s) or group(s) cannot fill {len(parts)} splits.")
    shuffled = sorted(units, key=lambda unit: hashlib.sha256(unit.encode()).digest())
    ends = np.cumsum(list(parts.values())) / sum(parts.values()) * len(units)
    split_of = {}
    start = 0
    for index, name in enumerate(parts):
        # Every split gets at least one unit.
        later_splits = len(parts) - index - 1
        stop = min(max(round(float(ends[index])), start + 1), len(units) - later_splits)
        split_of.update(dict.fromkeys(shuffled[start:stop], name))
        start = stop
    return split_of


def parse_parts(text: str) -> dict[str, float]:
    """Read shares that are written like `train=0.8,valid=0.1,test=0.1`.

    Raises:
        UsageError: the text has another form, or a share is not a finite number above 0.
    """
    try:
        pairs = [word.split("=") for word in text.split(",")]
        parts = {check_name(name): float(share) for name, share in pairs}
    except (ValueError, InputError):
        raise UsageError(
            f"Parts are written like train=0.8,valid=0.1,test=0.1, not {text!r}."
        ) from None
    if not all(0 < share < math.inf for share in parts.values()):
        raise UsageError(f"Every part needs a finite share above 0: change {text!r}.")
    return parts
