"""A file to be written: its samples, and its bytes, peak and hashes as they are needed."""

import functools
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mixgen.audio.formats import SampleFormat, encode_samples, samples_sha256
from mixgen.core.files import sha256_bytes


@dataclass(frozen=True, eq=False)
class EncodedFile:
    """Samples as `mixgen.audio.formats.file_samples` returns them, and the file that holds them.

    Attributes:
        samples: shape (time, channels).
        sample_rate: in Hz.
        sample_format: of the file.
    """

    samples: NDArray[Any]
    sample_rate: int
    sample_format: SampleFormat

    @functools.cached_property
    def content(self) -> bytes:
        """The bytes of the file; raises InputError where the format cannot hold the samples."""
        return encode_samples(self.samples, self.sample_rate, self.sample_format)

    @functools.cached_property
    def file_sha256(self) -> str:
        """The SHA-256 of the bytes."""
        return sha256_bytes(self.content)

    @functools.cached_property
    def sha256(self) -> str:
        """The SHA-256 of the samples."""
        return samples_sha256(self.samples)

    @functools.cached_property
    def peak(self) -> float:
        """The highest absolute sample, full scale 1.0."""
        lowest, highest = self.samples.min().item(), self.samples.max().item()
        scale = 1.0 if self.samples.dtype.kind == "f" else 2.0 ** (1 - 8 * self.samples.itemsize)
        return float(max(highest, -lowest) * scale)
