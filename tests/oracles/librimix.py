"""What the official LibriMix script writes for one list, step by step and slowly.

Paper: Cosentino, Pariente, Cornell, Deleforge, Vincent, "LibriMix: an open-source dataset for
generalizable speech separation", arXiv:2005.11262, 2020.
Behaviour: JorisCos/LibriMix, scripts/create_librimix_from_metadata.py of commit bed26f4, which
b898ca3, the commit of the lists, runs. Not taken: commit 09d4b8a of the open pull request 22, whose
CSV files have a further column original_mixture_ID; and the first commits, which did not extend a
noise that is shorter than the longest talker.

Order: read float32, extend a short noise, gain, resample, cut or pad, add, write. Number types:
a gain is a Python float, so a float32 signal stays float32 (the gain is rounded to float32 too).
The crossfade's window is float64, so an extended noise is float64 from there on; the mixture stays
float32 and takes the noise's float64 samples with one rounding a sample.

libsndfile writes int16: it clips to full scale and takes the integer below 2^15 x (the floor), not
the nearest one.

Known defects: because of that floor, and where a file clips, the stems do not sum to the mixture on
disk (they sum within n steps of 2^-15). `--types mix_clean` alone stops the official script, which
makes no folder for the noise and then writes one (its issue 20); here the noise is left out then.
The digits in metrics_*.csv depend on the installation: numpy 1 computed them in float64. numpy 2
computes in float32, and in float64 for an extended noise; then pandas gives a column the type that
its first row has, so that one extended noise in the first row makes all of them longer.
A noise of 8001 samples or fewer cannot be extended: the official loop stops with an error or never.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

Signal = np.ndarray[Any, Any]
NoiseReader = Callable[[Path, int], Signal]
"""Takes a file and the length of the longest talker; returns the noise as float32 or float64."""

_SOURCE_RATE = 16000
_FADE = 8001
"""Samples of a crossfade: the half of a Hann window of 16001 samples, its middle included."""
_EPS = 1e-10


def librimix(
    metadata: Path,
    librispeech_root: Path,
    wham_root: Path,
    out_folder: Path,
    *,
    rates: Sequence[int] = (8000, 16000),
    modes: Sequence[str] = ("min", "max"),
    types: Sequence[str] = ("mix_clean", "mix_both", "mix_single"),
) -> None:
    """Write `Libri<n>Mix/wav8k/min/<split>/...` and its CSV files below `out_folder`.

    `metadata` is a `libri<n>mix_<subset>.csv`; the split's folder is its name without `-clean`.
    """
    prefix, subset = metadata.stem.split("_", 1)
    talkers = int(prefix.removeprefix("libri").removesuffix("mix"))
    write_split(
        metadata,
        librispeech_root,
        wham_root,
        out_folder / f"Libri{talkers}Mix",
        subset.replace("-clean", ""),
        talkers=talkers,
        read_noise=_read_noise,
        rates=rates,
        modes=modes,
        types=types,
    )


def _read_noise(path: Path, longest: int) -> Signal:
    """Return as much noise as the longest talker has samples."""
    noise = first_channel(path, stop=longest)
    return noise if len(noise) == longest else extended(noise, longest)


def write_split(
    metadata: Path,
    speech_root: Path,
    wham_root: Path,
    set_folder: Path,
    split: str,
    *,
    talkers: int,
    read_noise: NoiseReader,
    rates: Sequence[int],
    modes: Sequence[str],
    types: Sequence[str],
) -> None:
    """Write every mixture of a list in every variant, and the CSV files of the split."""
    rows = [row for _, row in pd.read_csv(metadata, engine="python").iterrows()]
    for rate in rates:
        for mode in modes:
            folder = set_folder / f"wav{rate // 1000}k" / mode
            tables = Tables(talkers, types)
            for row in rows:
                speech, noise = scaled_sources(row, talkers, speech_root, wham_root, read_noise)
                resampled = [resample_poly(s, rate, _SOURCE_RATE) for s in [*speech, noise]]
                stems = fitted(resampled, mode)
                write_mixture(folder / split, row["mixture_ID"], stems, rate, tables)
            tables.write(folder / "metadata", split)


def first_channel(path: Path, stop: int) -> Signal:
    """Return the first channel of a file as float32, up to `stop`."""
    samples: Signal = soundfile.read(path, dtype="float32", always_2d=True, stop=stop)[0]
    return samples[:, 0]


def extended(noise: Signal, length: int) -> Signal:
    """Return the noise repeated with a crossfade of 8001 samples each time, in float64."""
    if len(noise) <= _FADE:
        raise ValueError(f"a noise of {len(noise)} samples cannot be extended; {_FADE + 1} can")
    rising = np.hanning(2 * _FADE - 1)[:_FADE]
    falling = rising[::-1]
    longer = noise
    while len(longer) < length:
        seam = longer[-_FADE:] * falling + noise[:_FADE] * rising
        longer = np.concatenate((longer[:-_FADE], seam, noise[_FADE:]))
    return longer[:length]


def scaled_sources(
    row: Any, talkers: int, speech_root: Path, wham_root: Path, read_noise: NoiseReader
) -> tuple[list[Signal], Signal]:
    """Return the talkers and the noise of a row at 16 kHz, at their levels."""
    speech = [
        soundfile.read(speech_root / row[f"source_{i}_path"], dtype="float32")[0]
        for i in range(1, talkers + 1)
    ]
    noise = read_noise(wham_root / row["noise_path"], max(len(samples) for samples in speech))
    sources = [samples * row[f"source_{i}_gain"] for i, samples in enumerate(speech, start=1)]
    return sources, noise * row["noise_gain"]


def fitted(signals: Sequence[Signal], mode: str) -> list[Signal]:
    """Return the signals cut to the shortest (min) or padded with zeros to the longest (max)."""
    lengths = [len(signal) for signal in signals]
    if mode == "min":
        return [signal[: min(lengths)] for signal in signals]
    return [np.pad(signal, (0, max(lengths) - len(signal))) for signal in signals]


def mixed(stems: Sequence[Signal]) -> Signal:
    """Return the sum, one stem after the other, in the number type of the first one."""
    total = np.zeros_like(stems[0])
    for stem in stems:
        total += stem
    return total


def write_mixture(
    split: Path, name: str, stems: Sequence[Signal], rate: int, tables: "Tables"
) -> None:
    """Write the talkers, the noise (the last stem) and the mixtures of one row."""
    *speech, noise = stems
    paths = {}
    for label, samples in zip(tables.stem_folders, stems, strict=False):
        paths[label] = _write(split / label / f"{name}.wav", samples, rate)
    for kind in tables.types:
        parts = {"mix_clean": speech, "mix_both": stems, "mix_single": [speech[0], noise]}[kind]
        mixture = mixed(parts)
        path = _write(split / kind / f"{name}.wav", mixture, rate)
        tables.add(kind, name, path, paths, parts, mixture)


def _write(path: Path, samples: Signal, rate: int) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate)
    return str(path.absolute())


def snr_db(stem: Signal, mixture: Signal) -> Any:
    """Return the level of a stem against the rest of the mixture, in dB."""
    rest = mixture - stem
    return 10 * np.log10(np.mean(stem**2) / (np.mean(rest**2) + _EPS) + _EPS)


class Tables:
    """The rows of `mixture_<split>_<type>.csv` and `metrics_<split>_<type>.csv`."""

    def __init__(self, talkers: int, types: Sequence[str]) -> None:
        self.types = list(types)
        speech = [f"source_{i + 1}" for i in range(talkers)]
        self._parts = {
            "mix_clean": speech,
            "mix_both": [*speech, "noise"],
            "mix_single": ["source_1", "noise"],
        }
        self.stem_folders = [f"s{i + 1}" for i in range(talkers)]
        if self.types != ["mix_clean"]:
            self.stem_folders.append("noise")
        self._mixtures = {kind: self._empty(kind, "path", "length") for kind in types}
        self._metrics = {kind: self._empty(kind, "SNR") for kind in types}

    def _empty(self, kind: str, what: str, *last: str) -> pd.DataFrame:
        first = ["mixture_ID", "mixture_path"] if what == "path" else ["mixture_ID"]
        frame = pd.DataFrame()
        for column in [*first, *(f"{part}_{what}" for part in self._parts[kind]), *last]:
            frame[column] = {}
        return frame

    def add(
        self,
        kind: str,
        name: str,
        path: str,
        stem_paths: dict[str, str],
        parts: Sequence[Signal],
        mixture: Signal,
    ) -> None:
        """Add the row of one mixture to both tables of its type."""
        folders = [part.replace("source_", "s") for part in self._parts[kind]]
        paths = [stem_paths[folder] for folder in folders]
        mixtures, metrics = self._mixtures[kind], self._metrics[kind]
        mixtures.loc[len(mixtures)] = [name, path, *paths, len(mixture)]
        metrics.loc[len(metrics)] = [name, *(snr_db(part, mixture) for part in parts)]

    def write(self, folder: Path, split: str) -> None:
        """Write the tables of every type."""
        folder.mkdir(parents=True, exist_ok=True)
        for kind in self.types:
            self._mixtures[kind].to_csv(folder / f"mixture_{split}_{kind}.csv", index=False)
            self._metrics[kind].to_csv(folder / f"metrics_{split}_{kind}.csv", index=False)
