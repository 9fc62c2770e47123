"""Separating a rendered set with a checkpoint, an untrained system or a program of others."""

import gc
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from baselines.checkpoint import checkpoint_sha256, is_checkpoint, load, read_meta, versions
from baselines.compatibility import build_for, check_compatible, stem_names
from baselines.inference.costs import COSTS, RunStatistics
from baselines.inference.counted import TRUE, check_unnamed, split_count
from baselines.inference.device import choose_device, device_of, set_threads
from baselines.inference.estimates import FORMAT, finite_estimates, largest_peak, numbered_names
from baselines.inference.external import (
    declared_latency_s,
    is_external,
    open_external,
    split_name,
)
from baselines.inference.long import separate_long
from baselines.inputs import check_inputs, load_inputs, silent_inputs
from baselines.registry import names, names_without_training, without_training
from baselines.separator import Hyperparameters, Separator
from mixgen.audio.formats import write_samples
from mixgen.core.errors import PartialFailure, SuiteError, UsageError
from mixgen.core.files import machine_errors, read_json, write_json
from mixgen.core.progress import print_status, track
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet

SCHEMA = "estimates/1"
RUN_FILE = "run.json"
# Written before any estimate: identifies the system and the set of a run that was interrupted.
PLAN_FILE = "plan.json"


@dataclass(frozen=True)
class LoadedSystem:
    """A separator that is ready to separate, with the model and checkpoint it comes from."""

    separator: Separator
    model: str
    checkpoint_sha256: str | None = None
    configuration_sha256: str | None = None
    seed: int | None = None
    count: str | None = None
    """How many estimates of a mixture are kept, see `baselines.inference.counted`."""


def open_system(system: str | Path, mixtures: Sequence[Mixture]) -> LoadedSystem:
    """Load a checkpoint folder, or build a system without parameters by its name.

    If a checkpoint folder has the name of a system, the checkpoint is loaded. A count may stand in
    front, see `baselines.inference.counted`.

    Raises:
        InputError: the checkpoint is incomplete or altered, or does not fit the mixtures.
        UsageError: the name or the count is unknown, or the system has to be trained first.
    """
    count, counted = split_count(str(system))
    if count is not None:
        opened = open_system(counted, mixtures)
        check_unnamed(opened.separator, counted, count)
        return replace(opened, model=f"count:{count}:{opened.model}", count=count)
    if str(system) in names() and not is_checkpoint(Path(system)):
        separator = without_training(str(system), build_for(str(system), mixtures))
        return LoadedSystem(separator, str(system))
    if is_external(str(system)) and not is_checkpoint(Path(system)):
        return LoadedSystem(*_open_external(str(system), mixtures))
    folder = Path(system)
    if not folder.exists() and not is_checkpoint(folder):
        raise UsageError(
            f"{system} is neither a checkpoint folder nor a separator: give a checkpoint folder, "
            f"or one of {', '.join(names_without_training())}, which need no training."
        )
    separator = load(folder)
    check_compatible(separator, mixtures)
    meta = read_meta(folder)
    return LoadedSystem(
        separator,
        meta.model,
        checkpoint_sha256(folder),
        meta.configuration_sha256,
        meta.training.get("seed"),
    )


def _open_external(system: str, mixtures: Sequence[Mixture]) -> tuple[Separator, str, str | None]:
    model, program = split_name(system)
    hyperparameters = Hyperparameters(
        n_src=max(*(len(mixture.targets) for mixture in mixtures), 1),
        sample_rate=mixtures[0].sample_rate,
        channels=mixtures[0].channels,
        source_names=stem_names(mixtures),
    )
    separator, sha256 = open_external(program, hyperparameters, declared_latency_s(system))
    return separator, model, sha256


def separate_set(
    system: str | Path,
    set_folder: Path,
    out: Path,
    *,
    split: str | None = "test",
    device: str = "auto",
    threads: int | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Separate every mixture of a split into `out`, and return the content of run.json.

    Mixtures that this system has already separated are skipped.

    Raises:
        UsageError: `out` holds other estimates and `overwrite` is false; or as `open_system`.
        InputError: the set or the checkpoint cannot be read, or they do not fit each other.
        PartialFailure: some mixtures failed; the reasons are on standard error and in run.json.
    """
    out = Path(out)
    rendered = RenderedSet(set_folder)
    mixtures = rendered.mixtures(split)
    used_threads = set_threads(threads)
    opened = open_system(system, mixtures)
    separator = opened.separator.to(choose_device(device))
    check_inputs(separator, rendered.manifest, split)
    names_of = _EstimateNames(separator, mixtures)
    plan = _plan(opened, rendered.manifest.sha256, split, names_of)
    previous = _begin(out, plan, overwrite=overwrite)
    # A file is written whole or not at all.
    paths_of = {
        mixture.id: [out / mixture.id / f"{name}.{FORMAT.extension}" for name in names_of(mixture)]
        for mixture in mixtures
    }
    pending = [m for m in mixtures if not all(path.is_file() for path in paths_of[m.id])]
    statistics = _separate_all(separator, rendered, pending, paths_of, opened.count)
    written = (path for paths in paths_of.values() for path in paths if path.is_file())
    statistics.largest_peak = largest_peak(written)
    cost = _measure_costs(separator, statistics, used_threads)
    run = {**plan, **cost, "failures": statistics.failures}
    if not pending and previous is not None:
        run = previous
    write_json(out / RUN_FILE, run)
    _report_failures(statistics, len(mixtures))
    return run


class _EstimateNames:
    """The names of estimates: those of the targets if the estimates are ordered, else numbers.

    Attributes:
        named: whether the estimates have the names of the targets.
        all: the names in a set, of which a mixture with fewer targets has a part.
    """

    def __init__(self, separator: Separator, mixtures: Sequence[Mixture]) -> None:
        self._of_targets = separator.estimates_targets and separator.source_names is None
        self.named = separator.named
        if self._of_targets:
            self.all = list(dict.fromkeys(name for m in mixtures for name in m.targets))
        else:
            self.all = list(separator.source_names or numbered_names(separator.n_src))

    def __call__(self, mixture: Mixture) -> list[str]:
        """Return the names of the estimates of one mixture, in their order."""
        return list(mixture.targets) if self._of_targets else self.all


def _plan(
    opened: LoadedSystem, manifest_sha256: str, split: str | None, names_of: _EstimateNames
) -> dict[str, Any]:
    """Return what identifies the estimates: those of another plan are not mixed in."""
    separator = opened.separator
    return {
        "schema": SCHEMA,
        "model": opened.model,
        "checkpoint_sha256": opened.checkpoint_sha256,
        "configuration_sha256": opened.configuration_sha256,
        "seed": opened.seed,
        "manifest_sha256": manifest_sha256,
        "split": split,
        "named": names_of.named,
        "estimates": names_of.all,
        "sample_rate": separator.sample_rate,
        # A program that declares another latency gives other estimates.
        **({"latency_s": separator.latency_s} if separator.external else {}),
        # The system decides which estimates hold a source: the others are silent.
        **({"counted": True} if separator.counts_vary or opened.count is not None else {}),
        **({} if opened.count is None else {"count": opened.count}),
    }


def _begin(out: Path, plan: dict[str, Any], *, overwrite: bool) -> dict[str, Any] | None:
    """Write the plan to `out`; return the run.json of an earlier run of the same plan."""
    path = out / PLAN_FILE
    same = path.is_file() and read_json(path) == plan
    if not same and out.is_dir() and any(out.iterdir()):
        _clear(out, path, overwrite=overwrite)
    previous = read_json(out / RUN_FILE) if same and (out / RUN_FILE).is_file() else None
    write_json(path, plan)
    (out / RUN_FILE).unlink(missing_ok=True)
    return previous


def _clear(out: Path, plan: Path, *, overwrite: bool) -> None:
    if not plan.is_file():
        raise UsageError(f"{out} is in use and holds no estimates: give another --out.")
    if not overwrite:
        raise UsageError(
            f"{out} holds the estimates of another system, set or split: give --overwrite to "
            "replace them, or another --out."
        )
    with machine_errors(out):
        shutil.rmtree(out)


def _separate_all(
    separator: Separator,
    rendered: RenderedSet,
    mixtures: list[Mixture],
    paths_of: dict[str, list[Path]],
    count: str | None,
) -> RunStatistics:
    statistics = RunStatistics()
    _warm_up(separator)
    for mixture in track(mixtures, "separate"):
        if count is not None:
            separator.count = len(mixture.targets) if count == TRUE else int(count)
        try:
            estimates = _separate_mixture(separator, rendered, mixture, statistics)
        except (SuiteError, RuntimeError, MemoryError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            statistics.failures.append({"id": mixture.id, "reason": reason})
            gc.collect()
            continue
        for path, estimate in zip(paths_of[mixture.id], estimates, strict=True):
            write_samples(path, estimate.T, mixture.sample_rate, FORMAT)
    return statistics


@torch.no_grad()
def _warm_up(separator: Separator) -> None:
    """Separate one second of silence, so that one-time costs are not measured."""
    if separator.external:
        return
    mixture = torch.zeros(1, separator.channels, separator.sample_rate, device=device_of(separator))
    separate_long(separator, mixture, silent_inputs(separator, mixture))


def _separate_mixture(
    separator: Separator, rendered: RenderedSet, mixture: Mixture, statistics: RunStatistics
) -> NDArray[np.float32]:
    """Return the estimates (n_src, channels, time); raises InputError if they are not finite."""
    samples = rendered.load_mixture(mixture.id)
    inputs = load_inputs(separator.inputs, rendered, mixture)
    started = time.perf_counter()
    estimates = finite_estimates(separator, samples, inputs)
    statistics.busy_s += time.perf_counter() - started
    statistics.audio_s += mixture.duration_s
    return estimates


def _measure_costs(separator: Separator, statistics: RunStatistics, threads: int) -> dict[str, Any]:
    device = device_of(separator)
    return {
        **{cost.name: cost.measure(separator, statistics, device) for cost in COSTS},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": threads,
        "versions": versions(),
    }


def _report_failures(statistics: RunStatistics, mixtures: int) -> None:
    for failure in statistics.failures:
        print_status(f"failed: {failure['id']}: {failure['reason']}")
    if statistics.failures:
        raise PartialFailure(
            f"{len(statistics.failures)} of {mixtures} mixtures could not be separated; the "
            f"reasons are above and in {RUN_FILE}."
        )
