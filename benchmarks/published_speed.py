"""How fast published sets are rendered, beside the steps of their own scripts.

    TMPDIR=/dev/shm OMP_NUM_THREADS=1 python benchmarks/published_speed.py

The first rows of the public lists, with real speech of 6 to 12 s under the names of LibriSpeech and
WSJ0, and real noise of 4 to 14 s in two channels under those of WHAM!. The official side is the
oracle that tests compare every sample with (`tests/oracles`): it reads, scales, resamples, adds and
writes as the public scripts do, one variant after the other. Ours is all of `mixgen render`: the
manifest is checked, sources are hashed, files are hashed and recorded, and the same tables are
written. Both write the same files, in a process each, and take turns. Times are CPU times per row
of the list, medians over the rounds; a ratio above 1 says that ours is faster. Files in memory
(TMPDIR) keep the state of the disk out.

What LibriMix's whole set takes stands beside its floor: soundfile reads every source once, scipy
resamples it once for each rate, and soundfile writes every file once. Writes
benchmarks/results/published_speed.csv.
"""

import csv
import multiprocessing
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from scipy.signal import resample_poly
from speech_scenes import REPOSITORY, data_folder

sys.path.insert(0, str(REPOSITORY))

from mixgen.published.librimix import import_librimix
from mixgen.published.render import render_in_layout
from mixgen.published.wsj0_mix import import_wsj0mix
from tests.oracles.librimix import librimix
from tests.oracles.wsj0mix import wsj0mix

ROWS = 24
ROUNDS = 9
RATE = 16000
RESULTS = REPOSITORY / "benchmarks" / "results" / "published_speed.csv"


@dataclass(frozen=True)
class Case:
    """Some variants of a set; without a choice, all rates, modes and types."""

    published: str
    variants: str
    rates: tuple[int, ...] = (8000, 16000)
    modes: tuple[str, ...] = ("min", "max")
    types: tuple[str, ...] = ("mix_clean", "mix_both", "mix_single")
    work: Path = Path()

    @property
    def list_file(self) -> Path:
        """The rows of the set's list."""
        names = {"librimix": "libri2mix_test-clean.csv", "wsj0mix": "mix_2_spk_tt.txt"}
        return self.work / names[self.published]

    @property
    def manifest(self) -> Path:
        """What our side renders."""
        return self.work / f"{self.published}_{self.variants.replace(' ', '_')}.jsonl"


CASES = (
    Case("librimix", "whole set"),
    Case("librimix", "8k min both", (8000,), ("min",), ("mix_both",)),
    Case("librimix", "16k max both", (16000,), ("max",), ("mix_both",)),
    Case("wsj0mix", "whole set"),
    Case("wsj0mix", "8k min", (8000,), ("min",)),
)


class Corpora:
    """Writes lists, and real audio under the names in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rng = np.random.default_rng(0)
        data = data_folder()
        self.metadata = data / "metadata"
        self.speech = cycle(self._read(data / "speech/librispeech-resemblyzer", "flac"))
        noises = data / "noise/speech-commands-background-pyroomacoustics"
        self.noise = cycle(self._read(noises, "wav"))

    def _read(self, folder: Path, suffix: str) -> list[np.ndarray]:
        found = [soundfile.read(path)[0] for path in sorted(folder.rglob(f"*.{suffix}"))]
        return [samples for samples in found if len(samples) > 4 * RATE]

    def _write(self, path: str, samples: np.ndarray) -> None:
        full = self.folder / path
        full.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(full, samples, RATE, subtype="PCM_16")

    def _of_length(self, samples: np.ndarray, shortest_s: float, longest_s: float) -> np.ndarray:
        return np.resize(samples, int(RATE * self.rng.uniform(shortest_s, longest_s)))

    def write_librimix(self) -> None:
        """Write LibriSpeech, the noise of WHAM!, and a list of them."""
        name = "libri2mix_test-clean.csv"
        lines = (self.metadata / "librimix/Libri2Mix" / name).read_text().splitlines()[: ROWS + 1]
        (self.folder / name).write_text("\n".join(lines) + "\n")
        for row in csv.DictReader(lines):
            for key in ("source_1_path", "source_2_path"):
                self._write(f"LibriSpeech/{row[key]}", self._of_length(next(self.speech), 6, 12))
            noise = self._of_length(next(self.noise), 4, 14)
            self._write(f"wham_noise/{row['noise_path']}", np.stack([noise, noise[::-1]], axis=1))

    def write_wsj0mix(self) -> None:
        """Write WSJ0 and a list of it."""
        name = "mix_2_spk_tt.txt"
        lines = (self.metadata / "wsj0-mix" / name).read_text().splitlines()[:ROWS]
        (self.folder / name).write_text("\n".join(lines) + "\n")
        for path in {word for line in lines for word in line.split() if word.endswith(".wav")}:
            self._write(path, self._of_length(next(self.speech), 4, 10))


def write_manifest(case: Case, activlev: Path) -> None:
    """Import the variants of a case."""
    options: dict[str, Any] = {"sample_rate": list(case.rates), "mode": list(case.modes)}
    if case.published == "librimix":
        roots = case.work / "LibriSpeech", case.manifest, case.work / "wham_noise"
        import_librimix([case.list_file], *roots, types=list(case.types), **options)
    else:
        import_wsj0mix([case.list_file], activlev, case.work, case.manifest, **options)


def official(case: Case, activlev: Path, out: Path) -> None:
    """Write the files of a case as the public scripts do."""
    options: dict[str, Any] = {"rates": case.rates, "modes": case.modes}
    if case.published == "librimix":
        roots = case.work / "LibriSpeech", case.work / "wham_noise"
        librimix(case.list_file, *roots, out, types=case.types, **options)
    else:
        wsj0mix(case.list_file, activlev, case.work, out, **options)


def ours(case: Case, _activlev: Path, out: Path) -> None:
    """Write the files of a case with `mixgen render`."""
    render_in_layout(case.manifest, out, case.published, workers=1)


def floor(case: Case, _activlev: Path, out: Path) -> None:
    """Read every source of LibriMix once, resample it once for each rate, and write every file."""
    out.mkdir()
    with open(case.list_file, newline="") as stream:
        rows = list(csv.DictReader(stream))
    for row in rows:
        names = [f"LibriSpeech/{row[f'source_{i}_path']}" for i in (1, 2)]
        names.append(f"wham_noise/{row['noise_path']}")
        read = [
            soundfile.read(case.work / name, dtype="float32", always_2d=True)[0][:, 0]
            for name in names
        ]
        for rate in case.rates:
            resampled = [resample_poly(samples, rate, RATE) for samples in read]
            frames = {"min": min(map(len, resampled[:2])), "max": max(map(len, resampled[:2]))}
            longest = max(resampled, key=len)
            for mode in case.modes:
                for _ in range(len(case.types) + len(names)):
                    soundfile.write(out / "file.wav", longest[: frames[mode]], rate)


Side = Callable[[Case, Path, Path], None]


def cpu_ms(side: Side, case: Case, activlev: Path) -> float:
    """Return the CPU time that a side takes for a row of the list."""
    out = case.work / "out"
    started = time.process_time()
    side(case, activlev, out)
    taken = time.process_time() - started
    shutil.rmtree(out)
    return 1e3 * taken / ROWS


def measured(case: Case, activlev: Path) -> list[str]:
    """Return the row of a case."""
    sides = [official, ours, *([floor] if case.variants == "whole set" else [])]
    if case.published != "librimix":
        sides = sides[:2]
    spawn = multiprocessing.get_context("spawn")
    pools = [ProcessPoolExecutor(1, mp_context=spawn) for _ in sides]
    taken: list[list[float]] = [[] for _ in sides]
    for round_number in range(ROUNDS + 1):
        for times, pool, side in zip(taken, pools, sides, strict=True):
            spent = pool.submit(cpu_ms, side, case, activlev).result()
            if round_number:  # the first one loads libraries
                times.append(spent)
    for pool in pools:
        pool.shutdown()
    ms = [statistics.median(times) for times in taken]
    ratio = statistics.median(a / b for a, b in zip(*taken[:2], strict=True))
    shown = [f"{value:.1f}" for value in ms]
    return [case.published, case.variants, *shown[:2], f"{ratio:.2f}", *(shown[2:] or [""])]


def main() -> None:
    """Measure all cases, print the table and write it."""
    columns = ["set", "variants", "official_ms", "ours_ms", "ratio", "floor_ms"]
    rows = [columns]
    with tempfile.TemporaryDirectory() as folder:
        corpora = Corpora(Path(folder))
        corpora.write_librimix()
        corpora.write_wsj0mix()
        activlev = corpora.metadata / "wsj0-mix" / "activlev"
        for case in CASES:
            here = replace(case, work=Path(folder))
            write_manifest(here, activlev)
            rows.append(measured(here, activlev))
            print(*rows[-1], sep="  ", flush=True)
    with open(RESULTS, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
