"""The training loop: batches in, a checkpoint out.

On the same machine, a run of a fixed number of steps ends with bit-equal weights however often it
was interrupted: examples, their order and dropout depend on the seed and the step alone.
"""

import copy
import math
import time
from collections.abc import Generator, Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from baselines.checkpoint import (
    SCHEMA,
    Meta,
    assign_weights,
    check_destination,
    count_parameters,
    load_history,
    load_state,
    load_weights,
    read_meta,
    save_checkpoint,
    tensors_under,
    versions,
    with_prefix,
)
from baselines.inference.device import choose_device, set_threads
from baselines.training.config import TrainingConfig
from baselines.training.data import Batch, batches
from baselines.training.feed import Feed, load_feed
from baselines.training.interrupt import stop_requests
from baselines.training.optimizer import Updates, optimizer_tensors, restore_optimizers
from baselines.training.precision import mixed_precision
from mixgen.core.errors import InputError
from mixgen.core.progress import print_status
from mixgen.core.records import parse_record

_SECONDS_BETWEEN_LINES = 5.0
_BROKEN_STEPS_ALLOWED = 100
_STEPS_OF_AVERAGE_WARMUP = 10
_VALIDATION_SHARE = 0.1


@dataclass
class Progress:
    """The state of a run beside its tensors; saved in meta.json."""

    step: int = 0
    elapsed_s: float = 0.0
    validations: int = 0
    best_db: float | None = None
    best_step: int = 0
    validations_since_best: int = 0
    decays: int = 0
    broken_steps: int = 0  # consecutive steps whose gradient was not finite


def train(config: TrainingConfig, out: Path, *, overwrite: bool = False) -> Meta:
    """Train a separator from the start and write its checkpoint to the folder `out`.

    Raises:
        UsageError: the model is unknown or has no parameters, or `out` is in use.
        InputError: data cannot be read, or training diverged.
        KeyboardInterrupt: the run was stopped; `resume` continues it.
    """
    check_destination(Path(out), overwrite=overwrite)
    set_threads(config.threads)
    torch.manual_seed(config.seed)
    return Trainer(config, load_feed(config), Path(out)).run()


def resume(out: Path, *, steps: int | None = None, minutes: float | None = None) -> Meta:
    """Continue an interrupted run, or extend a finished one to more steps or minutes.

    Raises:
        InputError: `out` is not a checkpoint or was altered, its manifest has changed, or steps are
            given for a run by minutes or minutes for a run by steps.
    """
    meta = read_meta(out)
    changes = {k: v for k, v in (("steps", steps), ("minutes", minutes)) if v is not None}
    config: TrainingConfig = parse_record(
        TrainingConfig, {**meta.training, **changes}, f"The training of {out}"
    )
    set_threads(config.threads)
    feed = load_feed(config)
    if not feed.manifest.file.has_sha256(meta.manifest_sha256 or ""):
        raise InputError(f"The manifest is not the one that {out} was trained on: start a new run.")
    trainer = Trainer(config, feed, Path(out))
    trainer.restore(meta)
    return trainer.run()


class Trainer:
    """One run: a separator, the moving average of its weights, the optimizers and the progress."""

    def __init__(self, config: TrainingConfig, feed: Feed, out: Path) -> None:
        self.config = config
        self.feed = feed
        self.out = out
        self.device = choose_device(config.device)
        self.separator = feed.separator.to(self.device).train()
        self.average = copy.deepcopy(self.separator).eval()
        self.updates = Updates(config, self.separator)
        self.progress = Progress()
        self.best: dict[str, Tensor] | None = None
        self.history: list[dict[str, Any]] = []
        self.losses: list[Tensor] = []  # since the last validation
        self.earlier_s = 0.0  # of a run that goes on
        self.waiting_s = 0.0  # for batches, since then
        self.validation_s = 0.0
        self.last_loss: float | None = None

    def run(self) -> Meta:
        """Train and validate to the end of the run; returns the meta.json that was saved."""
        print_status(self._first_line())
        self.earlier_s = self.progress.elapsed_s
        started = time.monotonic() - self.earlier_s
        printed = time.monotonic()
        with stop_requests() as stop_requested:
            stream = self._batches()
            while self.fraction < 1:
                self.step(self._next(stream))
                self.progress.elapsed_s = time.monotonic() - started
                self._validate_when_due()
                if stop_requested.is_set():
                    self.save()
                    print_status(
                        f"Stopped after step {self.progress.step}; --resume continues the run."
                    )
                    raise KeyboardInterrupt
                if time.monotonic() - printed >= _SECONDS_BETWEEN_LINES:
                    printed = time.monotonic()
                    print_status(self._progress_line())
            stream.close()
        print_status(self._last_line())
        return self.save()

    @property
    def fraction(self) -> float:
        """Share of the run that is done, in steps or in wall time."""
        if self.config.steps is not None:
            return min(self.progress.step / self.config.steps, 1.0)
        return min(self.progress.elapsed_s / (60 * float(self.config.minutes or 1)), 1.0)

    @property
    def learning_rate(self) -> float:
        """Learning rate that the schedule gives at this share of the run."""
        rate = self.config.learning_rate
        if self.config.warmup and self.fraction < self.config.warmup:
            return rate * self.fraction / self.config.warmup
        if self.config.schedule == "cosine":
            return rate * (1 + math.cos(math.pi * self.fraction)) / 2
        if self.config.schedule == "step":
            return rate * self.config.decay ** (self.progress.validations // self.config.patience)
        return rate * self.config.decay**self.progress.decays

    def _batches(self) -> Generator[Batch, None, None]:
        return batches(
            self.feed.examples,
            batch_size=self.config.batch_size,
            first_step=self.progress.step,
            workers=self.config.workers,
        )

    def _next(self, stream: Iterator[Batch]) -> Batch:
        started = time.monotonic()
        batch = next(stream)
        self.waiting_s += time.monotonic() - started
        return {name: tensor.to(self.device) for name, tensor in batch.items()}

    def step(self, batch: Batch) -> None:
        """Train on one batch: one update for each of the separator's losses, moving average.

        Raises:
            InputError: the gradient was not finite in too many steps in a row.
        """
        # With this seed dropout, too, depends on the run's seed and the step alone.
        torch.manual_seed((self.config.seed << 32) + self.progress.step)
        self.updates.set_rate(self.learning_rate)
        losses, finite = [], True
        for group, loss in self._losses(batch):
            finite = self.updates.apply(group, loss) and finite
            losses.append(loss.detach())
        if finite:
            self.losses.append(torch.stack(losses).sum())
        self._count_broken_steps(finite)
        self.progress.step += 1
        self._move_average()

    def _losses(self, batch: Batch) -> Iterator[tuple[str, Tensor]]:
        """Yield the losses of a batch, computed in the configured precision."""
        is_mixed = self.config.precision == "bfloat16"
        losses = self.separator.training_losses(batch)
        while True:
            with mixed_precision(self.device) if is_mixed else nullcontext():
                following = next(losses, None)
            if following is None:
                return
            yield following

    def _count_broken_steps(self, finite: bool) -> None:
        self.progress.broken_steps = 0 if finite else self.progress.broken_steps + 1
        if self.progress.broken_steps >= _BROKEN_STEPS_ALLOWED:
            raise InputError(
                f"The gradient was not finite in {_BROKEN_STEPS_ALLOWED} steps in a row: training "
                "diverged; lower --lr or look for broken audio in the set."
            )

    @torch.no_grad()
    def _move_average(self) -> None:
        """Move the average towards the weights, faster at the start of the run."""
        step = self.progress.step
        decay = min(self.config.average_decay, step / (step + _STEPS_OF_AVERAGE_WARMUP))
        weights = self.separator.state_dict()
        for name, average in self.average.state_dict().items():
            if average.is_floating_point():
                average.lerp_(weights[name], 1 - decay)
            else:
                average.copy_(weights[name])

    def _validate_when_due(self) -> None:
        due = math.floor(self.fraction * self.config.validations)
        # A run by minutes skips a validation when they took too long; the last one never.
        allowed_s = _VALIDATION_SHARE * self.progress.elapsed_s
        may_skip = self.config.steps is None and self.fraction < 1
        if due > self.progress.validations and not (may_skip and self.validation_s > allowed_s):
            self.progress.validations = due
            started = time.monotonic()
            self._validate()
            self.save()
            self.validation_s += time.monotonic() - started

    def _validate(self) -> None:
        row: dict[str, Any] = {
            "step": self.progress.step,
            "elapsed_s": round(self.progress.elapsed_s, 3),
            "loss": self._recent_loss(),
            "learning_rate": self.learning_rate,
        }
        self.losses.clear()
        if self.feed.validation is not None:
            measured = self.feed.validation.measure(self.average)
            if self.separator.counts_vary:  # else the average would move away from what was chosen
                chosen = self.average.get_buffer("active_above_db")
                self.separator.get_buffer("active_above_db").copy_(chosen)
            row |= measured
            self._keep_if_best(next(iter(measured.values())))
        self.history.append(row)

    def _keep_if_best(self, score_db: float) -> None:
        progress = self.progress
        if progress.best_db is None or score_db > progress.best_db:
            progress.best_db, progress.best_step = score_db, progress.step
            progress.validations_since_best = 0
            self.best = {k: v.clone() for k, v in self.average.state_dict().items()}
            return
        progress.validations_since_best += 1
        if progress.validations_since_best % self.config.patience == 0:
            progress.decays += 1

    def save(self) -> Meta:
        """Write the checkpoint: the best weights so far, and the state that `restore` reads."""
        meta = Meta(
            schema=SCHEMA,
            model=self.config.model,
            config=self.separator.config,
            parameters=count_parameters(self.separator),
            manifest_sha256=self.feed.manifest.sha256,
            step=self.progress.best_step or self.progress.step,
            training=self.config.as_dict(),
            progress=asdict(self.progress),
            versions=versions(),
        )
        state = {
            **with_prefix("weights", self.separator.state_dict()),
            **with_prefix("average", self.average.state_dict()),
            **with_prefix("optimizer", optimizer_tensors(self.updates.all_optimizers)),
        }
        weights = self.best or self.average.state_dict()
        save_checkpoint(self.out, meta, weights, state=state, history=self.history)
        return meta

    def restore(self, meta: Meta) -> None:
        """Restore the run from the checkpoint in `out`; raises InputError if it does not fit."""
        state = load_state(self.out)
        assign_weights(self.separator, tensors_under("weights", state), self.out)
        assign_weights(self.average, tensors_under("average", state), self.out)
        restore_optimizers(self.updates.all_optimizers, tensors_under("optimizer", state))
        self.progress = Progress(**meta.progress)
        # A run that is extended has validated more often than a run of its new length would have.
        due = math.floor(self.fraction * self.config.validations)
        self.progress.validations = min(self.progress.validations, due)
        self.history = load_history(self.out)
        if self.progress.best_db is not None:
            self.best = load_weights(self.out)

    def _first_line(self) -> str:
        millions = count_parameters(self.separator) / 1e6
        end = f"{self.config.steps} steps" if self.config.steps else f"{self.config.minutes} min"
        return (
            f"train {self.config.model}: {millions:.2f} M parameters, {end}, {self.device}, "
            f"{torch.get_num_threads()} threads, from step {self.progress.step}"
            + ("" if self.feed.validation else "; no valid split: the last weights are kept")
        )

    def _progress_line(self) -> str:
        validation = self.feed.validation
        elapsed_s = self.progress.elapsed_s
        waiting = self.waiting_s / max(elapsed_s - self.earlier_s, 1e-9)
        return (
            f"step {self.progress.step}  {100 * self.fraction:.0f} %  {elapsed_s:.0f} s  "
            f"loss {self._recent_loss() or 0:.2f}  lr {self.learning_rate:.1e}  "
            f"waiting for data {100 * waiting:.1f} %"
            + (f"  {validation.summary(self.history[-1])}" if validation and self.history else "")
        )

    def _last_line(self) -> str:
        steps = f"{self.progress.step} steps in {self.progress.elapsed_s:.0f} s"
        best = [row for row in self.history if row["step"] == self.progress.best_step]
        if not best or self.feed.validation is None:
            return steps
        kept = self.feed.validation.summary(best[-1])
        return f"{steps}; kept step {self.progress.best_step}, {kept}"

    def _recent_loss(self) -> float | None:
        """Return the mean loss since the last validation; the last mean if no step followed it."""
        if self.losses:
            self.last_loss = float(torch.stack(self.losses).mean())
        return self.last_loss
