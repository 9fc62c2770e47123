"""The regression gate: is a candidate worse than the base, given what the items can tell?

Differences are paired by item, averaged per mixture, and judged by their 95 % interval:

- fail: the interval lies below -tolerance, or an item failed that did not in the base;
- pass: the interval lies at or above -tolerance;
- inconclusive: neither. Fewer than six mixtures pass only if no item differs at all.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

import numpy as np

from evalsuite.scoring.folder import ScoreFolder, is_failure, is_perfect, open_scores
from evalsuite.scoring.records import ItemRow
from evalsuite.statistics import FEW, Interval, holm, mean_interval, wilcoxon_p
from mixgen.core.errors import InputError, UsageError
from mixgen.core.records import Record

Verdict = Literal["pass", "fail", "inconclusive"]

TOLERANCE_OF_UNIT = {"dB": 0.1, "MOS-LQO": 0.02, "1": 0.01}
"""How much worse, in its own unit, a metric may get."""
_N_WORST = 10
_MUCH_WORSE_DB = 1.0


@dataclass(frozen=True)
class Pair:
    """One reference of one mixture, scored in both folders.

    `difference` is candidate - base, with the sign turned where less is better: negative is worse.
    Both values are None where both estimates are perfect.
    """

    id: str
    reference: str | None
    base: float | None
    candidate: float | None
    difference: float


@dataclass
class PairedColumn:
    """A column of two folders.

    Attributes:
        pairs: items that have a value in both.
        new_failures: items with a value in the base, and in the candidate a reason that counts
            against it.
        recovered: items that failed in the base alone.
        n_without: items without a value in at least one folder for which nobody is to blame.
    """

    pairs: list[Pair] = field(default_factory=list)
    new_failures: list[str] = field(default_factory=list)
    recovered: list[str] = field(default_factory=list)
    n_without: int = 0

    def per_mixture(self) -> dict[str, float]:
        """Return the mean difference over the references of every mixture."""
        found: dict[str, list[float]] = defaultdict(list)
        for pair in self.pairs:
            found[pair.id].append(pair.difference)
        return {mixture_id: fmean(values) for mixture_id, values in found.items()}


def pair_column(*, base: ScoreFolder, candidate: ScoreFolder, column: str) -> PairedColumn:
    """Pair the two folders by (mixture id, reference); both must hold the same ones."""
    paired = PairedColumn()
    sign = 1.0 if base.higher_is_better[column] else -1.0
    for key, row in base.rows.items():
        _add(paired, row, candidate.rows[key], column, sign)
    return paired


def _add(paired: PairedColumn, base: ItemRow, candidate: ItemRow, column: str, sign: float) -> None:
    old, new = base.values.get(column), candidate.values.get(column)
    if old is not None and new is not None:
        pair = Pair(base.id, base.reference, old, new, sign * (new - old))
        paired.pairs.append(pair)
    elif is_perfect(base, column) and is_perfect(candidate, column):
        paired.pairs.append(Pair(base.id, base.reference, None, None, 0.0))
    elif is_perfect(base, column) and new is not None:
        paired.new_failures.append(f"{base.id} {base.reference}: perfect in the base")
    elif is_failure(candidate, column) and not is_failure(base, column):
        why = candidate.reasons[column]
        paired.new_failures.append(f"{base.id} {base.reference}: {why}")
    elif is_failure(base, column) and not is_failure(candidate, column):
        paired.recovered.append(f"{base.id} {base.reference}")
    else:
        paired.n_without += 1


class WorstItem(Record):
    """An item that lost much; `difference` below 0 is worse."""

    id: str
    reference: str | None
    base: float
    candidate: float
    difference: float


class MetricCheck(Record):
    """The comparison of one column; differences are candidate - base, below 0 is worse."""

    metric: str
    unit: str
    higher_is_better: bool
    verdict: Verdict
    why: str
    tolerance: float
    n: int
    """Mixtures with a difference."""
    n_without: int
    """Items without a value that nobody is to blame for."""
    mean_difference: float | None
    ci_lo: float | None
    ci_hi: float | None
    p_value: float | None
    """Wilcoxon signed-rank test, two-sided; it does not decide the verdict."""
    p_holm: float | None = None
    """The same, adjusted for the number of metrics compared."""
    share_worse_by_1_db: float | None
    new_failures: list[str]
    recovered: list[str]
    worst: list[WorstItem]


class CheckResult(Record):
    """The gate's answer: one verdict per metric, and the verdict of all."""

    verdict: Verdict
    base: str
    candidate: str
    set: str
    split: str | None
    manifest_sha256: str
    metric_spec_sha256: str
    metrics: list[MetricCheck]
    left_out: list[str]
    """Columns without a value in both folders that nobody is to blame for."""


def check(
    *,
    base: str | Path | ScoreFolder,
    candidate: str | Path | ScoreFolder,
    tolerances: Mapping[str, float] | None = None,
    columns: Sequence[str] | None = None,
) -> CheckResult:
    """Compare two score folders of one set.

    Args:
        base: folder of the scores to hold up to.
        candidate: folder of the scores to judge.
        tolerances: column to how much worse it may get, in its unit; others have the default of
            their unit.
        columns: to compare; by default all that can be ranked, but the improvements, whose
            differences are those of the columns they come from.

    Raises:
        InputError: the folders differ in manifest, split, metric definitions or items.
        UsageError: there is no such column, or a tolerance is negative.
    """
    base, candidate = open_scores(base), open_scores(candidate)
    _check_alike(base, candidate)
    tolerances = dict(tolerances or {})
    _check_known(base, [*tolerances, *(columns or ())])
    if any(value < 0 for value in tolerances.values()):
        raise UsageError("A tolerance is how much worse a metric may get; give 0 or more.")
    wanted = list(dict.fromkeys(columns)) if columns else _default_columns(base)
    left_out = [c for c in wanted if not columns and _is_empty(base, c) and _is_empty(candidate, c)]
    checks = [
        _check_column(base, candidate, column, tolerances.get(column, _default(base, column)))
        for column in wanted
        if column not in left_out
    ]
    adjusted = holm([check.p_value for check in checks])
    return CheckResult(
        verdict=_overall([check.verdict for check in checks]),
        base=str(base.folder),
        candidate=str(candidate.folder),
        set=base.run.set,
        split=base.run.split,
        manifest_sha256=base.run.manifest_sha256,
        metric_spec_sha256=base.run.metric_spec_sha256,
        metrics=[
            check.model_copy(update={"p_holm": p})
            for check, p in zip(checks, adjusted, strict=True)
        ],
        left_out=left_out,
    )


def _check_alike(base: ScoreFolder, candidate: ScoreFolder) -> None:
    for name, what in (
        ("manifest_sha256", "manifests"),
        ("split", "splits"),
        ("metric_spec_sha256", "metric definitions"),
    ):
        old, new = getattr(base.run, name), getattr(candidate.run, name)
        if old != new:
            raise InputError(
                f"The two score folders have different {what} ({_short(old)} and {_short(new)}): "
                "score both on the same set, split and metrics with the same installation."
            )
    if base.rows.keys() != candidate.rows.keys():
        raise InputError("The two score folders hold different items: score both again.")


def _short(value: str | None) -> str:
    return "all" if value is None else value[:12]


def _check_known(base: ScoreFolder, columns: Sequence[str]) -> None:
    unknown = [column for column in columns if column not in base.columns]
    if unknown:
        raise UsageError(
            f"The scores have no column {unknown[0]!r}; allowed are {', '.join(base.columns)}."
        )


def _default_columns(base: ScoreFolder) -> list[str]:
    improvements = {c for metric in base.run.metrics for c in metric["improvements"]}
    return [column for column in base.columns if column not in improvements]


def _is_empty(scores: ScoreFolder, column: str) -> bool:
    """Whether there is no value in a column, and no system to blame for that."""
    return all(
        row.values.get(column) is None
        and not is_failure(row, column)
        and not is_perfect(row, column)
        for row in scores.items
    )


def _default(base: ScoreFolder, column: str) -> float:
    return TOLERANCE_OF_UNIT.get(base.unit_of[column], 0.0)


def _check_column(
    base: ScoreFolder, candidate: ScoreFolder, column: str, tolerance: float
) -> MetricCheck:
    paired = pair_column(base=base, candidate=candidate, column=column)
    differences = np.array(list(paired.per_mixture().values()))
    interval = mean_interval(differences)
    verdict, why = _judge(paired, differences.size, interval, tolerance)
    is_db = base.unit_of[column] == "dB"
    return MetricCheck(
        metric=column,
        unit=base.unit_of[column],
        higher_is_better=base.higher_is_better[column],
        verdict=verdict,
        why=why,
        tolerance=tolerance,
        n=differences.size,
        n_without=paired.n_without,
        mean_difference=float(differences.mean()) if differences.size else None,
        ci_lo=interval[0] if interval else None,
        ci_hi=interval[1] if interval else None,
        p_value=wilcoxon_p(differences),
        share_worse_by_1_db=_share_much_worse(paired) if is_db else None,
        new_failures=paired.new_failures,
        recovered=paired.recovered,
        worst=_worst(paired),
    )


def _judge(
    paired: PairedColumn, n: int, interval: Interval | None, tolerance: float
) -> tuple[Verdict, str]:
    if paired.new_failures:
        return "fail", f"{len(paired.new_failures)} items failed that did not in the base"
    if n == 0:
        return "inconclusive", "no item has a value in both"
    if not any(pair.difference for pair in paired.pairs):
        return "pass", "no item differs"
    if interval is None:
        return "inconclusive", "one mixture tells nothing about others"
    low, high = interval
    if high < -tolerance:
        return "fail", f"worse by more than {tolerance:g}"
    if low < -tolerance:
        return "inconclusive", f"the interval holds a loss of {tolerance:g}: score more mixtures"
    if n < FEW:
        return "inconclusive", f"fewer than {FEW} mixtures differ by too little to tell"
    return "pass", f"not worse by more than {tolerance:g}"


def _share_much_worse(paired: PairedColumn) -> float | None:
    if not paired.pairs:
        return None
    return float(np.mean([pair.difference < -_MUCH_WORSE_DB for pair in paired.pairs]))


def _worst(paired: PairedColumn) -> list[WorstItem]:
    lost = [pair for pair in paired.pairs if pair.difference < 0]
    lost.sort(key=lambda pair: pair.difference)
    return [
        WorstItem(
            id=pair.id,
            reference=pair.reference,
            base=pair.base,
            candidate=pair.candidate,
            difference=pair.difference,
        )
        for pair in lost[:_N_WORST]
        if pair.base is not None and pair.candidate is not None
    ]


def _overall(verdicts: Sequence[Verdict]) -> Verdict:
    if "fail" in verdicts:
        return "fail"
    if "inconclusive" in verdicts or not verdicts:
        return "inconclusive"
    return "pass"


def parse_tolerances(words: Iterable[str], unit_of: Mapping[str, str]) -> dict[str, float]:
    """Return column to tolerance; later words win over earlier ones.

    Args:
        words: `column=number` or `number`.
        unit_of: the unit of every column there is.

    Raises:
        UsageError: a word is neither, or its number is negative or not finite.
    """
    tolerances: dict[str, float] = {}
    for word in words:
        column, _, text = word.rpartition("=")
        value = _number(word, text)
        if column:
            tolerances[column.strip()] = value
        else:
            tolerances |= {name: value for name, unit in unit_of.items() if unit == "dB"}
    return tolerances


def _number(word: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0.0):
        raise UsageError(f"The tolerance {word!r} is not allowed: write si_sdr=0.2 or 0.2, from 0.")
    return value
