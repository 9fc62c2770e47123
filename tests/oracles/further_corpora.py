"""Stand-in corpora for VCTK-2mix, FUSS, Divide and Remaster and MUSDB18, from real recordings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from tests.oracles.corpora import Recordings

# The last rows of VCTK2mix_VCTK_md.csv, JorisCos/VCTK-2Mix, commit 41fc4f7.
_VCTK_2MIX = """\
mixture_ID,source_1_path,source_1_gain,source_2_path,source_2_gain,noise_path,noise_gain
p249_230_p335_002,wav16_cut/p249_230.wav,0.5917781017356128,wav16_cut/p335_002.wav,\
0.9159404486261026,tt/445o030v_2.1753_421c0210_-2.1753.wav,1.1865864979715315
p232_019_p292_024,wav16_cut/p232_019.wav,0.23111832023497988,wav16_cut/p292_024.wav,\
0.5103793761924725,tt/421c020j_0.25025_050a0511_-0.25025.wav,0.8193724800864873
p300_014_p271_132,wav16_cut/p300_014.wav,0.5776708724570561,wav16_cut/p271_132.wav,\
0.47982198511748614,tt/422a010e_2.4257_050o0209_-2.4257.wav,0.3632721591704733
"""
_VCTK_LENGTHS = ((24001, 20000, 30000), (20001, 31000, 25000), (22000, 22001, 19999))
"""Of both talkers and the noise, which is longer than both, between them, and shorter."""


def _write(path: Path, samples: np.ndarray[Any, Any], rate: int = 16000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


@dataclass(frozen=True)
class Vctk2MixSources:
    """A VCTK-2mix list and the roots that its paths are relative to."""

    metadata: Path
    vctk: Path
    wham_noise: Path


def vctk2mix_sources(root: Path, real_data: Path) -> Vctk2MixSources:
    """Write three public rows, cut sources at 16 kHz, and noises."""
    sources = Vctk2MixSources(root / "VCTK2mix_VCTK_md.csv", root / "VCTK", root / "wham_noise")
    recordings = Recordings(real_data)
    for line, lengths in zip(_VCTK_2MIX.splitlines()[1:], _VCTK_LENGTHS, strict=True):
        *speech, noise = line.split(",")[1::2]
        for path, length in zip(speech, lengths[:2], strict=True):
            _write(sources.vctk / path, recordings.speech(length))
        _write(sources.wham_noise / noise, recordings.noise(lengths[2], channels=2))
    sources.metadata.write_text(_VCTK_2MIX)
    return sources


@dataclass(frozen=True)
class FussSources:
    """FUSS's dry set with its list, the responses, and which response every source gets."""

    example_list: Path
    mix_info: Path
    ssdata: Path
    rir_data: Path


def fuss_sources(root: Path, real_data: Path) -> FussSources:
    """Write three mixtures of 10 s with one to four sources; the last one clips."""
    sources = FussSources(
        root / "train_example_list.txt", root / "mix_info.txt", root / "ssdata", root / "rir_data"
    )
    recordings = Recordings(real_data)
    responses = sorted((real_data / "rir" / "speechbrain-rirs").glob("*.wav"))
    listed, info = [], []
    for number, (foregrounds, peak) in enumerate(((0, 0.1), (2, 0.1), (3, 0.9))):
        mix = f"train/example0000{number}.wav"
        names = ["background0", *(f"foreground{i}" for i in range(foregrounds))]
        stems = [f"train/example0000{number}_sources/{name}_sound.wav" for name in names]
        rirs = [f"train/rirs_{number:04d}/{name}.wav" for name in names]
        total = np.zeros(160000)
        for i, (stem, rir) in enumerate(zip(stems, rirs, strict=True)):
            samples = np.zeros(160000)
            excerpt = recordings.speech(60001, peak)
            samples[1000 * i : 1000 * i + len(excerpt)] = np.round(excerpt * 2**15) / 2**15
            _write(sources.ssdata / stem, samples)
            total += samples
            response, rate = soundfile.read(responses[(number + i) % 2], frames=4001)
            _write(sources.rir_data / rir, response * 0.05, rate)
        _write(sources.ssdata / mix, total)
        listed.append("\t".join([mix, *stems]))
        products = [f"{stem} * {rir}" for stem, rir in zip(stems, rirs, strict=True)]
        info.append(f"{mix} = {' + '.join(products)}")
    sources.example_list.write_text("\n".join(listed) + "\n")
    sources.mix_info.write_text("\n".join(info) + "\n")
    return sources


@dataclass(frozen=True)
class DnrSources:
    """Annotations of one Divide and Remaster mixture and the standardised class folders."""

    annotations: Path
    class_roots: dict[str, Path]


def dnr_sources(root: Path, real_data: Path) -> DnrSources:
    """Write one mixture's annotations, and recordings called 44.1 kHz as they are."""
    recordings = Recordings(real_data)
    classes = ("music", "speech", "sfx", "background")
    roots = {name: root / name for name in classes}
    rows = [
        ",file,class,mix start time,mix end time,clip start sample,clip end sample,"
        "clip gain,annotation"
    ]
    for i, name in enumerate(classes * 2):
        _write(roots[name] / f"{i}.wav", recordings.speech(70001 + i), 44100)
        start, length = 3.3333 * i + 0.123456, 0.9 + 0.0371 * i
        clip = 0.0 if name == "speech" else 0.25371
        times = f"{start},{start + length},{clip},{clip + length}"
        rows.append(f'{i},train/{i}.wav,{name},{times},{0.31 + 0.17 * i},"label, {i}"')
    annotations = root / "annotations" / "1002" / "annots.csv"
    annotations.parent.mkdir(parents=True)
    annotations.write_text("\n".join(rows) + "\n")
    return DnrSources(annotations, roots)


def musdb_track(root: Path, real_data: Path) -> Path:
    """Return a track's folder with MUSDB18-HQ's file names, from a song of another album."""
    song = real_data / "music" / "everything-is-free" / "lithium"
    track = root / "train" / "Software-Entwicklungskit - Lithium"
    for name in ("mixture", "vocals", "drums", "bass", "other"):
        samples, rate = soundfile.read(song / f"{name}.flac", dtype="int16")
        _write(track / f"{name}.wav", samples, rate)
    return track
