"""How long a mixture takes to score, what PESQ takes of it, and what a second worker brings.

    python benchmarks/scoring_speed.py [DATA]

Two real talkers of up to 3 s at 8 kHz, their mixture and two estimates; all default metrics of
speech separation (SI-SDR, SNR, BSS Eval, PESQ, STOI, ESTOI) and the baseline of the mixture.
`scaling` is how many times more mixtures `evalsuite score` scores in a second with two workers than
with one, as a share of what a second worker brings to a loop that needs neither memory nor files.
DATA is that of metrics_parity.py. Writes benchmarks/results/scoring_speed.csv.
"""

import csv
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
from metrics_parity import data_folder, talker_pairs
from numpy.typing import NDArray

from evalsuite.metrics import evaluate
from evalsuite.metrics.table import select

Array = NDArray[np.float64]
RATE = 8000
MIXTURES = 300
ROUNDS = 3
STEPS = 200_000_000
REPOSITORY = Path(__file__).resolve().parents[1]
RESULT = REPOSITORY / "benchmarks" / "results" / "scoring_speed.csv"


def estimated(references: Array) -> Array:
    """Return estimates (2, time) with leakage and noise."""
    noise = 0.01 * np.random.default_rng(1).standard_normal(references.shape)
    return references + 0.2 * references[::-1] + noise


def milliseconds(references: Array, metrics: list[str]) -> float:
    """Return how long the metrics take for a mixture, median of several rounds."""

    def call() -> object:
        """Score the mixture."""
        return evaluate(
            references=references[:, None],
            estimates=list(estimated(references)[:, None]),
            mixture=references.sum(axis=0)[None],
            sample_rate=RATE,
            metrics=metrics,
        )

    return 1e3 * statistics.median(seconds(call) for _ in range(ROUNDS))


def seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def write_folders(folder: Path, pairs: list[Array]) -> None:
    """Write references, estimates and mixtures as ID/SOURCE.wav and ID.wav."""
    for number, references in enumerate(islice(cycle(pairs), MIXTURES)):
        for kind, signals in (("references", references), ("estimates", estimated(references))):
            place = folder / kind / f"{number:04}"
            place.mkdir(parents=True)
            for name, samples in zip(("s1", "s2"), signals, strict=True):
                soundfile.write(place / f"{name}.wav", samples, RATE, "FLOAT")
        mixture = folder / "mixtures" / f"{number:04}.wav"
        mixture.parent.mkdir(exist_ok=True)
        soundfile.write(mixture, references.sum(axis=0), RATE, "FLOAT")


def score(folder: Path, workers: int) -> None:
    """Run `evalsuite score` over the folders."""
    given = [f"--{kind}={folder / kind}" for kind in ("references", "estimates", "mixtures")]
    out = tempfile.mkdtemp(dir=folder)
    command = [sys.executable, "-m", "evalsuite.cli", "score", *given, f"--out={out}"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(
        [*command, f"--workers={workers}"], check=True, capture_output=True, env=environment
    )


def count(workers: int) -> None:
    """Count in as many processes, together for some ten seconds of processor time."""
    loop = f"for step in range({STEPS // workers}): step & 3"
    processes = [subprocess.Popen([sys.executable, "-S", "-c", loop]) for _ in range(workers)]
    for process in processes:
        process.wait()


def speedup(work: Callable[[int], None]) -> tuple[float, float]:
    """Return seconds with one worker, and how many times faster two are; medians, in turns."""
    rounds = [[seconds(partial(work, w)) for w in (1, 2)] for _ in range(ROUNDS)]
    ratio = statistics.median(one / two for one, two in rounds)
    return statistics.median(one for one, _ in rounds), ratio


def main() -> None:
    """Print the table and write it as CSV."""
    pairs = list(talker_pairs(data_folder()))
    names = [metric.name for metric in select(task="speech_separation", sample_rate=RATE)]
    rows: list[tuple[str, float, str]] = []

    def add(what: str, value: float, unit: str) -> None:
        rows.append((what, round(value, 3), unit))
        print(f"{what:<50} {value:>8.2f} {unit}", flush=True)

    whole = statistics.mean(milliseconds(pair, names) for pair in pairs)
    add("all metrics of a mixture", whole, "ms")
    for name in names:
        alone = statistics.mean(milliseconds(pair, [name]) for pair in pairs)
        add(f"{name}, with the permutation", alone, "ms")
        if name.startswith("pesq"):
            add(f"{name}, share of all", alone / whole, "1")
    with tempfile.TemporaryDirectory() as folder:
        write_folders(Path(folder), pairs)
        taken, scored = speedup(lambda workers: score(Path(folder), workers))
    add("evalsuite score, one worker", MIXTURES / taken, "mixtures/s")
    add("evalsuite score, two workers", MIXTURES / taken * scored, "mixtures/s")
    _, counted = speedup(count)
    add("speedup by a second worker, scoring", scored, "1")
    add("speedup by a second worker, loop", counted, "1")
    add("scaling", scored / counted, "1")
    with open(RESULT, "w", newline="") as file:
        csv.writer(file).writerows((("what", "value", "unit"), *rows))


if __name__ == "__main__":
    main()
