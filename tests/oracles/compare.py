"""How many samples of two rendered trees differ."""

from pathlib import Path

import numpy as np
import soundfile


def differing_samples(expected: Path, found: Path) -> dict[str, int]:
    """Return the differing samples of every WAV file in either tree, by its path.

    A file that is in one tree only, or has another length, rate, channel count or sample format,
    differs in all samples of the expected (or else the found) file.
    """
    paths = {
        path.relative_to(root).as_posix()
        for root in (expected, found)
        for path in root.rglob("*.wav")
    }
    return {path: _differing(expected / path, found / path) for path in sorted(paths)}


def _differing(expected: Path, found: Path) -> int:
    known = [soundfile.info(path) for path in (expected, found) if path.exists()]
    forms = {(info.frames, info.samplerate, info.channels, info.subtype) for info in known}
    if len(known) < 2 or len(forms) > 1:
        return int(known[0].frames) * int(known[0].channels)
    left, right = (soundfile.read(path, dtype="float64")[0] for path in (expected, found))
    return int(np.count_nonzero(left != right))
