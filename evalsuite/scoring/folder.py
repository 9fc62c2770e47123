"""Read scores from a folder or a pinned file: the run record, the rows, the mean per mixture."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from statistics import fmean
from typing import Any

from evalsuite.metrics import Reason, reason_of
from evalsuite.scoring.estimates import carry_names
from evalsuite.scoring.records import (
    ITEMS_FILE,
    PINNED_SCHEMA,
    RUN_FILE,
    SCORES_SCHEMA,
    ItemRow,
    MetricDefinition,
    ScoresRun,
    parse_item,
)
from mixgen.core.errors import InputError
from mixgen.core.files import (
    parse_json,
    read_json,
    read_jsonl,
    read_text,
    sha256_bytes,
    sha256_file,
    to_json,
    write_text,
)
from mixgen.core.records import parse_record


class SystemScores:
    """The scores of one system on one set.

    Attributes:
        path: they were read from.
        run: what was scored, by which definitions.
        items: one row per mixture and reference.
    """

    def __init__(self, path: Path, run: ScoresRun, items: list[ItemRow]) -> None:
        self.path = path
        self.run = run
        self.items = items

    @cached_property
    def columns(self) -> list[str]:
        """The ranked columns with a value per mixture, in the order of the metrics."""
        return [c for metric in self.run.metrics if metric.scope != "set" for c in metric.ranked]

    @cached_property
    def diagnostics(self) -> list[str]:
        """The columns with a value per mixture that are not ranked."""
        of_mixtures = (metric for metric in self.run.metrics if metric.scope != "set")
        return [column for metric in of_mixtures for column in metric.diagnostics]

    @cached_property
    def definition_of(self) -> dict[str, MetricDefinition]:
        """Ranked column to the definition of its metric."""
        return {column: metric for metric in self.run.metrics for column in metric.ranked}

    @property
    def unit_of(self) -> dict[str, str]:
        """Ranked column to its unit."""
        return {column: metric.unit for column, metric in self.definition_of.items()}

    @cached_property
    def rows(self) -> dict[tuple[str, str | None], ItemRow]:
        """(mixture id, reference) to row; the reference is None for a row of the whole mixture."""
        return {(row.id, row.reference): row for row in self.items}

    @cached_property
    def labels_of(self) -> dict[str, list[str]]:
        """Mixture id to the talkers, stems or classes of its references, in their order."""
        labels: dict[str, list[str]] = defaultdict(list)
        for row in self.items:
            if row.reference is not None:
                labels[row.id].append(row.label)
        return dict(labels)

    @cached_property
    def stems(self) -> list[str]:
        """Names of the references in their order if these are stems, which the estimates carry.

        Empty otherwise: s1 and s2 are other talkers in every mixture.
        """
        names = list(dict.fromkeys(row.reference for row in self.items if row.reference))
        return names if self.run.named and carry_names(names, names) else []

    def parts_of(self, column: str) -> tuple[str, str] | None:
        """Return the columns of the numerator and denominator of a ratio, None for others."""
        definition = self.definition_of.get(column)
        return None if definition is None else definition.ratios.get(column)

    def scored(self, column: str) -> dict[str, float]:
        """Return mixture id to the mean of `column` over the references that have a value.

        For the values of a ratio, see `ranked`.
        """
        if parts := self.parts_of(column):
            return _ratios([row for row in self.items if not is_failure(row, column)], parts)
        return _means((row.id, row.values.get(column)) for row in self.items)

    def ranked(self, column: str, rows: Iterable[ItemRow] | None = None) -> dict[str, float]:
        """Return mixture id to the mean of `column` over rows, by default all.

        A failure, and a value that is worse than the metric's floor, counts as the floor. What has
        no value through no fault of the system is excluded.

        The values of a ratio, such as a word error rate, have the ratio of the sums over all rows
        as their mean, and the spread of that ratio: see `linearised`.
        """
        chosen = self.items if rows is None else rows
        if parts := self.parts_of(column):
            return _ratios(chosen, parts)
        return _means((row.id, self._ranked_value(row, column)) for row in chosen)

    def per_mixture(self, column: str) -> dict[str, float]:
        """Return mixture id to its own value: as `ranked`, but for ratios that of its sums."""
        parts = self.parts_of(column)
        if parts is None:
            return self.ranked(column)
        rows: dict[str, list[ItemRow]] = defaultdict(list)
        for row in self.items:
            rows[row.id].append(row)
        known = ((i, list(_ratios(members, parts).values())) for i, members in rows.items())
        return {i: values[0] for i, values in known if values}

    def _ranked_value(self, row: ItemRow, column: str) -> float | None:
        value, failed = row.values.get(column), is_failure(row, column)
        if value is None and not failed:
            return None
        definition = self.definition_of[column]
        if column in definition.columns:
            return definition.floored(value)
        # An improvement: the floor holds for the estimate and for the mixture.
        improved = column.removesuffix("i")
        base = row.mixture.get(improved)
        if base is None:
            return None
        own, base = definition.floored(row.values.get(improved)), definition.floored(base)
        return None if own is None or base is None else own - base

    def n_failed(self, column: str) -> int:
        """Return the number of mixtures in which `column` is missing through a failure."""
        return len({row.id for row in self.items if is_failure(row, column)})


class ScoreFolder(SystemScores):
    """A folder that `evalsuite score` wrote.

    Raises:
        InputError: a file is missing or not valid, or items.jsonl is not the one of run.json.
    """

    def __init__(self, folder: Path) -> None:
        folder = Path(folder)
        if not (folder / RUN_FILE).is_file():
            raise InputError(
                f"{folder} holds no scores (no {RUN_FILE}): make some with `evalsuite score`."
            )
        run = parse_run(read_json(folder / RUN_FILE), str(folder / RUN_FILE), SCORES_SCHEMA)
        super().__init__(folder, run, _read_items(folder / ITEMS_FILE, run))


def parse_run(data: Any, where: str, schema: str) -> ScoresRun:
    """Return the run record of scores.

    Raises:
        InputError: it has another schema or is not valid; the message begins with `where`.
    """
    given = data.get("schema") if isinstance(data, dict) else None
    if given != schema:
        raise InputError(f"{where} has schema {given!r}; allowed is {schema!r}: score again.")
    run: ScoresRun = parse_record(ScoresRun, {**data, "schema": SCORES_SCHEMA}, where)
    return run


def _read_items(path: Path, run: ScoresRun) -> list[ItemRow]:
    lines = read_jsonl(path)
    if sha256_file(path) != run.items_sha256:
        raise InputError(
            f"{path} does not have the hash that {RUN_FILE} records: it was changed or its run "
            "was stopped; score the estimates again."
        )
    return [parse_item(line, f"{path} line {n}") for n, line in enumerate(lines, start=1)]


def _means(values: Iterable[tuple[str, float | None]]) -> dict[str, float]:
    """Return the mean of the values of every mixture; mixtures without any are left out."""
    values_of: dict[str, list[float]] = defaultdict(list)
    for mixture_id, value in values:
        if value is not None:
            values_of[mixture_id].append(value)
    return {mixture_id: fmean(known) for mixture_id, known in values_of.items()}


def _ratios(rows: Iterable[ItemRow], parts: tuple[str, str]) -> dict[str, float]:
    """Return the linearised values of a ratio whose parts are in these columns."""
    return linearised((row.id, values) for row in rows if (values := ratio_parts(row, parts)))


def ratio_parts(row: ItemRow, parts: tuple[str, str]) -> tuple[float, float] | None:
    """Return the numerator and the denominator that a row adds to a ratio, if it has them."""
    numerator, denominator = (row.values.get(column) for column in parts)
    if numerator is None or denominator is None:
        return None
    return numerator, denominator


def linearised(parts: Iterable[tuple[str, tuple[float, float]]]) -> dict[str, float]:
    """Return one value per mixture, whose mean is the ratio of sums r = sum(a) / sum(b).

    A mixture with the sums a and b gets r + (a - r b) / mean(b), so that statistics of a mean hold
    for the ratio: the variance of these values over their number is the first-order variance of r
    (Cochran, Sampling Techniques, 3rd edition, 1977, section 6.4). Empty where all b are 0.

    Args:
        parts: mixture id, and numerator and denominator of one of its references.
    """
    sums: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for mixture_id, (a, b) in parts:
        before = sums[mixture_id]
        sums[mixture_id] = (before[0] + a, before[1] + b)
    total_a, total_b = (sum(part[n] for part in sums.values()) for n in range(2))
    if not total_b:
        return {}
    ratio, mean_b = total_a / total_b, total_b / len(sums)
    return {i: ratio + (a - ratio * b) / mean_b for i, (a, b) in sums.items()}


def open_scores(scores: str | Path | SystemScores) -> SystemScores:
    """Return `scores` if they are open, else those in the folder or the pinned file at this path.

    Raises:
        InputError: as `ScoreFolder` and `read_pinned`.
    """
    if isinstance(scores, SystemScores):
        return scores
    path = Path(scores)
    return read_pinned(path) if path.is_file() else ScoreFolder(path)


def _reason(row: ItemRow, column: str) -> Reason | None:
    text = row.reasons.get(column)
    try:
        return None if text is None else reason_of(text)
    except ValueError:
        raise InputError(f"Mixture {row.id} has the unknown reason {text!r}.") from None


def is_failure(row: ItemRow, column: str) -> bool:
    """Return whether the value is missing because of the estimate or of the metric program."""
    reason = _reason(row, column)
    return reason is not None and reason.is_failure


def is_perfect(row: ItemRow, column: str) -> bool:
    """Return whether the value is missing because the estimate is perfect."""
    return _reason(row, column) is Reason.PERFECT


def write_pinned(path: Path, scores: SystemScores) -> None:
    """Write what `check` needs of scores to one small file, which a repository can keep.

    The first line is the run record. The others are rows with the ranked columns alone and the
    parts of ratios, without improvements, whose differences are those of the columns they come
    from.
    """
    columns = [column for metric in scores.run.metrics for column in metric.columns]
    columns += [part for m in scores.run.metrics for parts in m.ratios.values() for part in parts]
    rows = [_pinned_row(row, columns) for row in scores.items]
    content = "".join(f"{to_json(row.as_line())}\n" for row in rows)
    run = {
        **scores.run.as_dict(),
        "schema": PINNED_SCHEMA,
        "items_sha256": sha256_bytes(content.encode()),
    }
    write_text(path, f"{to_json(run)}\n{content}")


def _pinned_row(row: ItemRow, columns: Sequence[str]) -> ItemRow:
    return row.model_copy(
        update={
            "values": {column: row.values[column] for column in columns if column in row.values},
            "reasons": {c: reason for c, reason in row.reasons.items() if c in columns},
            "mixture": {},
            "extra": {},
            "notes": {},
        }
    )


def read_pinned(path: Path) -> SystemScores:
    """Read what `write_pinned` wrote.

    Raises:
        InputError: the file is not one of pinned scores, or was changed.
    """
    first, _, content = read_text(path).partition("\n")
    run = parse_run(parse_json(first, f"{path} line 1"), str(path), PINNED_SCHEMA)
    if sha256_bytes(content.encode()) != run.items_sha256:
        raise InputError(f"{path} was changed after it was pinned: pin the scores again.")
    items = []
    for number, line in enumerate(content.split("\n")[:-1], start=2):
        where = f"{path} line {number}"
        items.append(parse_item(parse_json(line, where), where))
    return SystemScores(path, run, items)
