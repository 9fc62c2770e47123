"""The weights in a checkpoint of TensorFlow, read as plain data and without TensorFlow.

A checkpoint is an index, `NAME.index`, and its data, `NAME.data-00000-of-00001`. The index is a
sorted table in LevelDB's format (table_format.md of LevelDB): blocks of entries whose keys share a
prefix with the one before, and a footer that says where the block with the places of all blocks is.
A key is the name of a variable; its value is a BundleEntryProto (tensor_bundle.proto of TensorFlow)
with data type (1), shape (2), shard (3), offset (4) and size (5).
"""

import math
import struct
from collections.abc import Iterator
from pathlib import Path

import torch

from baselines.model import Weights
from baselines.peers.protobuf import read_fields, read_varint
from mixgen.core.errors import InputError
from mixgen.core.files import machine_errors

_FLOAT = 1  # DataType
_MAGIC = 0xDB4775248B80FB57
_FOOTER = 48
_DATA = ".data-00000-of-00001"


def read_tensorflow_weights(folder: Path) -> Weights:
    """Return the single-precision variables of the checkpoint in a folder, by name.

    Raises:
        InputError: the folder holds no checkpoint, several, one in several parts, or a damaged one.
    """
    found = sorted(folder.glob("*.index"))
    if len(found) != 1:
        raise InputError(
            f"{folder} holds {len(found)} files `*.index`: give the folder of one checkpoint."
        )
    data_path = found[0].with_name(found[0].stem + _DATA)
    with machine_errors(folder):
        if not data_path.is_file():
            raise InputError(
                f"{data_path} is missing: give a checkpoint with its data in one file."
            )
        index, data = found[0].read_bytes(), data_path.read_bytes()
    weights: Weights = {}
    try:
        for key, value in _entries(index):
            weights |= _read_variable(key.decode(), value, data)
    except (IndexError, ValueError, struct.error) as error:
        raise InputError(f"{found[0]} is damaged, or no checkpoint ({error}).") from None
    return weights


def _entries(index: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a table."""
    footer = index[-_FOOTER:]
    if len(footer) < _FOOTER or struct.unpack("<Q", footer[-8:])[0] != _MAGIC:
        raise ValueError("it does not end as a table does")
    _, _, position = _read_handle(footer, 0)  # of the block about the table itself
    start, size, _ = _read_handle(footer, position)
    for _, place in _block(index, start, size):
        start, size, _ = _read_handle(place, 0)
        yield from _block(index, start, size)


def _read_handle(data: bytes, position: int) -> tuple[int, int, int]:
    """Return the start and the size of a block, and where the handle ends."""
    start, position = read_varint(data, position)
    size, position = read_varint(data, position)
    return start, size, position


def _block(index: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Yield the keys and values of a block; the number of its restart points is at the end."""
    block, compression = index[start : start + size], index[start + size]
    if compression:
        raise ValueError("its index is compressed")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    position, key = 0, b""
    while position < end:
        shared, position = read_varint(block, position)
        more, position = read_varint(block, position)
        length, position = read_varint(block, position)
        key = key[:shared] + block[position : position + more]
        position += more
        yield key, block[position : position + length]
        position += length


def _read_variable(name: str, entry: bytes, data: bytes) -> Weights:
    """Return one variable by its name; nothing if it is not in single precision."""
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: list[int] = []
    for number, value in read_fields(entry):
        if isinstance(value, int):
            numbers[number] = value
        elif number == 2:
            shape = [_size(axis) for field, axis in read_fields(value) if field == 2]
    if not name or numbers[1] != _FLOAT:
        return {}
    start, size = numbers[4], numbers[5]
    if size != 4 * math.prod(shape) or start + size > len(data):
        raise ValueError(f"{name} has {size} bytes for the shape {shape}")
    values = torch.frombuffer(bytearray(data[start : start + size]), dtype=torch.float32)
    return {name: values.reshape(shape)}


def _size(axis: int | bytes) -> int:
    """Return the size in a message about an axis of a shape."""
    fields = dict(read_fields(axis)) if isinstance(axis, bytes) else {}
    size = fields.get(1, 0)
    if not isinstance(size, int):
        raise ValueError("a shape without sizes")
    return size
