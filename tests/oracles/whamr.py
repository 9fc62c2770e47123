"""What the official WHAMR! script does for one split, step by step and slowly, in mono.

Paper: Maciejewski, Wichern, McQuinn, Le Roux, "WHAMR!: Noisy and reverberant single-channel speech
separation", ICASSP 2020.
Behaviour: create_wham_from_scratch.py and wham_room.py of the WHAMR! scripts, read in public forks.
The responses come from a function, because the script's own need pyroomacoustics 0.3.1.

Each talker is read at 16 kHz, rounded to int16 and back, and padded to the noise's length. The
package convolves it with the responses of both talkers to both microphones, in an array that holds
the longest of the results, of even length; the left microphone is kept, and the array is resampled
to 8 kHz. The gain of a talker is the root of its energy in WHAM! (not cut or padded) over that of
its anechoic signal (to the end of the array). Anechoic and reverberant signals get this gain, are
cut to the noise (max) or to the shorter talker (min), and in max are laid late by the start, which
cuts their ends. The noise is that of WHAM!.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from scipy.signal import fftconvolve, resample_poly

Signal = np.ndarray[Any, Any]

Respond = Callable[[Any, str, str, bool], Signal]
"""(row of the parameters, talker, microphone, reverberant) to a response at 16 kHz"""


def whamr(
    filenames: Path,
    reverb_params: Path,
    wsj0_root: Path,
    wham_noise_root: Path,
    out_folder: Path,
    respond: Respond,
) -> None:
    """Write `wav8k/min/<split>/mix_both_reverb/` and the like below `out_folder`."""
    split = filenames.stem.rsplit("_", 1)[-1]
    talkers = pd.read_csv(filenames).set_index("output_filename")
    rooms = pd.read_csv(reverb_params).set_index("utterance_id")
    scales = np.load(wham_noise_root / "metadata" / f"scaling_{split}.npz")
    for i, name in enumerate(scales["utterance_id"]):
        paths = [wsj0_root / talkers.loc[name, f"s{k}_path"] for k in (1, 2)]
        noise_path = wham_noise_root / split / name
        length = len(_read(noise_path, 1.0, 16000))
        dry = [_padded(_int16_and_back(_read(path, 1.0, 16000)), length) for path in paths]
        at_16k = {
            kind: _in_room(dry, rooms.loc[name], kind == "reverb", respond)
            for kind in ("anechoic", "reverb")
        }
        for rate in (16000, 8000):
            arrays = {
                kind: a if rate == 16000 else resample_poly(a, 8000, 16000, axis=1)
                for kind, a in at_16k.items()
            }
            for mode in ("max", "min"):
                variant = f"{rate // 1000}k_{mode}"
                to_wsj0mix = scales[f"scaling_wsjmix_{variant}"][i]
                to_speech = scales[f"scaling_wham_speech_{variant}"][i]
                speech = [
                    _int16_and_back(_read(path, scale, rate)) * to_speech
                    for path, scale in zip(paths, to_wsj0mix, strict=True)
                ]
                gains = [
                    np.sqrt(np.sum(s**2) / np.sum(a**2))
                    for s, a in zip(speech, arrays["anechoic"], strict=True)
                ]
                noise = _read(noise_path, scales[f"scaling_wham_noise_{variant}"][i], rate)
                start = int(scales["speech_start_sample_16k"][i]) // (16000 // rate)
                folder = out_folder / f"wav{rate // 1000}k" / mode / split
                for kind, signals in arrays.items():
                    scaled = [a * g for a, g in zip(signals, gains, strict=True)]
                    if mode == "max":
                        s1, s2 = (np.zeros(len(noise)), np.zeros(len(noise)))
                        for late, full in zip((s1, s2), scaled, strict=True):
                            late[start:] = full[: len(noise) - start]
                        beside = noise
                    else:
                        shortest = min(map(len, speech))
                        s1, s2 = (full[:shortest] for full in scaled)
                        beside = noise[start : start + shortest]
                    _write(folder, name, rate, kind, s1, s2, beside)


def _read(path: Path, scale: float, rate: int) -> Signal:
    samples, own_rate = soundfile.read(path, always_2d=True)
    first: Signal = samples[:, 0]
    if rate != own_rate:
        first = resample_poly(first, rate, own_rate)
    return first * scale


def _int16_and_back(samples: Signal) -> Signal:
    return np.round(2**15 * samples).astype(np.int32).astype(np.int16) / 2.0**15


def _padded(samples: Signal, length: int) -> Signal:
    return np.append(samples, np.zeros(length - len(samples)))


def _in_room(dry: list[Signal], room: Any, reverberant: bool, respond: Respond) -> Signal:
    """Return the talkers at the left microphone, (talker, time)."""
    responses = {
        (talker, microphone): respond(room, talker, microphone, reverberant)
        for talker in ("s1", "s2")
        for microphone in ("micL", "micR")
    }
    total = max(map(len, responses.values())) + len(dry[0]) - 1
    heard = np.zeros((2, total + total % 2))
    for row, talker, signal in zip(heard, ("s1", "s2"), dry, strict=True):
        response = responses[talker, "micL"]
        row[: len(signal) + len(response) - 1] += fftconvolve(response, signal)
    return heard


def _write(
    folder: Path, name: str, rate: int, kind: str, s1: Signal, s2: Signal, noise: Signal
) -> None:
    files = {
        f"s1_{kind}": s1,
        f"s2_{kind}": s2,
        "noise": noise,
        f"mix_clean_{kind}": s1 + s2,
        f"mix_single_{kind}": noise + s1,
        f"mix_both_{kind}": noise + s1 + s2,
    }
    for label, samples in files.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / label / name, samples, rate, subtype="FLOAT")
