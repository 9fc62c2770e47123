"""Reading audio files with checks, and converting channels and sample rates."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mixgen.core.errors import InputError

Samples = NDArray[np.float64]  # (channels, time), full scale at 1.0

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus"}

# Streaming writers store these values in place of the length; their files are not cut.
_UNKNOWN_RIFF_SIZES = {0, 0xFFFFFFFF, 0x7FFFFFFF}

# After a seek in these, libsndfile decodes other samples than from the start: a frame of MP3 needs
# bits of those before it, and an Opus decoder its history.
_DECODED_FROM_START = {"MPEG_LAYER_I", "MPEG_LAYER_II", "MPEG_LAYER_III", "OPUS"}
# A seek into the last page of Vorbis, which has at most 255 packets of 1024 samples, arrives beside
# the sample (libsndfile issue 885).
_LAST_PAGE = 1 << 18


@dataclass(frozen=True)
class AudioInfo:
    """The length, sample rate and channels in the header of an audio file."""

    frames: int
    sample_rate: int
    channels: int

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return self.frames / self.sample_rate


def audio_info(path: Path) -> AudioInfo:
    """Read the header of `path`.

    Raises:
        InputError: the file is missing, empty, or not audio that can be read.
    """
    with _open(path) as file:
        return AudioInfo(file.frames, file.samplerate, file.channels)


def _open(path: Path) -> soundfile.SoundFile:
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"The audio file {path} does not exist: check the path and the corpus root."
        )
    try:
        return soundfile.SoundFile(path)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"{path} is not audio that can be read ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).strip().rstrip(".")


def read_audio(path: Path, start: int = 0, frames: int | None = None) -> tuple[Samples, int]:
    """Read `frames` samples from sample `start` on, by default up to the end.

    Returns:
        The samples, shape (channels, time), float64, and the sample rate in Hz.

    Raises:
        InputError: the file is missing, unreadable or shorter than requested, or holds NaN or
            infinity.
    """
    with _open(path) as file:
        stop = file.frames if frames is None else start + frames
        return _read(file, path, start, stop), int(file.samplerate)


def read_excerpt(
    path: Path, start_s: float, duration_s: float, *, to_end: bool = False
) -> tuple[Samples, int]:
    """Read from `start_s` for `duration_s` seconds, cut to whole samples as Scaper cuts them.

    With `to_end`, an excerpt may end early with its file; otherwise that is an error.

    Returns:
        The samples, shape (channels, time), and the sample rate in Hz.

    Raises:
        InputError: as `read_audio`.
    """
    with _open(path) as file:
        start, stop = excerpt_bounds(start_s, duration_s, file.samplerate)
        stop = min(stop, file.frames) if to_end else stop
        return _read(file, path, start, stop), int(file.samplerate)


def excerpt_bounds(start_s: float, duration_s: float, sample_rate: int) -> tuple[int, int]:
    """Return the first sample of an excerpt and the one after its last, as Scaper cuts them."""
    return int(start_s * sample_rate), int((start_s + duration_s) * sample_rate)


def _read(file: soundfile.SoundFile, path: Path, start: int, stop: int) -> Samples:
    if not 0 <= start <= stop <= file.frames:
        raise InputError(
            f"{path} has {file.frames} samples, but samples {start} to {stop} are requested: "
            "it differs from the file that was indexed."
        )
    try:
        begin = _decoding_start(file, start)
        file.seek(begin)
        # In one call: libmpg123 rounds differently when it is interrupted.
        samples = file.read(stop - begin, dtype="float64", always_2d=True)  # (time, channels)
        samples = samples[start - begin :]
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"{path} cannot be decoded ({_reason(error)}).") from None
    if len(samples) != stop - start:
        raise InputError(f"{path} is cut short: it holds {len(samples)} of {stop - start} samples.")
    if not math.isfinite(samples.sum()):  # NaN and infinity spread to the sum
        raise InputError(f"{path} holds NaN or infinite samples: repair or remove it.")
    return np.ascontiguousarray(samples.T)


def _decoding_start(file: soundfile.SoundFile, start: int) -> int:
    """Return the sample to decode from, so that `start` is what it is in the whole file."""
    if file.subtype in _DECODED_FROM_START:
        return 0
    if file.subtype == "VORBIS":
        return min(start, max(0, int(file.frames) - _LAST_PAGE))
    return start


def is_cut_wav(path: Path) -> bool:
    """Return whether a RIFF/WAVE file is shorter than its header declares.

    libsndfile reads a cut file without an error, as if it had always been that short.
    """
    with open(path, "rb") as stream:
        head = stream.read(12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return False
    declared = int.from_bytes(head[4:8], "little")
    return declared not in _UNKNOWN_RIFF_SIZES and declared + 8 > path.stat().st_size + 1


def peak(samples: NDArray[Any]) -> float:
    """Return the largest absolute value of samples of any shape, without a copy of them."""
    return float(max(samples.max(), -samples.min()))


def to_channels(samples: Samples, channels: int) -> Samples:
    """Return `samples` with `channels` channels: the mean of several, or copies of a single one.

    Args:
        samples: shape (channels, time).
        channels: number of channels to return.

    Raises:
        InputError: the numbers of channels differ, and neither is 1.
    """
    if samples.shape[0] == channels:
        return samples
    if channels == 1:
        return np.asarray(samples.mean(axis=0, keepdims=True))
    if samples.shape[0] == 1:
        return np.repeat(samples, channels, axis=0)
    raise InputError(
        f"Cannot make {channels} channels from {samples.shape[0]}: keep their number, or convert "
        "several to 1 or 1 to several."
    )


def resample(samples: Samples, from_rate: int, to_rate: int) -> Samples:
    """Resample (channels, time) with soxr at quality HQ, which is that of sox's `rate -h`."""
    if from_rate == to_rate:
        return samples
    resampled = soxr.resample(samples.T, from_rate, to_rate, quality="HQ")  # (time, channels)
    return np.ascontiguousarray(resampled.T, dtype=np.float64)
