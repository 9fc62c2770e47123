"""Read a folder of scores: its run record, its rows, and the mean per mixture."""

from collections import defaultdict
from functools import cached_property
from pathlib import Path
from statistics import fmean

from evalsuite.metrics import Reason, reason_of
from evalsuite.scoring.records import (
    ITEMS_FILE,
    RUN_FILE,
    SCORES_SCHEMA,
    ItemRow,
    ScoresRun,
    parse_item,
)
from mixgen.core.errors import InputError
from mixgen.core.files import read_json, read_jsonl, sha256_file
from mixgen.core.records import parse_record


class ScoreFolder:
    """A folder that `evalsuite score` wrote.

    Raises:
        InputError: a file is missing or not valid, or items.jsonl is not the one of run.json.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        if not (self.folder / RUN_FILE).is_file():
            raise InputError(
                f"{folder} holds no scores (no {RUN_FILE}): make some with `evalsuite score`."
            )
        self.run = self._read_run()
        self.items = self._read_items()

    def _read_run(self) -> ScoresRun:
        path = self.folder / RUN_FILE
        data = read_json(path)
        schema = data.get("schema") if isinstance(data, dict) else None
        if schema != SCORES_SCHEMA:
            raise InputError(
                f"{path} has schema {schema!r}; allowed is {SCORES_SCHEMA!r}: score again."
            )
        run: ScoresRun = parse_record(ScoresRun, data, str(path))
        return run

    def _read_items(self) -> list[ItemRow]:
        path = self.folder / ITEMS_FILE
        lines = read_jsonl(path)
        if sha256_file(path) != self.run.items_sha256:
            raise InputError(
                f"{path} does not have the hash that {RUN_FILE} records: it was changed or its run "
                "was stopped; score the estimates again."
            )
        return [parse_item(line, f"{path} line {n}") for n, line in enumerate(lines, start=1)]

    @cached_property
    def columns(self) -> list[str]:
        """The ranked columns with a value per mixture, in the order of the metrics."""
        metrics = (metric for metric in self.run.metrics if metric.get("scope") != "set")
        return [column for metric in metrics for column in _ranked(metric)]

    @cached_property
    def unit_of(self) -> dict[str, str]:
        """Ranked column to its unit."""
        return {c: str(metric["unit"]) for metric in self.run.metrics for c in _ranked(metric)}

    @cached_property
    def higher_is_better(self) -> dict[str, bool]:
        """Ranked column to whether more is better."""
        return {
            c: bool(metric["higher_is_better"])
            for metric in self.run.metrics
            for c in _ranked(metric)
        }

    @cached_property
    def rows(self) -> dict[tuple[str, str | None], ItemRow]:
        """(mixture id, reference) to row; the reference is None for a row of the whole mixture."""
        return {(row.id, row.reference): row for row in self.items}

    @property
    def stems(self) -> list[str]:
        """Names of the references in their order if the estimates carry them, else empty."""
        if not self.run.named:
            return []
        return list(dict.fromkeys(row.reference for row in self.items if row.reference))

    def values(self, column: str, reference: str | None = None) -> dict[str, float]:
        """Return mixture id to `column`: the mean over references, or the value of one of them.

        References without a value are excluded from the mean, mixtures without any value from the
        result.
        """
        values_of: dict[str, list[float]] = defaultdict(list)
        for row in self.items:
            value = row.values.get(column)
            if value is not None and reference in (None, row.reference):
                values_of[row.id].append(value)
        return {mixture_id: fmean(values) for mixture_id, values in values_of.items()}

    def n_failed(self, column: str) -> int:
        """Return the number of mixtures in which `column` is missing through a failure."""
        return len({row.id for row in self.items if is_failure(row, column)})


def open_scores(scores: str | Path | ScoreFolder) -> ScoreFolder:
    """Return `scores` itself if it is open, else the folder at this path.

    Raises:
        InputError: as `ScoreFolder`.
    """
    return scores if isinstance(scores, ScoreFolder) else ScoreFolder(Path(scores))


def _ranked(metric: dict[str, object]) -> list[str]:
    columns, improvements = metric["columns"], metric["improvements"]
    if not isinstance(columns, list) or not isinstance(improvements, list):
        raise InputError("run.json defines a metric without columns: score the estimates again.")
    return [*columns, *improvements]


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
