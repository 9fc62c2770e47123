"""What the official WHAM! script writes for one split, step by step and slowly.

Paper: Wichern, Antognini, Flynn, Zhu, McQuinn, Crow, Manilow, Le Roux, "WHAM!: extending speech
separation to noisy environments", Interspeech 2019.
Behaviour: create_wham_from_scratch.py as published by its authors, read in the mirror
boeddeker/wham_scripts, commit 80301f3. The arithmetic of create_wham_from_wsjmix.py is the same
from the int16 samples of wsj0-2mix on.

Order for a talker: read float64, first channel, resample to 8 kHz if asked, scale to its level in
wsj0-2mix, round to int16 (ties to even) and back, scale to its level against the noise, cut or pad
the pair. For the noise: read, first channel, resample, scale. In min mode the noise is cut to the
samples beside the speech; in max mode the speech is laid into zeros of the noise's length. The
start is given at 16 kHz and halved downwards at 8 kHz. All of it is float64; files are float32.

Known defects: mixtures are added in float64 and stored in float32, so stems sum to the mixture
within float32 rounding only; the rounding to int16 wraps round where a talker exceeds full scale; a
mixture of the file list without scales in the npz file is left out without a word.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import resample_poly

Signal = np.ndarray[Any, Any]


def wham(
    filenames: Path,
    wsj0_root: Path,
    wham_noise_root: Path,
    out_folder: Path,
    *,
    rates: tuple[int, ...] = (16000, 8000),
    modes: tuple[str, ...] = ("max", "min"),
) -> None:
    """Write `wav8k/min/<split>/{mix_clean,mix_single,mix_both,s1,s2,noise}/` below `out_folder`.

    `filenames` is a `mix_2_spk_filenames_<split>.csv`; the scales are those of
    `wham_noise_root/metadata/scaling_<split>.npz`, the noises in `wham_noise_root/<split>/`.
    """
    split = filenames.stem.rsplit("_", 1)[-1]
    talkers = pd.read_csv(filenames).set_index("output_filename")
    scales = np.load(wham_noise_root / "metadata" / f"scaling_{split}.npz")
    for i, name in enumerate(scales["utterance_id"]):
        paths = [wsj0_root / talkers.loc[name, f"s{k}_path"] for k in (1, 2)]
        for rate in rates:
            for mode in modes:
                variant = f"{rate // 1000}k_{mode}"
                to_wsj0mix = scales[f"scaling_wsjmix_{variant}"][i]
                to_speech = scales[f"scaling_wham_speech_{variant}"][i]
                to_noise = scales[f"scaling_wham_noise_{variant}"][i]
                speech = [
                    _int16_and_back(_scaled(path, scale, rate)) * to_speech
                    for path, scale in zip(paths, to_wsj0mix, strict=True)
                ]
                noise = _scaled(wham_noise_root / split / name, to_noise, rate)
                start = scales["speech_start_sample_16k"][i] // (16000 // rate)
                s1, s2, noise = _aligned(_fitted(speech, mode), noise, int(start), mode)
                _write(out_folder / f"wav{rate // 1000}k" / mode / split, name, s1, s2, noise, rate)


def _scaled(path: Path, scale: float, rate: int) -> Signal:
    """Return the first channel of a file, resampled, then scaled."""
    samples, file_rate = soundfile.read(path, always_2d=True)
    first: Signal = samples[:, 0]
    if rate == 8000:
        first = resample_poly(first, rate, file_rate)
    return first * scale


def _int16_and_back(samples: Signal) -> Signal:
    return np.round(2**15 * samples).astype(np.int16).astype(np.float64) / 2**15


def _fitted(speech: list[Signal], mode: str) -> list[Signal]:
    """Return the two talkers cut to the shorter (min) or padded to the longer one (max)."""
    lengths = [len(samples) for samples in speech]
    if mode == "min":
        return [samples[: min(lengths)] for samples in speech]
    return [np.pad(samples, (0, max(lengths) - len(samples))) for samples in speech]


def _aligned(
    speech: list[Signal], noise: Signal, start: int, mode: str
) -> tuple[Signal, Signal, Signal]:
    """Return talkers and noise of one length: the speech's in min mode, the noise's in max mode."""
    end = start + len(speech[0])
    if mode == "min":
        return speech[0], speech[1], noise[start:end]
    placed = []
    for samples in speech:
        in_zeros = np.zeros_like(noise)
        in_zeros[start:end] = samples
        placed.append(in_zeros)
    return placed[0], placed[1], noise


def _write(folder: Path, name: str, s1: Signal, s2: Signal, noise: Signal, rate: int) -> None:
    stems = {
        "mix_clean": s1 + s2,
        "mix_single": noise + s1,
        "mix_both": noise + s1 + s2,
        "s1": s1,
        "s2": s2,
        "noise": noise,
    }
    for label, samples in stems.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / label / name, samples, rate, subtype="FLOAT")
