"""Stand-in corpora: rows of the public lists, and real recordings under the rows' file names.

The recordings are cut to a few seconds, with lengths that exercise every rule: noise longer and
shorter than speech, odd and equal lengths, one and two channels, loud and very quiet files.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

Signal = np.ndarray[Any, Any]

_RATE = 16000


class Recordings:
    """Excerpts of real speech and noise at 16 kHz, each from the next file."""

    def __init__(self, real_data: Path) -> None:
        speech = sorted((real_data / "speech/librispeech-resemblyzer").rglob("*.flac"))
        noise = sorted(
            (real_data / "noise/speech-commands-background-pyroomacoustics").glob("*.wav")
        )
        self._speech = cycle(path for path in speech if soundfile.info(path).duration > 5)
        self._noise = cycle(noise)
        self._noise_start = 0

    def speech(self, length: int, peak: float | None = None) -> Signal:
        """Return up to five seconds of speech, as it is or with its largest sample at `peak`."""
        samples: Signal = soundfile.read(next(self._speech), frames=length)[0]
        return samples if peak is None else samples * (peak / np.max(np.abs(samples)))

    def noise(self, length: int, channels: int) -> Signal:
        """Return noise (sample, channel), every channel from another place."""
        path = next(self._noise)
        picked = []
        for _ in range(channels):
            picked.append(soundfile.read(path, start=self._noise_start, frames=length)[0])
            self._noise_start = (self._noise_start + 7919) % 400000
        return np.stack(picked, axis=1)


def _write(path: Path, samples: Signal) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, _RATE, subtype="PCM_16")


@dataclass(frozen=True)
class LibriMixSources:
    """A LibriMix list and the roots that its paths are relative to."""

    metadata: Path
    librispeech: Path
    wham_noise: Path


@dataclass(frozen=True)
class _Case:
    """Lengths at 16 kHz of one row's files; all gains replaced by `gain` where it is given."""

    speech: tuple[int, int, int]
    noise: int
    channels: int = 2
    gain: float | None = None


_LIBRIMIX_CASES = (
    _Case((24001, 20000, 22223), noise=40000),
    _Case((26001, 30000, 28000), noise=20000, channels=1),  # one crossfade
    _Case((32001, 16001, 16003), noise=10001),  # twelve crossfades
    _Case((16000, 16000, 16000), noise=16000),
    _Case((17000, 18001, 17500), noise=18000),  # one sample short
    _Case((17011, 16010, 16999), noise=17011, channels=1, gain=4.3),  # clips, stems too
    _Case((19001, 18000, 18500), noise=12000, gain=4.3),  # clips, extended noise
)


def librimix_sources(
    root: Path, real_data: Path, *, talkers: int = 2, subset: str = "test-clean"
) -> LibriMixSources:
    """Write a list of seven public rows, and speech and noise of other lengths for each."""
    name = f"libri{talkers}mix_{subset}.csv"
    public = real_data / "metadata" / "librimix" / f"Libri{talkers}Mix" / name
    header, *lines = public.read_text().splitlines()
    sources = LibriMixSources(root / "metadata" / name, root / "LibriSpeech", root / "wham_noise")
    recordings = Recordings(real_data)
    rows = _rows_without_repeats((line.split(",") for line in lines), paths_of=_librimix_paths)
    kept = [header]
    for case, row in zip(_LIBRIMIX_CASES, rows, strict=False):
        if case.gain is not None:
            row[2::2] = [str(case.gain)] * len(row[2::2])
        kept.append(",".join(row))
        *speech_paths, noise_path = _librimix_paths(row)
        for path, length in zip(speech_paths, case.speech, strict=False):
            _write(sources.librispeech / path, recordings.speech(length))
        _write(sources.wham_noise / noise_path, recordings.noise(case.noise, case.channels))
    sources.metadata.parent.mkdir(parents=True)
    sources.metadata.write_text("\n".join(kept) + "\n")
    return sources


def _librimix_paths(row: Sequence[str]) -> list[str]:
    return list(row[1::2])


def _rows_without_repeats(rows: Iterator[list[str]], paths_of: Any) -> Iterator[list[str]]:
    """Yield the rows whose files no earlier one uses: every row may have lengths of its own."""
    used: set[str] = set()
    for row in rows:
        paths = paths_of(row)
        if used.isdisjoint(paths):
            used.update(paths)
            yield row


# Rows of mix_4_spk_tt.txt and mix_5_spk_tt.txt of mpariente/pywsj0-mix (MIT): gains of 16 digits,
# no blank at the end, and 0 for a fifth talker.
_FOUR_TALKERS = (
    "wsj0/si_dt_05/421/421c020e.wav 1.265109186328511 "
    "wsj0/si_dt_05/051/051o020w.wav 1.7729656944761085 "
    "wsj0/si_dt_05/052/052o020t.wav -1.7729656944761085 "
    "wsj0/si_dt_05/421/421a0102.wav -1.265109186328511",
    "wsj0/si_et_05/447/447o030v.wav 1.8495221068762695 "
    "wsj0/si_dt_05/053/053a0505.wav 0.0403020275486865 "
    "wsj0/si_et_05/442/442c0216.wav -0.0403020275486865 "
    "wsj0/si_et_05/440/440o030d.wav -1.8495221068762695",
)
_FIVE_TALKERS = (
    "wsj0/si_dt_05/051/051a0507.wav 1.914640538743294 "
    "wsj0/si_et_05/443/443c020g.wav 0.2024866392062033 "
    "wsj0/si_dt_05/22h/22ho010d.wav -0.2024866392062033 "
    "wsj0/si_dt_05/22g/22go010p.wav -1.914640538743294 "
    "wsj0/si_et_05/441/441c020y.wav 0",
    "wsj0/si_dt_05/051/051c010d.wav 1.5845831566246105 "
    "wsj0/si_dt_05/420/420a0113.wav 0.9935805802229292 "
    "wsj0/si_et_05/447/447c0212.wav -0.9935805802229292 "
    "wsj0/si_dt_05/051/051c0102.wav -1.5845831566246105 "
    "wsj0/si_dt_05/051/051o020q.wav 0",
)
_WSJ0_CASES = (  # talkers' lengths, and the peak of their files: None is the recording's own
    ((24001, 20000, 22223, 16001, 19998), None),
    ((16000, 16000, 16000, 16000, 16000), None),
    ((16001, 24003, 20001, 17000, 16501), 0.001),  # no peak reaches full scale at this level
)


@dataclass(frozen=True)
class Wsj0Sources:
    """A wsj0-mix list, the tables of active levels, and the folder that holds `wsj0/`."""

    list_file: Path
    activlev: Path
    wsj0_root: Path


def wsj0_sources(
    root: Path, real_data: Path, *, talkers: int = 2, split: str = "tt"
) -> Wsj0Sources:
    """Write a list of two or three public rows, and speech under their file names."""
    public = real_data / "metadata" / "wsj0-mix"
    name = f"mix_{talkers}_spk_{split}.txt"
    own = {4: _FOUR_TALKERS, 5: _FIVE_TALKERS}
    lines = own.get(talkers) or (public / name).read_text().splitlines()
    recordings = Recordings(real_data)
    rows = _rows_without_repeats((line.split(" ") for line in lines), paths_of=_wsj0_paths)
    kept = []
    for (lengths, peak), row in zip(_WSJ0_CASES, rows, strict=False):
        kept.append(" ".join(row))
        for path, length in zip(_wsj0_paths(row), lengths, strict=False):
            _write(root / path, recordings.speech(length, peak))
    (root / name).write_text("\n".join(kept) + "\n")
    return Wsj0Sources(root / name, public / "activlev", root)


def _wsj0_paths(row: Sequence[str]) -> list[str]:
    return [path for path in row[0::2] if path]


@dataclass(frozen=True)
class WhamSources:
    """WHAM!'s file list, the folder that holds `wsj0/`, and the noise with its scales."""

    filenames: Path
    wsj0_root: Path
    wham_noise: Path


def wham_sources(root: Path, real_data: Path, *, split: str = "tt") -> WhamSources:
    """Write what `wsj0_sources` writes for two talkers, with noises, starts and scales.

    The scales are drawn: they have the size of the published ones and no meaning.
    """
    wsj0 = wsj0_sources(root, real_data, split=split)
    recordings, random = Recordings(real_data), np.random.default_rng(8)
    table, starts, names = ["output_filename,s1_path,s2_path"], [], []
    for i, line in enumerate(wsj0.list_file.read_text().splitlines()):
        first, gain, second, opposite = line.split()
        stems = [Path(first).stem, gain, Path(second).stem, opposite]
        names.append("_".join(stems) + ".wav")
        table.append(f"{names[-1]},{first},{second}")
        longest = max(soundfile.info(root / path).frames for path in (first, second))
        starts.append((0, 4001, 6000)[i])
        # The first noise begins and ends with the speech.
        noise = recordings.noise(starts[-1] + longest + (0, 777, 3000)[i], channels=2)
        _write(root / "wham_noise" / split / names[-1], noise)
    (root / f"mix_2_spk_filenames_{split}.csv").write_text("\n".join(table) + "\n")
    scales: dict[str, Any] = {"utterance_id": names, "speech_start_sample_16k": starts}
    for variant in ("16k_max", "16k_min", "8k_max", "8k_min"):
        scales[f"scaling_wsjmix_{variant}"] = random.uniform(0.5, 1.2, (len(names), 2))
        scales[f"scaling_wham_speech_{variant}"] = random.uniform(0.3, 1.0, len(names))
        scales[f"scaling_wham_noise_{variant}"] = random.uniform(0.1, 1.0, len(names))
    (root / "wham_noise" / "metadata").mkdir(parents=True)
    np.savez(root / "wham_noise" / "metadata" / f"scaling_{split}.npz", **scales)
    return WhamSources(root / f"mix_2_spk_filenames_{split}.csv", root, root / "wham_noise")


@dataclass(frozen=True)
class LibriSpeechMixSources:
    """A LibriSpeechMix list and LibriSpeech's root."""

    list_file: Path
    librispeech: Path


def librispeechmix_sources(root: Path, real_data: Path) -> LibriSpeechMixSources:
    """Write a list of three public rows and FLAC files; the second mixture clips."""
    public = real_data / "metadata/librispeechmix/dev-clean-2mix.first500.jsonl"
    recordings = Recordings(real_data)
    lines = public.read_text().splitlines()[:3]
    for i, line in enumerate(lines):
        row = json.loads(line)
        for k, wav in enumerate(row["wavs"]):
            samples = recordings.speech(50001 + 1000 * k, peak=4.0 if i == 1 else None)
            _write((root / wav).with_suffix(".flac"), samples)  # clips at full scale
    (root / "dev-clean-2mix.jsonl").write_text("\n".join(lines) + "\n")
    return LibriSpeechMixSources(root / "dev-clean-2mix.jsonl", root)
