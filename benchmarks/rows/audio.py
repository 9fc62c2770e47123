"""What the programs in this folder share: from the mixture's file to those of the estimates.

Most are programs for `evalsuite run --system "NAME@LATENCYs=python NAME.py {mixture} {out} NAME"`.
They enhance speech and separate nothing: the one estimate is written under each of the names. On a
set of several talkers it stands for each of them, as the mixture does in the row `mixture`.

Echo cancellers are programs for `"NAME@LATENCYs=python NAME.py {mixture} {far_end} {out}"`.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

Signal = NDArray[np.float32]


def enhance_file(enhance: Callable[[Signal], Signal], sample_rate: int) -> None:
    """Enhance the file that the command line names, channel by channel.

    The estimates have the rate and the length of the mixture.

    Args:
        enhance: takes and returns the samples of a channel, (time,), at `sample_rate`; what it
            returns late stays late, and what it returns beyond the length is cut.
        sample_rate: at which the system works, in Hz.
    """
    mixture, out, *names = sys.argv[1:]
    samples, rate = soundfile.read(mixture, dtype="float32", always_2d=True)
    channels = [
        _resized(soxr.resample(enhance(given), sample_rate, rate), len(samples))
        for given in (soxr.resample(channel, rate, sample_rate) for channel in samples.T)
    ]
    estimate = np.stack(channels, axis=1)
    for name in names or ["speech"]:
        soundfile.write(Path(out, f"{name}.wav"), estimate, rate, subtype="FLOAT")


Frames = Iterator[tuple[Signal, Signal]]
"""Frames (length,) of the microphone, and of the far end at the same time."""


def cancel_file(frame_s: float, cancel: Callable[[Frames, int], Iterator[Signal]]) -> None:
    """Cancel the echo in the file that the command line names, frame by frame.

    The estimate has the rate and the length of the mixture; both files are mono.

    Args:
        frame_s: length of a frame in seconds.
        cancel: takes the frames and their rate in Hz, and yields frames without echo.
    """
    mixture_path, far_end_path, out = sys.argv[1:]
    mixture, rate = soundfile.read(mixture_path, dtype="float32")
    far_end, _ = soundfile.read(far_end_path, dtype="float32")
    length = round(frame_s * rate)
    frames = zip(frames_of(mixture, length), frames_of(far_end, length), strict=True)
    near = np.concatenate(list(cancel(frames, rate)))[: len(mixture)]
    soundfile.write(Path(out, "near.wav"), near, rate, subtype="FLOAT")


def frames_of(samples: Signal, length: int) -> NDArray[np.float32]:
    """Return consecutive frames (frames, length) of samples (time,), filled up by zeros."""
    return np.pad(samples, (0, -len(samples) % length)).reshape(-1, length)


def _resized(samples: Signal, length: int) -> Signal:
    """Return samples (time,) cut, or filled up by zeros, to a length."""
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
