"""Which file of a folder is which source of which mixture, by a pattern of their paths."""

import os
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from mixgen.audio.read import AUDIO_SUFFIXES
from mixgen.core.errors import InputError, UsageError
from mixgen.sets.trees import LAYOUTS

SPLIT, ID, SOURCE = "SPLIT", "ID", "SOURCE"
_WORD = re.compile(rf"(?<![A-Za-z])({SPLIT}|{ID}|{SOURCE})(?![A-Za-z])")
_KNOWN = {f"{split}{layout}" for split in ("", "split/") for layout in LAYOUTS}

Key = tuple[str, str]
"""(split, mixture), as the paths have them; without splits in the paths, the first is empty."""


@dataclass(frozen=True)
class PathPattern:
    """Paths without suffix, in which SPLIT, ID and SOURCE stand for words: `SPLIT/SOURCE/ID`."""

    text: str
    option: str

    @classmethod
    def parse(cls, text: str, option: str, *words: str) -> "PathPattern":
        """Read the pattern of an option, which needs some words once; SPLIT may always be there.

        Raises:
            UsageError: a word is missing or there twice, or the pattern leads out of the folder.
        """
        text = text.upper() if text.lower() in _KNOWN else text
        found = sorted(word for word in _WORD.findall(text) if word != SPLIT)
        leads_out = text.startswith("/") or ".." in text.split("/")
        if found != sorted(words) or _WORD.findall(text).count(SPLIT) > 1 or leads_out:
            example = "SPLIT/SOURCE/ID" if SOURCE in words else "SPLIT/ID"
            raise UsageError(
                f"{option} takes a path with {' and '.join(words)}, and SPLIT where there are "
                f"splits, such as {example}, not {text!r}."
            )
        return cls(text, option)

    @property
    def has_splits(self) -> bool:
        """Whether the paths name the splits."""
        return SPLIT in _WORD.findall(self.text)

    @classmethod
    def is_one(cls, text: str) -> bool:
        """Return whether a text is a pattern of mixtures, and no name."""
        return ID in _WORD.findall(text)

    def find(self, folder: Path) -> dict[Key, dict[str, Path]]:
        """Return the audio files of a folder that fit, by mixtures and by sources, both sorted.

        Without SOURCE in the pattern, the source is empty.

        Raises:
            InputError: there is no such folder or no such file, or two files are one source.
        """
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: check the path.")
        pattern = "".join(
            f"(?P<{part}>[^/]+)" if part in (SPLIT, ID, SOURCE) else re.escape(part)
            for part in _WORD.split(self.text)
        )
        found: dict[Key, dict[str, Path]] = defaultdict(dict)
        for path in _audio_at(folder, self.text.count("/") + 1):
            name = path.relative_to(folder).with_suffix("").as_posix()
            match = re.fullmatch(pattern, name)
            if match is None:
                continue
            words = {SPLIT: "", SOURCE: "", **match.groupdict()}
            files = found[words[SPLIT], words[ID]]
            other = files.setdefault(words[SOURCE], path)
            if other != path:
                what = f"source {words[SOURCE]} of {words[ID]}".removeprefix("source  of ")
                raise InputError(f"{other} and {path} are both {what}: remove one of them.")
        if not found:
            self._refuse(folder)
        return {key: found[key] for key in sorted(found)}

    def _refuse(self, folder: Path) -> None:
        """Raise the InputError of a folder in which no file fits."""
        for below, _, names in os.walk(folder):
            for name in sorted(names):
                if _is_audio(Path(below, name)):
                    raise InputError(
                        f"{folder} has no files {self.text}, but such as {Path(below, name)}: "
                        f"check {self.option}."
                    )
        raise InputError(f"{folder} holds no audio: check the path.")


def _audio_at(folder: Path, depth: int) -> Iterator[Path]:
    """Yield the audio files so many levels below a folder, in order; without hidden ones."""
    for path in sorted(folder.iterdir()):
        if depth > 1 and path.is_dir() and not path.name.startswith("."):
            yield from _audio_at(path, depth - 1)
        elif depth == 1 and _is_audio(path) and path.is_file():
            yield path


def _is_audio(path: Path) -> bool:
    return path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")


def with_mixtures(
    found: Mapping[Key, Mapping[str, Path]], mixtures: Mapping[Key, Mapping[str, Path]], name: str
) -> dict[Key, dict[str, Path]]:
    """Return the files of mixtures with the mixtures themselves, under a name."""
    return {
        key: {**files, **({name: mixtures[key][""]} if key in mixtures else {})}
        for key, files in found.items()
    }
