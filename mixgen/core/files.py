"""Files that are whole or absent: atomic writes, strict JSON, hashes."""

import contextlib
import csv
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from mixgen.core.errors import InputError, MachineError

TEMPORARY_PREFIX = ".tmp."

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def atomic_path(path: Path, *, flush: bool = True, scratch: Path | None = None) -> Iterator[Path]:
    """Yield a temporary path; it replaces `path` on success and is removed otherwise.

    It is beside `path`, or in the folder `scratch` of the same file system.

    With `flush` the content is on the disk before the rename, so even a power cut leaves the old
    file or the new one. Files whose hash is recorded need no flush: the hash reveals a torn one.

    Raises:
        MachineError: the folder cannot be made, or the file cannot be renamed. Errors in the body
            of the `with` pass unchanged.
    """
    path = Path(path)
    # A random part, because other machines may write to the same folder.
    temporary = (scratch or path.parent) / f"{TEMPORARY_PREFIX}{secrets.token_hex(6)}.{path.name}"
    try:
        with machine_errors(path):
            if not path.parent.is_dir():
                path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        with machine_errors(path):
            if flush:
                with open(temporary, "rb") as stream:
                    os.fsync(stream.fileno())
            os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def atomic_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder`; it replaces `folder` on success, else it is removed.

    An earlier folder is moved to `moved_aside` first and deleted last.

    Raises:
        MachineError: a folder cannot be made or renamed, or the body meets an error of the
            operating system.
    """
    with machine_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=folder.parent))
        try:
            yield temporary
            temporary.chmod(0o755)
            if folder.exists():
                shutil.rmtree(moved_aside(folder), ignore_errors=True)
                os.rename(folder, moved_aside(folder))
            os.rename(temporary, folder)
            shutil.rmtree(moved_aside(folder), ignore_errors=True)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def moved_aside(folder: Path) -> Path:
    """Return where `atomic_folder` keeps an earlier folder while it is replaced."""
    return folder.with_name(f".old.{folder.name}")


@contextlib.contextmanager
def scratch_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder for files that are not finished, and remove it at the end.

    What a killed run left in it is removed first.

    Raises:
        MachineError: the folder cannot be made.
    """
    with machine_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def remove_unfinished(folder: Path, name: str = "*") -> None:
    """Remove what killed runs left of files of this name (a pattern), if the folder exists."""
    for path in folder.glob(f"{TEMPORARY_PREFIX}*.{name}"):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def machine_errors(path: Path) -> Iterator[None]:
    """Turn operating-system errors about `path` into one MachineError sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise MachineError(
                f"No space left on the disk while writing {path}: free some and run again."
            ) from error
        raise MachineError(f"Cannot write {path}: {_obstacle(error)}.") from error


def _obstacle(error: OSError) -> str:
    if isinstance(error, IsADirectoryError):
        return "a folder is where the file should be; move it away and run again"
    blocked = isinstance(error, FileExistsError | NotADirectoryError)
    reason = "a file is where a folder should be" if blocked else error.strerror or str(error)
    return f"{reason}. Choose a folder that you may write to"


def write_bytes(
    path: Path, content: bytes, *, flush: bool = True, scratch: Path | None = None
) -> None:
    """Write `content` to `path` atomically; `flush` and `scratch` as in `atomic_path`."""
    with atomic_path(path, flush=flush, scratch=scratch) as temporary, machine_errors(path):
        temporary.write_bytes(content)


def write_text(path: Path, text: str, *, scratch: Path | None = None) -> None:
    """Write UTF-8 `text` to `path` atomically; `scratch` as in `atomic_path`."""
    write_bytes(path, text.encode(), scratch=scratch)


def copy_file(source: Path, path: Path) -> None:
    """Copy the content of `source` to `path` atomically."""
    with atomic_path(path) as temporary, machine_errors(path):
        shutil.copyfile(source, temporary)


def scratch_file() -> BinaryIO:
    """Return an empty, unnamed file, in memory where the system can; the caller closes it.

    soundfile writes to a BytesIO through callbacks, in which a KeyboardInterrupt is lost. On a disk
    it waits until every file is written, and hides why one failed.
    """
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("scratch"), "w+b")
    return tempfile.TemporaryFile()


def to_json(value: Any) -> str:
    """Return one line of strict JSON (no NaN, no Infinity), keys in the order given."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def canonical_json(value: Any) -> str:
    """Return the one spelling of `value` that is hashed: sorted keys, no spaces."""
    return json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented strict JSON, atomically."""
    write_text(path, json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2) + "\n")


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one line of strict JSON per row, atomically and without holding all rows in memory.

    An error while a row is made is not an error of writing, and passes unchanged.
    """
    with atomic_path(path) as temporary:
        with machine_errors(path):
            stream = open(temporary, "w", encoding="utf-8")  # noqa: SIM115  closed below
        try:
            for row in rows:
                with machine_errors(path):
                    stream.write(to_json(row) + "\n")
        finally:
            with machine_errors(path):
                stream.close()


def write_csv(path: Path, columns: Sequence[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write `rows` under exactly these `columns`, atomically."""
    with (
        atomic_path(path) as temporary,
        machine_errors(path),
        open(temporary, "w", encoding="utf-8", newline="") as stream,
    ):
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn what goes wrong while `path` is read into one InputError sentence."""
    try:
        yield
    except FileNotFoundError:
        raise InputError(f"There is no file {path}: check the path.") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text: give the text file that was meant.") from None
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or error}.") from error


def read_text(path: Path) -> str:
    """Return the UTF-8 text of `path`.

    Raises:
        InputError: the file is missing, is not a file or is not UTF-8 text.
    """
    with reading(path):
        return Path(path).read_text(encoding="utf-8")


def read_lines(path: Path) -> Iterator[str]:
    """Yield the lines of UTF-8 text one at a time; a line ends at a newline alone.

    Raises:
        InputError: the file is missing, is not a file or is not UTF-8 text.
    """
    with reading(path), open(path, encoding="utf-8", newline="\n") as stream:
        for line in stream:
            yield line.removesuffix("\n")


def parse_json(text: str, where: str) -> Any:
    """Return the JSON value that `text` spells.

    Raises:
        InputError: it is not JSON, a key comes twice, or it holds half of a character, which no
            file can hold; the message begins with `where`.
    """
    try:
        value = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_object)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where} is not valid JSON ({error}).") from None
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON number")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object; of a key that comes twice, Python would keep the last value."""
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} comes twice")
    return value


def read_json(path: Path) -> Any:
    """Return the JSON value in `path`.

    Raises:
        InputError: the file is missing or is not JSON.
    """
    return parse_json(read_text(path), str(path))


def stream_jsonl(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the JSON value of every line in `path`, one at a time, after its position in words.

    Raises:
        InputError: the file is missing or a line is not JSON; the line is named.
    """
    for number, line in enumerate(read_lines(path), start=1):
        where = f"{path} line {number}"
        yield where, parse_json(line, where)


def read_jsonl(path: Path) -> list[Any]:
    """Return the JSON value of every line in `path`.

    Raises:
        InputError: the file is missing or a line is not JSON; the line is named.
    """
    return [value for _, value in stream_jsonl(path)]


def sha256_bytes(content: bytes | memoryview) -> str:
    """Return the SHA-256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes as 64 hexadecimal digits.

    Raises:
        InputError: the file is missing or cannot be read.
    """
    with reading(path), open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def has_sha256(path: Path, sha256: str) -> bool:
    """Return whether `path` is a file that can be read and has that SHA-256."""
    try:
        return path.is_file() and sha256_file(path) == sha256
    except (InputError, OSError):
        return False
