"""How fast an excerpt of a source file is read: decoded by libsndfile, and from the cache.

    OMP_NUM_THREADS=1 python benchmarks/cache_speed.py

Half a minute of noise, in the formats that corpora come in; excerpts of 4 s from random places.
Microseconds of CPU time per excerpt, medians over rounds that take turns:

- decoded: `read_excerpt`, which opens the file, goes there and decodes;
- disk: from the cache, with checks, where nothing is in memory but the system's copy of the disk;
- memory: from the cache, whose blocks are in memory;
- read, mapped: samples of 16 bits without header and checks, read, and from a mapping of the file.
  A mapping that is kept would take less; it holds its file on the disk after it was removed, and
  ends the process if somebody cuts the file.

Writes benchmarks/results/cache_speed.csv.
"""

import csv
import mmap
import os
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from speech_scenes import REPOSITORY

from mixgen.audio import decoded
from mixgen.audio.cache import DecodedCache
from mixgen.audio.read import Samples, read_audio, read_excerpt
from mixgen.core.files import sha256_file

ROUNDS = 9
EXCERPTS = 25  # per round
FILE_S, EXCERPT_S = 30, 4.0
SOURCES = [(16_000, 1), (44_100, 2)]  # sample rate, channels
FORMATS = [("wav", "PCM_16"), ("flac", "PCM_16"), ("ogg", "VORBIS"), ("mp3", "MPEG_LAYER_III")]
WAYS = ["decoded", "disk", "memory", "read", "mapped"]
RESULT = REPOSITORY / "benchmarks" / "results" / "cache_speed.csv"


class Source:
    """A source file, and the ways to read an excerpt of it from `start_s` seconds on."""

    def __init__(self, folder: Path, rate: int, channels: int, suffix: str, subtype: str) -> None:
        self.rate, self.channels = rate, channels
        self.path, self.bare = folder / f"{rate}.{suffix}", folder / "bare"
        rng = np.random.default_rng(0)
        level = np.abs(np.sin(np.arange(FILE_S * rate) / rate))[:, None]
        sound = 0.1 * level * rng.standard_normal((FILE_S * rate, channels))
        with soundfile.SoundFile(self.path, "w", rate, channels, subtype) as file:
            for start in range(0, len(sound), 4096):  # longer arrays break libsndfile's Vorbis
                file.write(sound[start : start + 4096])
        samples = read_audio(self.path)[0]
        self.bare.write_bytes(np.rint(samples.T * 2**15).astype("<i2").tobytes())
        self.sha256 = sha256_file(self.path)
        self.cache = DecodedCache(folder / "cache", 10**10)
        self.memory(0.0)

    def decoded(self, start_s: float) -> Samples:
        return read_excerpt(self.path, start_s, EXCERPT_S)[0]

    def disk(self, start_s: float) -> Samples:
        decoded.read_header.cache_clear()
        decoded._block.cache_clear()
        return self.memory(start_s)

    def memory(self, start_s: float) -> Samples:
        return self.cache.read_excerpt(self.path, self.sha256, start_s, EXCERPT_S)[0]

    def read(self, start_s: float) -> Samples:
        start, size = (int(seconds * self.rate) * self.channels for seconds in (start_s, EXCERPT_S))
        with open(self.bare, "rb", buffering=0) as file:
            return self._samples(np.frombuffer(os.pread(file.fileno(), 2 * size, 2 * start), "<i2"))

    def mapped(self, start_s: float) -> Samples:
        start, size = (int(seconds * self.rate) * self.channels for seconds in (start_s, EXCERPT_S))
        with open(self.bare, "rb", buffering=0) as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            return self._samples(np.frombuffer(content, "<i2", size, 2 * start))

    def _samples(self, steps: np.ndarray) -> Samples:
        samples: Samples = np.multiply(steps.reshape(-1, self.channels).T, 2.0**-15, order="C")
        return samples

    def cpu_us(self) -> list[float]:
        """Return the median CPU time of an excerpt in each way, in microseconds."""
        starts_s = np.random.default_rng(0).uniform(0, FILE_S - EXCERPT_S, EXCERPTS)
        taken: dict[str, list[float]] = {way: [] for way in WAYS}
        for _ in range(ROUNDS):
            for way, times in taken.items():
                started = time.process_time()
                for start_s in starts_s:
                    getattr(self, way)(start_s)
                times.append((time.process_time() - started) / EXCERPTS * 1e6)
        return [statistics.median(times) for times in taken.values()]


def main() -> None:
    """Print the table and write it as CSV."""
    lines = []
    with tempfile.TemporaryDirectory() as name:
        for rate, channels in SOURCES:
            for suffix, subtype in FORMATS:
                taken = Source(Path(name), rate, channels, suffix, subtype).cpu_us()
                lines.append([rate, channels, suffix, *(round(value) for value in taken)])
                shown = ", ".join(f"{w} {us:.0f}" for w, us in zip(WAYS, taken, strict=True))
                print(f"{rate:>6} Hz, {channels} channel(s), {suffix:<4}: {shown} us", flush=True)
    columns = ["sample_rate", "channels", "format", *(f"{way}_us" for way in WAYS)]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
