"""What is wrong with the files of a set, and what to do about it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mixgen.core.errors import InputError
from mixgen.sets.rendered import RENDERED_FILE


@dataclass(frozen=True)
class Problem:
    """One file with a problem.

    Attributes:
        path: of the file, in the set.
        kind: missing, altered, unreadable, unrecorded (it has no record), misrecorded (what is
            recorded of it is not so), inconsistent (a mixture is not its sum), unknown (it is in no
            record), off (beyond a tolerance), or unchecked, of which nothing wrong is known.
        detail: what is wrong.
    """

    path: str
    kind: str
    detail: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data."""
        return asdict(self)


_REMEDIES: tuple[tuple[tuple[str, ...], str], ...] = (
    (
        ("missing", "altered", "unrecorded", "inconsistent"),
        "{} file(s) of {} are not as recorded: `mixgen render` with its manifest repairs them",
    ),
    (("unreadable",), "{} file(s) or folder(s) of {} cannot be read: allow it, and verify again"),
    (
        ("misrecorded",),
        f"{{}} file(s) of {{}} have a wrong record: remove {RENDERED_FILE} and run `mixgen render` "
        "with its manifest, which keeps files that are whole",
    ),
    (("unknown",), "{} file(s) in {} are in no record: remove them"),
)


def conclusion(
    folder: Path, problems: Sequence[Problem], off: Sequence[Problem], *, deep: bool
) -> str:
    """Return one sentence about a set that is as recorded.

    Args:
        folder: of the set, or its manifest where the files existed already.
        problems: of its files.
        off: values that are further from the requested ones than their tolerance.
        deep: whether what is recorded of the files was compared with what is in them.

    Raises:
        InputError: it is not, or a value is off.
    """
    if any(problem.kind != "unchecked" for problem in problems):
        raise InputError(verdict(folder, problems))
    if off:
        raise InputError(
            f"{len(off)} value(s) in {folder} are further from the requested than the tolerance."
        )
    if problems:
        return f"{folder} is as recorded, except for what could not be checked."
    files = "has every file as it was written; --deep checks what is recorded of them"
    return f"{folder} {'is whole' if deep else files}."


def verdict(folder: Path, problems: Sequence[Problem]) -> str:
    """Return one sentence: how many problems there are, and what to do about them."""
    if folder.is_file():  # files that existed already
        count = len({problem.path for problem in problems})
        return (
            f"{count} file(s) of {folder} are not as recorded: restore them, or import them again."
        )
    parts = []
    for kinds, remedy in _REMEDIES:
        count = len({problem.path for problem in problems if problem.kind in kinds})
        if count:
            parts.append(remedy.format(count, folder))
    return "; ".join(parts) + "."
