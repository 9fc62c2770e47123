"""WebRTC's AEC3 (pywebrtc-audio 0.2.0) as a command: `webrtc_aec3.py MIXTURE FAR_END OUT`.

It reads two mono WAV files of 16, 32 or 48 kHz and writes OUT/near.wav. Its output is late: declare
the latency to `evalsuite run` (`webrtc_aec3@SECONDS=...`). It looks for the bulk delay itself.
"""

import sys

import numpy as np
import soundfile
from pywebrtc_audio import EchoCanceller


def main() -> None:
    """Cancel the echo of a far end in a mixture, frame by frame of 10 ms."""
    mixture_path, far_end_path, out = sys.argv[1:]
    (mixture, rate), (far_end, _) = (
        soundfile.read(p, dtype="float32") for p in (mixture_path, far_end_path)
    )
    frame = rate // 100
    canceller = EchoCanceller(sample_rate=rate, num_channels=1)
    padding = (0, -len(mixture) % frame)
    heard, played = (np.pad(samples, padding) for samples in (mixture, far_end))
    blocks = [
        np.asarray(canceller.process(heard[i : i + frame], played[i : i + frame])).ravel()
        for i in range(0, len(heard), frame)
    ]
    output = np.concatenate(blocks)[: len(mixture)]
    if np.issubdtype(output.dtype, np.integer):
        output = output / 2**15
    soundfile.write(f"{out}/near.wav", output, rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
