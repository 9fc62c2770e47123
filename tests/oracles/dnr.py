"""What Divide and Remaster v2's script writes from published annotations, step by step and slowly.

Paper: Petermann, Wichern, Wang, Le Roux, "The cocktail fork problem: three-stem audio separation
for real-world soundtracks", ICASSP 2022.
Behaviour: darius522/dnr-utils, compile_dataset.py with `alt_dir` set (it builds from annotations
then), commit 93d47e4; d895d48 mixes alike. Sources are what its standardization.py makes of
LibriVox, FMA and FSD50K.

Clips are read in float64, cut, scaled by `clip gain`, and added to the submix of their class.
Seconds become samples by int(): the fraction is dropped. A clip has the shortest of three lengths:
file, clip and place in the mixture. Background goes into sfx. The mixture is (music + sfx) + speech
in float64; all four files are float32, 60 s, mono.

Known defects: "clip start sample" and "clip end sample" hold seconds. `clip gain` was measured as
sum(after) / sum(before), which is ill-conditioned for signals without an offset, so a rebuilt set
differs from the published audio in level. The mixture is scaled by the clips' gains only: peak
normalisation and master level are in them. Stems sum within float32 rounding.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile

_RATE = 44100
_SECONDS = 60.0
_COLUMNS = [
    "file",
    "class",
    "mix_start_s",
    "mix_end_s",
    "clip_start_s",
    "clip_end_s",
    "gain",
    "annotation",
]


def dnr(annotations: Path, class_roots: dict[str, Path], out_folder: Path) -> None:
    """Write `<id>/{music,sfx,speech,mix}.wav` and the copied `annots.csv` below `out_folder`.

    `annotations` is `<id>/annots.csv`; `class_roots` maps music, speech, sfx and background to the
    folders in which a row's file lies, its first path part dropped.
    """
    length = int(_SECONDS * _RATE)
    submixes = {name: np.zeros(length) for name in ("music", "sfx", "background", "speech")}
    # The first of nine columns has no name: pandas takes it as the index.
    rows = pd.read_csv(annotations, names=_COLUMNS, skiprows=1)
    for _, row in rows.iterrows():
        _add_clip(submixes[row["class"]], class_roots[row["class"]], row)
    submixes["sfx"] += submixes.pop("background")
    stems = {name: submixes[name] for name in ("music", "sfx", "speech")}
    stems["mix"] = stems["music"] + stems["sfx"] + stems["speech"]
    folder = out_folder / annotations.parent.name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "annots.csv").write_bytes(annotations.read_bytes())
    for name, samples in stems.items():
        soundfile.write(folder / f"{name}.wav", samples, _RATE, subtype="FLOAT")


def _add_clip(submix: np.ndarray[Any, Any], root: Path, row: Any) -> None:
    samples, _ = soundfile.read(root / row["file"].split("/", 1)[1])
    mix_start, mix_end, clip_start, clip_end = (
        int(row[column] * _RATE)
        for column in ("mix_start_s", "mix_end_s", "clip_start_s", "clip_end_s")
    )
    length = min(len(samples), clip_end - clip_start, mix_end - mix_start)
    clip = samples[clip_start : clip_start + length] * float(row["gain"])
    submix[mix_start : mix_start + length] += clip
