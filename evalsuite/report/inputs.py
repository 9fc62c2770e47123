"""What a report is made of: scores, and the sets and estimates that they were computed from."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evalsuite.scoring.folder import ScoreFolder, SystemScores, open_scores
from evalsuite.scoring.records import RUN_FILE, EstimatesRun, read_estimates_run
from mixgen.core.errors import InputError, UsageError
from mixgen.sets.rendered import RenderedSet

SCORES, ESTIMATES = "scores", "estimates"
_LEVELS = (f"*/{SCORES}", f"*/*/{SCORES}")


def find_scores(paths: Iterable[str | Path | SystemScores]) -> list[SystemScores]:
    """Open scores: open ones, folders and pinned files of scores, and all that `run` wrote.

    A folder without scores of its own, as `evalsuite run` writes it, stands for the scores one or
    two levels below it.

    Raises:
        InputError: there are no scores, or they cannot be read.
    """
    found: dict[Path, SystemScores] = {}
    for path in paths:
        for scores in _scores_at(path):
            found.setdefault(scores.path.resolve(), scores)
    return list(found.values())


def _scores_at(given: str | Path | SystemScores) -> list[SystemScores]:
    if isinstance(given, SystemScores):
        return [given]
    path = Path(given)
    if path.is_file() or (path / RUN_FILE).is_file():
        return [open_scores(path)]
    below = sorted(
        folder for level in _LEVELS for folder in path.glob(level) if (folder / RUN_FILE).is_file()
    )
    return [ScoreFolder(folder) for folder in below or [path]]  # without any, an error says so


def name_of(scores: SystemScores) -> str:
    """Return the name of a system: its model, and the beginning of its checkpoint's hash."""
    checkpoint = scores.run.checkpoint_sha256
    return scores.run.model + (f"@{checkpoint[:6]}" if checkpoint else "")


@dataclass(frozen=True)
class Audio:
    """Where the audio behind scores is, as far as it is known."""

    sets: Sequence[RenderedSet]
    estimates: dict[Path, Path]
    """Path of scores to the folder of the estimates."""

    def set_of(self, scores: SystemScores) -> RenderedSet | None:
        """Return the set that was scored."""
        return next((rendered for rendered in self.sets if _is_of(rendered, scores)), None)


def find_audio(
    scores: Sequence[SystemScores], *, sets: Iterable[Path] = (), estimates: Iterable[str] = ()
) -> Audio:
    """Find the sets and estimates behind scores.

    Estimates are those beside the scores, where `evalsuite run` writes both, unless others are
    given.

    Args:
        scores: of the report.
        sets: folders of rendered sets.
        estimates: each `NAME=FOLDER`, with the name of a system, or a folder with a run.json.

    Raises:
        InputError: a set or a folder of estimates does not belong to any of the scores.
        UsageError: a name is not that of a system.
    """
    opened = [RenderedSet(folder) for folder in sets]
    for rendered in opened:
        if not any(_is_of(rendered, entry) for entry in scores):
            raise InputError(
                f"{rendered.place} has the manifest {rendered.manifest.sha256[:12]}, and the "
                f"scores are of {_listed(e.run.manifest_sha256[:12] for e in scores)}: give the "
                "set that was scored."
            )
    beside = {entry.path: entry.path.resolve().with_name(ESTIMATES) for entry in scores}
    found = {path: folder for path, folder in beside.items() if folder.is_dir()}
    for text in estimates:
        found |= _assigned(text, scores)
    return Audio(opened, found)


def _is_of(rendered: RenderedSet, scores: SystemScores) -> bool:
    return rendered.manifest.file.has_sha256(scores.run.manifest_sha256)


def _assigned(text: str, scores: Sequence[SystemScores]) -> dict[Path, Path]:
    """Return the folder of estimates for each of the scores that it belongs to."""
    known = {name for entry in scores for name in _names(entry)}
    # A name may hold `=` itself, and begin like another one: the longest that fits is meant.
    name = max((name for name in known if text.startswith(f"{name}=")), key=len, default=None)
    if name is None and not Path(text).is_dir():
        raise UsageError(
            f"--estimates {text} is neither a folder nor NAME=FOLDER with the name of a system: "
            f"there are {_listed(map(name_of, scores))}."
        )
    folder = Path(text if name is None else text[len(name) + 1 :])
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder of estimates: check the path.")
    meant = [entry for entry in scores if name is None or name in _names(entry)]
    if not (folder / RUN_FILE).is_file():
        if len(meant) > 1:
            raise UsageError(
                f"{folder} has no {RUN_FILE} that says whose estimates it holds: give the name of "
                "one system, as NAME=FOLDER."
            )
        return {meant[0].path: folder}
    record = read_estimates_run(folder)
    meant = [entry for entry in meant if _made_for(record, entry)]
    if not meant:
        raise InputError(
            f"{folder} holds estimates of {record.model} for the manifest "
            f"{record.manifest_sha256[:12]}, which are not the ones that were scored."
        )
    return {entry.path: folder for entry in meant}


def _names(scores: SystemScores) -> set[str]:
    return {scores.run.model, name_of(scores)}


def _made_for(record: EstimatesRun, scores: SystemScores) -> bool:
    run = scores.run
    return (record.model, record.checkpoint_sha256, record.manifest_sha256) == (
        run.model,
        run.checkpoint_sha256,
        run.manifest_sha256,
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
