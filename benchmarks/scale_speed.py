"""What a mixture costs in CPU time, bytes and files, and from that what a million of them cost.

    TMPDIR=/dev/shm OMP_NUM_THREADS=1 python benchmarks/scale_speed.py [--sources SOURCES.csv]

Scenes of 10 s at 16 kHz: two talkers over a noise, four files each. Every command is a process of
its own with one worker, run on a short and on a long set; the CPU time of a mixture, user and
system, is what one more adds, so starting up is not in it. Of `--dask` the command alone is
counted, which hands out the work and records it. Files are in memory (TMPDIR): a disk adds what it
takes to make four files. docs/scale.md says what follows from the numbers.
Writes benchmarks/results/scale_speed.csv.
"""

import argparse
import contextlib
import csv
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from speech_scenes import REPOSITORY, corpus, two_talkers_and_noise

from mixgen.core.files import write_json
from mixgen.corpora.roots import Roots, write_roots
from mixgen.corpora.sources import SourceRow, write_sources
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import write_manifest

FEW, MANY = 16, 336
LONG = 20  # times as many records where audio is neither read nor written
RESULT = REPOSITORY / "benchmarks" / "results" / "scale_speed.csv"
SIZES = (10**6, 10**7)


def cpu_s(*words: Any) -> float:
    """Run a command of mixgen and return the CPU seconds of its process and its children."""
    command = [sys.executable, "-m", "mixgen.cli", *map(str, words)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=environment
    )
    assert process.stderr is not None
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"mixgen {words[0]} ended with {process.returncode}: {errors}")
    return usage.ru_utime + usage.ru_stime


def bytes_below(folder: Path, pattern: str) -> int:
    """Return the bytes of the files below a folder whose names match."""
    return sum(path.stat().st_size for path in folder.rglob(pattern))


class Sets:
    """A short and a long set: what a command takes on each, and what it writes."""

    def __init__(self, rows: Sequence[SourceRow], roots: Roots, work: Path) -> None:
        self.work = work
        self.sources = work / "sources.csv"
        write_sources(self.sources, rows)
        write_roots(work, roots)
        recipe = two_talkers_and_noise(10.0, 16_000, MANY)
        mixtures = list(draw_mixtures(recipe, rows, roots))
        header = draw_header(recipe, rows)
        for count in (FEW, MANY):
            write_manifest(self.manifest(count), header, mixtures[:count])
            copies = (
                mixture.model_copy(update={"id": f"{mixture.id}-{number}"})
                for number in range(LONG)
                for mixture in mixtures[:count]
            )
            write_manifest(self.manifest(LONG * count), header, copies)
            longer = two_talkers_and_noise(10.0, 16_000, LONG * count)
            plain = longer.model_dump(mode="json", exclude_defaults=True)
            write_json(self.recipe(LONG * count), plain)

    def manifest(self, count: int) -> Path:
        """Return the manifest of so many mixtures."""
        return self.work / f"{count}.jsonl"

    def recipe(self, count: int) -> Path:
        """Return the recipe of so many mixtures."""
        return self.work / f"{count}.yaml"

    def folder(self, name: str, count: int) -> Path:
        """Return a folder of so many mixtures."""
        return self.work / name / str(count)

    def more_ms(self, words: Any, factor: int = 1) -> float:
        """Return the CPU ms that one more mixture takes; `words` gives a command for a count."""
        few, many = (cpu_s(*words(factor * count)) for count in (FEW, MANY))
        return 1e3 * (many - few) / (factor * (MANY - FEW))


@contextlib.contextmanager
def scheduler(work: Path) -> Iterator[Path]:
    """Start a scheduler and a worker here; yield the scheduler's file."""
    file = work / "scheduler.json"
    python = [sys.executable, "-m"]
    local = ["--host", "127.0.0.1", "--scheduler-file", str(file), "--no-dashboard"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    with open(work / "cluster.log", "w") as log:

        def start(*words: str) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                [*python, *words, *local], stdout=log, stderr=log, env=environment
            )

        processes = [start("distributed.cli.dask_scheduler", "--port", "0")]
        while not file.exists():
            time.sleep(0.1)
        processes.append(start("distributed.cli.dask_worker", "--nthreads", "1", "--no-nanny"))
        try:
            yield file
        finally:
            for process in processes:
                process.terminate()
                process.wait()


def rendering(sets: Sets) -> Iterator[tuple[str, float, float]]:
    """Yield what it takes to make a set and its copies: ms and bytes per mixture."""
    draw = sets.more_ms(
        lambda n: ("draw", sets.recipe(n), "--sources", sets.sources, "--out", sets.work / "d"),
        LONG,
    )
    yield "draw", draw, sets.manifest(MANY).stat().st_size / MANY
    for sample_format in ("flac16", "wav16", "wav24"):

        def words(count: int, name: str = sample_format) -> tuple[Any, ...]:
            out = sets.folder(name, count)
            manifest = sets.manifest(count)
            return ("render", manifest, "--out", out, "--format", name, "--workers", 1)

        ms = sets.more_ms(words)
        extension = "*.flac" if sample_format == "flac16" else "*.wav"
        size = bytes_below(sets.folder(sample_format, MANY), extension) / MANY
        yield f"render, {sample_format}", ms, size
    record = sets.folder("flac16", MANY) / "rendered.jsonl"
    yield (
        "render again, flac16",
        sets.more_ms(
            lambda n: (
                "render",
                sets.manifest(n),
                "--out",
                sets.folder("flac16", n),
                "--workers",
                1,
            )
        ),
        record.stat().st_size / MANY,
    )
    for deep in ((), ("--deep",)):
        yield (
            " ".join(("verify", *deep)) + ", flac16",
            sets.more_ms(
                lambda n, deep=deep: ("verify", sets.folder("flac16", n), "--workers", 1, *deep)
            ),
            0.0,
        )
    tars = sets.more_ms(
        lambda n: (
            *("export", sets.folder("flac16", n), "--to", "webdataset"),
            *("--out", sets.folder("tar", n), "--workers", 1),
        )
    )
    yield (
        "export --to webdataset, flac16",
        tars,
        bytes_below(sets.folder("tar", MANY), "*.tar") / MANY,
    )


def sharing(sets: Sets) -> Iterator[tuple[str, float, float]]:
    """Yield what is spent to divide the work: ms per mixture."""

    def empty(count: int) -> tuple[Any, ...]:
        out = sets.folder("empty", count)
        last = f"{10**6}/{10**6}"
        return ("render", sets.manifest(count), "--out", out, "--shard", last, "--workers", 1)

    yield "each --shard, before its first block", sets.more_ms(empty, LONG), 0.0
    with scheduler(sets.work) as file:

        def words(count: int) -> tuple[Any, ...]:
            out = sets.folder("dask", count)
            return ("render", sets.manifest(count), "--out", out, "--dask", file)

        yield "render --dask, the command", sets.more_ms(words), 0.0


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    rows, roots = corpus(parser.parse_args().sources)
    lines = []
    with tempfile.TemporaryDirectory() as name:
        sets = Sets(rows, {key: Path(root).resolve() for key, root in roots.items()}, Path(name))
        for measure in (rendering, sharing):
            for what, ms, size in measure(sets):
                hours = [ms / 3.6e6 * count for count in SIZES]
                gigabytes = [size * count / 1e9 for count in SIZES]
                numbers = (ms, size, *hours, *gigabytes)
                lines.append([what, *(f"{number:.4g}" for number in numbers)])
                print(f"{what:<40}", *(f"{number:>10.4g}" for number in numbers), flush=True)
    columns = ["what", "cpu_ms", "bytes"]
    columns += [f"core_hours_1e{len(str(count)) - 1}" for count in SIZES]
    columns += [f"gb_1e{len(str(count)) - 1}" for count in SIZES]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
