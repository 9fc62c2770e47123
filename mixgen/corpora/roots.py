"""The root folders of the corpora on this machine, and the corpus files that records name."""

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import read_json, reading, sha256_file, write_json
from mixgen.core.paths import inside

ROOTS_FILE = "roots.json"

_NOT_IN_PATHS = re.compile("[\0\ud800-\udfff]")  # NUL, and surrogates for bytes that are not UTF-8

Roots = dict[str, Path]  # corpus name -> its folder on this machine


def write_roots(folder: Path, roots: Roots) -> None:
    """Add `roots` to the roots.json in `folder`; other corpora noted there are kept."""
    noted = {**_read_roots(folder), **roots}
    write_json(folder / ROOTS_FILE, {name: str(root.resolve()) for name, root in noted.items()})


def _read_roots(folder: Path) -> Roots:
    path = folder / ROOTS_FILE
    noted = read_json(path) if path.exists() else {}
    if not isinstance(noted, dict) or not all(
        isinstance(root, str) and not _NOT_IN_PATHS.search(root) for root in noted.values()
    ):
        raise InputError(f"{path} should hold one folder per corpus: remove it and use --root.")
    return {name: Path(root) for name, root in noted.items()}


def find_roots(beside: Iterable[Path], given: Mapping[str, Path | str] | None = None) -> Roots:
    """Return the corpus roots noted beside the files `beside`, replaced by those in `given`.

    Raises:
        InputError: a roots.json is not valid, or a given root is not a folder.
    """
    roots: Roots = {}
    for path in beside:
        roots.update(_read_roots(Path(path).parent))
    for name, folder in (given or {}).items():
        if not Path(folder).is_dir():
            raise InputError(f"The root {folder} of {name} is not a folder: give another.")
        roots[name] = Path(folder)
    return roots


def parse_roots(words: Iterable[str]) -> Roots:
    """Read corpus roots that are written as CORPUS=FOLDER.

    Raises:
        UsageError: a word has another form.
    """
    roots: Roots = {}
    for word in words:
        name, _, folder = word.partition("=")
        if not (name and folder):
            raise UsageError(f"--root takes CORPUS=FOLDER, not {word!r}.")
        roots[name] = Path(folder)
    return roots


def locate(roots: Roots, corpus: str, path: str) -> Path:
    """Return the path of a corpus file on this machine, whether it exists or not.

    Raises:
        InputError: the root of the corpus is unknown, or the path leads out of it.
    """
    return inside(locate_root(roots, corpus), path)


def locate_root(roots: Roots, corpus: str) -> Path:
    """Return the folder of a corpus on this machine.

    Raises:
        InputError: it is unknown.
    """
    if corpus not in roots:
        known = ", ".join(sorted(roots)) or "none"
        raise InputError(
            f"The root of the corpus {corpus!r} is unknown (known: {known}): add "
            f"--root {corpus}=FOLDER."
        )
    return roots[corpus]


def locate_file(roots: Roots, corpus: str, path: str) -> Path:
    """Return the path of an existing corpus file on this machine.

    Raises:
        InputError: as in `locate`, or the file is missing, or its folder cannot be read.
    """
    full = locate(roots, corpus, path)
    with reading(full):
        if not full.is_file():
            raise InputError(
                f"The source file {full} does not exist: check --root {corpus}=FOLDER."
            )
    return full


class FileRef(Protocol):
    """Reference of a record to a corpus file and its content: of an event or a room response."""

    @property
    def corpus(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def sha256(self) -> str: ...


def drawn_file(roots: Roots, drawn: FileRef) -> Path:
    """Return the path of the file that a record names, after checking its hash.

    Raises:
        InputError: the file is missing or unreadable, or its content has changed since the draw.
    """
    path = locate_file(roots, drawn.corpus, drawn.path)
    with reading(path):
        status = path.stat()
    if _sha256_of(path, status.st_size, status.st_mtime_ns) != drawn.sha256:
        raise InputError(
            f"{path} is not the file that the manifest was drawn from (its SHA-256 differs): "
            "restore it, or index and draw again."
        )
    return path


# The size and the time of the last change are arguments, so a changed file is hashed again.
@functools.lru_cache(maxsize=65536)
def _sha256_of(path: Path, _size: int, _mtime_ns: int) -> str:
    return sha256_file(path)
