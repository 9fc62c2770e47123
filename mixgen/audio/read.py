"""Reading audio files with checks, and converting channels and sample rates."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mixgen.audio.mp3 import with_frame_count
from mixgen.core.errors import InputError
from mixgen.core.files import reading, scratch_file

Samples = NDArray[np.float64]  # (channels, time), full scale at 1.0

AUDIO_SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff", ".opus"}

# Streaming writers store these values in place of the length; their files are not cut.
_UNKNOWN_SIZES = {0, 0xFFFFFFFF, 0x7FFFFFFF, 2**64 - 1}
_UNKNOWN_FRAMES = 2**63 - 1  # what libsndfile says of FLAC whose writer could not go back

# Loudness is weighted by a filter with its knee at 1.5 kHz; converters go up to 768 kHz.
_RATES_HZ = (4_000, 768_000)
# Silence of FLAC is the shortest of all: 65 535 samples of a channel in more than 8 bytes.
_FRAMES_PER_BYTE = 8192
LOUDEST = 1000.0  # +60 dB full scale

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
        InputError: the file is missing, empty, or not audio that can be read; or its header has a
            sample rate that no audio has, or a length that the file cannot hold.
    """
    with _open(path) as file:
        return AudioInfo(file.frames, file.samplerate, file.channels)


def _open(path: Path) -> soundfile.SoundFile:
    path = Path(path)
    with reading(path):
        if not path.is_file():
            raise InputError(
                f"The audio file {path} does not exist: check the path and the corpus root."
            )
        with open(path, "rb"):  # libsndfile does not say why it cannot
            size = path.stat().st_size
        try:
            file = soundfile.SoundFile(path)
            if file.format == "MP3":
                file = _with_length(file, path)
        except (soundfile.LibsndfileError, RuntimeError) as error:
            raise InputError(f"{path} is not audio that can be read ({_reason(error)}).") from None
    try:
        _check_header(file, path, size)
    except InputError:
        file.close()
        raise
    return file


def _with_length(file: soundfile.SoundFile, path: Path) -> soundfile.SoundFile:
    """Return an MP3 file that knows its length: the same, or a copy with its frames counted."""
    counted = with_frame_count(path.read_bytes())
    if counted is None:
        return file
    file.close()
    with scratch_file() as stream:
        stream.write(counted)
        stream.seek(0)
        return soundfile.SoundFile(os.dup(stream.fileno()), closefd=True)


def _check_header(file: soundfile.SoundFile, path: Path, size: int) -> None:
    lowest, highest = _RATES_HZ
    if not lowest <= file.samplerate <= highest:
        raise InputError(
            f"{path} claims a sample rate of {file.samplerate} Hz: from {lowest} to {highest} Hz "
            "are allowed, so repair or remove it."
        )
    if file.frames == _UNKNOWN_FRAMES:
        raise InputError(f"{path} does not say how long it is: decode it and encode it again.")
    if file.frames > size * _FRAMES_PER_BYTE:
        raise InputError(
            f"{path} claims {file.frames} samples, which its {size} bytes cannot hold: repair or "
            "remove it."
        )


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
    path: Path,
    start_s: float,
    duration_s: float,
    *,
    to_end: bool = False,
    dtype: str = "float64",
) -> tuple[NDArray[Any], int]:
    """Read from `start_s` for `duration_s` seconds, cut to whole samples as Scaper cuts them.

    With `to_end`, an excerpt may end early with its file; otherwise that is an error. The samples
    are float64, or float32 with that `dtype`.

    Returns:
        The samples, shape (channels, time), and the sample rate in Hz.

    Raises:
        InputError: as `read_audio`, or a sample is too loud for `check_loudest`.
    """
    with _open(path) as file:
        start, stop = excerpt_bounds(start_s, duration_s, file.samplerate)
        stop = min(stop, file.frames) if to_end else stop
        samples = _read(file, path, start, stop, dtype)
        if not _holds_integers(file):
            check_loudest(samples, path)
        return samples, int(file.samplerate)


def excerpt_bounds(start_s: float, duration_s: float, sample_rate: int) -> tuple[int, int]:
    """Return the first sample of an excerpt and the one after its last, as Scaper cuts them."""
    return int(start_s * sample_rate), int((start_s + duration_s) * sample_rate)


def _read(
    file: soundfile.SoundFile, path: Path, start: int, stop: int, dtype: str = "float64"
) -> NDArray[Any]:
    if not 0 <= start <= stop <= file.frames:
        raise InputError(
            f"{path} has {file.frames} samples, but samples {start} to {stop} are requested: "
            "it differs from the file that was indexed."
        )
    try:
        begin = _decoding_start(file, start)
        if begin > 0 or not _holds_integers(file):  # libFLAC decodes a block for every seek
            file.seek(begin)
        # In one call: libmpg123 rounds differently when it is interrupted.
        stored = "int16" if file.subtype == "PCM_16" else "float64"
        samples = file.read(stop - begin, dtype=stored, always_2d=True)  # (time, channels)
        samples = samples[start - begin :]
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise InputError(f"{path} cannot be decoded ({_reason(error)}).") from None
    if len(samples) != stop - start:
        raise InputError(f"{path} is cut short: it holds {len(samples)} of {stop - start} samples.")
    if not _holds_integers(file) and samples.size and not math.isfinite(peak(samples)):
        raise InputError(f"{path} holds NaN or infinite samples: repair or remove it.")
    channels_first = np.ascontiguousarray(samples.T)
    if samples.dtype == np.int16:  # numpy is faster than libsndfile at this
        return np.asarray(np.multiply(channels_first, 2.0**-15, dtype=dtype))
    return channels_first.astype(dtype, copy=False)


def _decoding_start(file: soundfile.SoundFile, start: int) -> int:
    """Return the sample to decode from, so that `start` is what it is in the whole file."""
    if file.subtype in _DECODED_FROM_START:
        return 0
    if file.subtype == "VORBIS":
        return min(start, max(0, int(file.frames) - _LAST_PAGE))
    return start


def _holds_integers(file: soundfile.SoundFile) -> bool:
    """Return whether no sample can exceed full scale, or be no number."""
    return str(file.subtype).startswith("PCM_")


def check_loudest(samples: Samples, path: Path) -> None:
    """Refuse samples that are no sound: their squares, or what is left beside them, overflow.

    Raises:
        InputError: a sample is above +60 dB full scale.
    """
    if samples.size and peak(samples) > LOUDEST:
        raise InputError(
            f"{path} has a peak of {peak(samples):.3g}, and {LOUDEST:.0f} (+60 dB full scale) is "
            "the most: scale it down or remove it."
        )


def is_cut_short(path: Path) -> bool:
    """Return whether a WAV or AIFF file is shorter than its header declares.

    libsndfile reads a cut file without an error, as if it had always been that short.
    """
    with reading(path), open(path, "rb") as stream:
        head = stream.read(28)
        size = path.stat().st_size
    kind = head[:4], head[8:12]
    if kind == (b"RF64", b"WAVE"):  # more than 4 GiB: the size is in the first chunk
        declared = int.from_bytes(head[20:28], "little")
    elif kind in ((b"RIFF", b"WAVE"), (b"RIFX", b"WAVE"), (b"FORM", b"AIFF"), (b"FORM", b"AIFC")):
        declared = int.from_bytes(head[4:8], "little" if head[:4] == b"RIFF" else "big")
    else:
        return False
    return declared not in _UNKNOWN_SIZES and declared + 8 > size + 1


def peak(samples: NDArray[Any]) -> float:
    """Return the largest absolute value of samples of any shape, without a copy of them."""
    return float(max(samples.max(), -samples.min()))


def as_long(signal: NDArray[Any], frames: int) -> NDArray[Any]:
    """Return `frames` samples of a signal (..., time), followed by silence if it is shorter."""
    cut = signal[..., :frames]
    return np.pad(cut, [(0, 0)] * (cut.ndim - 1) + [(0, frames - cut.shape[-1])])


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
