"""How fast sets are rendered: beside stock Scaper 1.6.5, and beside what its steps cost alone.

    TMPDIR=/dev/shm OMP_NUM_THREADS=1 python benchmarks/render_speed.py [--sources SOURCES.csv]

Files in memory (TMPDIR) keep the state of the disk out: where many files were removed, as sox does
all the time, ext4 takes up to a millisecond to find a place for a new one.

The same scenes (two talkers over a noise) are rendered to the same number of files, taking turns
in one run; every round has talkers of its own, noises come back as in a set. `cache` says whether
decoded sources were kept from earlier (warm) or not (cold). The first kind of scene is also
rendered by two processes each, which includes the start of ours. Ours is all of `mixgen render`:
manifest and source hashes checked, files hashed, measured and recorded. Scaper is
`generate_from_jams` with the audio of every event saved; it writes 32-bit WAV, ours the format
named. With soxbindings it needs an environment of its own: make it with
`benchmarks/peers/soxbindings-env`, else that row is left out. Times are medians per mixture over
the rounds, CPU times with child processes; a ratio above 1 says that ours is faster. `snr_db` is
how well the two mixtures agree, in the worst scene. Writes benchmarks/results/render_speed.csv and
render_steps.csv.
"""

import argparse
import csv
import itertools
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import soundfile
from render_steps import step_rows
from speech_scenes import REPOSITORY, corpus, two_talkers_and_noise

from mixgen.audio.cache import FOLDER_VARIABLE
from mixgen.audio.formats import FORMATS
from mixgen.core.vocabulary import FormatName
from mixgen.corpora.roots import Roots
from mixgen.corpora.sources import SourceRow
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.manifest.file import write_manifest
from mixgen.render.set import render_set

ROUNDS = 4
SCENES = 16  # per round
MANY_SCENES = 320  # per round of two processes
FORMAT_OF_MANY: Literal["wav24"] = "wav24"
RESULTS = REPOSITORY / "benchmarks" / "results"
PEER = REPOSITORY / "benchmarks" / "peers" / "scaper_render.py"
SOXBINDINGS = Path(os.environ.get("SOXBINDINGS_ENV", REPOSITORY / ".venv-soxbindings"))
OUR_FORMATS: tuple[FormatName, ...] = ("wav24", "wav_float", "flac16")
STEP_FORMATS = ("wav24", "flac16")
COLD, WARM = "cold", "warm"


@dataclass(frozen=True)
class Kind:
    """One kind of scene: its name, length and rate, and the rates of the sources it is made of."""

    name: str
    duration_s: float
    sample_rate: int
    source_rates: tuple[int, ...]


KINDS = (
    Kind("10 s, 16 kHz, sources of 16 kHz", 10.0, 16_000, (16_000,)),
    Kind("4 s, 8 kHz, sources of 16 kHz", 4.0, 8_000, (16_000,)),
    Kind("10 s, 16 kHz, sources of any rate", 10.0, 16_000, ()),
)


@dataclass(frozen=True)
class Round:
    """The scenes of one round, as a manifest for us and as JAMS files for Scaper."""

    manifest: Path
    jams: list[str]


@dataclass(frozen=True)
class Seconds:
    """What a round took, per mixture."""

    wall: float
    cpu: float


class Scaper:
    """Stock Scaper in a process of its own."""

    def __init__(self, python: Path, backend: str) -> None:
        command = [str(python), "-W", "ignore", str(PEER), backend]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __call__(self, scenes: Round, folder: Path) -> Seconds:
        """Render a round into `folder`."""
        assert self._process.stdout is not None
        job = json.dumps({"scenes": scenes.jams, "folder": str(folder)})
        print(job, file=self._process.stdin, flush=True)
        taken = json.loads(self._process.stdout.readline())
        return Seconds(taken["wall"] / len(scenes.jams), taken["cpu"] / len(scenes.jams))

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def side_by_side(both: Sequence[Scaper]) -> Callable[[Round, Path], Seconds]:
    """Return what renders a round with two processes of Scaper, half of the scenes each."""

    def call(scenes: Round, folder: Path) -> Seconds:
        """Render a round into `folder`."""
        halves = [Round(scenes.manifest, scenes.jams[half::2]) for half in (0, 1)]
        wall = time.perf_counter()
        with ThreadPoolExecutor(2) as threads:
            folders = (folder / "0", folder / "1")
            jobs = zip(both, halves, folders, strict=True)
            taken = list(threads.map(lambda job: job[0](*job[1:]), jobs))
        wall = time.perf_counter() - wall
        return Seconds(wall / len(scenes.jams), statistics.fmean(half.cpu for half in taken))

    return call


def cpu_seconds() -> float:
    """Return the CPU time of this process and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def ours(
    sample_format: FormatName, roots: Roots, workers: int = 1, cache: Path | None = None
) -> Callable[[Round, Path], Seconds]:
    """Return what renders a round as `mixgen render` does, perhaps with a cache of its sources."""

    def call(scenes: Round, folder: Path) -> Seconds:
        """Render a round into `folder`."""
        cpu, wall = cpu_seconds(), time.perf_counter()
        outcome = render_set(
            scenes.manifest,
            folder,
            roots=roots,
            sample_format=sample_format,
            workers=workers,
            cache=cache,
        )
        wall, cpu = time.perf_counter() - wall, cpu_seconds() - cpu
        if outcome.failures:
            raise SystemExit(f"A scene was not rendered: {outcome.failures[0]}")
        return Seconds(wall / len(scenes.jams), cpu / len(scenes.jams))

    return call


def make_rounds(
    kind: Kind,
    rows: Sequence[SourceRow],
    roots: Roots,
    folder: Path,
    *,
    rounds: int = ROUNDS,
    size: int = SCENES,
) -> Iterator[Round]:
    """Draw the scenes of all rounds, `size` each, and of one more round to warm up with."""
    rows = [row for row in rows if row.sample_rate in (kind.source_rates or (row.sample_rate,))]
    recipe = two_talkers_and_noise(kind.duration_s, kind.sample_rate, size * (rounds + 1))
    mixtures = list(draw_mixtures(recipe, rows, roots))
    for start in range(0, len(mixtures), size):
        scenes = mixtures[start : start + size]
        manifest = folder / f"round-{start}.jsonl"
        write_manifest(manifest, draw_header(recipe, rows), scenes)
        jams = [folder / f"{scene.id}.jams" for scene in scenes]
        for path, scene in zip(jams, scenes, strict=True):
            write_jams(path, scene, roots)
        yield Round(manifest, [str(path) for path in jams])


def compare(
    rounds: Sequence[Round], renderers: dict[str, Callable[[Round, Path], Seconds]], work: Path
) -> dict[str, Seconds]:
    """Return the median of every renderer; they take turns, in another order every round."""
    taken: dict[str, list[Seconds]] = {name: [] for name in renderers}
    for number, scenes in enumerate(rounds):
        names = list(renderers)[:: 1 if number % 2 else -1]
        for name in names:
            taken[name].append(renderers[name](scenes, work / name / str(number)))
    return {
        name: Seconds(
            statistics.median(s.wall for s in seconds[1:]),
            statistics.median(s.cpu for s in seconds[1:]),
        )
        for name, seconds in taken.items()
    }


def worst_snr_db(ours_folder: Path, peer_folder: Path) -> float:
    """Return how well the mixtures of a round agree, in the scene where they do least."""
    worst = np.inf
    for path in peer_folder.glob("*.wav"):
        theirs, _ = soundfile.read(path)
        our_mixture, _ = soundfile.read(ours_folder / path.stem / "mixture.wav")
        error = np.sum((our_mixture - theirs) ** 2)
        snr_db = 10 * np.log10(np.sum(theirs**2) / error) if error > 0 else np.inf
        worst = min(worst, snr_db)
    return float(worst)


def write_csv(name: str, columns: list[str], rows: list[list[str]]) -> None:
    """Write a result table."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with open(RESULTS / name, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])


def peers() -> dict[str, Scaper]:
    """Start stock Scaper with each back-end that is there."""
    python = SOXBINDINGS / "bin" / "python"
    started = {"scaper with sox": Scaper(Path(sys.executable), "sox")}
    if python.exists():
        started["scaper with soxbindings"] = Scaper(python, "soxbindings")
    else:
        print(f"No soxbindings in {SOXBINDINGS}: run benchmarks/peers/soxbindings-env for its row.")
    return started


def ratio_rows(
    kind: Kind, rounds: Sequence[Round], roots: Roots, theirs: dict[str, Scaper], work: Path
) -> Iterator[list[str]]:
    """Yield the comparison of every format of ours with every peer."""
    caches = {COLD: None, WARM: work / "cache"}
    # By other processes: what this one holds in memory is not of an earlier run.
    fill = ours("wav24", roots, workers=2, cache=caches[WARM])
    for number, scenes in enumerate(rounds):
        fill(scenes, work / "filled" / str(number))
    our_renderers = {
        f"{name} {state}": ours(name, roots, cache=cache)
        for name in OUR_FORMATS
        for state, cache in caches.items()
    }
    taken = compare(rounds, {**our_renderers, **theirs}, work)
    numbers = [str(number) for number in range(len(rounds))]
    for peer in theirs:
        snr_db = min(worst_snr_db(work / f"wav24 {COLD}" / n, work / peer / n) for n in numbers)
        for state, sample_format in itertools.product(caches, OUR_FORMATS):
            row = [kind.name, sample_format, peer, state, "1"]
            us = taken[f"{sample_format} {state}"]
            yield row + ratios(us, taken[peer]) + [f"{snr_db:.0f}"]


def ratios(us: Seconds, them: Seconds) -> list[str]:
    """Return the times of ours and of a peer in ms, and their ratios."""
    times = (us.wall, them.wall, us.cpu, them.cpu)
    return [
        *(f"{1e3 * seconds:.1f}" for seconds in times),
        f"{them.wall / us.wall:.1f}",
        f"{them.cpu / us.cpu:.1f}",
    ]


def two_process_row(kind: Kind, rows: Sequence[SourceRow], roots: Roots, work: Path) -> list[str]:
    """Return the comparison of two processes of ours with two of Scaper with sox."""
    rounds = list(make_rounds(kind, rows, roots, work, rounds=2, size=MANY_SCENES))
    both = [Scaper(Path(sys.executable), "sox") for _ in range(2)]
    renderers = {"ours": ours(FORMAT_OF_MANY, roots, 2), "scaper": side_by_side(both)}
    taken = compare(rounds, renderers, work)
    for process in both:
        process.close()
    scenes = [kind.name, FORMAT_OF_MANY, "scaper with sox", COLD, "2"]
    return [*scenes, *ratios(taken["ours"], taken["scaper"]), ""]


def main() -> None:
    """Print both tables and write them as CSV."""
    parser = argparse.ArgumentParser(description="Rendering speed beside stock Scaper.")
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    rows, roots = corpus(parser.parse_args().sources)
    os.environ.pop(FOLDER_VARIABLE, None)  # it would make the cold runs warm
    theirs = peers()
    table, steps = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number, kind in enumerate(KINDS):
            work = Path(folder) / str(number)
            rounds = list(make_rounds(kind, rows, roots, work))
            compared = list(ratio_rows(kind, rounds, roots, theirs, work))
            if number == 0:
                compared.append(two_process_row(kind, rows, roots, work / "two"))
            for row in compared:
                print(
                    "{:<34} {:<10} {:<24} {:<5} {:>2}".format(*row),
                    *(f"{x:>8}" for x in row[5:]),
                    flush=True,
                )
                table.append(row)
            for name in STEP_FORMATS:
                manifests = [scenes.manifest for scenes in rounds]
                for row in step_rows(manifests, roots, work / "steps" / name, FORMATS[name]):
                    row = [kind.name, *row]
                    print("{:<34} {:<10} {:<32} {:>8} ms {:>5} %".format(*row), flush=True)
                    steps.append(row)
    for peer in theirs.values():
        peer.close()
    times = ["ours_wall_ms", "peer_wall_ms", "ours_cpu_ms", "peer_cpu_ms"]
    columns = ["scenes", "our_format", "peer", "cache", "processes", *times]
    write_csv("render_speed.csv", [*columns, "wall_ratio", "cpu_ratio", "snr_db"], table)
    write_csv("render_steps.csv", ["scenes", "our_format", "step", "cpu_ms", "percent"], steps)


if __name__ == "__main__":
    main()
