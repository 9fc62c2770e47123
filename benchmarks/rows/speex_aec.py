"""Speex's echo canceller (pyaec 1.0.1) as a command: `speex_aec.py MIXTURE FAR_END OUT`.

It reads two mono WAV files and writes OUT/near.wav. Frames of 16 ms, a filter of 0.3 s (Speex looks
for no bulk delay), without the preprocessor that suppresses noise and residual echo. It adds no
delay: its output lines up with the microphone.
"""

from collections.abc import Iterator

import numpy as np
import pyaec
from audio import Frames, Signal, cancel_file

FRAME_S, FILTER_S = 0.016, 0.3
FULL_SCALE = 2**15


def cancel(frames: Frames, rate: int) -> Iterator[Signal]:
    """Yield frames without echo; Speex takes and returns 16-bit integers."""
    length = round(FRAME_S * rate)
    canceller = pyaec.Aec(length, round(FILTER_S * rate), rate, enable_preprocess=False)
    for signals in frames:
        heard, played = (
            np.clip(np.rint(s * FULL_SCALE), -FULL_SCALE, FULL_SCALE - 1).astype(int).tolist()
            for s in signals
        )
        yield np.array(canceller.cancel_echo(heard, played), np.float32) / np.float32(FULL_SCALE)


if __name__ == "__main__":
    cancel_file(FRAME_S, cancel)
