"""The linear mixture of a MUSDB18(-HQ) track, step by step and slowly.

Dataset: Rafii, Liutkus, Stöter, Mimilakis, Bittner, "The MUSDB18 corpus for music separation",
2017.
Behaviour: sigsep/sigsep-mus-db, target `linear_mixture` of musdb/configs/mus.yaml, commit c018167:
float64 stems, each times a gain of 1, added in the order vocals, bass, drums, other. Nothing writes
it to disk there; here it goes to `linear_mixture.wav` in float32, which holds every sum of four
16-bit stems exactly.

Known defects: the published mixture is not this sum. In MUSDB18 all five streams were coded to AAC
one by one; in MUSDB18-HQ the stems were rounded to 16 bit one by one.
"""

from pathlib import Path

import numpy as np
import soundfile

_ORDER = ("vocals", "bass", "drums", "other")


def linear_mixture(track: Path, out_folder: Path) -> None:
    """Write `<track>/linear_mixture.wav` from the four `<stem>.wav` of a track's folder."""
    stems = []
    for name in _ORDER:
        samples, rate = soundfile.read(track / f"{name}.wav", always_2d=True)
        stems.append(1.0 * samples)
    target = out_folder / track.name / "linear_mixture.wav"
    target.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(target, np.sum(np.array(stems), axis=0), rate, subtype="FLOAT")
