"""How fast mixtures are made while training: our dataset beside the loops that people write.

    OMP_NUM_THREADS=1 python benchmarks/on_the_fly_speed.py [--sources STARTER/sources.csv]

Two talkers over a noise, 4 s, through `torch.utils.data.DataLoader` with 2 workers. What each does
for one mixture:

- ours, drawn: `RecipeDataset`: files used equally often, Scaper draws the scene, sources checked
  against their SHA-256, read, resampled, levelled (LUFS), faded, summed on the grid of 16 bits,
  clip rule;
- ours, manifest: `ManifestDataset`: the same from records that were drawn before;
- ours, cached: both with a cache of decoded source files, which an earlier pass has filled;
- soundfile + numpy: the same sum as a plain loop: read an excerpt, soxr, pyloudnorm, gain, place;
  no fades, no grid, no checks, no record, nothing that can be made again;
- SpeechBrain style: its recipe for LibriMix with WHAM noise: random excerpts as long as the
  shortest (at most 4 s), each to a random LUFS by pyloudnorm; it reads noise files whole, which are
  taken to be as long as the mixture;
- asteroid style: its recipe for WHAM: speed changed by up to 5 % and peak set by one sox process a
  source, then the mean of all.

The last two want WAV at the rate of the mixtures, so all are also run on such a copy, whose making
is not timed. Peers are written anew from what those recipes do. Workers and caches are warm.
Medians over rounds that take turns, of the mixtures per second and of two ratios within a round:
how many times faster ours (drawn) is than the row, and the row than the plain loop on the same
files. Writes benchmarks/results/on_the_fly_speed.csv.
"""

import argparse
import csv
import statistics
import subprocess
import tempfile
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyloudnorm
import soundfile
import soxr
from speech_scenes import REPOSITORY, corpus, two_talkers_and_noise
from torch.utils.data import DataLoader

from mixgen.audio.read import read_audio, resample, to_channels
from mixgen.core.files import sha256_file
from mixgen.corpora.roots import Roots, locate
from mixgen.corpora.sources import SourceRow
from mixgen.dataset import ManifestDataset, RecipeDataset
from mixgen.draw.manifest import draw_manifest

ROUNDS = 9
ITEMS = 96  # per round
WORKERS = 2
DURATION_S = 4.0
RATES = (8_000, 16_000)
PLAIN = "soundfile + numpy"
RESULT = REPOSITORY / "benchmarks" / "results" / "on_the_fly_speed.csv"

Pair = tuple[np.ndarray, np.ndarray]  # mixture (time,), references (2, time), float32


class Loop:
    """What every loop of a user begins with: the files of each talker, and the noises."""

    def __init__(self, rows: Sequence[SourceRow], roots: Roots, rate: int) -> None:
        self.rate = rate
        self.frames = round(DURATION_S * rate)
        self.talkers: dict[str, list[Path]] = defaultdict(list)
        self.noises: list[Path] = []
        for row in rows:
            files = self.noises if row.kind == "noise" else self.talkers[row.label]
            files.append(locate(roots, row.corpus, row.path))

    def __len__(self) -> int:
        return ITEMS

    def files(self, rng: np.random.Generator) -> list[Path]:
        """Return one file of each of two talkers."""
        labels = rng.choice(list(self.talkers), 2, replace=False)
        return [self.talkers[label][rng.integers(len(self.talkers[label]))] for label in labels]


class PlainLoop(Loop):
    """soundfile and numpy."""

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng(index)
        talkers = [self.placed(rng, path, rng.uniform(0, 5) - 40) for path in self.files(rng)]
        noise = self.noise(self.noises[rng.integers(len(self.noises))], rng)
        references = np.stack(talkers).astype(np.float32)
        mixture = (talkers[0] + talkers[1] + noise).astype(np.float32)
        gain = np.float32(min(1.0, 0.9 / np.abs(mixture).max()))
        return mixture * gain, references * gain

    def placed(self, rng: np.random.Generator, path: Path, lufs: float) -> np.ndarray:
        """Return a talker at a random place in the mixture."""
        info = soundfile.info(path)
        late_s = rng.uniform(0, 1)
        wanted = int((DURATION_S - late_s) * info.samplerate)
        start = min(int(rng.uniform(0, 2) * info.samplerate), max(0, info.frames - wanted))
        samples = self.levelled(path, start, wanted, lufs)
        signal = np.zeros(self.frames)
        begin = int(late_s * self.rate)
        samples = samples[: self.frames - begin]
        signal[begin : begin + len(samples)] = samples
        return signal

    def noise(self, path: Path, rng: np.random.Generator) -> np.ndarray:
        """Return an excerpt of a noise as long as the mixture."""
        info = soundfile.info(path)
        wanted = int(DURATION_S * info.samplerate)
        start = int(rng.integers(max(1, info.frames - wanted)))
        return np.resize(self.levelled(path, start, wanted, -40.0), self.frames)

    def levelled(self, path: Path, start: int, frames: int, lufs: float) -> np.ndarray:
        """Read an excerpt and return it at its level, mono, at the mixture's rate."""
        samples, rate = soundfile.read(path, frames, start)
        if samples.ndim > 1:
            samples = samples.mean(axis=1)
        if rate != self.rate:
            samples = soxr.resample(samples, rate, self.rate)
        loudness = pyloudnorm.Meter(self.rate).integrated_loudness(samples)
        levelled: np.ndarray = pyloudnorm.normalize.loudness(samples, loudness, lufs)
        return levelled


class SpeechBrainStyle(Loop):
    """Dynamic mixing as in SpeechBrain's recipe for LibriMix with WHAM noise."""

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng(index)
        paths = self.files(rng)
        lengths = [soundfile.info(path).frames for path in paths]
        frames = min(*lengths, self.frames)
        meter = pyloudnorm.Meter(self.rate)
        talkers = []
        for path, length in zip(paths, lengths, strict=True):
            start = int(rng.integers(length - frames + 1))
            samples = soundfile.read(path, frames, start, dtype="float32")[0]
            talkers.append(self.levelled(meter, samples, rng.uniform(-33, -25)))
        noise_path = self.noises[rng.integers(len(self.noises))]
        noise = soundfile.read(noise_path, self.frames, dtype="float32")[0]
        noise = self.levelled(meter, noise, rng.uniform(-38, -30))
        mixture = talkers[0] + talkers[1] + np.resize(noise, frames)
        gain = min(1.0, 0.9 / np.abs(mixture).max())
        return (mixture * gain).astype(np.float32), (np.stack(talkers) * gain).astype(np.float32)

    def levelled(self, meter: pyloudnorm.Meter, samples: np.ndarray, lufs: float) -> np.ndarray:
        """Return samples at a level, or at a peak of 0.9 where they would clip."""
        samples = pyloudnorm.normalize.loudness(samples, meter.integrated_loudness(samples), lufs)
        highest = np.abs(samples).max()
        return samples if highest < 1 else samples * 0.9 / highest


class AsteroidStyle(Loop):
    """Dynamic mixing as in asteroid's recipe for WHAM."""

    def __getitem__(self, index: int) -> Pair:
        rng = np.random.default_rng(index)
        first_db = np.clip(rng.normal(-16.7, 7), -45, 0)
        second_db = np.clip(first_db - rng.normal(2.52, 4), -45, 0)
        noise_db = np.clip(first_db - rng.normal(5.1, 6.4), -45, 0)
        paths = [*self.files(rng), self.noises[rng.integers(len(self.noises))]]
        levels_db = (first_db, second_db, noise_db)
        signals = [self.changed(rng, p, db) for p, db in zip(paths, levels_db, strict=True)]
        return np.mean(signals, axis=0), np.stack(signals[:2])

    def changed(self, rng: np.random.Generator, path: Path, peak_db: float) -> np.ndarray:
        """Return an excerpt at a random speed with the given peak, through sox."""
        wanted = int(np.ceil(1.05 * self.frames))
        start = int(rng.integers(max(1, soundfile.info(path).frames - wanted)))
        samples = soundfile.read(path, wanted, start, dtype="float32")[0]
        raw = ["-t", "f32", "-r", str(self.rate), "-c", "1", "-"]
        effects = ["speed", str(rng.uniform(0.95, 1.05)), "norm", str(peak_db)]
        command = ["sox", "-V1", *raw, *raw, *effects]
        output = subprocess.run(command, input=samples.tobytes(), capture_output=True, check=True)
        return np.resize(np.frombuffer(output.stdout, np.float32), self.frames)


def prepared(
    rows: Sequence[SourceRow], roots: Roots, rate: int, folder: Path
) -> tuple[list[SourceRow], Roots]:
    """Return a copy of a corpus as WAV of one rate and channel: what the recipes want."""
    copies = []
    for number, row in enumerate(rows):
        samples, own_rate = read_audio(locate(roots, row.corpus, row.path))
        samples = resample(to_channels(samples, 1), own_rate, rate)
        path = folder / f"{number}.wav"
        soundfile.write(path, samples[0], rate, subtype="PCM_16")
        changes = {
            "corpus": "prepared",
            "path": path.name,
            "sample_rate": rate,
            "channels": 1,
            "duration_s": samples.shape[1] / rate,
            "frames": samples.shape[1],
            "sha256": sha256_file(path),
        }
        copies.append(row.model_copy(update=changes))
    return copies, {"prepared": folder}


def ours(rows: Sequence[SourceRow], roots: Roots, rate: int, folder: Path) -> dict[str, Any]:
    """Return our datasets; the manifest and the cache go to `folder`."""
    recipe = two_talkers_and_noise(DURATION_S, rate, ITEMS)
    manifest = draw_manifest(recipe, rows, folder / "manifest.jsonl", roots=roots)
    cache = folder / "cache"
    return {
        "ours, drawn": RecipeDataset(recipe, rows, "train", roots=roots),
        "ours, manifest": ManifestDataset(manifest.path, roots=roots),
        "ours, drawn, cached": RecipeDataset(recipe, rows, "train", roots=roots, cache=cache),
        "ours, manifest, cached": ManifestDataset(manifest.path, roots=roots, cache=cache),
    }


def first_item(items: list[Any]) -> Any:
    """Collate nothing: every item is a batch."""
    return items[0]


def running(dataset: Any) -> Callable[[], float]:
    """Return what tells the mixtures per second of one pass; workers and caches are warm."""
    loader = DataLoader(
        dataset, collate_fn=first_item, num_workers=WORKERS, persistent_workers=True
    )
    list(loader)

    def per_second() -> float:
        started = time.perf_counter()
        count = sum(1 for _ in loader)
        return count / (time.perf_counter() - started)

    return per_second


def compare(datasets: dict[str, Any]) -> Iterator[tuple[str, float, float, float]]:
    """Yield of every dataset its mixtures per second, and two ratios of them.

    The first is that of the first dataset to this one, the second of this one to the plain loop.
    """
    passes = {name: running(dataset) for name, dataset in datasets.items()}
    rounds = [{name: run() for name, run in passes.items()} for _ in range(ROUNDS)]
    first = next(iter(passes))
    for name in passes:
        yield (
            name,
            statistics.median(taken[name] for taken in rounds),
            statistics.median(taken[first] / taken[name] for taken in rounds),
            statistics.median(taken[name] / taken[PLAIN] for taken in rounds),
        )


def table(rows: Sequence[SourceRow], roots: Roots) -> Iterator[list[str]]:
    """Yield the lines of the result."""
    for rate in RATES:
        with tempfile.TemporaryDirectory() as name:
            ready, ready_roots = prepared(rows, roots, rate, Path(name))
            peers = (PlainLoop, SpeechBrainStyle, AsteroidStyle)
            names = (PLAIN, "SpeechBrain style", "asteroid style")
            as_is = ours(rows, roots, rate, Path(name)) | {PLAIN: PlainLoop(rows, roots, rate)}
            copies = ours(ready, ready_roots, rate, Path(name)) | {
                name: peer(ready, ready_roots, rate)
                for name, peer in zip(names, peers, strict=True)
            }
            for files, datasets in (("corpus", as_is), ("WAV at this rate", copies)):
                for what, speed, *ratios in compare(datasets):
                    yield [str(rate), files, what, f"{speed:.0f}", *(f"{r:.2f}" for r in ratios)]


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description="Mixtures per second while training.")
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    rows, roots = corpus(parser.parse_args().sources)
    lines = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyloudnorm: possible clipped samples
        for line in table(rows, roots):
            shown = "{:>6} Hz  {:<18} {:<22} {:>6} mixtures/s  ratio {:>6}  to plain loop {:>6}"
            print(shown.format(*line), flush=True)
            lines.append(line)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        columns = ["sample_rate", "files", "dataset", "mixtures_per_s", "ours_times_faster"]
        columns.append("times_plain_loop")
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
