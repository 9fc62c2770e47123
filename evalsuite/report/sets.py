"""The mixtures and references behind scores: a rendered set, or folders of other programs."""

import contextlib
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from evalsuite.scoring.folder import SystemScores
from evalsuite.scoring.pairing import find_mixtures, set_sha256
from mixgen.audio.read import AudioInfo, audio_info
from mixgen.core.errors import InputError
from mixgen.manifest.mixture import MIXTURE
from mixgen.sets.rendered import RenderedSet
from mixgen.sets.trees import LAYOUTS, read_tree

Key = tuple[Literal["mixture", "reference", "estimate"], str]
"""What a file is, and its name."""

Location = tuple[Path, str]
"""A folder, which a page does not name, and a path in it."""


@dataclass(frozen=True)
class SetFiles:
    """The files of a mixture: itself, if there is one, and its references."""

    files: dict[Key, Location]
    info: AudioInfo


class PlayedSet(ABC):
    """A set whose files can be played."""

    @abstractmethod
    def is_of(self, scores: SystemScores) -> bool:
        """Return whether the scores were computed with this set."""

    @abstractmethod
    def files_of(
        self, scores: SystemScores, mixture_id: str, references: Sequence[str]
    ) -> SetFiles | None:
        """Return the files of a mixture of such scores; None where the set lacks it.

        Raises:
            InputError: a file cannot be read.
        """


class PlayedRenderedSet(PlayedSet):
    """A set that `mixgen render` wrote to a folder."""

    def __init__(self, folder: Path) -> None:
        self._rendered = RenderedSet(folder)

    def __str__(self) -> str:
        manifest = self._rendered.manifest.sha256
        return f"{self._rendered.place}, which has the manifest {manifest[:12]},"

    def is_of(self, scores: SystemScores) -> bool:
        """Return whether the scores name the manifest of the set."""
        return self._rendered.manifest.file.has_sha256(scores.run.manifest_sha256)

    def files_of(
        self, _: SystemScores, mixture_id: str, references: Sequence[str]
    ) -> SetFiles | None:
        """Return the files of a mixture where the manifest has it."""
        mixture = self._rendered.manifest.by_id.get(mixture_id)
        if mixture is None:
            return None
        keys: list[Key] = [("mixture", MIXTURE), *(("reference", name) for name in references)]
        files = {
            key: (self._rendered.root, self._rendered.file_path(mixture, key[1])) for key in keys
        }
        return SetFiles(files, AudioInfo(mixture.frames, mixture.sample_rate, mixture.channels))


class PlayedFolders(PlayedSet):
    """A folder of references, in any layout of `mixgen.sets.trees`, and one of mixtures.

    Without a folder of mixtures, they are looked for among the references.
    """

    def __init__(self, references: Path, mixtures: Path | None) -> None:
        self._references = references
        self._mixtures = mixtures
        self._found: dict[str, _Paths | None] = {}  # the hash of a set to its files

    def __str__(self) -> str:
        return f"{self._references}{f' with {self._mixtures}' if self._mixtures else ''}"

    def is_of(self, scores: SystemScores) -> bool:
        """Return whether the files with the names in the scores have the hash in the scores."""
        return self._paths(scores) is not None

    def files_of(
        self, scores: SystemScores, mixture_id: str, references: Sequence[str]
    ) -> SetFiles | None:
        """Return the files of a mixture, at the rate and length of its first reference."""
        paths = self._paths(scores)
        if paths is None or mixture_id not in paths.references:
            return None
        files: dict[Key, Location] = {}
        if mixture_id in paths.mixtures:
            folder = self._mixtures or self._references
            path = paths.mixtures[mixture_id].relative_to(folder)
            files["mixture", MIXTURE] = (folder, path.as_posix())
        found = [paths.references[mixture_id][name] for name in references]
        for name, path in zip(references, found, strict=True):
            relative = path.relative_to(self._references)
            files["reference", name] = (self._references, relative.as_posix())
        return SetFiles(files, audio_info(found[0]))

    def _paths(self, scores: SystemScores) -> "_Paths | None":
        set_hash = scores.run.manifest_sha256
        if set_hash not in self._found:
            names: dict[str, list[str]] = defaultdict(list)
            for row in scores.items:
                if row.reference is not None:
                    names[row.id].append(row.reference)
            paths = self._named(names)
            whole = paths is not None and set_sha256(paths.references, paths.mixtures) == set_hash
            self._found[set_hash] = paths if whole else None
        return self._found[set_hash]

    def _named(self, names: Mapping[str, list[str]]) -> "_Paths | None":
        """Return the files of mixture ids and their references; None if some are not there."""
        for layout in LAYOUTS:
            with contextlib.suppress(InputError, KeyError):
                tree = read_tree(self._references, layout=layout, ids=names)
                found = {i: {s: tree.files[i][s] for s in sources} for i, sources in names.items()}
                return _Paths(found, find_mixtures(tree, self._mixtures, names))
        return None


@dataclass(frozen=True)
class _Paths:
    """Mixture id to its references by name, and to the mixture where there is one."""

    references: dict[str, dict[str, Path]]
    mixtures: Mapping[str, Path]
