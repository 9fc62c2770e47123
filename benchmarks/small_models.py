"""What each system's small variant learns in the same few minutes: one leaderboard per task.

    python benchmarks/small_models.py speech --minutes 5 --work WORK
    python benchmarks/small_models.py music --minutes 5 --work WORK

Speech: the recipe `librispeech_2mix_clean` over real LibriSpeech (in SEPARATION_DATA, or
../shared/data beside the repository): 191 talkers of train-clean-100 to learn from, 100 mixtures of
unseen test-other talkers. Music: the recipe `starter_music` over the synthetic songs of the starter
corpus. Every system trains on `--threads` processor cores for `--minutes`, from the training that
its file declares; nothing is tuned on the test split. The script can be stopped and started again:
it keeps finished checkpoints in WORK and continues. Writes small_models_TASK.csv in
benchmarks/results.
"""

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

from speech_scenes import LIBRISPEECH, REPOSITORY, recordings

from baselines.checkpoint import is_checkpoint, read_meta
from baselines.registry import model_spec, names
from evalsuite.run import run
from mixgen.core.vocabulary import Task

RESULTS = REPOSITORY / "benchmarks" / "results"
TASKS: dict[str, Task] = {"speech": "speech_separation", "music": "music_separation"}
RECIPES = {"speech": "librispeech_2mix_clean", "music": "starter_music"}
UNTRAINED = ("mixture", "oracle:irm")


def command(*words: object, threads: int = 2) -> None:
    """Run one of this project's commands; stops where it fails."""
    package, *rest = map(str, words)
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    subprocess.run([sys.executable, "-m", f"{package}.cli", *rest], check=True, env=environment)


def prepare(task: str, work: Path) -> Path:
    """Make the manifest and the rendered set of a task, unless they are there; return the set."""
    manifest, rendered = work / "manifest.jsonl", work / task
    if not manifest.is_file():
        sources = make_sources(task, work)
        command("mixgen", "draw", RECIPES[task], "--sources", sources, "--out", manifest)
    command("mixgen", "render", manifest, "--out", rendered)
    return rendered


def make_sources(task: str, work: Path) -> Path:
    """Index real speech, or make the starter corpus; return the table of sources."""
    if task == "music":
        command("mixgen", "starter", "--out", work / "starter")
        return work / "starter" / "sources.csv"
    root, sources = recordings(LIBRISPEECH), work / "sources.csv"
    command("mixgen", "index", "librispeech", root, "--corpus", "librispeech", "--out", sources)
    return sources


def train(name: str, work: Path, minutes: float, threads: int) -> Path:
    """Train a system unless its checkpoint is finished; return the checkpoint."""
    checkpoint = work / "checkpoints" / name.partition(":")[0]
    if is_checkpoint(checkpoint) and (read_meta(checkpoint).progress["elapsed_s"] >= 60 * minutes):
        return checkpoint
    options = ["--minutes", minutes, "--threads", threads]
    options += ["--manifest", work / "manifest.jsonl", "--out", checkpoint, "--overwrite"]
    print(f"== {name}", flush=True)
    command("baselines", "train", name, *options, threads=threads)
    return checkpoint


def level_losses_db(scores: Path) -> list[float]:
    """Return, for every estimate of scores, by how much more than allowed its level costs SNR.

    The SNR may be 1 dB below that of the best gain where the SI-SDR is 6 dB or more, 3.1 dB below
    elsewhere; what is above 0 breaks this.
    """
    losses = []
    for line in (scores / "items.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        if item["status"] == "ok":
            best_db = 10 * math.log10(1 + 10 ** (item["si_sdr"] / 10))
            losses.append(best_db - item["snr"] - (1.0 if item["si_sdr"] >= 6 else 3.1))
    return losses


def print_levels(results: Path, checkpoints: list[Path]) -> None:
    """Print for how many estimates of each system the level costs more SNR than allowed.

    No level suits estimates that are both nearly the mixture, as after minutes of training.
    """
    for checkpoint in checkpoints:
        losses = level_losses_db(results / checkpoint.name / "scores")
        beyond = [loss for loss in losses if loss > 0]
        print(
            f"level of {checkpoint.name}: {len(beyond)} of {len(losses)} estimates lose more than "
            f"allowed, by at most {max(beyond, default=0.0):.2f} dB"
        )


def main() -> None:
    """Train all small variants of a task, rank them and measure their levels."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--work", type=Path, required=True, help="Folder of data and checkpoints.")
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="Names of systems; all of the task if not given.")
    parser.add_argument("--train-only", action="store_true", help="Leave out the leaderboard.")
    options = parser.parse_args()
    work = (options.work / options.task).resolve()
    work.mkdir(parents=True, exist_ok=True)
    rendered = prepare(options.task, work)
    small = [
        name
        for name in names()
        if name.endswith(":small") and model_spec(name).task == TASKS[options.task]
    ]
    chosen = [name for name in small if not options.only or name.partition(":")[0] in options.only]
    checkpoints = [train(name, work, options.minutes, options.threads) for name in chosen]
    if options.train_only:
        return
    systems = [*UNTRAINED, *map(str, checkpoints)]
    run(sets=[rendered], systems=systems, out=work / "results", workers=options.threads)
    result = RESULTS / f"small_models_{options.task}.csv"
    shutil.copy(work / "results" / "leaderboard.csv", result)
    print(f"wrote {result}")
    print_levels(work / "results" / rendered.name, checkpoints)


if __name__ == "__main__":
    main()
