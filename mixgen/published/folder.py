"""A folder of audio that exists already: its files become a set as they are.

Nothing is mixed or copied. Each record points at the files of a mixture, with their hashes, and has
no events, because nobody knows which recordings they were made of.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, get_args

import typer

from mixgen.core.errors import InputError, UsageError
from mixgen.core.vocabulary import Kind, Role, Task
from mixgen.corpora.layout import SPLITS
from mixgen.manifest.file import Import
from mixgen.manifest.mixture import MIXTURE
from mixgen.published.finishing import FinishedMixture, finished_source, write_finished
from mixgen.published.importing import Imported, id_of
from mixgen.published.options import AllowMissing, Manifest
from mixgen.published.published_set import PublishedSet
from mixgen.sets.trees import LAYOUTS, MIXTURE_NAMES, STEMS, read_tree

_SPLIT = "split/"
_KINDS: Mapping[Role, Kind] = {"noise": "noise", "background": "noise"}
_NOISE = ("noise", "background", "bg")  # sources of these names are no targets


def import_folder(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of audio files.")],
    layout: Annotated[
        str,
        typer.Option(
            "--layout",
            help="ID/SOURCE, SOURCE/ID or ID_SOURCE; with SPLIT/ before it if DIR has splits.",
        ),
    ],
    out: Manifest,
    mixture: Annotated[
        str | None,
        typer.Option("--mixture", help="Which SOURCE is the mixture (default: mixture, mix, ...)."),
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option("--source", help="SOURCE=ROLE: which sources to take; repeatable."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help="Split of all mixtures, without SPLIT/ in --layout.")
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
    found = _find(folder, layout, split)
    sources = {word for one in found for word in one.files}
    chosen = _Names.choose(folder, sources, mixture, roles)
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
        chosen=[layout.lower(), split, chosen.mixture, sorted(roles.items())],
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


def _find(folder: Path, layout: str, split: str) -> list[_Found]:
    """Return the mixtures of a folder in the order of splits and ids."""
    words = layout.lower()
    below = words.removeprefix(_SPLIT)
    if below not in LAYOUTS:
        known = ", ".join(name.upper() for name in LAYOUTS)
        raise UsageError(f"--layout takes {known}, or SPLIT/ and one of these, not {layout!r}.")
    if below == words:
        found = list(_in_split(folder, below, split))
    else:
        if not folder.is_dir():
            raise InputError(f"{folder} is not a folder: check the path.")
        splits = sorted(p for p in folder.iterdir() if p.is_dir() and p.name[0] != ".")
        if not splits:
            raise InputError(f"{folder} has no folders of splits: check --layout.")
        split_of = {path: SPLITS.get(path.name, path.name) for path in splits}
        found = [one for path in splits for one in _in_split(path, below, split_of[path])]
    ids = [one.id.lower() for one in found]
    if len(set(ids)) < len(ids) and below != words:  # FUSS counts from 0 in every split
        found = [_Found(f"{one.split}_{one.id}", one.split, one.files) for one in found]
    return found


def _in_split(folder: Path, layout: str, split: str) -> Iterator[_Found]:
    tree = read_tree(folder, layout=layout)
    if not tree.files:
        raise InputError(
            f"{folder} has no files {layout.upper()}, but such as {tree.others[0]}: check --layout."
        )
    for name in sorted(tree.files):
        yield _Found(id_of(name), split, tree.files[name])


FOLDER = PublishedSet(name="folder", importer=import_folder)
