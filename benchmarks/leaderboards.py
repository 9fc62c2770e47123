"""The shipped leaderboards: draws, trains, separates, scores and writes `evalsuite/leaderboards`.

    python benchmarks/leaderboards.py                 every board in benchmarks/boards, row by row
    python benchmarks/leaderboards.py two_talkers     one board
    python benchmarks/leaderboards.py --plan          what is left, and how long it trains

A board is a file in benchmarks/boards: its recordings, its recipe, its systems. Real recordings are
looked for in SEPARATION_DATA, or ../shared/data beside the repository. All that takes time is kept
in `--work`; the script can be stopped and started again, and goes on in the row where it was. After
every row it writes the board: a CSV file, a page, the manifest of the mixtures that were scored,
and the list of all source files.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from board import Board, Row, board_names, recipe_argument
from leaderboard_pages import write_board
from speech_scenes import REPOSITORY, recordings

from baselines.checkpoint import checkpoint_sha256, is_checkpoint, read_meta
from baselines.inference.counted import split_count
from evalsuite.metrics.table import select, table
from mixgen.core.files import read_json, write_json
from mixgen.corpora.sources import read_sources, write_sources
from mixgen.manifest.file import read_manifest
from mixgen.recipe.read import find_recipe, read_recipe

ROWS = yaml.safe_load((REPOSITORY / "benchmarks/rows/rows.yaml").read_text(encoding="utf-8"))
ENVIRONMENT = Path(".venv-rows")

JUDGES = {
    "speech": ("dwer", "talker_sim", "talker_confusion", "dnsmos", "distillmos"),
    "echo_cancellation": ("dwer", "aecmos"),
    "music_separation": (),
    "meetings": (),
}
"""Judges of `evalsuite/probes` by task, beside its default metrics; unknown ones are left out.

Those of speech weigh one talker, which neither a song nor the stream of a meeting is.
"""


class Maker:
    """Makes one board, and remembers the commands by which anyone can make it again.

    Args:
        board: what it is.
        work: folder of all boards' work.
        data: folder of the recordings.
        threads: of trainings.
        runs: whether commands are run; without, they are only remembered.
    """

    def __init__(
        self, board: Board, work: Path, data: Path, threads: int, *, runs: bool = True
    ) -> None:
        self.board, self.data, self.threads, self.runs = board, data, threads, runs
        self.work = work / board.name
        self.work.mkdir(parents=True, exist_ok=True)
        self.commands: list[str] = []

    def command(self, *words: object, done: bool = False, cwd: Path | None = None) -> str:
        """Run one of this project's commands in the folder of work unless it is done.

        Returns:
            The command as the page has it: without paths of this machine.
        """
        given = [str(word) for word in words]
        line = " ".join(f'"{word}"' if " " in word else word for word in given)
        line = line.replace(f"{self.work}/", "").replace(str(self.data), "$SEPARATION_DATA")
        line = line.replace(f"{REPOSITORY}/", "")
        if self.runs and not done:
            print(f"== {self.board.name}: {line}", flush=True)
            package, *rest = given
            environment = {**os.environ, "OMP_NUM_THREADS": str(self.threads)}
            environment["PYTHONPATH"] = str(REPOSITORY)
            arguments = [sys.executable, "-m", f"{package}.cli", *rest]
            ended = subprocess.run(
                arguments, check=False, env=environment, cwd=cwd or self.work
            ).returncode
            if ended not in (0, 4):  # 4: some items failed, and the rows say which
                raise SystemExit(f"{line} ended with code {ended}.")
        return line

    def prepare(self) -> None:
        """Draw and render, unless it is done."""
        sources = [*self._starter(), *(self._indexed(given) for given in self.board.index)]
        pairs = self.board.pairs
        self._draw("train", self.board.training_recipe or self.board.recipe, sources)
        if self.board.rendered:
            self._render("train", "train")
        if pairs:
            folder, name = self.data / pairs["folder"], self.board.name
            words = ["--mixture", pairs["mixture"], "--source", f"{pairs['target']}=target"]
            words += ["--name", name, "--out", "test.jsonl"]
            self._step(
                *("mixgen", "import", "folder", folder, "--layout", "SOURCE/ID", *words),
                makes=self.work / "test.jsonl",
            )
        else:
            self._draw("test", self.board.recipe, sources)
        self._render("test", self.board.name)

    def _render(self, part: str, out: str) -> None:
        makes = self.work / out / "rendered.jsonl"
        self._step("mixgen", "render", f"{part}.jsonl", "--out", out, makes=makes)

    def _step(self, *words: object, makes: Path) -> None:
        self.commands.append(self.command(*words, done=makes.is_file()))

    def _starter(self) -> Iterator[str]:
        if self.board.starter:
            self._step(
                "mixgen", "starter", "--out", "starter", makes=self.work / "starter/sources.csv"
            )
            yield "starter/sources.csv"

    def _indexed(self, given: dict[str, str]) -> str:
        """Index one corpus; return the table of its sources."""
        options = {key: value for key, value in given.items() if key not in ("layout", "folder")}
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        out = f"{given['corpus']}/sources.csv"
        corpus = (given["layout"], self.data / given["folder"])
        self._step("mixgen", "index", *corpus, *words, "--out", out, makes=self.work / out)
        return out

    def _draw(self, part: str, recipe: str, sources: Sequence[str]) -> None:
        """Draw the splits that are scored, or the others."""
        given = recipe_argument(recipe)
        splits = read_recipe(find_recipe(given)).splits
        chosen = [split for split in splits if (split in self.board.tests) == (part == "test")]
        words: list[object] = ["mixgen", "draw", given]
        for path in sources:
            words += ["--sources", self._relabelled(path)]
        for split in chosen:
            words += ["--split", split]
        words += _options("--mixtures", self.board.mixtures, chosen)
        words += _options("--splits", self.board.sources, chosen)
        out = f"{part}.jsonl"
        self._step(*words, "--out", out, makes=self.work / out)

    def _relabelled(self, path: str) -> str:
        """Return the table of sources whose labels are those of the board, beside the other."""
        if not self.board.labels:
            return path
        out = Path(path).with_name("relabelled.csv")
        changes = ", ".join(f"{old} is {new}" for old, new in self.board.labels.items())
        note = f"# {out}: {path} with other labels: {changes}"
        self.commands += [note] if note not in self.commands else []
        if not (self.work / out).is_file():
            rows = read_sources([self.work / path])
            label = self.board.labels
            write_sources(
                self.work / out,
                [row.model_copy(update={"label": label.get(row.label, row.label)}) for row in rows],
            )
        return str(out)

    def make_row(self, row: Row) -> None:
        """Train, separate and score one system, unless it is done, and note how."""
        system, commands = self._system(row)
        is_folder = system.startswith("checkpoints/")
        for split in self.board.tests:
            commands.append(self._score(system, split, is_folder=is_folder))
        noted = self.work / "rows" / f"{row.folder}.json"
        note = {
            "name": row.name,
            "checkpoint_sha256": checkpoint_sha256(self.work / system) if is_folder else None,
            **(self._training(system) if row.minutes is not None else {}),
            "commands": commands,
        }
        earlier = read_json(noted) if noted.is_file() else {}
        commit = earlier.pop("commit", None)
        if earlier != note or commit is None:
            write_json(noted, {**note, "commit": _commit()})

    def _system(self, row: Row) -> tuple[str, list[str]]:
        """Make a system; return what `evalsuite run` calls it, and the commands that make it."""
        checkpoint = f"checkpoints/{row.folder}"
        if row.minutes is not None:
            return checkpoint, [self._train(row)]
        if row.weights is not None:
            return checkpoint, self._import(row)
        if row.program is not None:
            given = ROWS["programs"][row.program]
            program = f"{ENVIRONMENT}/bin/python benchmarks/rows/{row.program}.py"
            enhances = f"{{mixture}} {{out}} {' '.join(row.names)}"
            files = "{mixture} {far_end} {out}" if given.get("far_end") else enhances
            return f"{row.name}@{given['latency_s']}s={program} {files}", []
        count, name = split_count(row.name)
        return row.name if count is None else f"count:{count}:checkpoints/{Row(name).folder}", []

    def _training(self, checkpoint: str) -> dict[str, Any]:
        """Return what is noted of the training of a checkpoint."""
        meta = read_meta(self.work / checkpoint)
        return {
            "trained_minutes": round(meta.progress["elapsed_s"] / 60, 1),
            "trained_steps": meta.step,
            "train_manifest_sha256": meta.manifest_sha256,
        }

    def _score(self, system: str, split: str, *, is_folder: bool) -> str:
        """Separate and score a split; programs of rows start in the repository."""
        base = Path("" if is_folder or "{mixture}" not in system else self.work)
        words: list[object] = ["evalsuite", "run", "--set", base / self.board.name]
        words += ["--system", system, "--split", split, "--out", base / "results", "--workers", 1]
        metrics = self.metrics(split)
        words += ["--metrics", ",".join(metrics)] if metrics else []
        return self.command(*words, cwd=None if base == Path() else REPOSITORY)

    def metrics(self, split: str) -> list[str]:
        """Return the default metrics of a split with the judges; nothing if no judge is known."""
        manifest = read_manifest(self.work / "test.jsonl")
        task = manifest.header.task
        found = JUDGES.get(task, JUDGES["speech"])
        judges = [name for name in found if name in table()]
        if not judges:
            return []
        counts = {len(mixture.targets) for mixture in manifest.of_split(split)}
        rate = manifest.mixtures[0].sample_rate
        usual = select(task=task, sample_rate=rate, counts_vary=len(counts) > 1)
        return list(dict.fromkeys([*(metric.name for metric in usual), *judges]))

    def _train(self, row: Row) -> str:
        """Train a system for its minutes, or for more where it was; a stopped run goes on."""
        out, minutes = f"checkpoints/{row.folder}", float(row.minutes or 0)
        is_begun = is_checkpoint(self.work / out)
        if is_begun:
            meta = read_meta(self.work / out)
            minutes = max(minutes, meta.training["minutes"])
            if meta.progress["elapsed_s"] < 60 * minutes:
                goes_on = ("--resume", "--minutes", f"{minutes:g}", "--out", out)
                self.command("baselines", "train", *goes_on)
        learns_from = ["--set", "train"] if self.board.rendered else ["--manifest", "train.jsonl"]
        words: list[object] = ["baselines", "train", row.name, *learns_from]
        words += ["--minutes", f"{minutes:g}"]
        words += ["--precision", row.precision] if row.precision != "float32" else []
        words += ["--threads", self.threads, "--out", out]
        if is_begun:
            return self.command(*words, done=True)
        return self.command(*words, "--overwrite").removesuffix(" --overwrite")

    def _import(self, row: Row) -> list[str]:
        """Turn weights of others into a checkpoint."""
        given, out = ROWS["weights"][str(row.weights)], f"checkpoints/{row.folder}"
        file = _package_file(given["file"])
        path = file.parent if file.name.startswith("model.data") else file
        words: list[object] = ["baselines", "import", given["peer"], path]
        words += ["--model", given["model"]]
        notes = []
        if given["arguments"]:
            arguments = self.work / f"{row.folder}.json"
            write_json(arguments, given["arguments"])
            words += ["--arguments", arguments.name]
            notes.append(f"# {arguments.name}: {json.dumps(given['arguments'])}")
        done = is_checkpoint(self.work / out)
        return [*notes, self.command(*words, "--out", out, done=done)]


def _options(option: str, values: dict[str, Any], chosen: Sequence[str]) -> list[str]:
    """Return the words of an option that takes SPLIT=VALUE, for the chosen splits."""
    words: list[str] = []
    for split, value in values.items():
        if split in chosen:
            words += [option, f"{split}={','.join(value) if isinstance(value, list) else value}"]
    return words


def _package_file(path: str) -> Path:
    """Return the path of a file of a package in the environment of rows."""
    found = sorted((REPOSITORY / ENVIRONMENT).glob(f"lib/python3*/site-packages/{path}"))
    if not found:
        raise SystemExit(f"{path} is not in {ENVIRONMENT}: make rows")
    return found[0]


@functools.cache
def _commit() -> str:
    """Return the commit of this repository, with a mark if other files than results differ."""
    changed = _git("status", "--porcelain", "--untracked-files=no", ".", ":!evalsuite/leaderboards")
    return _git("rev-parse", "HEAD") + ("-dirty" if changed else "")


def _git(*words: str) -> str:
    ended = subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True, cwd=REPOSITORY
    )
    return ended.stdout.strip()


def make(maker: Maker, out: Path) -> None:
    """Make all rows of a board that this version can make, and write it after each."""
    maker.prepare()
    for system in maker.board.systems if maker.runs else ():
        row = Row.of(system)
        if not row.is_registered:
            print(f"== {maker.board.name}: left out: there is no {row.name} yet", flush=True)
            continue
        maker.make_row(row)
        write_board(maker.board, maker.work, maker.data, maker.commands, ROWS, out)
    if not maker.runs and (maker.work / "rows").is_dir():
        write_board(maker.board, maker.work, maker.data, maker.commands, ROWS, out)


def print_plan(boards: Sequence[Board], work: Path) -> None:
    """Print how many minutes of training are left in each board, and in sum."""
    total = 0.0
    for board in boards:
        left = 0.0
        for row in map(Row.of, board.systems):
            checkpoint = work / board.name / "checkpoints" / row.folder
            known = is_checkpoint(checkpoint)
            elapsed = read_meta(checkpoint).progress["elapsed_s"] / 60 if known else 0.0
            if row.is_registered and row.minutes is not None:
                left += max(row.minutes - elapsed, 0.0)
        total += left
        print(f"{board.name:<20} {left:6.1f} minutes of training left")
    print(f"{'all':<20} {total:6.1f} minutes of training left")


def main() -> None:
    """Make boards."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("boards", nargs="*", help="Names of boards; all if not given.")
    parser.add_argument("--work", type=Path, default=REPOSITORY / ".cache" / "leaderboards")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "evalsuite" / "leaderboards")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="*", help="Names of rows; all of a board if not given.")
    parser.add_argument("--minutes", type=float, help="At most so many minutes of training a row.")
    parser.add_argument(
        "--rewrite", action="store_true", help="Write the files of boards again; run nothing."
    )
    parser.add_argument("--plan", action="store_true", help="Print what is left to train.")
    options = parser.parse_args()
    boards = [Board.read(name) for name in options.boards or board_names()]
    work = options.work.resolve()
    if options.plan:
        print_plan(boards, work)
        return
    data = recordings().resolve()
    for board in boards:
        limited, runs = _limited(board, options), not options.rewrite
        make(Maker(limited, work, data, options.threads, runs=runs), options.out)


def _limited(board: Board, options: argparse.Namespace) -> Board:
    """Return a board with the rows and the minutes that the command line asks for."""
    systems = []
    for system in board.systems:
        row = Row.of(system)
        if options.only and row.name not in options.only:
            continue
        if options.minutes and row.minutes is not None:
            system = {**system, "minutes": min(row.minutes, options.minutes)}
        systems.append(system)
    return replace(board, systems=systems)


if __name__ == "__main__":
    main()
