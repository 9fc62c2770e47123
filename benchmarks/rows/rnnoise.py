"""RNNoise through the library of pyrnnoise 0.4.5, frame by frame at 48 kHz.

Valin, "A hybrid DSP/deep learning approach to real-time full-band speech enhancement", MMSP 2018.
The library is called directly: the package's own function rounds the result to 16 bits.
"""

import ctypes
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from audio import Signal, enhance_file, frames_of

SAMPLE_RATE = 48000
FULL_SCALE = 32768  # samples are floats in the range of 16-bit integers


def enhance(samples: Signal) -> Signal:
    """Enhance samples (time,) at 48 kHz."""
    library = ctypes.CDLL(str(_library()))
    library.rnnoise_create.restype = ctypes.c_void_p
    library.rnnoise_process_frame.argtypes = [ctypes.c_void_p] * 3
    state = library.rnnoise_create(None)
    frames = np.ascontiguousarray(frames_of(FULL_SCALE * samples, library.rnnoise_get_frame_size()))
    for frame in frames:
        library.rnnoise_process_frame(state, frame.ctypes.data, frame.ctypes.data)
    enhanced: Signal = frames.ravel() / np.float32(FULL_SCALE)
    return enhanced


def _library() -> Path:
    """Return the path of the library, without the package's own import of an audio toolkit."""
    spec = find_spec("pyrnnoise")
    if spec is None or spec.origin is None:
        raise SystemExit("pyrnnoise is not installed: make rows")
    return Path(spec.origin).with_name("librnnoise.so")


if __name__ == "__main__":
    enhance_file(enhance, SAMPLE_RATE)
