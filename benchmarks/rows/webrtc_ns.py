"""The noise suppressor of WebRTC through pywebrtc-audio 0.2.0, at 16 kHz and its default level."""

import numpy as np
from audio import Signal, enhance_file, frames_of
from pywebrtc_audio import NoiseSuppressor

SAMPLE_RATE = 16000
FRAME = SAMPLE_RATE // 100


def enhance(samples: Signal) -> Signal:
    """Enhance samples (time,) at 16 kHz."""
    suppressor = NoiseSuppressor(sample_rate=SAMPLE_RATE)
    frames = frames_of(samples, FRAME)
    return np.concatenate([suppressor.process(np.ascontiguousarray(frame)) for frame in frames])


if __name__ == "__main__":
    enhance_file(enhance, SAMPLE_RATE)
