"""How long the metrics take beside their peers: one run, alternating calls.

    OMP_NUM_THREADS=1 python benchmarks/metrics_speed.py

Ours and the peer have a process each, as users run them: how fast memory is to come by depends on
what a process did before, and `evaluate` keeps freed memory. CPU times of these processes, median
of several rounds; a ratio above 1 says that ours is faster. What ours does beyond the peer
(permutation, baseline of the mixture) is included in ours. The last row has our CPU time in a
process that leaves the number of BLAS threads to BLAS, as a notebook does, in place of a peer's.
Writes benchmarks/results/metrics_speed.csv.
"""

import csv
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import fast_bss_eval
import mir_eval
import numpy as np
from museval_alone import museval
from numpy.typing import NDArray
from pystoi import stoi

from evalsuite.metrics import evaluate, evaluate_mixture

Array = NDArray[np.float64]
Call = Callable[[], object]
ROUNDS = 10
# No further round begins after this time: museval takes minutes for a song.
LONGEST_MS = 60_000.0
TURN_MS = 200.0
ALL_V4 = ["sdr_v4", "images_v4"]
RESULT = Path(__file__).with_name("results") / "metrics_speed.csv"


def speech_like(n_src: int, duration_s: float, sample_rate: int, channels: int = 1) -> Array:
    """Noise in syllables, (n_src, channels, time)."""
    n_samples = int(duration_s * sample_rate)
    rng = np.random.default_rng(0)
    rates = 3.0 + np.arange(n_src)[:, None, None]
    syllables = np.sin(np.pi * rates * np.arange(n_samples) / sample_rate) ** 2
    return 0.1 * syllables * rng.standard_normal((n_src, channels, n_samples))


def ours(references: Array, sample_rate: int, metrics: list[str], *, cached: bool = False) -> Call:
    """One evaluation; with the baseline of the mixture given when `cached`."""
    given: dict[str, Any] = {
        "references": references,
        "mixture": references.sum(axis=0),
        "sample_rate": sample_rate,
        "metrics": metrics,
    }
    baseline = evaluate_mixture(**given) if cached else None
    estimates = list(estimated(references))
    return lambda: evaluate(**given, estimates=estimates, baseline=baseline)


def named(references: Array, sample_rate: int, metrics: list[str]) -> Call:
    """One evaluation of estimates with the names of the references, the baseline given."""
    signals = {"references": references, "mixture": references.sum(axis=0)}
    settings: dict[str, Any] = {"sample_rate": sample_rate, "metrics": metrics}
    baseline = evaluate_mixture(**signals, **settings)
    estimates = list(estimated(references))
    names = [f"stem{number}" for number in range(len(references))]
    return lambda: evaluate(
        **signals, **settings, estimates=estimates, names=names, baseline=baseline
    )


def estimated(references: Array) -> Array:
    """Return estimates that are near the references."""
    noise = 0.01 * np.random.default_rng(1).standard_normal(references.shape)
    return references + 0.2 * references[::-1] + noise


def mir_eval_sources(references: Array, *, permuted: bool) -> Call:
    """Return the call of mir_eval on the same signals."""
    pair = references[:, 0], estimated(references)[:, 0]

    def call() -> object:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=FutureWarning, message="mir_eval.separation")
            return mir_eval.separation.bss_eval_sources(*pair, permuted)

    return call


def museval_framewise(references: Array, sample_rate: int, mode: str = "v4") -> Call:
    """Return the call of museval on the same signals."""
    swapped = [np.moveaxis(x, 1, 2) for x in (references, estimated(references))]
    return lambda: museval.evaluate(*swapped, win=sample_rate, hop=sample_rate, mode=mode)


def fast_sources(references: Array) -> Call:
    """Return the call of fast_bss_eval on the same signals."""
    pair = references[:, 0], estimated(references)[:, 0]
    return lambda: fast_bss_eval.bss_eval_sources(*pair)


def pystoi_both(references: Array, sample_rate: int) -> Call:
    """Return the calls of pystoi for STOI and ESTOI on the same signals."""
    pairs = list(zip(references[:, 0], estimated(references)[:, 0], strict=True))
    return lambda: [stoi(*pair, sample_rate, extended=e) for pair in pairs for e in (False, True)]


@dataclass(frozen=True)
class Comparison:
    """What is computed, the name of the peer, and what makes the call of each."""

    what: str
    peer: str
    ours: Callable[[], Call]
    theirs: Callable[[], Call]


def comparisons() -> list[Comparison]:
    """Return all comparisons; signals are made with the calls."""
    two, three = (partial(speech_like, n, 4.0, 8_000) for n in (2, 3))
    wide = partial(speech_like, 2, 4.0, 16_000)
    cached = lambda: ours(two(), 8_000, ["bss512"], cached=True)  # noqa: E731 - as those below
    given = "bss512, 2 x 4 s, given baseline"
    found = [
        Comparison(
            "bss512, 2 x 4 s",
            "mir_eval",
            lambda: ours(two(), 8_000, ["bss512"]),
            lambda: mir_eval_sources(two(), permuted=True),
        ),
        Comparison(
            "bss512, 3 x 4 s",
            "mir_eval",
            lambda: ours(three(), 8_000, ["bss512"]),
            lambda: mir_eval_sources(three(), permuted=True),
        ),
        Comparison(given, "mir_eval", cached, lambda: mir_eval_sources(two(), permuted=True)),
        Comparison(
            given,
            "mir_eval, no permutation",
            cached,
            lambda: mir_eval_sources(two(), permuted=False),
        ),
        Comparison(given, "fast_bss_eval", cached, lambda: fast_sources(two())),
        Comparison(
            "stoi and estoi, 2 x 4 s, 16 kHz",
            "pystoi",
            lambda: ours(wide(), 16_000, ["stoi"]),
            lambda: pystoi_both(wide(), 16_000),
        ),
    ]
    for name, seconds in (("10 s", 10.0), ("4 min", 240.0)):
        found += of_stems(f"4 stereo stems of {name}", seconds, "v4", ["sdr_v4"], ALL_V4)
    return found + of_stems("4 stereo stems of 2 s", 2.0, "v3", ["sdr_v4", "images_v3"])


def of_stems(what: str, seconds: float, mode: str, *metrics: list[str]) -> list[Comparison]:
    """Return comparisons with museval, one for each list of metrics."""
    rate = 44_100
    stems = partial(speech_like, 4, seconds, rate, channels=2)
    peer = "museval" if mode == "v4" else f"museval, mode {mode}"
    return [
        Comparison(
            f"{' and '.join(names)}, {what}",
            peer,
            partial(lambda chosen: named(stems(), rate, chosen), names),
            lambda: museval_framewise(stems(), rate, mode),
        )
        for names in metrics
    ]


def cpu_ms(call: Call) -> float:
    """Return the CPU time of a call in milliseconds."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def serve(number: int, side: str, pipe: Connection) -> None:
    """Answer every message with the CPU time in ms of a call of one side of a comparison.

    It is the mean of as many calls as take TURN_MS: users score thousands of mixtures in a row.
    """
    comparison = comparisons()[number]
    call = comparison.ours() if side == "ours" else comparison.theirs()
    while pipe.recv():
        taken = [cpu_ms(call)]
        while sum(taken) < TURN_MS:
            taken.append(cpu_ms(call))
        pipe.send(statistics.fmean(taken))


@contextmanager
def process_of(number: int, side: str) -> Iterator[Callable[[], float]]:
    """Start a process for one side of a comparison; yield what times a call in it."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(number, side, there))
    process.start()
    there.close()

    def timed() -> float:
        """Return the CPU time of a call in ms."""
        here.send(True)
        took: float = here.recv()
        return took

    yield timed
    here.send(False)
    process.join()


def measure(number: int) -> tuple[float, float]:
    """Median CPU time of both sides in ms; the calls take turns, so both see the same machine.

    The first round warms up, and counts only where it is the only one.
    """
    rounds: list[tuple[float, float]] = []
    with process_of(number, "ours") as ours_timed, process_of(number, "theirs") as theirs_timed:
        while len(rounds) <= ROUNDS and sum(map(sum, rounds)) < LONGEST_MS:
            rounds.append((ours_timed(), theirs_timed()))
    columns = zip(*(rounds[1:] or rounds), strict=True)
    our_ms, their_ms = (statistics.median(column) for column in columns)
    return our_ms, their_ms


def unpinned_ms() -> float:
    """Return our CPU time in ms in a process that does not limit the threads of BLAS."""
    free = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    command = [sys.executable, __file__, "--alone"]
    done = subprocess.run(command, env=free, capture_output=True, text=True, check=True)
    return float(done.stdout)


def alone_ms() -> float:
    """Return the CPU time in ms of one evaluation, median of several."""
    call = ours(speech_like(2, 4.0, 8_000), 8_000, ["bss512"], cached=True)
    return statistics.median(cpu_ms(call) for _ in range(4 * ROUNDS))


def main() -> None:
    """Print the table and write it as CSV."""
    if "--alone" in sys.argv:
        print(alone_ms())
        return
    rows = []
    for number, comparison in enumerate(comparisons()):
        rows.append(row(comparison.what, comparison.peer, *measure(number)))
    own = "itself, threads of BLAS not limited"
    rows.append(row("bss512, 2 x 4 s, given baseline", own, alone_ms(), unpinned_ms()))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "peer", "ours_ms", "peer_ms", "ratio"])
        writer.writerows(rows)


def row(what: str, peer: str, our_ms: float, their_ms: float) -> list[str]:
    """Return and print one row."""
    cells = [what, peer, f"{our_ms:.1f}", f"{their_ms:.1f}", f"{their_ms / our_ms:.1f}"]
    print("{:<46} {:<36} {:>9} ms {:>10} ms {:>8} x".format(*cells), flush=True)
    return cells


if __name__ == "__main__":
    main()
