"""Locks between processes: a file that is held, and that the system lets go with the process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from mixgen.core.errors import MachineError


@contextlib.contextmanager
def file_lock(path: Path, *, shared: bool = False) -> Iterator[None]:
    """Hold the lock `path`, alone or with others who share it, until the end of the block.

    The file is there while somebody holds it; one that a killed process left holds nobody back.
    Where the folder cannot be written or the file system has no locks, nothing is held.

    Raises:
        MachineError: another process holds the lock.
    """
    file = _held(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    if file is None:
        yield
        return
    try:
        yield
    finally:
        # Only who holds it alone may remove it, or the next one would lock another file.
        with contextlib.suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
        os.close(file)


def _held(path: Path, kind: int) -> int | None:
    """Return the descriptor of the locked file; None if there are no locks."""
    while True:
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:
            return None
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
            if _is_same(file, path):
                return file
        except BlockingIOError:
            os.close(file)
            raise MachineError(
                f"Another run is at work in {path.parent}: wait until it ends, or choose another "
                "folder."
            ) from None
        except OSError:
            os.close(file)
            return None
        os.close(file)  # who held it before removed it in the meantime


def _is_same(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except FileNotFoundError:
        return False
