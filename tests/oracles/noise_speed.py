"""WHAM!'s training noises 0.8 and 1.2 times as fast, as LibriMix mixes them in train-360.

Paper: Cosentino, Pariente, Cornell, Deleforge, Vincent, "LibriMix: an open-source dataset for
generalizable speech separation", arXiv:2005.11262, 2020.
Behaviour: JorisCos/LibriMix, scripts/augment_train_noise.py of commit 60199d7, which calls pysndfx
0.3.6, which calls SoX. The first channel goes to SoX as float64 and is called 44.1 kHz; the effect
`speed` calls it 0.8 or 1.2 times as high, and SoX resamples that to 44.1 kHz. Float64 comes back,
which libsndfile writes as int16 at 16 kHz, rounding down.

Known defects: SoX works in 32 bits, so float64 is one in name only; the resampler is that of the
installed SoX; pysndfx 0.3.6 calls numpy.fromstring, which newer versions of numpy refuse for bytes.
"""

import subprocess
from pathlib import Path

import numpy as np
import soundfile


def speed_copy(noise: Path, factor: float) -> Path:
    """Write the noise `factor` times as fast beside it; return `<name>sp08.wav` for 0.8."""
    samples, rate = soundfile.read(noise, always_2d=True)
    form = ["-t", "f64", "-r", "44100", "-c", "1", "-"]
    command = ["sox", "-N", "-V1", *form, *form, "speed", str(factor)]
    done = subprocess.run(command, input=samples[:, 0].tobytes(), capture_output=True, check=True)
    target = noise.with_name(f"{noise.stem}sp{str(factor).replace('.', '')}.wav")
    soundfile.write(target, np.frombuffer(done.stdout, np.float64), rate)
    return target
