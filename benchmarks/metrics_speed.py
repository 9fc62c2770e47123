"""How long the metrics take beside their peers: one process, one run, alternating calls.

    OMP_NUM_THREADS=1 python benchmarks/metrics_speed.py

CPU time of this process, median of several rounds; a ratio above 1 says that ours is faster. What
ours does beyond the peer (permutation, baseline of the mixture) is included in ours. Writes
benchmarks/results/metrics_speed.csv.
"""

import csv
import statistics
import time
import warnings
from collections.abc import Callable
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


def museval_v4(references: Array, sample_rate: int) -> Call:
    """Return the call of museval on the same signals."""
    swapped = [np.moveaxis(x, 1, 2) for x in (references, estimated(references))]
    return lambda: museval.evaluate(*swapped, win=sample_rate, hop=sample_rate)


def pystoi_both(references: Array, sample_rate: int) -> Call:
    """Return the calls of pystoi for STOI and ESTOI on the same signals."""
    pairs = list(zip(references[:, 0], estimated(references)[:, 0], strict=True))
    return lambda: [stoi(*pair, sample_rate, extended=e) for pair in pairs for e in (False, True)]


def comparisons() -> list[tuple[str, str, Call, Call]]:
    """What is computed, the peer, our call, the peer's call."""
    two, three = (speech_like(n, 4.0, 8_000) for n in (2, 3))
    wide = speech_like(2, 4.0, 16_000)
    stems = speech_like(4, 10.0, 44_100, channels=2)
    bss = ["bss512"]
    cached = ours(two, 8_000, bss, cached=True)
    permuted, plain = (mir_eval_sources(two, permuted=permuted) for permuted in (True, False))
    of_three = mir_eval_sources(three, permuted=True)
    fast = two[:, 0], estimated(two)[:, 0]
    return [
        ("bss512, 2 x 4 s", "mir_eval", ours(two, 8_000, bss), permuted),
        ("bss512, 3 x 4 s", "mir_eval", ours(three, 8_000, bss), of_three),
        ("bss512, 2 x 4 s, given baseline", "mir_eval", cached, permuted),
        ("bss512, 2 x 4 s, given baseline", "mir_eval, no permutation", cached, plain),
        (
            "bss512, 2 x 4 s, given baseline",
            "fast_bss_eval",
            cached,
            lambda: fast_bss_eval.bss_eval_sources(*fast),
        ),
        (
            "stoi and estoi, 2 x 4 s, 16 kHz",
            "pystoi",
            ours(wide, 16_000, ["stoi"]),
            pystoi_both(wide, 16_000),
        ),
        (
            "sdr_v4, 4 stereo stems of 10 s",
            "museval",
            ours(stems, 44_100, ["sdr_v4"]),
            museval_v4(stems, 44_100),
        ),
    ]


def cpu_ms(call: Call) -> float:
    """Return the CPU time of a call in milliseconds."""
    started = time.process_time()
    call()
    return 1e3 * (time.process_time() - started)


def measure(our_call: Call, their_call: Call) -> tuple[float, float]:
    """Median CPU time of both in ms; the calls take turns, so both see the same machine."""
    rounds = [(cpu_ms(our_call), cpu_ms(their_call)) for _ in range(ROUNDS)]
    our_ms, their_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    return our_ms, their_ms


def main() -> None:
    """Print the table and write it as CSV."""
    rows = []
    for what, peer, our_call, their_call in comparisons():
        our_ms, their_ms = measure(our_call, their_call)
        rows.append([what, peer, f"{our_ms:.1f}", f"{their_ms:.1f}", f"{their_ms / our_ms:.1f}"])
        print("{:<34} {:<26} {:>10} ms {:>10} ms {:>8} x".format(*rows[-1]), flush=True)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["what", "peer", "ours_ms", "peer_ms", "ratio"])
        writer.writerows(rows)


if __name__ == "__main__":
    main()
