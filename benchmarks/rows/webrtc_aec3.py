"""WebRTC's AEC3 (pywebrtc-audio 0.2.0) as a command: `webrtc_aec3.py MIXTURE FAR_END OUT`.

It reads two mono WAV files of 16, 32 or 48 kHz and writes OUT/near.wav. Its output is late: declare
the latency to `evalsuite run` (`webrtc_aec3@SECONDS=...`). It looks for the bulk delay itself.
"""

from collections.abc import Iterator

import numpy as np
from audio import Frames, Signal, cancel_file
from pywebrtc_audio import EchoCanceller

FRAME_S = 0.01


def cancel(frames: Frames, rate: int) -> Iterator[Signal]:
    """Yield frames without echo."""
    canceller = EchoCanceller(sample_rate=rate, num_channels=1)
    for heard, played in frames:
        yield np.asarray(canceller.process(heard, played)).ravel()


if __name__ == "__main__":
    cancel_file(FRAME_S, cancel)
