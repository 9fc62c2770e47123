"""What the official VCTK-2mix script writes for its list, step by step and slowly.

Paper: Cosentino, Pariente, Cornell, Deleforge, Vincent, "LibriMix: an open-source dataset for
generalizable speech separation", arXiv:2005.11262, 2020 (VCTK-2mix is its second test set).
Behaviour: JorisCos/VCTK-2Mix, scripts/create_VCTKmix_from_metadata.py of commit 41fc4f7 (the list
VCTK2mix_VCTK_md.csv is of that commit too), and for the sources scripts/preprocesing.py of commit
122fdff: the quiet beginning is cut off, 48 kHz become 16 kHz. Not taken: the first commit 40120d0,
which read the whole noise (so that max mode lasted as long as it) and had another list,
VCTK2mix_md.csv; and 768e074, which names the folder of the cut sources wav16_cut_fixed.

The script is LibriMix's before that learnt to extend a noise: the noise is cut to the longest
talker but never extended. A shorter noise can end the mixture in min mode; max mode pads it.

Known defects: those of LibriMix (floor instead of rounding, so stems do not sum on disk; mix_clean
alone stops). How much of a beginning is quiet depends on the librosa of the day, which mirrored the
signal at its ends up to 0.9 and pads with zeros since 0.10; the list was made with the former.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import resample_poly

from tests.oracles.librimix import first_channel, write_split


def vctk2mix(
    metadata: Path,
    vctk_root: Path,
    wham_root: Path,
    out_folder: Path,
    *,
    rates: Sequence[int] = (8000, 16000),
    modes: Sequence[str] = ("min", "max"),
    types: Sequence[str] = ("mix_clean", "mix_both", "mix_single"),
) -> None:
    """Write `VCTK2Mix/wav8k/min/<split>/...` and its CSV files below `out_folder`.

    `metadata` is `VCTK2mix_VCTK_md.csv`; what follows `VCTK2mix_` in its name is the split's
    folder. `vctk_root` holds `wav16_cut/`, see `cut_vctk`.
    """
    write_split(
        metadata,
        vctk_root,
        wham_root,
        out_folder / "VCTK2Mix",
        metadata.stem.replace("VCTK2mix_", "").replace("-clean", ""),
        talkers=2,
        read_noise=first_channel,
        rates=rates,
        modes=modes,
        types=types,
    )


def cut_vctk(wav48: Path, wav16_cut: Path) -> None:
    """Write every 48 kHz recording without its quiet beginning, at 16 kHz, into one folder.

    A frame has 2048 samples around a multiple of 512, the signal mirrored at its ends. The new
    beginning is the middle of the first frame whose power is less than 20 dB below the highest.
    """
    wav16_cut.mkdir(parents=True, exist_ok=True)
    for path in sorted(wav48.rglob("*.wav")):
        samples, _ = soundfile.read(path)
        padded = np.pad(samples, 1024, mode="reflect")
        starts = range(0, len(padded) - 2048 + 1, 512)
        power = np.array([np.mean(padded[start : start + 2048] ** 2) for start in starts])
        power_db = 10 * np.log10(np.maximum(power, 1e-10))
        first = int(np.argmax(power_db - power_db.max() > -20)) * 512
        soundfile.write(wav16_cut / path.name, resample_poly(samples[first:], 16000, 48000), 16000)
