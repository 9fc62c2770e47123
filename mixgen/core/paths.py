"""Paths inside a root: relative, POSIX, and never out of it."""

import itertools
import os
import re
from pathlib import Path

from mixgen.core.errors import InputError

# File systems take 255 bytes; the rest is for the suffix and the marks of a temporary file.
_LONGEST_NAME = 200

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\\]")


def check_relative(path: str) -> str:
    """Return `path` if it is relative, POSIX and free of steps upwards.

    Raises:
        InputError: it is empty, absolute, holds `..`, a backslash, a drive or a control character.
    """
    upwards = ".." in path and ".." in path.split("/")
    if not path or path.startswith("/") or upwards or _FORBIDDEN.search(path):
        raise InputError(
            f"The path {path!r} is not allowed: give a relative path with forward slashes that "
            "stays inside its root."
        )
    return path


def inside(root: Path, path: str) -> Path:
    """Return `root / path`, refusing paths and links that lead out of `root`.

    Raises:
        InputError: the path is not relative, or a link in it leaves the root.
    """
    full = root / check_relative(path)
    if leads_out(root, path):
        raise InputError(f"{full} is a link that leads out of {root}: copy the file into the root.")
    return full


def leads_out(root: Path, path: str) -> bool:
    """Return whether links in a relative `path`, which has no `..`, lead out of `root`."""
    below = itertools.accumulate(path.split("/"), os.path.join, initial=os.fspath(root))
    if not any(map(os.path.islink, itertools.islice(below, 1, None))):
        return False  # a path without links needs no more
    real_root = os.path.realpath(root)
    return os.path.commonpath((real_root, os.path.realpath(root / path))) != real_root


def as_utf8(path: str | Path) -> str:
    """Return a path that can be printed: bytes that are not UTF-8 are spelled with backslashes."""
    return os.fsencode(path).decode(errors="backslashreplace")


def check_name(name: str) -> str:
    """Return `name` if it can be a file or folder name everywhere.

    Raises:
        InputError: it holds anything but letters, digits, `.`, `_`, `-`, starts with a dot, or is
            longer than 200 characters.
    """
    allowed = all((c.isascii() and c.isalnum()) or c in "._-" for c in name)
    if not name or not allowed or name.startswith(".") or len(name) > _LONGEST_NAME:
        shown = name if len(name) <= _LONGEST_NAME else f"{name[:20]}..."
        raise InputError(
            f"The name {shown!r} is not allowed: use 1 to {_LONGEST_NAME} letters, digits, '.', "
            "'_' and '-', and do not start with a dot."
        )
    return name
