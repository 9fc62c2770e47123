"""How long the metrics take beside their peers: one process, one run, alternating calls.

    OMP_NUM_THREADS=1 python benchmarks/metrics_speed.py

CPU time of this process, median of several rounds; a ratio above 1 says that ours is faster. What
ours does beyond the peer (permutation, baseline of the mixture) is included in ours. The last row
has our CPU time in a process that leaves the number of BLAS threads to BLAS, as a notebook does,
in place of a peer's. Writes benchmarks/results/metrics_speed.csv.
"""

import csv
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import fast_bss_eval
import mir_eval
import numpy as np
from museval_alone import museval
from numpy.typing import NDArray
from pystoi import stoi

from evalsuite.metrics import evaluate, evaluate_mixture

Array = NDArray[np.float64]
Call = Callable[[], object]
ROUNDS = 5
# No further round begins after this time: museval takes minutes for a song.
LONGEST_MS = 60_000.0
# Rounds go on for this time, so that there are many of calls of milliseconds.
SHORTEST_MS = 4_000.0
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
    given = {
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
    settings = {"sample_rate": sample_rate, "metrics": metrics}
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


def pystoi_both(references: Array, sample_rate: int) -> Call:
    """Return the calls of pystoi for STOI and ESTOI on the same signals."""
    pairs = list(zip(references[:, 0], estimated(references)[:, 0], strict=True))
    return lambda: [stoi(*pair, sample_rate, extended=e) for pair in pairs for e in (False, True)]


def comparisons() -> Iterator[tuple[str, str, Call, Call]]:
    """Yield what is computed, the peer, our call, the peer's call."""
    two, three = (speech_like(n, 4.0, 8_000) for n in (2, 3))
    cached = ours(two, 8_000, ["bss512"], cached=True)
    permuted, plain = (mir_eval_sources(two, permuted=permuted) for permuted in (True, False))
    yield "bss512, 2 x 4 s", "mir_eval", ours(two, 8_000, ["bss512"]), permuted
    of_three = mir_eval_sources(three, permuted=True)
    yield "bss512, 3 x 4 s", "mir_eval", ours(three, 8_000, ["bss512"]), of_three
    given = "bss512, 2 x 4 s, given baseline"
    yield given, "mir_eval", cached, permuted
    yield given, "mir_eval, no permutation", cached, plain
    fast = two[:, 0], estimated(two)[:, 0]
    yield given, "fast_bss_eval", cached, lambda: fast_bss_eval.bss_eval_sources(*fast)
    wide = speech_like(2, 4.0, 16_000)
    stoi_and_estoi = ours(wide, 16_000, ["stoi"])
    yield "stoi and estoi, 2 x 4 s, 16 kHz", "pystoi", stoi_and_estoi, pystoi_both(wide, 16_000)
    for name, seconds in (("10 s", 10.0), ("4 min", 240.0)):
        stems = speech_like(4, seconds, 44_100, channels=2)
        peer = museval_framewise(stems, 44_100)
        what = f"4 stereo stems of {name}"
        yield f"sdr_v4, {what}", "museval", named(stems, 44_100, ["sdr_v4"]), peer
        yield f"sdr_v4 and images_v4, {what}", "museval", named(stems, 44_100, ALL_V4), peer
    short = speech_like(4, 2.0, 44_100, channels=2)
    framewise = named(short, 44_100, ["sdr_v4", "images_v3"])
    what = "sdr_v4 and images_v3, 4 stereo stems of 2 s"
    yield what, "museval, mode v3", framewise, museval_framewise(short, 44_100, "v3")


def cpu_ms(call: Call) -> float:
    """Return the CPU time of a call in milliseconds."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def measure(our_call: Call, their_call: Call) -> tuple[float, float]:
    """Median CPU time of both in ms; the calls take turns, so both see the same machine.

    The first round warms up, and counts only where it is the only one.
    """
    rounds: list[tuple[float, float]] = []
    spent_ms = 0.0
    while spent_ms < (LONGEST_MS if len(rounds) <= ROUNDS else SHORTEST_MS):
        rounds.append((cpu_ms(our_call), cpu_ms(their_call)))
        spent_ms += sum(rounds[-1])
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
    for what, peer, our_call, their_call in comparisons():
        rows.append(row(what, peer, *measure(our_call, their_call)))
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
