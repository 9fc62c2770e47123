"""The configuration of a training run: one flat record."""

from typing import Any, Literal

from pydantic import Field, model_validator

from baselines.registry import variant
from mixgen.core.records import Record, parse_record

Schedule = Literal["constant", "cosine", "plateau", "step"]
Optimizer = Literal["adamw", "adam", "muon", "rmsprop", "sgd"]
Precision = Literal["float32", "bfloat16"]


class TrainingConfig(Record):
    """Everything that determines a training run; saved in its checkpoint.

    The data is either `rendered` (a set's folder) or `manifest` (mixed in memory); the run ends
    after either `steps` or `minutes` of wall time.
    """

    model: str
    rendered: str | None = None
    manifest: str | None = None
    roots: list[str] = Field(default=[])  # CORPUS=FOLDER, for `manifest`
    split: str = "train"
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=4, ge=1)
    segment_s: float = Field(default=3.0, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Schedule = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)  # share of the run in which the rate rises
    # The rate is multiplied by `decay` after `patience` validations without a better one (plateau),
    # or after every `patience` validations (step), which stand for a paper's epochs.
    decay: float = Field(default=0.5, gt=0, lt=1)
    patience: int = Field(default=3, ge=1)
    optimizer: Optimizer = "adamw"
    beta1: float = Field(default=0.9, ge=0, lt=1)  # of Adam; the momentum of SGD
    beta2: float = Field(default=0.999, ge=0, lt=1)  # of Adam
    weight_decay: float = Field(default=1e-2, ge=0)
    precision: Precision = "float32"  # bfloat16: autocast of what allows it
    clip_norm: float = Field(default=5.0, gt=0)
    average_decay: float = Field(default=0.99, ge=0, lt=1)  # of the weights' moving average; 0: off
    validations: int = Field(default=10, ge=1)
    valid_items: int = Field(default=40, ge=0)
    slowest: float = Field(default=1.0, gt=0)
    fastest: float = Field(default=1.0, gt=0)
    gain_spread_db: float = Field(default=0.0, ge=0)
    coherent: float = Field(default=0.5, ge=0, le=1)
    memory_gb: float = Field(default=4.0, gt=0)
    workers: int = Field(default=1, ge=0)
    threads: int | None = Field(default=None, ge=1)
    device: str = "auto"
    seed: int = Field(default=0, ge=0, lt=2**31)

    @model_validator(mode="after")
    def _choices_are_consistent(self) -> "TrainingConfig":
        if (self.rendered is None) == (self.manifest is None):
            raise ValueError("give either a rendered set (--set) or a manifest (--manifest)")
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either --steps or --minutes")
        if self.slowest > self.fastest:
            raise ValueError("slowest is above fastest: give speeds in order")
        return self


def training_config(model: str, **chosen: Any) -> TrainingConfig:
    """Return the training that a model declares, with the chosen values that are not None.

    Raises:
        UsageError: the separator is unknown.
        InputError: a value is not allowed, or two values exclude each other.
    """
    given = {key: value for key, value in chosen.items() if value is not None}
    config: TrainingConfig = parse_record(
        TrainingConfig, {"model": model, **variant(model).training, **given}, "The training"
    )
    return config
