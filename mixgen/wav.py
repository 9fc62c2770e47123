"""WAV files in memory: the same samples give the same bytes everywhere, and quickly.

libsndfile writes a time stamp into every file of 32-bit float samples, which these have not.
"""

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mixgen.errors import InputError

_PCM, _FLOAT = 1, 3
_LARGEST_RIFF = 2**32 - 1


def encode_wav(samples: NDArray[Any], sample_rate: int, bits: int) -> bytes:
    """Return a RIFF/WAVE file.

    Args:
        samples: shape (time, channels): int16 for 16 bits, int32 with the value in the upper three
            bytes for 24 bits, float32 for 32 bits; little-endian, as `formats.file_samples` has it.
        sample_rate: in Hz.
        bits: of one sample in the file: 16, 24 or 32 (float).

    Raises:
        InputError: the samples do not fit into the 4 GiB of a WAV file.

    Source: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991.
    """
    channels = samples.shape[1]
    data = _upper_three_bytes(samples) if bits == 24 else samples.tobytes()
    width = channels * bits // 8
    code = _FLOAT if samples.dtype.kind == "f" else _PCM
    head = struct.pack("<HHIIHH", code, channels, sample_rate, sample_rate * width, width, bits)
    body = b"WAVE" + _chunk(b"fmt ", head)
    if code == _FLOAT:
        body += _chunk(b"fact", struct.pack("<I", len(samples)))
    if len(body) + len(data) + 9 > _LARGEST_RIFF:
        raise InputError(f"{len(data) / 2**30:.1f} GiB do not fit into a WAV file: use FLAC.")
    return _chunk(b"RIFF", body + _chunk(b"data", data))


def _chunk(name: bytes, content: bytes) -> bytes:
    return b"".join((name, struct.pack("<I", len(content)), content, bytes(len(content) % 2)))


def _upper_three_bytes(samples: NDArray[Any]) -> bytes:
    of_four = np.ascontiguousarray(samples).view(np.uint8).reshape(-1, 4)
    of_three = np.empty((len(of_four), 3), np.uint8)
    for byte in range(3):
        of_three[:, byte] = of_four[:, byte + 1]
    return of_three.tobytes()
