"""A folder of decoded source files: each is decoded once, and then read in any part.

FOLDER/libsndfile-VERSION/ab/SHA256 holds the samples of the file with that SHA-256, at its own
rate, as `mixgen.audio.decoded` writes them. A file that would lose a bit there (64-bit floats), or
that is too long to be decoded at once, is not stored.

Any number of processes may read and write, and end at any time. A file appears by a rename and
never changes, so readers need no lock. Writers lock FOLDER/bytes, which holds the bytes of all
files or more, so that together they keep the limit. What is missing, cut or altered is decoded
again, and what cannot be written is read from its source.
"""

import contextlib
import fcntl
import functools
import os
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import soundfile

from mixgen.audio.decoded import (
    DamagedError,
    Header,
    SourceStatus,
    encoded,
    packed,
    read_header,
    read_samples,
)
from mixgen.audio.read import (
    LOUDEST,
    Samples,
    audio_info,
    excerpt_bounds,
    peak,
    read_audio,
    read_excerpt,
)
from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.core.files import TEMPORARY_PREFIX, machine_errors, sha256_file, write_bytes

FOLDER_VARIABLE = "MIXGEN_CACHE"
GIGABYTES_VARIABLE = "MIXGEN_CACHE_GB"

_DEFAULT_GIGABYTES = "50"
_DECODER = f"libsndfile-{soundfile.__libsndfile_version__}"  # another may decode MP3 differently
_MOST_SAMPLES = 1 << 26  # 512 MiB while they are decoded
_FREE_BYTES = 1 << 30  # left on the disk
_IDLE_S = 24 * 3600.0  # files that nobody has opened for so long make room for others
_LOCK_S = 1.0
_LOCK_POLL_S = 0.002
_PAUSE_S = 300.0


class DecodedCache:
    """Decoded source files in a folder, of at most `limit_bytes` together.

    Copies in other processes share the folder. Because of the folder, no method raises an error:
    without it, everything is read from the sources.
    """

    def __init__(self, folder: Path, limit_bytes: int) -> None:
        self.folder = folder
        self.limit_bytes = limit_bytes
        self._files_in = os.path.join(folder, _DECODER)
        self._not_storable: set[str] = set()
        self._paused_until_s = 0.0

    def __reduce__(self) -> tuple[Any, ...]:
        return _cache_of_process, (self.folder, self.limit_bytes)

    def holds(self, sha256: str) -> bool:
        """Return whether the file with this hash is stored."""
        return self._header(sha256) is not None

    def excerpt_of_unchanged(
        self, path: Path, sha256: str, start_s: float, duration_s: float, *, to_end: bool = False
    ) -> tuple[Samples, int] | None:
        """Return an excerpt if the file is stored, and `path` is what it was decoded from.

        That is known from its size and its time of change, so nobody has to hash it. The arguments
        are those of `read_excerpt`. None otherwise.
        """
        header = self._header(sha256)
        try:
            unchanged = header is not None and SourceStatus.of(path) == header.source
        except OSError:
            return None
        return self._excerpt(sha256, start_s, duration_s, to_end) if unchanged else None

    def read_excerpt(
        self,
        path: Path,
        sha256: str,
        start_s: float,
        duration_s: float,
        *,
        to_end: bool = False,
    ) -> tuple[Samples, int]:
        """Return the same as `mixgen.audio.read.read_excerpt`, and store the file if it is new.

        Args:
            path: the source file.
            sha256: of the source file; the caller has checked it.
            start_s: as there, in seconds.
            duration_s: as there, in seconds.
            to_end: as there.

        Raises:
            InputError: as there.
        """
        found = self._excerpt(sha256, start_s, duration_s, to_end)
        if found is None and self._decode(path, sha256):
            found = self._excerpt(sha256, start_s, duration_s, to_end)
        return found or read_excerpt(path, start_s, duration_s, to_end=to_end)

    def store(
        self, path: Path, sha256: str, source: SourceStatus, samples: Samples, sample_rate: int
    ) -> bool:
        """Store all samples (channels, time) of a file; return whether they are there.

        Args:
            path: the source file.
            sha256: of the source file.
            source: its status before `samples` and `sha256` were read from it.
            samples: as `read_audio` returns them.
            sample_rate: in Hz.
        """
        # Louder files are left to `read_excerpt`, which may refuse them.
        unfit = samples.size > _MOST_SAMPLES or (samples.size and peak(samples) > LOUDEST)
        narrow = None if unfit else packed(samples)
        if narrow is None:
            self._not_storable.add(sha256)
            return False
        try:
            if SourceStatus.of(path) != source:  # the samples may be of another file than the hash
                return False
            return self._write(sha256, encoded(narrow, sample_rate, source))
        except (OSError, MachineError):
            self._pause()
            return False

    def _path(self, sha256: str) -> str:
        return f"{self._files_in}/{sha256[:2]}/{sha256}"  # for each excerpt, so no Path is made

    def _header(self, sha256: str) -> Header | None:
        path = self._path(sha256)
        try:
            return read_header(path, int(time.monotonic() // 3600))
        except OSError:
            return None
        except DamagedError:
            _remove(path)
            return None

    def _excerpt(
        self, sha256: str, start_s: float, duration_s: float, to_end: bool
    ) -> tuple[Samples, int] | None:
        """Return an excerpt from the folder; None if it does not have the samples."""
        header = self._header(sha256)
        if header is None:
            return None
        start, stop = excerpt_bounds(start_s, duration_s, header.sample_rate)
        stop = min(stop, header.frames) if to_end else stop
        if not 0 <= start <= stop <= header.frames:
            return None
        path = self._path(sha256)
        try:
            return read_samples(path, header, start, stop), header.sample_rate
        except OSError:
            return None
        except DamagedError:
            _remove(path)
            return None

    def _decode(self, path: Path, sha256: str) -> bool:
        """Decode a source file and store it; return whether it is stored."""
        if sha256 in self._not_storable or time.monotonic() < self._paused_until_s:
            return False
        with contextlib.suppress(OSError, InputError):
            source, info = SourceStatus.of(path), audio_info(path)
            if info.frames * info.channels <= _MOST_SAMPLES:
                samples, sample_rate = read_audio(path)
                return sha256_file(path) == sha256 and self.store(
                    path, sha256, source, samples, sample_rate
                )
        self._not_storable.add(sha256)
        return False

    def _write(self, sha256: str, content: bytes) -> bool:
        """Write a file unless there is no room; return whether it is there.

        Raises:
            OSError, MachineError: the folder cannot be locked or written.
        """
        path = Path(self._path(sha256))
        with self._locked() as ledger:
            if path.exists():
                return True
            total = self._total(ledger)
            if total + len(content) > self.limit_bytes:
                total = self._make_room(len(content))
            free = shutil.disk_usage(self.folder).free
            if total + len(content) > self.limit_bytes or free < len(content) + _FREE_BYTES:
                self._pause()
                return False
            # Counted first: whoever is killed here leaves a total that is too high, not too low.
            ledger.seek(0)
            ledger.truncate()
            ledger.write(b"%d" % (total + len(content)))
            ledger.flush()
            write_bytes(path, content, flush=False)
        return True

    @contextlib.contextmanager
    def _locked(self) -> Iterator[BinaryIO]:
        """Yield FOLDER/bytes, which no other writer has meanwhile.

        Raises:
            OSError: another writer has it for too long, or nobody can write here.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / "bytes", "a+b") as ledger:
            latest_s = time.monotonic() + _LOCK_S
            while True:
                try:
                    fcntl.flock(ledger, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > latest_s:
                        raise
                    time.sleep(_LOCK_POLL_S)
            try:
                yield ledger
            finally:  # a process that was forked meanwhile would keep the lock
                fcntl.flock(ledger, fcntl.LOCK_UN)

    def _total(self, ledger: BinaryIO) -> int:
        """Return the bytes of all files or more: as noted, else as counted."""
        ledger.seek(0)
        noted = ledger.read()
        return int(noted) if noted.isdigit() else sum(size for _, size, _ in self._files())

    def _make_room(self, needed: int) -> int:
        """Remove idle files, the longest idle first, until `needed` bytes fit; return the total."""
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        for used_s, size, path in files:
            if total + needed <= self.limit_bytes or time.time() - used_s < _IDLE_S:
                break
            _remove(path)
            total -= size
        return total

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """Yield the time of the last use in s, the size in bytes and the path of every file.

        What killed writers have left is removed: only the one with the lock writes.
        """
        for path in self.folder.glob("libsndfile-*/??/*"):
            if path.name.startswith(TEMPORARY_PREFIX):
                _remove(path)
            elif re.fullmatch("[0-9a-f]{64}", path.name):
                with contextlib.suppress(OSError):
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path

    def _pause(self) -> None:
        """Store nothing for some minutes, because whole files would be decoded in vain."""
        self._paused_until_s = time.monotonic() + _PAUSE_S


@functools.lru_cache
def _cache_of_process(folder: Path, limit_bytes: int) -> DecodedCache:
    return DecodedCache(folder, limit_bytes)


def open_cache(folder: str | Path | None = None) -> DecodedCache | None:
    """Return the cache in `folder`, by default in that of MIXGEN_CACHE, or None without either.

    MIXGEN_CACHE_GB is the most that it holds, in gigabytes (default: 50).

    Raises:
        UsageError: MIXGEN_CACHE_GB is not a number above 0.
        MachineError: the folder cannot be made.
    """
    folder = folder or os.environ.get(FOLDER_VARIABLE)
    if not folder:
        return None
    word = os.environ.get(GIGABYTES_VARIABLE, _DEFAULT_GIGABYTES)
    try:
        limit_bytes = int(float(word) * 1e9)
    except (ValueError, OverflowError):
        limit_bytes = 0
    if limit_bytes <= 0:
        raise UsageError(f"{GIGABYTES_VARIABLE} is a number of gigabytes above 0, not {word!r}.")
    path = Path(folder).expanduser().absolute()
    with machine_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    return _cache_of_process(path, limit_bytes)


def _remove(path: str | Path) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
