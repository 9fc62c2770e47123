"""The file that holds a decoded source file: encoding it, and reading any part of it, checked.

Header, a CRC-32 of every block, and all samples (time, channels), little-endian, as int16 or as
float32, whichever gives every sample back to the bit.

Files are read, not mapped: a mapping for each excerpt is no faster (benchmarks/cache_speed.py), and
whoever cuts a mapped file ends the process.
"""

import contextlib
import functools
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.read import Samples

_MAGIC = b"mixgen 1"
# Magic, kind of number, channels, sample rate, frames, size and mtime in ns of the source.
_HEAD = struct.Struct("<8scxHIQQq")
_CHECKSUM = struct.Struct("<I")  # of a block; the first one is of the header and all others
_BLOCK_BYTES = 1 << 17
_TYPES: dict[bytes, np.dtype[Any]] = {b"i": np.dtype("<i2"), b"f": np.dtype("<f4")}
_STEP = 2.0**-15  # of int16

_MEMORY_BLOCKS = 512  # 64 MiB in each process
_MEMORY_HEADERS = 8192


class DamagedError(Exception):
    """A file is not what was written: cut or altered."""


class SourceStatus(NamedTuple):
    """Size in bytes and time of the last change in ns: if both stay, so does the content."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> "SourceStatus":
        """Return the status of a file."""
        status = path.stat()
        return cls(status.st_size, status.st_mtime_ns)


@dataclass(frozen=True)
class Header:
    """What a file holds, and where; `checksums` are those of its blocks."""

    dtype: np.dtype[Any]
    channels: int
    sample_rate: int
    frames: int
    source: SourceStatus
    checksums: tuple[int, ...]

    @property
    def data_start(self) -> int:
        """Position of the first sample in bytes."""
        return _HEAD.size + _CHECKSUM.size * (1 + len(self.checksums))


def packed(samples: Samples) -> NDArray[Any] | None:
    """Return samples (channels, time) as int16 or float32 (time, channels).

    None if both would lose a bit.
    """
    for dtype in _TYPES.values():
        scaled = samples / _STEP if dtype.kind == "i" else samples
        with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is found below
            narrow = np.ascontiguousarray(scaled.T.astype(dtype))
        # Bits are compared, because -0.0 equals 0.0.
        if np.array_equal(_unpacked(narrow).view(np.int64), samples.view(np.int64)):
            return narrow
    return None


def _unpacked(narrow: NDArray[Any]) -> Samples:
    """Return samples (channels, time), full scale 1.0."""
    step = _STEP if narrow.dtype.kind == "i" else 1.0
    return np.asarray(np.multiply(narrow.T, step, dtype=np.float64, order="C"))


def encoded(narrow: NDArray[Any], sample_rate: int, source: SourceStatus) -> bytes:
    """Return the content of a file for `packed` samples.

    `source` is the status of the file that they were decoded from.
    """
    data = narrow.tobytes()
    kind = narrow.dtype.kind.encode()
    head = _HEAD.pack(_MAGIC, kind, narrow.shape[1], sample_rate, len(narrow), *source)
    starts = range(0, len(data), _BLOCK_BYTES)
    sums = [zlib.crc32(data[start : start + _BLOCK_BYTES]) for start in starts]
    table = b"".join(map(_CHECKSUM.pack, sums))
    return b"".join((head, _CHECKSUM.pack(zlib.crc32(head + table)), table, data))


@functools.lru_cache(maxsize=_MEMORY_HEADERS)
def read_header(path: str, _period: int) -> Header:
    """Read the header of a file and mark the file as in use, in every period anew.

    Raises:
        OSError: the file cannot be read.
        DamagedError: it is not whole.
    """
    with open(path, "rb") as stream:
        size = os.fstat(stream.fileno()).st_size
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise DamagedError
        magic, kind, channels, sample_rate, frames, *source = _HEAD.unpack(head)
        if magic != _MAGIC or kind not in _TYPES:
            raise DamagedError
        data_bytes = frames * channels * _TYPES[kind].itemsize
        table_bytes = _CHECKSUM.size * (1 + _blocks_in(data_bytes))
        table = stream.read(table_bytes) if size == len(head) + table_bytes + data_bytes else b""
    if len(table) < _CHECKSUM.size:
        raise DamagedError
    of_header, *checksums = (value for (value,) in _CHECKSUM.iter_unpack(table))
    if of_header != zlib.crc32(head + table[_CHECKSUM.size :]):
        raise DamagedError
    with contextlib.suppress(OSError):  # the folder of somebody else
        os.utime(path)
    return Header(
        _TYPES[kind], channels, sample_rate, frames, SourceStatus(*source), tuple(checksums)
    )


def _blocks_in(data_bytes: int) -> int:
    return -(-data_bytes // _BLOCK_BYTES)


def read_samples(path: str, header: Header, start: int, stop: int) -> Samples:
    """Return the samples `start` to `stop`, shape (channels, time), full scale 1.0.

    Raises:
        OSError: the file cannot be read.
        DamagedError: it is cut or altered.
    """
    frame_bytes = header.channels * header.dtype.itemsize
    first, last = start * frame_bytes // _BLOCK_BYTES, _blocks_in(stop * frame_bytes)
    blocks = []
    for number in range(first, last):
        offset = number * _BLOCK_BYTES
        size = min(_BLOCK_BYTES, header.frames * frame_bytes - offset)
        blocks.append(_block(path, header.data_start + offset, size, header.checksums[number]))
    content = blocks[0] if len(blocks) == 1 else b"".join(blocks)
    begin = start * frame_bytes - first * _BLOCK_BYTES
    samples = memoryview(content)[begin : begin + (stop - start) * frame_bytes]
    return _unpacked(np.frombuffer(samples, header.dtype).reshape(-1, header.channels))


@functools.lru_cache(maxsize=_MEMORY_BLOCKS)
def _block(path: str, start: int, size: int, checksum: int) -> bytes:
    """Read a block of a file, unless it is in memory.

    Raises:
        OSError: it cannot be read.
        DamagedError: it is cut or altered.
    """
    with open(path, "rb", buffering=0) as stream:
        content = os.pread(stream.fileno(), size, start)
    if len(content) != size or zlib.crc32(content) != checksum:
        raise DamagedError
    return content
