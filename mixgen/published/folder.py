"""A folder of audio that exists already: its files become a set as they are.

Nothing is mixed or copied. Each record points at the files of a mixture, with their hashes, and has
no events, because nobody knows which recordings they were made of.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import typer

from mixgen.core.errors import InputError, UsageError
from mixgen.core.vocabulary import Kind, Role, Task
from mixgen.corpora.layout import split_called
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import MIXTURE
from mixgen.published.finishing import FinishedMixture, finished_source, write_finished
from mixgen.published.folder_paths import ID, SOURCE, PathPattern, with_mixtures
from mixgen.published.importing import Imported, id_of
from mixgen.published.options import AllowMissing, Manifest
from mixgen.published.published_set import PublishedSet
from mixgen.sets.trees import MIXTURE_NAMES, STEMS

_KINDS: Mapping[Role, Kind] = {"noise": "noise", "background": "noise"}
_NOISE = ("noise", "background", "bg")  # sources of these names are no targets


def import_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of audio files.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            help="Where the files are, such as SOURCE/ID, SPLIT/ID/SOURCE or SPLIT/ID_SOURCE.",
        ),
    ],
    out: Manifest,
    mixture: Annotated[
        str | None,
        typer.Option(
            "--mixture",
            help="Which SOURCE is the mixture (default: mixture, mix, ...), or a path with ID.",
        ),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="SOURCE=ROLE: which sources to take; repeatable."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Split of all mixtures, without SPLIT in --layout.")
    ] = "test",
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="Of the targets (default: music for stems).")
    ] = None,
    task: Annotated[
        Task | None, typer.Option("--task", help="Of the set (default: by its sources).")
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Of the set (default: that of the folder).")
    ] = None,
    licence: Annotated[str, typer.Option("--licence", help="Licence of the audio.")] = "",
    allow_missing: AllowMissing = False,
) -> Imported:
    """Import a folder of audio that exists already.

    Example: mixgen import folder VoiceBank-DEMAND --layout SOURCE/ID --mixture noisy
    --source clean=target --out M.jsonl
    """
    roles = _parse_roles(source or ())
    found, of_mixture = _find(folder, layout, mixture, split)
    sources = {word for one in found for word in one.files}
    chosen = _Names.choose(folder, sources, of_mixture, roles)
    is_music = bool(STEMS & chosen.roles.keys())
    kind = kind or ("music" if is_music else "speech")
    mixtures = [
        FinishedMixture(
            id=one.id,
            split=one.split,
            sources=[
                finished_source(word, role, _KINDS.get(role, kind))
                for word, role in chosen.of(one.files).items()
            ],
            files={
                MIXTURE: one.files.get(chosen.mixture),
                **{word: one.files.get(word) for word in chosen.of(one.files)},
            },
        )
        for one in found
    ]
    targets = [word for word, role in chosen.roles.items() if role == "target"]
    by_sources: Task = "music_separation" if is_music else "speech_separation"
    if len(targets) == 1 and not is_music:
        by_sources = "speech_enhancement"
    return write_finished(
        mixtures,
        folder,
        out,
        name=name or id_of(folder.resolve().name),
        task=task or by_sources,
        licence=licence,
        imported=Import(published="folder", lists={}, script=""),
        chosen=[layout.lower(), split, mixture or chosen.mixture, sorted(roles.items())],
        allow_missing=allow_missing,
    )


@dataclass(frozen=True)
class _Found:
    """The files of a mixture by the names that the folder has for them."""

    id: str
    split: str
    files: Mapping[str, Path]


@dataclass(frozen=True)
class _Names:
    """Which name is that of the mixture, and the roles of the sources by their names."""

    mixture: str
    roles: dict[str, Role]
    given: bool

    @classmethod
    def choose(
        cls, folder: Path, names: set[str], mixture: str | None, roles: Mapping[str, Role]
    ) -> "_Names":
        """Choose among the names in a folder.

        Raises:
            InputError: no name is that of a mixture, or several are, or nothing else is there.
            UsageError: a name is not in the folder.
        """
        listed = ", ".join(sorted(names))
        for word in (mixture, *roles):
            if word is not None and word not in names:
                raise UsageError(f"{folder} has no source {word!r}: there are {listed}.")
        mixtures = [mixture] if mixture else sorted(names & MIXTURE_NAMES)
        if len(mixtures) != 1:
            what = f"several mixtures ({', '.join(mixtures)})" if mixtures else "no known mixture"
            raise InputError(
                f"{folder} has {what} among {listed}: say with --mixture which one to take."
            )
        others = sorted(names - {*mixtures, *MIXTURE_NAMES})
        by_name: dict[str, Role] = {w: "noise" if w in _NOISE else "target" for w in others}
        chosen = dict(roles) or by_name
        if not chosen:
            raise InputError(f"{folder} has no source beside {mixtures[0]}: check --layout.")
        return cls(mixtures[0], chosen, bool(roles))

    def of(self, files: Mapping[str, Path]) -> dict[str, Role]:
        """Return the sources of a mixture: all that were given, or those that are there."""
        return {word: role for word, role in self.roles.items() if self.given or word in files}


def _parse_roles(words: Sequence[str]) -> dict[str, Role]:
    """Read SOURCE=ROLE; a role is one of those of manifests that files can have."""
    known: dict[str, Role] = {role: role for role in get_args(Role) if role != "far_end"}
    roles: dict[str, Role] = {}
    for word in words:
        name, _, role = word.partition("=")
        if not name or role not in known:
            raise UsageError(
                f"--source takes SOURCE=ROLE with a role of {', '.join(known)}, not {word!r}."
            )
        roles[name] = known[role]
    return roles


def _find(
    folder: Path, layout: str, mixture: str | None, split: str
) -> tuple[list[_Found], str | None]:
    """Return the mixtures of a folder in the order of splits and ids, and the mixture's source."""
    pattern = PathPattern.parse(layout, "--layout", ID, SOURCE)
    files = pattern.find(folder)
    if mixture is not None and PathPattern.is_one(mixture):
        of_mixtures = PathPattern.parse(mixture, "--mixture", ID)
        if of_mixtures.has_splits != pattern.has_splits:
            raise UsageError(
                f"--layout {layout} and --mixture {mixture} need SPLIT both or neither."
            )
        files = with_mixtures(files, of_mixtures.find(folder), MIXTURE)
        mixture = MIXTURE
    found = [
        _Found(id_of(name), split_called(subset) if subset else split, own)
        for (subset, name), own in files.items()
    ]
    ids = [one.id.lower() for one in found]
    if len(set(ids)) < len(ids) and len({one.split for one in found}) > 1:
        # FUSS counts from 0 in every split
        found = [_Found(f"{one.split}_{one.id}", one.split, one.files) for one in found]
    return found, mixture


FOLDER = PublishedSet(name="folder", importer=import_folder)
