"""Speex's echo canceller (pyaec 1.0.1) as a command: `speex_aec.py MIXTURE FAR_END OUT`.

It reads two mono WAV files and writes OUT/near.wav. Frames of 16 ms, a filter of 0.3 s (Speex looks
for no bulk delay), without the preprocessor that suppresses noise and residual echo. It adds no
delay: its output lines up with the microphone.
"""

import sys

import numpy as np
import pyaec
import soundfile

FRAME_S, FILTER_S = 0.016, 0.3


def main() -> None:
    """Cancel the echo of a far end in a mixture, frame by frame."""
    mixture_path, far_end_path, out = sys.argv[1:]
    (mixture, rate), (far_end, _) = (soundfile.read(p) for p in (mixture_path, far_end_path))
    frame = round(FRAME_S * rate)
    canceller = pyaec.Aec(frame, round(FILTER_S * rate), rate, enable_preprocess=False)
    padding = (0, -len(mixture) % frame)
    signals = (np.pad(samples, padding) for samples in (mixture, far_end))
    heard, played = (np.clip(np.rint(s * 2**15), -(2**15), 2**15 - 1).astype(int) for s in signals)
    blocks = [
        canceller.cancel_echo(heard[i : i + frame].tolist(), played[i : i + frame].tolist())
        for i in range(0, len(heard), frame)
    ]
    output = np.concatenate(blocks)[: len(mixture)] / 2**15
    soundfile.write(f"{out}/near.wav", output, rate, subtype="FLOAT")


if __name__ == "__main__":
    main()
