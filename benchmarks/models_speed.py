"""Separators here beside other implementations of them: forward, training step and memory on a CPU.

    make run/benchmarks/models_speed.py        (in the environment that `make parity` uses)

Both networks have the same weights, converted by the importers that `baselines import` uses, and
get the same audio. `forward` separates without gradients; `step` is forward, backward (of the mean
square of the output) and Adam. Their rounds take turns in one process; a ratio is the median over
the rounds of ours to theirs in that round, below 1 where ours is faster. Memory is the peak of a
process that does the same with one of them, above that of a process that has only imported them.
Systems above 50 M parameters are measured at reduced width. Ours returns estimates at the level of
the mixture, which is counted. Writes benchmarks/results/models_speed.csv after each pair; a run
that was stopped goes on with the pairs that are not in the file.
"""

import argparse
import csv
import resource
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from itertools import groupby
from pathlib import Path

import torch
from models_beside_peers import PAIRS, Pair
from torch import Tensor, nn

from baselines.peers.weights import separator_from
from baselines.registry import model_spec

RESULT = Path(__file__).parent / "results" / "models_speed.csv"
HEADER = ("system", "peer", "note", "what", "threads", "ratio", "ours_ms", "theirs_ms")
ROUNDS = {"forward": 9, "step": 5}
MEMORY_ROUNDS = 5


def networks(pair: Pair) -> tuple[nn.Module, nn.Module]:
    """Return ours and theirs with the same weights."""
    torch.manual_seed(0)
    theirs = pair.make().eval()
    ours = separator_from(model_spec(pair.system), pair.peer, theirs.state_dict(), pair.arguments)
    return ours, theirs


def worker(call: Callable[[Tensor], Tensor], module: nn.Module, what: str) -> Callable[..., None]:
    """Return what is timed: a forward pass, or a step of training."""
    if what == "forward":

        def forward(mixture: Tensor) -> None:
            with torch.no_grad():
                call(mixture)

        return forward
    module.train()
    optimizer = torch.optim.Adam(module.parameters(), 1e-6)

    def step(mixture: Tensor) -> None:
        optimizer.zero_grad()
        call(mixture).square().mean().backward()
        optimizer.step()

    return step


def audio(pair: Pair) -> Tensor:
    return 0.1 * torch.randn(1, pair.channels, round(pair.seconds * pair.rate))


def timed(pair: Pair, what: str, threads: int) -> list[object]:
    """Return ratio and milliseconds of rounds that take turns."""
    torch.set_num_threads(threads)
    ours, theirs = networks(pair)
    mixture = audio(pair)
    work = [worker(ours, ours, what), worker(lambda x: pair.call(theirs, x), theirs, what)]
    rounds: list[list[float]] = []
    for number in range(ROUNDS[what] + 1):
        seconds = []
        for one in work:
            started = time.perf_counter()
            one(mixture)
            seconds.append(time.perf_counter() - started)
        rounds += [seconds] if number else []
    ratio = statistics.median(mine / other for mine, other in rounds)
    medians = (f"{1000 * statistics.median(column):.1f}" for column in zip(*rounds, strict=True))
    return [f"{ratio:.3f}", *medians]


def peak_mb(pair: Pair, what: str, who: str) -> float:
    """Return the peak memory of this process above what it has before the work."""
    torch.set_num_threads(1)
    ours, theirs = networks(pair)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    mixture = audio(pair)
    one = worker(ours, ours, what)
    if who == "theirs":
        one = worker(lambda x: pair.call(theirs, x), theirs, what)
    one(mixture)
    one(mixture)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**10


def child(*words: object) -> str:
    """Run this script for one measurement in a process of its own; return what it prints."""
    command = [sys.executable, "-W", "ignore", __file__, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def memory(number: int, what: str, who: str) -> float:
    """Return the median of the peak memory of several processes, which differ by 20 MB."""
    peaks = [float(child(number, what, 1, "--memory", who)) for _ in range(MEMORY_ROUNDS)]
    return statistics.median(peaks)


def measure(number: int, pair: Pair) -> list[list[object]]:
    """Return the rows of one pair."""
    name = [pair.system, pair.peer, pair.note]
    rows: list[list[object]] = []
    for what in ROUNDS:
        for threads in (1, 2):
            rows.append([*name, what, threads, *child(number, what, threads).split()])
        ours, theirs = (memory(number, what, who) for who in ("ours", "theirs"))
        rows.append([*name, f"{what} peak MB", 1, f"{ours / theirs:.3f}", ours, theirs])
    return rows


def read_rows() -> dict[tuple[str, str], list[list[object]]]:
    """Return the rows of an earlier run by system and peer."""
    with open(RESULT, newline="", encoding="utf-8") as stream:
        _, *rows = csv.reader(stream)
    pairs = groupby(rows, lambda row: (row[0], row[1]))
    return {pair: [[*row] for row in group] for pair, group in pairs}


def write_rows(rows: Mapping[tuple[str, str], list[list[object]]]) -> None:
    """Write the rows of all pairs, in the order of the pairs."""
    pairs = [(pair.system, pair.peer) for pair in PAIRS]
    ordered = [row for pair in pairs for row in rows.get(pair, [])]
    with open(RESULT, "w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([HEADER, *ordered])


def main() -> None:
    """Measure every pair, or one measurement of one pair."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("number", type=int, nargs="?", help="One pair, in this process.")
    parser.add_argument("what", choices=ROUNDS, nargs="?")
    parser.add_argument("threads", type=int, nargs="?")
    parser.add_argument("--memory", choices=("ours", "theirs"))
    parser.add_argument("--only", nargs="*", help="Systems to measure anew.")
    parser.add_argument("--again", action="store_true", help="Measure all pairs anew.")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.number is not None:
        pair = PAIRS[options.number]
        if options.memory:
            print(peak_mb(pair, options.what, options.memory))
        else:
            print(*timed(pair, options.what, options.threads))
        return
    rows = {} if options.again or not RESULT.is_file() else read_rows()
    for number, pair in enumerate(PAIRS):
        if options.only and pair.system not in options.only:
            continue
        if (pair.system, pair.peer) not in rows or options.only:
            rows[pair.system, pair.peer] = measure(number, pair)
            write_rows(rows)
        for row in rows[pair.system, pair.peer]:
            print(*row, sep="  ", flush=True)
    print(f"wrote {RESULT}")


if __name__ == "__main__":
    main()
