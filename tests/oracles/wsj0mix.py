"""What the public wsj0-mix script writes for one list, step by step and slowly.

Paper: Hershey, Chen, Le Roux, Watanabe, "Deep clustering: discriminative embeddings for
segmentation and separation", ICASSP 2016; four and five talkers: Nachmani, Adi, Wolf, "Voice
separation with an unknown number of multiple speakers", ICML 2020.
Behaviour: mpariente/pywsj0-mix, generate_wsjmix.py of commit 1261845. The lists are those of commit
6ca4c92. Older commits (4b79c57) divide by the active level instead of its square root, round the
names to four digits and let libsndfile convert to int16; 1261845 is the one that was verified
against the MATLAB original (about 70 dB between the two: their resamplers differ).

Number types: sources are read and resampled in float32; zero padding makes everything after it
float64. int16 values are the nearest integers of 2^15 x; ties go to the even one (MATLAB: away from
zero). One gain for the mixture and all talkers brings their largest peak to 0.9, or full scale to
0.9 where no peak reaches it; min and max mode have a gain each, from the samples that they keep.

Known defects: talkers are rounded one by one, so they sum to the mixture within n/2 + 1/2 steps of
2^-15 only; a list is read with pandas, whose numbers can miss the nearest float64 by one bit; and
since scipy 1.5 resample_poly filters float32 in float32, so older installations differ in a step.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

_WSJ0_RATE = 16000


def wsj0mix(
    list_file: Path,
    activlev: Path,
    wsj0_root: Path,
    out_folder: Path,
    *,
    rates: tuple[int, ...] = (8000,),
    modes: tuple[str, ...] = ("min", "max"),
) -> None:
    """Write `<n>speakers/wav8k/min/<split>/{mix,s1,...}/<name>.wav` below `out_folder`.

    `list_file` is a `mix_<n>_spk_<split>.txt`, `activlev` the folder of `activlev_*.txt`,
    `wsj0_root` the folder that holds `wsj0/`.
    """
    _, talkers_text, _, split = list_file.stem.split("_")
    talkers = int(talkers_text)
    active_power = _active_power(activlev)
    for _, row in _rows(list_file, talkers).iterrows():
        paths = [row[f"path_{i}"] for i in range(talkers)]
        gains_db = [row[f"gain_{i}"] for i in range(talkers)]
        powers = [active_power[_utterance(path)] for path in paths]
        name = mixture_name(paths, gains_db)
        for rate in rates:
            sources = _sources(wsj0_root, paths, gains_db, powers, rate)
            for mode in modes:
                folder = out_folder / f"{talkers}speakers" / f"wav{rate // 1000}k" / mode / split
                _write(folder, name, _kept(sources, mode), rate)


def mixture_name(paths: list[str], gains_db: list[float]) -> str:
    """Return the file name: utterances and gains in turn, gains in eight significant digits."""
    parts: list[str] = []
    for path, gain_db in zip(paths, gains_db, strict=True):
        parts += [_utterance(path), f"{gain_db:.8g}"]
    return "_".join(parts) + ".wav"


def _utterance(path: str) -> str:
    return path.split("/")[-1].replace(".wav", "")


def _rows(list_file: Path, talkers: int) -> pd.DataFrame:
    """Return the list's rows: path_0, gain_0, path_1, ...; gains in dB."""
    columns = [f"{what}_{i}" for i in range(talkers) for what in ("path", "gain")]
    with warnings.catch_warnings():
        # The lists of two and three talkers end every line with a blank: an empty extra column.
        warnings.simplefilter("ignore", pd.errors.ParserWarning)
        return pd.read_csv(list_file, delimiter=" ", names=columns, index_col=False)


def _active_power(activlev: Path) -> dict[str, float]:
    """Return the active speech level (ITU-T P.56) of every utterance, as a power."""
    power: dict[str, float] = {}
    for table in sorted(activlev.glob("*.txt")):
        rows = pd.read_csv(table, delimiter=" ", names=["utterance", "power"], index_col=False)
        power.update(zip(rows["utterance"], rows["power"], strict=True))
    return power


def _sources(
    wsj0_root: Path, paths: list[str], gains_db: list[float], powers: list[float], rate: int
) -> list[np.ndarray[Any, Any]]:
    """Return the talkers at their levels, each of its own length: read, resample, scale."""
    scaled = []
    for path, gain_db, power in zip(paths, gains_db, powers, strict=True):
        samples, _ = soundfile.read(wsj0_root / path, dtype="float32")
        resampled = resample_poly(samples, rate, _WSJ0_RATE).astype(np.float64)
        scaled.append(resampled / np.sqrt(power) * 10.0 ** (gain_db / 20))
    return scaled


def _kept(sources: list[np.ndarray[Any, Any]], mode: str) -> np.ndarray[Any, Any]:
    """Return the talkers (talker, sample) cut to the shortest or padded to the longest."""
    lengths = [len(source) for source in sources]
    if mode == "min":
        return np.stack([source[: min(lengths)] for source in sources])
    return np.stack([np.pad(source, (0, max(lengths) - len(source))) for source in sources])


def _write(folder: Path, name: str, sources: np.ndarray[Any, Any], rate: int) -> None:
    mixture = np.zeros(sources.shape[1])
    for source in sources:
        mixture = mixture + source
    peak = max(np.max(np.abs(mixture)), np.max(np.abs(sources)))
    gain = max(1.0, peak) / 0.9
    labels = ["mix"] + [f"s{i + 1}" for i in range(len(sources))]
    for label, samples in zip(labels, [mixture, *sources], strict=True):
        (folder / label).mkdir(parents=True, exist_ok=True)
        steps = np.round(2**15 * (samples / gain)).astype(np.int16)
        soundfile.write(folder / label / name, steps, rate, subtype="PCM_16")
