"""What SMS-WSJ's script writes from its JSON database, step by step and slowly.

Paper: Drude, Heitkaemper, Boeddeker, Haeb-Umbach, "SMS-WSJ: Database, performance measures, and
baseline recipe for multi-channel source separation and recognition", 2019.
Behaviour: fgnt/sms_wsj, database/utils.py of commit 6ae4001 and write_files.py, read there.

For each mixture, in float64: talkers are convolved with their responses at all microphones by
scipy's fftconvolve. The result is moved by the talker's offset less the first tap that exceeds a
tenth of the peak of its channel, at the earliest microphone, and cut or padded to the mixture. The
images of all talkers are one array (talker, microphone, time). Each is divided by its standard
deviation over microphones and time and by 71, and multiplied by its weight. The early part has the
responses up to 400 samples after that first tap, the tail the rest; both get the image's scale.
numpy's old generator, seeded by the MD5 of the name less 1, draws the SNR; seeded again, it draws
the noise. Everything is written as 32-bit floats: observation, noise, early, tail and speech_source
(the padded utterance). The image is early and tail together for the script's readers; it is
written here as `speech_image`, as the script computes it.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import fftconvolve

Signal = np.ndarray[Any, Any]

_EARLY = int(8000 * 0.05)


def smswsj(database: Path, wsj: Path, rirs: Path, out_folder: Path) -> None:
    """Write `observation/<subset>/<name>.wav` and the other folders below `out_folder`.

    Paths of the JSON count from the folders `wsj_8k_zeromean` and `rirs` on.
    """
    for subset, examples in json.loads(database.read_text())["datasets"].items():
        for name, example in examples.items():
            paths = example["audio_path"]
            sources = [_read(wsj, path, "wsj_8k_zeromean/") for path in paths["original_source"]]
            responses = np.array([_read(rirs, path, "rirs/") for path in paths["rir"]])
            written = _signals(name, example, sources, responses)
            for kind, value in written.items():
                signals = value[None] if kind in ("observation", "noise") else value
                for index, signal in enumerate(signals):
                    number = f"_{index}" if len(signals) > 1 else ""
                    path = out_folder / kind / subset / f"{name}{number}.wav"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    soundfile.write(path, signal.T, 8000, subtype="FLOAT")


def _read(root: Path, path: str, marker: str) -> Signal:
    """Return samples (channel, time), or (time,) of a file with one channel."""
    samples, _ = soundfile.read(root / path.split(marker)[-1])
    return samples.T


def _signals(
    name: str, example: Any, sources: list[Signal], responses: Signal
) -> dict[str, Signal]:
    length = example["num_samples"]["observation"]
    starts = [min(_first_tap(channel) for channel in room) for room in responses]
    offsets = example["offset"]
    early, tail = responses.copy(), responses.copy()
    for talker, start in enumerate(starts):
        early[talker, :, start + _EARLY :] = 0
        tail[talker, :, : start + _EARLY] = 0

    def heard(rooms: Signal) -> Signal:
        images = []
        for talker, samples in enumerate(sources):
            image = fftconvolve(samples[None, :], rooms[talker], axes=-1)
            images.append(_piece(image, offsets[talker] - starts[talker], length))
        return np.stack(images)

    image = heard(responses)
    weights = np.asarray(example["log_weights"])[:, None, None]
    scale = (10 ** (weights / 20)) / np.std(image, axis=(-2, -1), keepdims=True)
    scale /= 71
    image *= scale
    clean = np.sum(image, axis=0)
    snr = example.get("snr", _generator(name).uniform(20, 30))
    noise = _generator(name).normal(size=clean.shape)
    ratio = np.mean(clean**2, keepdims=True) / np.mean(noise**2, keepdims=True)
    noise *= 10 ** (-(snr - 10 * np.log10(ratio)) / 20)
    padded = zip(sources, offsets, strict=True)
    return {
        "speech_source": np.stack([_piece(*pair, length) for pair in padded]),
        "speech_image": image,
        "early": heard(early) * scale,
        "tail": heard(tail) * scale,
        "noise": noise,
        "observation": clean + noise,
    }


def _first_tap(response: Signal) -> int:
    level = np.abs(response)
    highest = max(level)
    for tap, value in enumerate(level):
        if value > 0.1 * highest:
            return tap
    return 0


def _piece(samples: Signal, shift: int, length: int) -> Signal:
    """Return samples (..., time) later by a shift, or earlier if it is negative."""
    silence = np.zeros((*samples.shape[:-1], max(0, shift)))
    moved = np.concatenate([silence, samples[..., max(0, -shift) :]], axis=-1)
    missing = np.zeros((*samples.shape[:-1], max(0, length - moved.shape[-1])))
    return np.concatenate([moved, missing], axis=-1)[..., :length]


def _generator(name: str) -> np.random.RandomState:
    seed = int(hashlib.md5(name.encode()).hexdigest(), 16)
    return np.random.RandomState((seed - 1) % 2**32)
