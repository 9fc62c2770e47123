"""The weights in an ONNX file, read as plain data: no graph is built and nothing is run.

onnx.proto3 of the ONNX specification: a model holds a graph (field 7), whose initializers (field 5)
are tensors with dimensions (1), data type (2), name (8) and raw data (9).
"""

import math
from pathlib import Path

import torch

from baselines.model import Weights
from baselines.peers.protobuf import read_fields, read_packed
from mixgen.core.errors import InputError
from mixgen.core.files import machine_errors

_FLOAT = 1  # TensorProto.DataType


def read_onnx_weights(path: Path) -> Weights:
    """Return the single-precision initializers of an ONNX file by name, in the file's order.

    Raises:
        InputError: the file is no ONNX model, or is damaged.
    """
    with machine_errors(path):
        content = path.read_bytes()
    weights: Weights = {}
    try:
        for number, graph in read_fields(content):
            if number == 7 and isinstance(graph, bytes):
                for field, tensor in read_fields(graph):
                    if field == 5 and isinstance(tensor, bytes):
                        weights |= _read_tensor(tensor)
    except (IndexError, ValueError) as error:
        raise InputError(f"{path} is damaged, or no ONNX model ({error}).") from None
    if not weights:
        raise InputError(f"{path} holds no weights: give an ONNX model with its weights inside.")
    return weights


def _read_tensor(message: bytes) -> Weights:
    """Return one tensor by its name; nothing if it is not in single precision and raw."""
    shape: list[int] = []
    name, kind, data = "", 0, b""
    for number, value in read_fields(message):
        if number == 1:
            shape += read_packed(value)
        elif number == 2 and isinstance(value, int):
            kind = value
        elif number == 8 and isinstance(value, bytes):
            name = value.decode()
        elif number == 9 and isinstance(value, bytes):
            data = value
    if kind != _FLOAT or not data:
        return {}
    if len(data) != 4 * math.prod(shape):
        raise ValueError(f"{name} has {len(data)} bytes for the shape {shape}")
    return {name: torch.frombuffer(bytearray(data), dtype=torch.float32).reshape(shape)}
