"""Separate, score and rank every system on every set; finished steps are not repeated."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from evalsuite.boards.counts import write_counts
from evalsuite.boards.leaderboard import Row, identity_of, rank, write_leaderboard
from evalsuite.boards.seeds import write_seeds
from evalsuite.boards.slices import Slicing, write_slices
from evalsuite.metrics.table import named_metrics
from evalsuite.scoring.folder import ScoreFolder, SystemScores
from evalsuite.scoring.plan import Plan, plan_score
from evalsuite.scoring.score import score_plan
from mixgen.core.errors import InputError, PartialFailure, UsageError
from mixgen.core.files import read_json
from mixgen.core.progress import print_status
from mixgen.sets.rendered import RenderedSet

LEADERBOARD_FILE = "leaderboard.csv"
ESTIMATES = "estimates"
SCORES = "scores"

Item = TypeVar("Item", Path, str)


@dataclass
class RunResult:
    """The leaderboard of a run, the score folders behind it, and what was skipped or failed.

    Attributes:
        rows: of the leaderboard.
        scores: the score folders that it was made from.
        skipped: one sentence for each system that does not fit a set.
        n_failed: mixtures that could not be scored in full, over all systems.
    """

    rows: list[Row] = field(default_factory=list)
    scores: list[Path] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    n_failed: int = 0


@dataclass(frozen=True)
class Step:
    """One system on one set, and the folder for its estimates and scores.

    `given` is a folder of estimates that exist already, whose rows are to have the name `name`;
    `shared` is one of the same checkpoint under another name.
    """

    system: str
    set_folder: Path
    folder: Path
    given: Path | None = None
    name: str | None = None
    shared: Path | None = None

    @property
    def estimates(self) -> Path:
        """Folder of the estimates."""
        return self.given or self.shared or self.folder / ESTIMATES

    @property
    def scores(self) -> Path:
        """Folder of the scores."""
        return self.folder / SCORES


def run(
    *,
    sets: Sequence[Path],
    systems: Sequence[str],
    out: Path,
    split: str = "test",
    metrics: Sequence[str] | None = None,
    workers: int = 1,
) -> RunResult:
    """Separate and score every system on every set, and write `out`/leaderboard.csv.

    Estimates and scores go to `out`/<set>/<system>/, named after the folders they come from, with
    the split beside the set if it is not `test`. A step is not repeated while its inputs stay the
    same, and a checkpoint separates a split of a manifest once in `out`, whatever its name and the
    metrics. A system that does not fit a set is skipped there. The leaderboard also holds what
    earlier runs wrote into `out`.

    Args:
        sets: folders of rendered sets.
        systems: names of separators that need no training, checkpoint folders, programs of others
            (see `baselines.inference.external`), or folders of estimates that others wrote.
        out: folder of all results.
        split: of the sets.
        metrics: names of metrics; by default those for each set's task.
        workers: processes that score.

    Raises:
        UsageError: a system does not exist or is not trained, two would share a folder, or none of
            the metrics ranks systems.
        InputError: a set or checkpoint cannot be read, or no system fits any set.
    """
    _check_that_something_ranks(metrics)
    result = RunResult()
    # The list checks every system on every set before the first step starts.
    for planned in list(_fitting_steps(sets, systems, out, split, result.skipped)):
        step = planned
        if step.given is None:
            step = _with_shared_estimates(step, out, split)
            if _is_scored_under_another_name(step, result):
                continue
            _separate(step, split)
        print_status(f"score {step.system} on {step.set_folder}")
        plan = plan_score(
            step.set_folder, step.estimates, split=split, metrics=metrics, name=step.name
        )
        result.n_failed += _score(plan, step.scores, workers)
        result.scores.append(step.scores)
    if not result.scores:
        raise InputError(f"No system fits any set. {' '.join(result.skipped)}")
    result.rows = write_boards(out / LEADERBOARD_FILE, _with_earlier(result.scores, out))
    return result


def _check_that_something_ranks(metrics: Sequence[str] | None) -> None:
    """Check, before hours of separation, that a leaderboard can be made of the metrics."""
    if metrics is None:
        return
    chosen = named_metrics(metrics)
    if not any(m.scope != "set" and m.columns + m.improvement_columns for m in chosen):
        raise UsageError(
            f"A leaderboard cannot be ranked by {', '.join(m.name for m in chosen)} alone: give a "
            "metric that ranks systems beside it, such as si_sdr, or si_sdr_dt for echo cancellers."
        )


def write_boards(
    path: Path, scores: Sequence[SystemScores], slicings: Iterable[Slicing] = ()
) -> list[Row]:
    """Rank scores; write the leaderboard, slices, counts and seeds beside it; return its rows.

    Args:
        path: of the leaderboard.
        scores: to rank.
        slicings: beside those that every leaderboard has.
    """
    rows = rank(scores)
    write_leaderboard(path, rows)
    write_slices(path, scores, slicings)
    write_counts(path, scores)
    write_seeds(path, rows)
    return rows


def _fitting_steps(
    sets: Sequence[Path], systems: Sequence[str], out: Path, split: str, skipped: list[str]
) -> Iterator[Step]:
    """Yield one step per set and system that fit; report the other pairs and add to `skipped`."""
    from baselines.checkpoint import checkpoint_sha256, is_checkpoint  # imports torch
    from baselines.inference.external import declared_latency_s, split_name
    from baselines.inference.separate import open_system
    from baselines.inputs import check_inputs
    from baselines.registry import names

    set_of = _by_folder_name(sets)
    names_of = _by_folder_name([_count_last(split_name(system)[0]) for system in systems])
    system_of = dict(zip(names_of, systems, strict=True))
    given_of = {s: _folder_of_estimates(split_name(s)[1]) for s in systems if s not in names()}
    for system in systems:
        folder = Path(system)
        if is_checkpoint(folder) or (
            system not in names() and folder.is_dir() and given_of[system] is None
        ):
            checkpoint_sha256(folder)  # a broken checkpoint is an error and not skipped
    for name, set_folder in set_of.items():
        set_name = name if split == "test" else f"{name}-{split}"
        manifest = RenderedSet(set_folder).manifest
        for system_name, system in system_of.items():
            step = Step(system, set_folder, out / set_name / system_name)
            given = given_of.get(system)
            if given is not None:
                if declared_latency_s(system) is not None:
                    raise UsageError(
                        f"{system}: a folder of estimates is scored as it is; a latency is that of "
                        "a program, which is run with it."
                    )
                own_name = split_name(system)[0]
                yield replace(step, given=given, name=None if own_name == system else own_name)
                continue
            try:
                opened = open_system(system, manifest.of_split(split))
                check_inputs(opened.separator, manifest, split)
            except InputError as error:
                skipped.append(f"{system} does not fit {set_name}: {error}")
                print_status(f"skipped: {skipped[-1]}")
            else:
                yield step


def _folder_of_estimates(system: str) -> Path | None:
    """Return the folder if it holds anything but a checkpoint, else None."""
    folder = Path(system)
    parts = ("meta.json", "model.safetensors", "SHA256SUMS")
    if not folder.is_dir() or any((folder / part).exists() for part in parts):
        return None
    return folder


def _by_folder_name(items: Sequence[Item]) -> Mapping[str, Item]:
    """Name each item by the last part of its path, or by the whole path where two share it."""
    shared = Counter(_last_part(item) for item in items)
    named: dict[str, Item] = {}
    for item in items:
        whole = str(item) if shared[_last_part(item)] > 1 else _last_part(item)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", whole).strip("-.")
        if name in named:
            raise UsageError(
                f"{named[name]} and {item} would share the folder {name!r}: give only one of them."
            )
        named[name] = item
    return named


def _count_last(system: str) -> str:
    """Return the path of a system with its count in the last part: a/count:2:b for count:2:a/b."""
    from baselines.inference.counted import split_count  # imports torch

    count, counted = split_count(system)
    if count is None:
        return system
    return str(Path(counted).parent / f"count:{count}:{_last_part(counted)}")


def _last_part(item: Item) -> str:
    return Path(item).absolute().name.removesuffix(".jsonl")  # of a manifest of finished files


def _with_shared_estimates(step: Step, out: Path, split: str) -> Step:
    """Return the step with the estimates that its checkpoint has in `out` under another name."""
    from baselines.checkpoint import checkpoint_sha256, is_checkpoint, read_meta  # imports torch
    from baselines.inference.separate import PLAN_FILE

    folder = Path(step.system)
    if not is_checkpoint(folder):
        return step
    wanted = {
        "checkpoint_sha256": checkpoint_sha256(folder),
        # Equal weights separate otherwise under other hyperparameters.
        "configuration_sha256": read_meta(folder).configuration_sha256,
        "manifest_sha256": RenderedSet(step.set_folder).manifest.sha256,
        "split": split,
    }
    own = step.estimates
    for plan in [own / PLAN_FILE, *sorted(out.glob(f"*/*/{ESTIMATES}/{PLAN_FILE}"))]:
        if not plan.is_file():
            continue
        found = read_json(plan)
        if wanted.items() <= found.items() and "count" not in found:
            return step if plan.parent == own else replace(step, shared=plan.parent)
    return step


def _is_scored_under_another_name(step: Step, result: RunResult) -> bool:
    """Return whether this run has scored the same checkpoint; report the name that is left out."""
    scored = None if step.shared is None else step.shared.with_name(SCORES)
    if scored not in result.scores:
        return False
    result.skipped.append(f"{step.system} is the same checkpoint as that of {scored}")
    print_status(f"skipped: {result.skipped[-1]}")
    return True


def _separate(step: Step, split: str) -> None:
    """Separate the mixtures without estimates; EST/run.json records the ones that fail."""
    from baselines.inference.separate import separate_set  # imports torch

    print_status(f"separate {step.set_folder} with {step.system} into {step.estimates}")
    try:
        separate_set(step.system, step.set_folder, step.estimates, split=split, overwrite=True)
    except PartialFailure as error:
        print_status(str(error))


def _score(plan: Plan, out: Path, workers: int) -> int:
    """Score unless `out` has scores of the same inputs; return the number of failed mixtures."""
    earlier = _whole(out)
    if earlier is not None and earlier.run.inputs_sha256 == plan.inputs_sha256:
        return earlier.run.counts.n_failed
    return score_plan(plan, out, workers=workers).counts.n_failed


def _with_earlier(folders: Sequence[Path], out: Path) -> list[SystemScores]:
    """Return the scores of this run, and those of earlier runs into `out` on other sets or systems.

    Earlier scores of a system that was scored in this run under another name are left out.
    """
    scores: list[SystemScores] = [ScoreFolder(folder) for folder in folders]
    ranked = {identity_of(folder) for folder in scores}
    for path in sorted(set(out.glob(f"*/*/{SCORES}")) - set(folders)):
        earlier = _whole(path)
        if earlier is not None and identity_of(earlier) not in ranked:
            ranked.add(identity_of(earlier))
            scores.append(earlier)
    return scores


def _whole(folder: Path) -> ScoreFolder | None:
    """Return the scores in a folder; None where they are missing or broken."""
    try:
        return ScoreFolder(folder)
    except InputError:
        return None
