"""What the programs in this folder share: from the mixture's file to those of the estimates.

Each is a program for `evalsuite run --system "NAME@LATENCYs=python NAME.py {mixture} {out} NAME"`.
It enhances speech and separates nothing: the one estimate is written under each of the names. On a
set of several talkers it stands for each of them, as the mixture does in the row `mixture`.
"""

import sys
from collections.abc import Callable
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


def frames_of(samples: Signal, length: int) -> NDArray[np.float32]:
    """Return consecutive frames (frames, length) of samples (time,), filled up by zeros."""
    return np.pad(samples, (0, -len(samples) % length)).reshape(-1, length)


def _resized(samples: Signal, length: int) -> Signal:
    """Return samples (time,) cut, or filled up by zeros, to a length."""
    return np.pad(samples[:length], (0, max(length - len(samples), 0)))
