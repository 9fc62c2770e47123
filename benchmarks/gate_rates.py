"""How often the gate is wrong: simulated pairs of checkpoints whose true difference is known.

    OMP_NUM_THREADS=1 python benchmarks/gate_rates.py [--pairs 200]

Every pair is judged by `evalsuite.gate.check`, as `evalsuite check` does, on 200 and on 3000
mixtures. Differences between the two scores of a mixture follow these distributions:

- normal: a spread of 1 dB;
- heavy tails: Student's t with 4 degrees of freedom, a spread of 1 dB;
- rare collapses: a spread of 0.6 dB, and the candidate loses 6 dB more on average on 2 % of the
  mixtures;
- real: those of two pairs of separators in SI-SDR on 100 mixtures of two LibriSpeech talkers
  (results/paired_differences.csv), drawn with replacement.

Each is shifted to the true mean. `nominal` is the rate of a test at 2.5 % on each side on normal
differences of the same spread; with two metrics, the most that all columns together may be wrong.
The interval of a rate is Clopper and Pearson's (95 %). Writes benchmarks/results/gate_rates.csv.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from evalsuite.gate.check import TOLERANCE_OF_UNIT, check
from evalsuite.scoring.folder import SystemScores
from evalsuite.scoring.records import Counts, ItemRow, MetricDefinition, ScoresRun, Separation

Array = NDArray[np.float64]
RESULTS = Path(__file__).with_name("results")
RESULT = RESULTS / "gate_rates.csv"
SIZES = (200, 3000)
SIDE = 0.025
TOLERANCE_DB = TOLERANCE_OF_UNIT["dB"]
TRUE_DB = {"not worse": (-0.2, -TOLERANCE_DB, 0.0, 0.1), "better": (-0.1, 0.0, 0.1)}


@dataclass(frozen=True)
class Differences:
    """A distribution of paired differences with the mean 0.

    Attributes:
        name: of the distribution.
        spread: its standard deviation, in dB.
        draw: (generator, number) -> differences in dB.
    """

    name: str
    spread: float
    draw: Callable[[np.random.Generator, int], Array]


def _collapses(generator: np.random.Generator, n: int) -> Array:
    lost = np.where(generator.random(n) < 0.02, generator.exponential(6.0, n), 0.0)
    return 0.6 * generator.standard_normal(n) - lost + 0.02 * 6.0


def real_differences() -> list[Differences]:
    """Return the recorded differences of each pair of separators."""
    with open(RESULTS / "paired_differences.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    values: dict[str, list[float]] = {}
    for row in rows:
        name = f"real: {row['base']} to {row['candidate']}"
        values.setdefault(name, []).append(float(row["difference_db"]))
    return [_resampled(name, np.array(found)) for name, found in values.items()]


def _resampled(name: str, values: Array) -> Differences:
    centred = values - values.mean()
    return Differences(
        name, float(centred.std()), lambda generator, n: generator.choice(centred, n)
    )


SYNTHETIC = (
    Differences("normal", 1.0, lambda generator, n: generator.standard_normal(n)),
    Differences("heavy tails", 1.0, lambda generator, n: generator.standard_t(4, n) / np.sqrt(2.0)),
    Differences("rare collapses", np.sqrt(0.36 + 0.02 * 72.0 - 0.12**2), _collapses),
)


def scores_of(columns: dict[str, Array]) -> SystemScores:
    """Return scores with one row per mixture and these columns, in dB."""
    metrics = [
        MetricDefinition(
            name=column,
            scope="reference",
            columns=[column],
            improvements=[],
            diagnostics=[],
            unit="dB",
            higher_is_better=True,
            floor=None,
        )
        for column in columns
    ]
    size = len(next(iter(columns.values())))
    run = ScoresRun(
        model="simulated",
        checkpoint_sha256=None,
        manifest_sha256="",
        set="simulated",
        split="test",
        task="speech_separation",
        named=False,
        sample_rate=8000,
        metric_spec_sha256="",
        inputs_sha256="",
        items_sha256="",
        counts=Counts(n=size, n_failed=0, n_references=size, n_inf=0),
        separation=Separation(device=None, threads=None, versions={}),
        hardware={},
        versions={},
        date="",
        metrics=metrics,
    )
    values = zip(*(column.tolist() for column in columns.values()), strict=True)
    items = [_row(str(i), dict(zip(columns, row, strict=True))) for i, row in enumerate(values)]
    return SystemScores(Path("simulated"), run, items)


def _row(mixture_id: str, values: dict[str, float | None]) -> ItemRow:
    return ItemRow(
        id=mixture_id,
        reference="s1",
        label="",
        estimate="est1",
        n_ref=1,
        n_est=1,
        permutation=[0],
        duration_s=4.0,
        status="ok",
        reason=None,
        values=values,
        reasons={},
    )


def verdicts(
    differences: Differences,
    *,
    question: str,
    true_db: float,
    n: int,
    pairs: int,
    columns: Sequence[str] = ("si_sdr",),
) -> Counter[str]:
    """Return how many pairs of checkpoints got each overall verdict.

    Args:
        differences: between the scores of a mixture.
        question: `not worse` or `better`.
        true_db: mean difference of the candidate in every column.
        n: mixtures of a set.
        pairs: number of simulated pairs.
        columns: to compare; their differences are independent.
    """
    better = question == "better"
    generator = np.random.default_rng([n, len(columns), better, round(1000 * abs(true_db))])
    base = {column: 10.0 + 4.0 * generator.standard_normal(n) for column in columns}
    base_scores = scores_of(base)
    counts: Counter[str] = Counter()
    for _ in range(pairs):
        candidate = {c: base[c] + true_db + differences.draw(generator, n) for c in columns}
        result = check(
            base=base_scores,
            candidate=scores_of(candidate),
            better=better,
            columns=columns if better else None,
        )
        counts[result.verdict] += 1
    return counts


def rate_interval(count: int, n: int) -> tuple[float, float]:
    """Return the 95 % interval of Clopper and Pearson for a rate of `count` in `n`."""
    interval = stats.binomtest(count, n).proportion_ci()
    return float(interval.low), float(interval.high)


def nominal(differences: Differences, question: str, true_db: float, n: int) -> tuple[float, float]:
    """Return the rates of `fail` and `pass` in one column if the means are normal."""
    limit = 0.0 if question == "better" else -TOLERANCE_DB
    ahead = (true_db - limit) / (differences.spread / np.sqrt(n))
    needed = stats.norm.ppf(1 - SIDE)
    return float(stats.norm.cdf(-ahead - needed)), float(stats.norm.cdf(ahead - needed))


def wrong_verdicts(question: str, true_db: float) -> str:
    """Return which verdict is wrong; at the limit neither may come more often than nominal."""
    limit = 0.0 if question == "better" else -TOLERANCE_DB
    if true_db == limit:
        return "fail and pass"
    return "fail" if true_db > limit else "pass"


def rows_of(
    differences: Differences, n: int, pairs: int, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """Return a row for each question and true difference."""
    rows = []
    for question, truths in TRUE_DB.items():
        limit = 0.0 if question == "better" else -TOLERANCE_DB
        for true_db in truths if len(columns) == 1 else (limit,):
            counts = verdicts(
                differences, question=question, true_db=true_db, n=n, pairs=pairs, columns=columns
            )
            expected = nominal(differences, question, true_db, n)
            row = {
                "question": question,
                "metrics": len(columns),
                "differences": differences.name,
                "spread_db": round(differences.spread, 2),
                "n": n,
                "true_difference_db": true_db,
                "pairs": pairs,
                "wrong": wrong_verdicts(question, true_db),
            }
            for verdict, rate in zip(("fail", "pass"), expected, strict=True):
                low, high = rate_interval(counts[verdict], pairs)
                row |= {
                    f"{verdict}_rate": counts[verdict] / pairs,
                    f"{verdict}_lo": round(low, 4),
                    f"{verdict}_hi": round(high, 4),
                    f"{verdict}_nominal": round(rate, 4),
                }
            rows.append(row)
            print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)
    return rows


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=200, help="of checkpoints in every row")
    pairs = parser.parse_args().pairs
    rows = []
    for n in SIZES:
        for differences in (*SYNTHETIC, *real_differences()):
            rows += rows_of(differences, n, pairs, ["si_sdr"])
        for differences in SYNTHETIC[:2]:
            rows += rows_of(differences, n, pairs, ["si_sdr", "snr"])
    with open(RESULT, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
