"""Folders of audio that other programs wrote: which file is which source of which mixture.

Three layouts are known: `ID/SOURCE.wav`, as this suite writes them, `SOURCE/ID.wav` (LibriMix,
wsj0-mix) and `ID_SOURCE.wav`. `ID` names the mixture.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.errors import InputError, UsageError
from mixgen.core.registry import unknown

LAYOUTS = ("id/source", "source/id", "id_source")

# Names of the stems of a song.
STEMS = {"vocals", "drums", "bass", "other"}

# Names of the mixture in the layouts of published sets.
MIXTURE_NAMES = {"mixture", "mix", "mix_clean", "mix_both", "mix_single"}


@dataclass(frozen=True)
class Tree:
    """The audio files of a folder.

    Attributes:
        folder: that was searched.
        layout: that its files have.
        files: mixture id to source to file.
        others: audio files that do not fit the layout.
    """

    folder: Path
    layout: str
    files: dict[str, dict[str, Path]]
    others: tuple[Path, ...]

    @property
    def sources(self) -> list[str]:
        """The names of all sources, sorted."""
        return sorted({source for files in self.files.values() for source in files})


def read_tree(folder: Path, *, layout: str | None = None, ids: Collection[str] = ()) -> Tree:
    """Find which file of a folder is which source of which mixture.

    Args:
        folder: to search, two levels deep.
        layout: of the files; found out by default.
        ids: of mixtures that are known, which help to find out.

    Raises:
        InputError: there is no audio, two files are the same source, or several layouts fit.
        UsageError: the layout does not exist.
    """
    if layout is not None and layout not in LAYOUTS:
        raise UsageError(unknown(LAYOUTS, layout, "layout"))
    paths = sorted(_audio_below(folder))
    if not paths:
        raise InputError(f"{folder} holds no audio one or two levels deep: check the path.")
    layout = layout or _guess(folder, paths, ids)
    files: dict[str, dict[str, Path]] = defaultdict(dict)
    others = []
    for path in paths:
        key = _key(path.relative_to(folder), layout, ids)
        if key is None:
            others.append(path)
            continue
        mixture_id, source = key
        if source in files[mixture_id]:
            raise InputError(
                f"{files[mixture_id][source]} and {path} are both source {source} of {mixture_id}: "
                "remove one of them."
            )
        files[mixture_id][source] = path
    return Tree(folder, layout, dict(files), tuple(others))


def has_audio(folder: Path) -> bool:
    """Return whether a folder holds audio, one or two levels deep."""
    return folder.is_dir() and any(True for _ in _audio_below(folder))


def read_mixtures(folder: Path, ids: Collection[str]) -> dict[str, Path]:
    """Return the file of each mixture, from flat `ID.wav` files or a tree with a known name.

    Raises:
        InputError: a mixture has no file there, or more than one.
    """
    paths = sorted(_audio_below(folder))
    flat = {path.stem: path for path in paths if path.parent == folder and path.stem in ids}
    found = flat or {
        path.parent.name: path
        for path in paths
        if path.stem in MIXTURE_NAMES and path.parent.name in ids
    }
    missing = sorted(set(ids) - found.keys())
    if missing:
        raise InputError(
            f"{folder} lacks {len(missing)} of {len(ids)} mixtures, such as {missing[0]}: they are "
            "ID.wav or ID/mixture.wav, with ID as in the references."
        )
    return found


def _audio_below(folder: Path) -> Iterable[Path]:
    """Yield the audio files in a folder and in the folders in it; no other folder is entered."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: check the path.")
    for path in folder.iterdir():
        if path.is_dir():
            yield from (p for p in path.iterdir() if _is_audio(p))
        elif _is_audio(path):
            yield path


def _is_audio(path: Path) -> bool:
    return (
        path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".") and path.is_file()
    )


def _key(relative: Path, layout: str, ids: Collection[str]) -> tuple[str, str] | None:
    """Return the mixture and the source of a file; None where it does not fit the layout."""
    if layout == "id_source":
        if len(relative.parts) != 1:
            return None
        # A known id may hold underscores itself, and so may a source.
        known = [i for i in ids if relative.stem.startswith(f"{i}_")]
        if known:
            longest = max(known, key=len)
            return longest, relative.stem[len(longest) + 1 :]
        mixture_id, _, source = relative.stem.rpartition("_")
        return (mixture_id, source) if mixture_id and source else None
    if len(relative.parts) != 2:
        return None
    parent, stem = relative.parts[0], relative.stem
    return (parent, stem) if layout == "id/source" else (stem, parent)


def _guess(folder: Path, paths: Sequence[Path], ids: Collection[str]) -> str:
    nested = [path for path in paths if path.parent != folder]
    if not nested:
        return "id_source"
    parents = Counter(path.parent.name for path in nested)
    stems = Counter(path.stem for path in nested)
    if ids:
        by_parent, by_stem = (len(set(ids) & names.keys()) for names in (parents, stems))
        if by_parent != by_stem:
            return "id/source" if by_parent > by_stem else "source/id"
    names_mixtures = [bool(MIXTURE_NAMES & names.keys()) for names in (parents, stems)]
    if any(names_mixtures) and not all(names_mixtures):
        return "source/id" if names_mixtures[0] else "id/source"
    if len(parents) != len(stems):  # there are fewer sources than mixtures
        return "id/source" if len(stems) < len(parents) else "source/id"
    raise InputError(
        f"The files of {folder} could be ID/SOURCE or SOURCE/ID ({next(iter(nested))}): say which "
        "with --layout."
    )
