"""What each judge costs, and whether it orders clean speech, an ideal mask and the mixture.

    OMP_NUM_THREADS=1 SEPARATION_DATA=data python benchmarks/judges.py [JUDGE ...]

50 mixtures at 16 kHz of two talkers of LibriSpeech test-other (5 s of each, equal energy), the
estimates being the references themselves, those of the ideal ratio mask, and the mixture. For the
judge of echo cancellers, one talker and the echo of another: the estimates hold none of the echo, a
tenth of its amplitude, and all of it. An item is a mixture; its value is the mean over its talkers,
of a word error rate the ratio of the sums. Shares are those of the items in which the first of two
conditions is judged better, or equal. CPU seconds are those of one estimate of 5 s, the median over
the mixtures, its reference known. The numbers of each judge replace its rows in
benchmarks/results/judges.csv.
"""

import csv
import statistics
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from speech_scenes import LIBRISPEECH, recordings

from baselines import build
from evalsuite.metrics import evaluate, select
from mixgen.acoustics.echo_path import Echo
from mixgen.core.files import write_csv
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source

Array = NDArray[np.float64]

RATE = 16000
SECONDS = 5
ITEMS = 50
RESULT = Path(__file__).with_name("results") / "judges.csv"
JUDGES = (
    "dwer",
    "dwer@pocketsphinx",
    "talker_sim",
    "talker_confusion",
    "dnsmos",
    "distillmos",
    "visqol",
    "aecmos",
)
CONDITIONS = ("clean", "mask", "mixture")
COLUMNS = (
    "judge",
    "column",
    "items",
    "cpu_s",
    *CONDITIONS,
    "clean_above_mask",
    "clean_equals_mask",
    "mask_above_mixture",
    "mask_equals_mixture",
)


@dataclass(frozen=True)
class Scene:
    """One mixture: references and the estimates of each condition, (n_src, 1, time) each."""

    references: Array
    mixture: Array
    estimates: Mapping[str, Array]
    record: Mixture | None = None
    others: Mapping[str, Array] | None = None


def excerpts() -> Iterator[tuple[Array, Array]]:
    """Yield pairs of excerpts of two talkers, (1, time) each, of equal energy."""
    talkers = [
        sorted(path.rglob("*.flac"))
        for path in sorted(recordings(f"{LIBRISPEECH}/test-other").iterdir())
        if path.is_dir()
    ]
    generator = np.random.default_rng(0)
    for _ in range(ITEMS):
        pair = generator.choice(len(talkers), 2, replace=False)
        files = [talkers[i][generator.integers(len(talkers[i]))] for i in pair]
        first, second = map(_excerpt, files)
        yield first, second


def _excerpt(path: Path) -> Array:
    samples, rate = soundfile.read(path, frames=SECONDS * RATE)
    assert rate == RATE
    samples = np.pad(samples, (0, SECONDS * RATE - len(samples)))
    levelled: Array = 0.05 * samples[None] / np.sqrt(np.mean(np.square(samples)))
    return levelled


def two_talkers() -> Iterator[Scene]:
    """Yield mixtures of two talkers, with the ideal ratio mask."""
    oracle = build("oracle:irm", n_src=2, sample_rate=RATE)
    for pair in excerpts():
        references = np.stack(pair)
        mixture = references.sum(axis=0)
        with torch.no_grad():
            masked = oracle(torch.from_numpy(mixture)[None], torch.from_numpy(references)[None])[0]
        estimates = {
            "clean": references,
            "mask": masked.numpy(),
            "mixture": np.stack([mixture] * 2),
        }
        yield Scene(references, mixture, estimates)


def echoes() -> Iterator[Scene]:
    """Yield a talker with the echo of another; the path is 60 ms of decaying noise."""
    generator = np.random.default_rng(1)
    path = generator.standard_normal(960) * np.exp(-np.arange(960) / 160)
    for near, far in excerpts():
        echo = np.convolve(far[0], path)[None, : far.shape[-1]]
        echo *= np.sqrt(np.sum(near**2) / np.sum(echo**2))
        left = {"clean": 0.0, "mask": 0.1, "mixture": 1.0}
        estimates = {name: (near + gain * echo)[None] for name, gain in left.items()}
        others = {"echo": echo, "echo_far_end": far}
        yield Scene(near[None], near + echo, estimates, echo_record(near.shape[-1]), others)


def echo_record(frames: int) -> Mixture:
    """Return the record of a near-end talker s1 and an echo."""
    event = Event(
        corpus="librispeech",
        path="x.flac",
        sha256="0" * 64,
        source_time=0.0,
        event_time=0.0,
        event_duration=float(SECONDS),
        snr=0.0,
    )
    gain = Gain(rule="energy")
    near = Source(name="s1", role="target", label="a", kind="speech", events=[event], gain=gain)
    echo = near.model_copy(
        update={"name": "echo", "role": "far_end", "echo": Echo(delay_s=0.0, far_end_db=-25.0)}
    )
    return Mixture(
        id="m",
        split="test",
        sample_rate=RATE,
        channels=1,
        frames=frames,
        seed=1,
        sources=[near, echo],
        level=Level(reference_db=-30.0),
        targets=["s1"],
    )


def measure(judge: str) -> list[dict[str, object]]:
    """Return the rows of a judge."""
    torch.set_num_threads(1)
    (metric,) = select(task="speech_separation", sample_rate=RATE, metrics=[judge])
    columns = [*metric.columns, *(c for c in metric.diagnostics if c.startswith("dnsmos"))]
    values: dict[tuple[str, str], list[float]] = {(c, k): [] for c in columns for k in CONDITIONS}
    sums: dict[tuple[str, str], list[tuple[float, float]]] = {}
    seconds = []
    for scene in echoes() if judge == "aecmos" else two_talkers():
        for condition in CONDITIONS:
            begin = time.process_time()
            scores = evaluate(
                references=scene.references,
                estimates=list(scene.estimates[condition]),
                mixture=scene.mixture,
                sample_rate=RATE,
                names=[f"s{i + 1}" for i in range(len(scene.references))],
                metrics=[judge],
                record=scene.record,
                read=None if scene.others is None else scene.others.__getitem__,
            )
            if condition == "mask":
                seconds.append((time.process_time() - begin) / len(scene.references))
            rows: list[dict[str, Any]] = (
                [r.values for r in scores.references]
                if metric.scope == "reference"
                else [scores.mixture.values]
            )
            for column in columns:
                if column in metric.ratios:
                    parts = metric.ratios[column]
                    errors, words = (sum(row[part] for row in rows) for part in parts)
                    values[column, condition].append(errors / words if words else np.nan)
                    sums.setdefault((column, condition), []).append((errors, words))
                else:
                    values[column, condition].append(float(np.mean([row[column] for row in rows])))
        print(judge, len(seconds), end="\r", file=sys.stderr, flush=True)
    return [
        _row(judge, column, seconds, values, sums, metric.higher_is_better) for column in columns
    ]


def _row(
    judge: str,
    column: str,
    seconds: Sequence[float],
    values: Mapping[tuple[str, str], Sequence[float]],
    sums: Mapping[tuple[str, str], Sequence[tuple[float, float]]],
    higher_is_better: bool,
) -> dict[str, object]:
    sign = 1.0 if higher_is_better else -1.0
    of = {name: sign * np.array(values[column, name]) for name in CONDITIONS}
    known = np.all([np.isfinite(of[name]) for name in CONDITIONS], axis=0)
    clean, mask, mixture = (of[name][known] for name in CONDITIONS)
    averages = {name: sign * float(of[name][known].mean()) for name in CONDITIONS}
    for name in CONDITIONS:
        if (column, name) in sums:
            errors, words = np.sum(sums[column, name], axis=0)
            averages[name] = errors / words
    return {
        "judge": judge,
        "column": column,
        "items": int(known.sum()),
        "cpu_s": f"{statistics.median(seconds):.3f}",
        **{name: f"{value:z.3f}" for name, value in averages.items()},
        "clean_above_mask": f"{np.mean(clean > mask):.2f}",
        "clean_equals_mask": f"{np.mean(clean == mask):.2f}",
        "mask_above_mixture": f"{np.mean(mask > mixture):.2f}",
        "mask_equals_mixture": f"{np.mean(mask == mixture):.2f}",
    }


def main() -> None:
    """Measure the judges that are named, by default all; print and write their rows."""
    for judge in sys.argv[1:] or JUDGES:
        # A judge remembers what it heard; two metrics of one judge would share that.
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            rows = pool.submit(measure, judge).result()
        print(*rows, sep="\n")
        old = []
        if RESULT.is_file():
            with open(RESULT, encoding="utf-8", newline="") as file:
                old = [row for row in csv.DictReader(file) if row["judge"] != judge]
        order = {name: number for number, name in enumerate(JUDGES)}
        kept = sorted([*old, *rows], key=lambda row: order[str(row["judge"])])
        write_csv(RESULT, COLUMNS, kept)


if __name__ == "__main__":
    main()
