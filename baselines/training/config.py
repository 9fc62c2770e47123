"""How each separator is trained when nothing else is asked for: one flat record, few exceptions."""

from typing import Any, Literal

from pydantic import Field, model_validator

from mixgen.core.records import Record, parse_record

Schedule = Literal["constant", "cosine", "plateau"]


class TrainingConfig(Record):
    """All that decides a training run; saved in the checkpoint that it makes.

    Either `rendered` (a set's folder) or `manifest` (mixed on the fly) feeds it; either `steps` or
    `minutes` of wall time ends it.
    """

    model: str
    rendered: str | None = None
    manifest: str | None = None
    roots: list[str] = Field(default=[])  # CORPUS=FOLDER, for a manifest
    split: str = "train"
    steps: int | None = Field(default=None, ge=1)
    minutes: float | None = Field(default=None, gt=0)
    batch_size: int = Field(default=4, ge=1)
    segment_s: float = Field(default=3.0, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0)
    schedule: Schedule = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)  # share of the run
    patience: int = Field(default=3, ge=1)  # validations without gain before the rate is halved
    beta2: float = Field(default=0.999, ge=0, lt=1)  # of AdamW
    weight_decay: float = Field(default=1e-2, ge=0)
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
    def _choices_are_made(self) -> "TrainingConfig":
        if (self.rendered is None) == (self.manifest is None):
            raise ValueError("give either a rendered set (--set) or a manifest (--manifest)")
        if (self.steps is None) == (self.minutes is None):
            raise ValueError("give either --steps or --minutes")
        if self.slowest > self.fastest:
            raise ValueError("the slowest speed is faster than the fastest")
        return self


# What differs from the record's own values, by variant or by system.
RECIPES: dict[str, dict[str, Any]] = {
    "conv_tasnet": {"batch_size": 4, "segment_s": 4.0, "schedule": "plateau", "average_decay": 0.0},
    "conv_tasnet:small": {
        "batch_size": 4,
        "segment_s": 2.0,
        "learning_rate": 2e-3,
        "beta2": 0.98,
        "slowest": 0.8,
        "fastest": 1.25,
    },
    "complex_mask": {"batch_size": 8, "learning_rate": 1e-3, "slowest": 0.9, "fastest": 1.1},
    "complex_mask:small": {
        "batch_size": 8,
        "segment_s": 2.0,
        "learning_rate": 2e-3,
        "warmup": 0.02,
        "beta2": 0.98,
        "average_decay": 0.995,
        "slowest": 0.8,
        "fastest": 1.25,
    },
    "mask_inference": {"batch_size": 8, "segment_s": 3.2, "slowest": 0.9, "fastest": 1.1},
    "mask_inference:small": {
        "batch_size": 8,
        "segment_s": 2.0,
        "learning_rate": 2e-3,
        "beta2": 0.98,
        "slowest": 0.8,
        "fastest": 1.25,
    },
    "open_unmix": {
        "batch_size": 16,
        "segment_s": 6.0,
        "weight_decay": 1e-5,
        "schedule": "plateau",
        "gain_spread_db": 6.0,
    },
    "open_unmix:small": {
        "batch_size": 8,
        "segment_s": 4.0,
        "weight_decay": 1e-5,
        "gain_spread_db": 3.0,
        "valid_items": 10,
    },
}


def training_config(model: str, **chosen: Any) -> TrainingConfig:
    """The training of a separator by its recipe, changed where something was chosen (not None).

    Raises:
        InputError: a value is not allowed, or two that exclude each other are given.
    """
    recipe = RECIPES.get(model, RECIPES.get(model.split(":")[0], {}))
    given = {key: value for key, value in chosen.items() if value is not None}
    config: TrainingConfig = parse_record(
        TrainingConfig, {"model": model, **recipe, **given}, "The training"
    )
    return config
