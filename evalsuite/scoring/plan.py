"""Plan a score: check that set, estimates, split and metrics fit, before any work is done."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evalsuite.metrics import Metric, select, spec_sha256
from evalsuite.scoring.baseline import cache_path
from evalsuite.scoring.estimates import carry_names, estimate_path
from evalsuite.scoring.inputs import (
    FileRows,
    check_files,
    conditions_of,
    files_sha256,
    labels_of,
    recorded_files,
)
from evalsuite.scoring.mixture import ScoringJob
from evalsuite.scoring.records import RUN_FILE, EstimatesRun, read_estimates_run
from evalsuite.scoring.scene import Scene
from mixgen.core.errors import InputError
from mixgen.core.files import canonical_json, sha256_bytes, sha256_file
from mixgen.core.progress import print_status
from mixgen.core.vocabulary import ALL_TASKS
from mixgen.manifest.mixture import Mixture
from mixgen.sets.rendered import RenderedSet, set_sha256
from mixgen.sets.trees import Tree, has_audio, read_tree


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A checked score that can start.

    Attributes:
        set_name: of the set.
        set_sha256: of all that was rendered.
        manifest_sha256: of what the set renders.
        task: of the set.
        split: that is scored; None for all.
        scenes: the mixtures with their files.
        estimates: which system made them, and how.
        estimates_record_sha256: of the file that says so.
        metrics: to compute.
        cache: file for the scores of the unprocessed mixtures; None for no cache.
    """

    set_name: str
    set_sha256: str
    manifest_sha256: str
    task: str
    split: str | None
    scenes: Sequence[Scene]
    estimates: EstimatesRun
    estimates_record_sha256: str
    metrics: tuple[Metric, ...]
    cache: Path | None

    @cached_property
    def inputs_sha256(self) -> str:
        """Hash of everything that decides the scores."""
        paths = (path for scene in self.scenes for path in scene.estimates.values())
        inputs = [
            self.set_sha256,
            self.estimates_record_sha256,
            files_sha256(paths),
            self.split,
            spec_sha256(self.metrics),
        ]
        return sha256_bytes(canonical_json(inputs).encode())

    @property
    def job(self) -> ScoringJob:
        """The part that is the same for all mixtures."""
        names = tuple(metric.name for metric in self.metrics)
        return ScoringJob(named=self.estimates.named, task=self.task, metrics=names)


def plan_score(
    set_folder: Path,
    estimates_folder: Path,
    *,
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    name: str | None = None,
) -> Plan:
    """Check that the estimates were made for the set, and choose the metrics.

    Args:
        set_folder: a rendered set, or the manifest of a folder that was imported.
        estimates_folder: with run.json and one folder per mixture; or without run.json, in any
            layout of `trees`, with the ids of the mixtures in it.
        split: to score; by default the split that was separated, or the only one of which there
            are estimates.
        metrics: names of metrics; by default those for the set's task.
        name: of the system; by default that of run.json, or of the folder.

    Raises:
        InputError: estimates and set do not belong together, the set has two sample rates, or a
            file of it is not as it was rendered.
        UsageError: a metric does not exist.
    """
    rendered = RenderedSet(set_folder)
    recorded = (estimates_folder / RUN_FILE).is_file() or not has_audio(estimates_folder)
    if recorded:
        estimates = read_estimates_run(estimates_folder)
        _check_manifest(rendered, estimates_folder, estimates)
        split = _resolve_split(estimates_folder, estimates, split)
        mixtures = rendered.mixtures(split)
        paths = _paths(estimates_folder, mixtures, estimates)
    else:
        mixtures = rendered.mixtures(split)
        tree = read_tree(estimates_folder, ids={mixture.id for mixture in mixtures})
        found = {mixture.split for mixture in mixtures if mixture.id in tree.files}
        if len(found) == 1:
            (split,) = found
            mixtures = [mixture for mixture in mixtures if mixture.split == split]
        estimates, paths = _unrecorded(tree, rendered, mixtures, split), tree.files
    if name is not None:
        estimates = estimates.model_copy(update={"model": name})
    sample_rate = _sample_rate(set_folder, mixtures, estimates)
    header = rendered.manifest.header
    if header.task not in ALL_TASKS:
        raise InputError(
            f"The manifest's task is {header.task!r}; scores are defined for "
            f"{', '.join(sorted(ALL_TASKS))}: correct the recipe and draw the set again."
        )
    counts = {len(mixture.targets) for mixture in mixtures}
    chosen = select(
        task=header.task,
        sample_rate=sample_rate,
        metrics=metrics,
        counts_vary=len(counts) > 1 or counts == {0},
    )
    rows = recorded_files(rendered, mixtures)
    check_files(rendered, mixtures, rows)
    return Plan(
        set_name=header.name,
        set_sha256=set_sha256(rendered),
        manifest_sha256=rendered.manifest.sha256,
        task=header.task,
        split=split,
        scenes=list(_scenes(rendered, mixtures, paths, estimates, rows)),
        estimates=estimates,
        estimates_record_sha256=sha256_file(estimates_folder / RUN_FILE)
        if recorded and name is None
        else sha256_bytes(canonical_json(estimates.as_dict()).encode()),
        metrics=chosen,
        cache=cache_path(rendered, spec_sha256=spec_sha256(chosen)),
    )


def _scenes(
    rendered: RenderedSet,
    mixtures: Iterable[Mixture],
    paths: Mapping[str, Mapping[str, Path]],
    estimates: EstimatesRun,
    rows: FileRows,
) -> Iterable[Scene]:
    failures = {failure.id: failure.reason for failure in estimates.failures}
    for mixture in mixtures:
        names = mixture.targets if estimates.named else estimates.estimates
        yield Scene(
            id=mixture.id,
            references={n: rendered.reference_path(mixture.id, n) for n in mixture.targets},
            estimates={name: paths.get(mixture.id, {}).get(name) for name in names},
            mixture=rendered.mixture_path(mixture.id),
            sample_rate=mixture.sample_rate,
            duration_s=mixture.duration_s,
            labels=labels_of(mixture),
            conditions=conditions_of(mixture, rows),
            others=_others(rendered, mixture),
            record=mixture,
            failure=failures.get(mixture.id),
        )


def _paths(
    folder: Path, mixtures: Iterable[Mixture], estimates: EstimatesRun
) -> dict[str, dict[str, Path]]:
    """Return mixture id to name to file, for estimates whose names run.json lists."""
    return {
        mixture.id: {n: estimate_path(folder, mixture.id, n) for n in estimates.estimates}
        for mixture in mixtures
    }


def _unrecorded(
    tree: Tree,
    rendered: RenderedSet,
    mixtures: Sequence[Mixture],
    split: str | None,
) -> EstimatesRun:
    """Return what is known of estimates without run.json; print what has no counterpart."""
    ids = {mixture.id for mixture in mixtures}
    if not ids & tree.files.keys():
        raise InputError(
            f"{tree.folder} holds no {RUN_FILE}, and no folder or file of it is named after a "
            f"mixture of {rendered.place}, such as {min(ids)}."
        )
    stems = mixtures[0].targets
    named = carry_names(tree.sources, stems) and all(m.targets == stems for m in mixtures)
    for path in tree.others:
        print_status(f"unmatched: {path} fits no layout")
    others = tree.files.keys() - ids
    if others:
        print_status(
            f"unmatched: {len(others)} mixtures in {tree.folder}, such as {min(others)}, are not "
            "in the set, or not in this split"
        )
    return EstimatesRun(
        schema="estimates/1",
        model=tree.folder.resolve().name,
        manifest_sha256=rendered.manifest.sha256,
        split=split,
        named=named,
        estimates=list(stems) if named else tree.sources,
        sample_rate=mixtures[0].sample_rate,
    )


def _others(rendered: RenderedSet, mixture: Mixture) -> Mapping[str, Path]:
    """Return the files of a mixture beside the mixture and its references."""
    names = set(mixture.file_names) - set(mixture.targets)
    return {name: rendered.reference_path(mixture.id, name) for name in sorted(names)}


def _check_manifest(rendered: RenderedSet, folder: Path, estimates: EstimatesRun) -> None:
    manifest = rendered.manifest
    if not manifest.file.has_sha256(estimates.manifest_sha256):
        raise InputError(
            f"{folder} was made for the manifest {estimates.manifest_sha256[:12]}, but "
            f"{rendered.place} has {manifest.sha256[:12]}: separate this set, or give the set of "
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
