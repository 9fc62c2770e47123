"""Plan a score: check that set, estimates, split and metrics fit, before any work is done."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evalsuite.metrics import Metric, select, spec_sha256
from evalsuite.scoring.inputs import check_set_files, estimates_sha256
from evalsuite.scoring.mixture import ScoringJob
from evalsuite.scoring.records import RUN_FILE, EstimatesRun, read_estimates_run
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.vocabulary import ALL_TASKS
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet, set_sha256


@dataclass(frozen=True)
class Plan:
    """A checked score that can start: the estimates, the set, the mixtures and the metrics."""

    rendered: RenderedSet
    estimates_folder: Path
    estimates: EstimatesRun
    split: str | None
    mixtures: list[Mixture]
    task: str
    metrics: tuple[Metric, ...]

    @cached_property
    def inputs_sha256(self) -> str:
        """Hash of everything that decides the scores."""
        inputs = [
            set_sha256(self.rendered),
            sha256_file(self.estimates_folder / RUN_FILE),
            estimates_sha256(self.estimates_folder, self.mixtures, self.estimates.estimates),
            self.split,
            spec_sha256(self.metrics),
        ]
        return sha256_bytes(canonical_json(inputs).encode())

    @property
    def job(self) -> ScoringJob:
        """The part that is the same for all mixtures."""
        return ScoringJob(
            set_folder=self.rendered.folder,
            manifest_sha256=self.rendered.manifest.sha256,
            estimates_folder=self.estimates_folder,
            estimate_names=tuple(self.estimates.estimates),
            named=self.estimates.named,
            task=self.task,
            metrics=tuple(metric.name for metric in self.metrics),
        )


def plan_score(
    set_folder: Path,
    estimates_folder: Path,
    *,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
) -> Plan:
    """Check that the estimates were made for the set, and choose the metrics.

    Args:
        set_folder: a rendered set.
        estimates_folder: with run.json and one folder per mixture.
        split: to score; by default the split that was separated.
        metrics: names of metrics; by default those for the set's task.

    Raises:
        InputError: estimates and set do not belong together, the set has two sample rates, or a
            file of it is not as it was rendered.
        UsageError: a metric does not exist.
    """
    rendered = RenderedSet(set_folder)
    estimates = read_estimates_run(estimates_folder)
    _check_manifest(rendered, estimates_folder, estimates)
    split = _resolve_split(estimates_folder, estimates, split)
    mixtures = rendered.mixtures(split)
    sample_rate = _sample_rate(set_folder, mixtures, estimates)
    task = rendered.manifest.header.task
    if task not in ALL_TASKS:
        raise InputError(
            f"The manifest's task is {task!r}; scores are defined for "
            f"{', '.join(sorted(ALL_TASKS))}: correct the recipe and draw the set again."
        )
    counts_vary = len({len(mixture.targets) for mixture in mixtures}) > 1
    chosen = select(task=task, sample_rate=sample_rate, metrics=metrics, counts_vary=counts_vary)
    check_set_files(rendered, mixtures)
    return Plan(rendered, estimates_folder, estimates, split, mixtures, task, chosen)


def _check_manifest(rendered: RenderedSet, folder: Path, estimates: EstimatesRun) -> None:
    manifest = rendered.manifest
    if not manifest.file.has_sha256(estimates.manifest_sha256):
        raise InputError(
            f"{folder} was made for the manifest {estimates.manifest_sha256[:12]}, but "
            f"{rendered.folder} has {manifest.sha256[:12]}: separate this set, or give the set of "
            "these estimates."
        )


def _resolve_split(folder: Path, estimates: EstimatesRun, split: str | None) -> str | None:
    if split is not None and estimates.split is not None and split != estimates.split:
        raise InputError(
            f"{folder} holds estimates of the split {estimates.split!r}, not {split!r}: separate "
            "that split, or omit --split."
        )
    return split if split is not None else estimates.split


def _sample_rate(set_folder: Path, mixtures: list[Mixture], estimates: EstimatesRun) -> int:
    rates = sorted({mixture.sample_rate for mixture in mixtures})
    if len(rates) > 1:
        raise InputError(
            f"{set_folder} holds mixtures at {rates[0]} and {rates[1]} Hz; metrics need one rate: "
            "draw one set per rate."
        )
    if estimates.sample_rate != rates[0]:
        raise InputError(
            f"The estimates are at {estimates.sample_rate} Hz and {set_folder} at {rates[0]} Hz: "
            "separate the set at its sample rate."
        )
    return rates[0]
