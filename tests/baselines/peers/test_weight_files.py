"""Weights of ONNX files and of TensorFlow's checkpoints, read as plain data."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from baselines.peers.onnx_weights import read_onnx_weights
from baselines.peers.tensorflow_weights import read_tensorflow_weights
from mixgen.core.errors import InputError

KERNEL = np.arange(6, dtype="<f4").reshape(2, 3)
BIAS = np.array([0.5, -1.5], dtype="<f4")


def varint(value: int) -> bytes:
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def tensor(name: str, values: np.ndarray, kind: int = 1) -> bytes:
    """A TensorProto; the shape of the first is packed, as newer writers do."""
    sizes = b"".join(varint(size) for size in values.shape)
    shape = field(1, sizes) if name == "kernel" else b"".join(field(1, n) for n in values.shape)
    return shape + field(2, kind) + field(8, name.encode()) + field(9, values.tobytes())


def onnx_model() -> bytes:
    tensors = [tensor("kernel", KERNEL), tensor("bias", BIAS), tensor("sizes", BIAS, kind=7)]
    graph = b"".join(field(5, each) for each in tensors)
    version = varint(1 << 3) + varint(8)
    return version + field(7, graph) + varint(13 << 3 | 5) + b"\0\0\0\0"


def test_an_onnx_file_has_its_weights_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_model())
    weights = read_onnx_weights(tmp_path / "model.onnx")
    assert list(weights) == ["kernel", "bias"]  # integers are no weights
    assert torch.equal(weights["kernel"], torch.from_numpy(KERNEL.copy()))
    assert torch.equal(weights["bias"], torch.from_numpy(BIAS.copy()))


@pytest.mark.parametrize("content", [b"", b"RIFF", onnx_model()[:40], field(7, b"")])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "model.onnx").write_bytes(content)
    with pytest.raises(InputError, match=r"model\.onnx (is damaged, or no|holds no weights)"):
        read_onnx_weights(tmp_path / "model.onnx")


def entry(values: np.ndarray, offset: int) -> bytes:
    """A BundleEntryProto."""
    shape = b"".join(field(2, field(1, size)) for size in values.shape)
    return field(1, 1) + field(2, shape) + field(4, offset) + field(5, values.nbytes)


def block(entries: list[tuple[int, bytes, bytes]]) -> bytes:
    """A block of LevelDB, of (shared, rest of the key, value), uncompressed."""
    body = b"".join(
        varint(shared) + varint(len(key)) + varint(len(value)) + key + value
        for shared, key, value in entries
    )
    return body + struct.pack("<II", 0, 1)


def write_checkpoint(folder: Path, compression: int = 0) -> None:
    data = BIAS.tobytes() + KERNEL.tobytes()
    (folder / "model.data-00000-of-00001").write_bytes(data)
    variables = block(
        [
            (0, b"", field(1, 1)),  # the header of the bundle
            (0, b"layer/bias", entry(BIAS, 0)),
            (6, b"kernel", entry(KERNEL, BIAS.nbytes)),
        ]
    )
    trailer = bytes([compression]) + b"crc "
    places = block([(0, b"m", varint(0) + varint(len(variables)))])
    start = len(variables) + len(trailer)
    handles = varint(0) + varint(0) + varint(start) + varint(len(places))
    footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    content = variables + trailer + places + bytes(5) + footer
    (folder / "model.index").write_bytes(content)


def test_a_checkpoint_of_tensorflow_has_its_variables_by_name(tmp_path: Path) -> None:
    write_checkpoint(tmp_path)
    weights = read_tensorflow_weights(tmp_path)
    assert list(weights) == ["layer/bias", "layer/kernel"]
    assert torch.equal(weights["layer/kernel"], torch.from_numpy(KERNEL.copy()))
    assert torch.equal(weights["layer/bias"], torch.from_numpy(BIAS.copy()))


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds 0 files"):
        read_tensorflow_weights(tmp_path)
    write_checkpoint(tmp_path, compression=1)
    with pytest.raises(InputError, match="its index is compressed"):
        read_tensorflow_weights(tmp_path)
    write_checkpoint(tmp_path)
    data = tmp_path / "model.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(InputError, match="layer/kernel has 24 bytes"):
        read_tensorflow_weights(tmp_path)
    data.unlink()
    with pytest.raises(InputError, match="is missing"):
        read_tensorflow_weights(tmp_path)
    (tmp_path / "model.index").write_bytes(b"no table")
    data.touch()
    with pytest.raises(InputError, match="does not end as a table does"):
        read_tensorflow_weights(tmp_path)
