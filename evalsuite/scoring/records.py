"""Records of the files that scoring reads and writes: runs of a separator, items, scores."""

from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, model_validator

from baselines.inference.costs import COSTS
from mixgen.core.errors import InputError
from mixgen.core.files import read_json
from mixgen.core.records import Record, parse_record

SCORES_SCHEMA = "scores/1"
PINNED_SCHEMA = "pinned/1"
RUN_FILE = "run.json"
ITEMS_FILE = "items.jsonl"

Status = Literal["ok", "failed"]


class Failure(Record):
    """A mixture that the separator failed on."""

    id: str
    reason: str


class RunRecord(Record):
    """A run.json: in the file every cost of the system is a key beside the others.

    Unknown keys are ignored: other programs and versions may write more.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    costs: dict[str, int | float | None] = Field(default_factory=dict)
    """By the names of `baselines.inference.costs.COSTS`."""

    @model_validator(mode="before")
    @classmethod
    def _collect_costs(cls, data: Any) -> Any:
        if not isinstance(data, dict) or "costs" in data:
            return data
        return {**data, "costs": {cost.name: data.get(cost.name) for cost in COSTS}}

    def as_dict(self) -> dict[str, Any]:
        """Return plain JSON-able data under the names used in the file."""
        plain = self.model_dump(mode="json", by_alias=True)
        return {**plain, **plain.pop("costs")}


class EstimatesRun(RunRecord):
    """EST/run.json: which system made the estimates, for which manifest, under which names.

    With `named` the estimates carry the names of the targets and are not permuted. With `counted`
    the system tells how many sources there are: every estimate that is not silent counts as found.
    """

    schema_: Literal["estimates/1"] = Field(alias="schema")
    model: str
    checkpoint_sha256: str | None = None
    configuration_sha256: str | None = None
    seed: int | None = None
    manifest_sha256: str
    split: str | None = None
    named: bool
    counted: bool = False
    estimates: list[str]
    sample_rate: int
    device: str | None = None
    threads: int | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    failures: list[Failure] = Field(default_factory=list)


def item_name(mixture_id: str, reference: str | None) -> str:
    """Return how messages name an item: by its mixture, and by its reference if it is of one."""
    return mixture_id if reference is None else f"{mixture_id} {reference}"


class ItemRow(Record):
    """One line of items.jsonl: a reference of a mixture and the estimate scored against it.

    Where a metric scores mixtures or the set, each mixture has one more line without a reference;
    its `tallies` add up over the mixtures of a set.

    `conditions` are what was measured when the mixture was rendered: overlap, SNR, T60.

    In the file the columns of `values` are keys of the line; `reasons` has the reason for each
    null, and `mixture` the scores of the unprocessed mixture against the same reference. `extra`
    holds the level in dB (against the mixture) of estimates that are assigned to no reference.
    """

    id: str
    reference: str | None
    label: str
    estimate: str | None
    n_ref: int
    n_est: int
    permutation: list[int | None]
    duration_s: float
    conditions: dict[str, float] = Field(default_factory=dict)
    status: Status
    reason: str | None
    values: dict[str, float | None]
    reasons: dict[str, str]
    mixture: dict[str, float | None] = Field(default_factory=dict)
    extra: dict[str, float | None] = Field(default_factory=dict)
    notes: dict[str, str] = Field(default_factory=dict)
    tallies: dict[str, float] = Field(default_factory=dict)

    def as_line(self) -> dict[str, Any]:
        """Return the line of the file: every metric column is a key, empty tallies are omitted."""
        line: dict[str, Any] = {}
        for key, value in self.as_dict().items():
            line |= value if key == "values" else {key: value}
        if not self.tallies:
            del line["tallies"]
        return line


def parse_item(line: dict[str, Any], where: str) -> ItemRow:
    """Return the row of a line of items.jsonl; keys that `ItemRow` lacks are metric columns.

    Raises:
        InputError: the line is not a row; the message begins with `where`.
    """
    if not isinstance(line, dict):
        raise InputError(f"{where} is not an object: score the estimates again.")
    fields = {key: line[key] for key in line if key in ItemRow.model_fields}
    values = {key: line[key] for key in line if key not in ItemRow.model_fields}
    row: ItemRow = parse_record(ItemRow, {**fields, "values": values}, where)
    return row


class MetricDefinition(Record):
    """How a metric was defined when it was scored; other keys of the definition are kept."""

    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)

    name: str
    scope: str
    columns: list[str]
    improvements: list[str]
    diagnostics: list[str]
    unit: str
    higher_is_better: bool
    floor: float | None
    ratios: dict[str, tuple[str, str]] = Field(default_factory=dict)
    """Column to the diagnostics that are its numerator and its denominator."""

    @property
    def ranked(self) -> list[str]:
        """The columns that are ranked: values and improvements."""
        return [*self.columns, *self.improvements]

    def floored(self, value: float | None) -> float | None:
        """Return a value of a column, or the floor in place of one that is missing or worse."""
        if self.floor is None or value is None:
            return self.floor if value is None else value
        return max(value, self.floor) if self.higher_is_better else min(value, self.floor)


class Counts(Record):
    """Numbers of mixtures scored, mixtures failed, references, and infinite ratios."""

    n: int
    n_failed: int
    n_references: int
    n_inf: int
    """References with an infinite ratio: the estimate is perfect or orthogonal."""


class Separation(Record):
    """What the separator ran on, from EST/run.json."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    device: str | None
    threads: int | None
    versions: dict[str, str]


class ScoresRun(RunRecord):
    """SCORES/run.json: what was scored by which definitions, and on which machine."""

    schema_: Literal["scores/1"] = Field(alias="schema", default="scores/1")
    model: str
    checkpoint_sha256: str | None
    configuration_sha256: str | None = None
    """Of the system and its training without the seed."""
    seed: int | None = None
    manifest_sha256: str
    set: str
    split: str | None
    task: str
    named: bool
    counted: bool = False
    sample_rate: int
    metric_spec_sha256: str
    inputs_sha256: str
    """Of everything that decides the scores."""
    items_sha256: str
    """Of items.jsonl, which is written before run.json."""
    counts: Counts
    separation: Separation
    hardware: dict[str, str | int]
    versions: dict[str, str]
    date: str
    metrics: list[MetricDefinition]
    set_scores: dict[str, float | None] = Field(default_factory=dict)
    """Columns of metrics whose scope is the set."""
    set_reasons: dict[str, str] = Field(default_factory=dict)
    """The reason for each null in `set_scores`."""


def read_estimates_run(folder: Path) -> EstimatesRun:
    """Read EST/run.json.

    Raises:
        InputError: the file is missing or not valid.
    """
    path = folder / RUN_FILE
    if not path.is_file():
        raise InputError(
            f"{folder} holds no estimates (no {RUN_FILE}): make some with `baselines separate`."
        )
    run: EstimatesRun = parse_record(EstimatesRun, read_json(path), str(path))
    return run
