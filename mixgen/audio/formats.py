"""Sample formats on disk, and the grid on which sources add up to the mixture exactly.

Every source is rounded once to a multiple of the format's step, and the mixture is the sum of the
rounded sources, so the files agree sample for sample. 32-bit float files use the 24-bit step: the
24-bit significand of a float holds its multiples below 1 without error.
"""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from mixgen.audio.compiled import kernels
from mixgen.core.errors import InputError
from mixgen.core.files import scratch_file, sha256_bytes, write_bytes
from mixgen.core.registry import choose
from mixgen.core.vocabulary import FormatName

MOST_STEPS = 2.0**30  # more than any format has, and few enough for int32


@dataclass(frozen=True)
class SampleFormat:
    """A way to store samples: container (by extension), soundfile subtype and bits of the grid."""

    name: FormatName
    extension: str
    subtype: str
    bits: int

    @property
    def step(self) -> float:
        """Distance between neighbouring sample values, full scale 1.0."""
        return 2.0 ** (1 - self.bits)

    @property
    def dtype(self) -> str:
        """Type of the samples as soundfile reads and writes them."""
        return {"FLOAT": "float32", "PCM_16": "int16", "PCM_24": "int32"}[self.subtype]


FORMATS: dict[str, SampleFormat] = {
    f.name: f
    for f in (
        SampleFormat("flac16", "flac", "PCM_16", 16),
        SampleFormat("flac24", "flac", "PCM_24", 24),
        SampleFormat("wav16", "wav", "PCM_16", 16),
        SampleFormat("wav24", "wav", "PCM_24", 24),
        SampleFormat("wav_float", "wav", "FLOAT", 24),
    )
}


def format_called(name: str) -> SampleFormat:
    """Return a sample format by its name.

    Raises:
        UsageError: no format has this name.
    """
    return choose(FORMATS, name, "format")


def to_grid(
    samples: NDArray[np.float64], sample_format: SampleFormat, *, gain: float = 1.0
) -> NDArray[np.int32]:
    """Round samples (any shape, full scale 1.0) times a gain to whole steps of a format.

    Values beyond 2^30 steps, which no format can hold, become that.
    """
    compiled = kernels()
    if compiled is None:
        steps = samples * gain
        steps /= sample_format.step
        np.clip(np.rint(steps, out=steps), -MOST_STEPS, MOST_STEPS, out=steps)
        return steps.astype(np.int32)
    whole = np.empty(samples.shape, np.int32)
    values = np.ascontiguousarray(samples, np.float64).ravel()
    compiled.round_to_steps(values, gain, 1.0 / sample_format.step, whole.ravel())
    return whole


def from_grid(steps: NDArray[np.int32], sample_format: SampleFormat) -> NDArray[np.float64]:
    """Return the sample values of whole `steps` (any shape), full scale 1.0."""
    return np.asarray(steps * sample_format.step, dtype=np.float64)


def file_samples(steps: NDArray[np.int32], sample_format: SampleFormat) -> NDArray[Any]:
    """Return (channels, time) `steps` as soundfile takes them, shape (time, channels).

    The SHA-256 of a file's samples covers the little-endian bytes of this array.
    """
    frames_first = np.ascontiguousarray(steps.T)
    if sample_format.subtype == "FLOAT":
        return from_grid(frames_first, sample_format).astype("<f4")
    if sample_format.bits == 16:
        return frames_first.astype("<i2")
    return (frames_first << 8).astype("<i4", copy=False)


def rounded_samples(
    samples: NDArray[np.floating], sample_format: SampleFormat, *, down: bool
) -> NDArray[Any]:
    """Round (channels, time) samples, full scale 1.0, to those of a file, shape (time, channels).

    With `down`, as libsndfile does where it clips: to steps of 32 bits, and from these downwards.
    Else to the nearest step, halves to the even one. Samples beyond full scale are cut off. Files
    of 32-bit floats hold every float as it is.
    """
    frames_first = np.ascontiguousarray(samples.T)
    if sample_format.subtype == "FLOAT":
        return frames_first.astype("<f4", copy=False)
    compiled = kernels()
    if compiled is not None and sample_format.bits == 16:
        whole = np.empty(frames_first.shape, "<i2")
        rounding = compiled.round_down_to_16_bits if down else compiled.round_to_16_bits
        rounding(frames_first.reshape(-1), whole.reshape(-1))
        return whole
    if down:
        fine = np.rint(np.clip(frames_first, -1.0, 1.0) * 2.0**31).astype(np.int64)
        steps = np.minimum(fine, 2**31 - 1) >> (32 - sample_format.bits)
    else:
        highest = 2 ** (sample_format.bits - 1)
        steps = np.clip(np.rint(frames_first * float(highest)), -highest, highest - 1)
    return file_samples(steps.astype(np.int32).T, sample_format)


def file_steps(samples: NDArray[Any], sample_format: SampleFormat) -> NDArray[np.int32]:
    """Return the whole steps (channels, time) of an array from `file_samples`."""
    if sample_format.subtype == "FLOAT":
        return to_grid(samples.T.astype(np.float64), sample_format)
    steps = samples.T.astype(np.int32)
    return steps >> 8 if sample_format.bits == 24 else steps


def samples_sha256(samples: NDArray[Any]) -> str:
    """Return the SHA-256 of an array from `file_samples` or `read_file_samples`."""
    return sha256_bytes(np.ascontiguousarray(samples).data)


def write_samples(
    path: Path, samples: NDArray[Any], sample_rate: int, sample_format: SampleFormat
) -> str:
    """Write an array from `file_samples` to `path`, completely or not at all.

    Returns:
        The SHA-256 of the file's bytes.

    Raises:
        InputError: the format cannot hold these samples or this sample rate.
        MachineError: the disk is full or the folder cannot be written.
    """
    content = encode_samples(samples, sample_rate, sample_format)
    write_bytes(path, content, flush=False)
    return sha256_bytes(content)


def encode_samples(samples: NDArray[Any], sample_rate: int, sample_format: SampleFormat) -> bytes:
    """Return the bytes of the file that holds an array from `file_samples`.

    The same samples give the same bytes.

    Raises:
        InputError: the format cannot hold these samples or this sample rate.
    """
    if sample_format.extension == "wav":
        bits = 32 if sample_format.subtype == "FLOAT" else sample_format.bits
        return encode_wav(samples, sample_rate, bits)
    return encode_flac(samples, sample_rate, sample_format.subtype)


def encode_flac(samples: NDArray[Any], sample_rate: int, subtype: str) -> bytes:
    """Return the bytes of a FLAC file with integer samples, shape (time, channels).

    Raises:
        InputError: FLAC cannot hold these samples or this sample rate.
    """
    with scratch_file() as stream:
        try:
            file = stream.fileno()
            soundfile.write(file, samples, sample_rate, subtype, format="FLAC", closefd=False)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise InputError(f"Cannot encode {sample_rate} Hz as FLAC: {error}.") from None
        stream.seek(0)
        return stream.read()


def read_file_samples(path: Path, sample_format: SampleFormat) -> NDArray[Any]:
    """Read a rendered file as the array from `file_samples`, shape (time, channels).

    Raises:
        soundfile.LibsndfileError: the file cannot be decoded.
    """
    samples, _ = soundfile.read(path, dtype=sample_format.dtype, always_2d=True)
    return np.asarray(samples)


_PCM, _FLOAT = 1, 3  # format codes in the header
_LARGEST_RIFF = 2**32 - 1  # bytes


def encode_wav(samples: NDArray[Any], sample_rate: int, bits: int) -> bytes:
    """Return the bytes of a RIFF/WAVE file.

    Args:
        samples: shape (time, channels): int16 for 16 bits, int32 with the value in the upper three
            bytes for 24 bits, float32 for 32 bits; little-endian, as from `file_samples`.
        sample_rate: in Hz.
        bits: bits per sample in the file: 16, 24 or 32 (float).

    Raises:
        InputError: the samples do not fit into the 4 GiB of a WAV file.

    Source: Microsoft and IBM, Multimedia Programming Interface and Data Specifications 1.0, 1991.
    """
    channels = samples.shape[1]
    data = _upper_three_bytes(samples) if bits == 24 else np.ascontiguousarray(samples)
    width = channels * bits // 8
    code = _FLOAT if samples.dtype.kind == "f" else _PCM
    head = struct.pack("<HHIIHH", code, channels, sample_rate, sample_rate * width, width, bits)
    chunks = [b"WAVE", *_chunk(b"fmt ", head)]
    if code == _FLOAT:
        chunks += _chunk(b"fact", struct.pack("<I", len(samples)))
    chunks += _chunk(b"data", data.reshape(-1).view(np.uint8).data)
    length = sum(map(len, chunks))
    if length > _LARGEST_RIFF:
        raise InputError(f"{data.nbytes / 2**30:.1f} GiB do not fit into a WAV file: use FLAC.")
    return b"".join([b"RIFF", struct.pack("<I", length), *chunks])


def _chunk(name: bytes, content: bytes | memoryview) -> list[bytes | memoryview]:
    return [name, struct.pack("<I", len(content)), content, bytes(len(content) % 2)]


def _upper_three_bytes(samples: NDArray[Any]) -> NDArray[np.uint8]:
    words = np.ascontiguousarray(samples).reshape(-1)
    octets = words.view(np.uint8).reshape(-1, 4)
    upper = np.empty((len(words), 3), np.uint8)
    compiled = kernels()
    done = 0
    if compiled is not None:
        done = len(words) // 4 * 4
        packed = upper[:done].reshape(-1).view(np.uint32)
        compiled.pack_upper_bytes(words[:done].view(np.uint32), packed)
    # One column at a time, because numpy is slow at copying rows of three bytes.
    for byte in range(3):
        upper[done:, byte] = octets[done:, byte + 1]
    return upper
