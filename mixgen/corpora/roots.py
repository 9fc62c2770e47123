"""Where the corpora are on this machine, and the files of records in them."""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import read_json, sha256_file, write_json
from mixgen.core.paths import inside

ROOTS_FILE = "roots.json"


_SURROGATE = re.compile("[\ud800-\udfff]")  # stands for a byte that is no UTF-8


Roots = dict[str, Path]  # corpus name -> its folder on this machine


def write_roots(folder: Path, roots: Roots) -> None:
    """Note in `folder` where the corpora are on this machine, keeping what is noted already."""
    noted = {**_read_roots(folder), **roots}
    write_json(folder / ROOTS_FILE, {name: str(root.resolve()) for name, root in noted.items()})


def _read_roots(folder: Path) -> Roots:
    path = folder / ROOTS_FILE
    noted = read_json(path) if path.exists() else {}
    if not isinstance(noted, dict) or not all(_is_path(root) for root in noted.values()):
        raise InputError(f"{path} should hold one folder per corpus: remove it and use --root.")
    return {name: Path(root) for name, root in noted.items()}


def _is_path(value: Any) -> bool:
    """Tell whether it is text that a path can be: UTF-8 without a zero."""
    return isinstance(value, str) and "\0" not in value and not _SURROGATE.search(value)


def find_roots(beside: Iterable[Path], given: Mapping[str, Path | str] | None = None) -> Roots:
    """Return the corpus roots noted beside the files `beside`, and those given, which win.

    Raises:
        InputError: a given folder does not exist.
    """
    roots: Roots = {}
    for path in beside:
        roots.update(_read_roots(Path(path).parent))
    for name, folder in (given or {}).items():
        if not Path(folder).is_dir():
            raise InputError(f"The root of {name} is not a folder: {folder}.")
        roots[name] = Path(folder)
    return roots


def parse_roots(words: Iterable[str]) -> Roots:
    """Read corpus roots that are written as CORPUS=FOLDER.

    Raises:
        UsageError: a word is not of that form.
    """
    roots: Roots = {}
    for word in words:
        name, _, folder = word.partition("=")
        if not (name and folder):
            raise UsageError(f"--root takes CORPUS=FOLDER, not {word!r}.")
        roots[name] = Path(folder)
    return roots


def locate(roots: Roots, corpus: str, path: str) -> Path:
    """Return where a corpus file is on this machine.

    Raises:
        InputError: the root of the corpus is not known, or the path leads out of it.
    """
    if corpus not in roots:
        known = ", ".join(sorted(roots)) or "none"
        raise InputError(
            f"Where the corpus {corpus!r} is on this machine is not known (known: {known}): "
            f"add --root {corpus}=FOLDER."
        )
    return inside(roots[corpus], path)


def locate_file(roots: Roots, corpus: str, path: str) -> Path:
    """Return where a corpus file is on this machine.

    Raises:
        InputError: as `locate`, or there is no such file.
    """
    full = locate(roots, corpus, path)
    if not full.is_file():
        raise InputError(f"There is no source file {full}: check --root {corpus}=FOLDER.")
    return full


class FileRef(Protocol):
    """What names a file of a corpus and what is in it: an event or a response of a record."""

    @property
    def corpus(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def drawn_file(roots: Roots, drawn: FileRef) -> Path:
    """Return the file that a record names.

    Raises:
        InputError: it is missing, or its content is not what was drawn from.
    """
    path = locate_file(roots, drawn.corpus, drawn.path)
    status = path.stat()
    if _sha256_of(path, status.st_size, status.st_mtime_ns) != drawn.sha256:
        raise InputError(
            f"{path} is not the file that the manifest was drawn from (its SHA-256 differs): "
            "restore it, or index and draw again."
        )
    return path


@functools.lru_cache(maxsize=65536)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)
