"""What a shipped leaderboard is written to: CSV files, page, manifest, list of source files.

Nothing in them is a path of this machine: files are named below SEPARATION_DATA.
"""

import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from board import Board, recipe_argument
from speech_scenes import REPOSITORY

from baselines.inference.counted import split_count
from baselines.registry import models
from evalsuite.boards.show import interval_text, number_text
from mixgen.core.files import read_json, read_lines, write_csv, write_text
from mixgen.corpora.roots import find_roots

NOTED = ("trained_minutes", "trained_steps", "train_manifest_sha256", "commit")
FILE_COLUMNS = ("corpus", "folder", "path", "sha256", "used_for", "repository", "commit", "licence")
MIXTURE_COLUMNS = ("split", "id", "reference", "si_sdr")
SHOWN = {
    "si_sdri_mean": "SI-SDRi",
    "si_sdr_mean": "SI-SDR",
    "p_si_snr_mean": "P-SI-SNR",
    "count_right_mean": "counts right",
    "sdr_bss512i_mean": "SDRi",
    "sdr_v4_med_median": "SDR",
    "pesq_nb8k_mean": "PESQ",
    "pesq_wb16k_mean": "PESQ",
    "stoi_mean": "STOI",
    "srmr_mean": "SRMR",
    "si_sdr_utt_best_mean": "SI-SDR of utterances",
    "si_sdr_utt_stream_mean": "SI-SDR of utterances on their stream",
    "sa_sdr_mean": "SA-SDR",
    "der_collar0ms": "diarisation error",
    "erle_db_mean": "ERLE",
    "si_sdr_dt_mean": "SI-SDR in double talk",
    "dwer_mean": "dWER",
    "talker_sim_mean": "talker similarity",
    "talker_confusion_mean": "talker confusion",
    "dnsmos_ovrl_mean": "DNSMOS",
    "distillmos_mean": "DistillMOS",
    "aecmos_echo_mean": "AECMOS echo",
    "aecmos_degradation_mean": "AECMOS near end",
    "parameters": "parameters",
    "real_time_factor": "RTF",
    "latency_s": "latency",
    "trained_minutes": "minutes of training",
}
"""Columns of the page, as far as they are in the leaderboard; the CSV file has all."""


def write_board(
    board: Board,
    work: Path,
    data: Path,
    commands: Sequence[str],
    others: Mapping[str, Any],
    out: Path,
) -> None:
    """Write all files of a board.

    Args:
        board: what it is.
        work: folder with its manifests, results and notes of rows.
        data: folder of the recordings.
        commands: by which its set was made.
        others: programs and weights of others by name.
        out: folder of the leaderboards.
    """
    notes = [read_json(path) for path in sorted((work / "rows").glob("*.json"))]
    found = _rows(work / "results" / "leaderboard.csv", notes)
    rows = [{**row, **_noted(row, notes)} for row in found]
    write_csv(out / f"{board.name}.csv", list(rows[0]), rows)
    shutil.copyfile(work / "test.jsonl", out / f"{board.name}_manifest.jsonl")
    write_csv(out / f"{board.name}_mixture.csv", MIXTURE_COLUMNS, _mixtures(work))
    files = list(_files(work, data))
    write_csv(out / f"{board.name}_files.csv", FILE_COLUMNS, files)
    write_text(out / f"{board.name}.md", _page(board, rows, notes, files, commands, others))


def _rows(leaderboard: Path, notes: Sequence[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the rows of a leaderboard; weights of others have their name in the board."""
    names = {note["checkpoint_sha256"] or "none": note["name"] for note in notes}
    frame = pd.read_csv(leaderboard, dtype=str, keep_default_na=False)
    for row in frame.to_dict("records"):
        count, name = split_count(row["model"])
        name = row["model"] if count else names.get(row["checkpoint_sha256"], name)
        yield {**row, "model": name}


def _mixtures(work: Path) -> Iterator[dict[str, Any]]:
    """Yield the scores of the unseparated mixtures, one row per reference."""
    for run in sorted(work.glob("results/*/mixture/scores/run.json")):
        split = read_json(run)["split"]
        for item in map(json.loads, read_lines(run.with_name("items.jsonl"))):
            if item["reference"] is not None and item.get("si_sdr") is not None:
                yield {"split": split, **{name: item[name] for name in MIXTURE_COLUMNS[1:]}}


def _noted(row: Mapping[str, Any], notes: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is noted of the row of a leaderboard."""
    note = next((note for note in notes if note["name"] == row["model"]), {})
    return {key: note.get(key, "") for key in NOTED}


def _files(work: Path, data: Path) -> Iterator[dict[str, Any]]:
    """Yield what is known of every source file of the manifests, by corpus and path."""
    roots = find_roots([work / "test.jsonl", *work.glob("*/sources.csv")])
    used: dict[tuple[str, str, str], set[str]] = {}
    for part in ("train", "test"):
        manifest = work / f"{part}.jsonl"
        for line in read_lines(manifest) if manifest.is_file() else ():
            for found in _file_uses(json.loads(line)):
                used.setdefault(found, set()).add(part)
    for (corpus, path, sha256), parts in sorted(used.items()):
        root = roots[corpus]
        is_here = root.is_relative_to(data)
        folder = root.relative_to(data).as_posix() if is_here else ""
        origin = _attribution(root) if is_here else {"repository": "mixgen starter"}
        uses = " ".join(sorted(parts, reverse=True))
        row = {"corpus": corpus, "folder": folder, "path": path, "sha256": sha256, "used_for": uses}
        yield {"commit": "", "licence": "", **origin, **row}


def _file_uses(value: Any) -> Iterator[tuple[str, str, str]]:
    """Yield corpus, path and hash of every file in a record, wherever it is."""
    if isinstance(value, dict):
        if {"corpus", "path", "sha256"} <= value.keys():
            yield value["corpus"], value["path"], value["sha256"]
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from _file_uses(part)


def _attribution(root: Path) -> dict[str, str]:
    """Return repository, commit and licence from the ATTRIBUTION.md of a folder."""
    path = root / "ATTRIBUTION.md"
    wanted = {"- Repository: ": "repository", "- Commit: ": "commit", "- Licence: ": "licence"}
    found = {}
    for line in read_lines(path) if path.is_file() else ():
        for start, key in wanted.items():
            if line.startswith(start):
                found[key] = line.removeprefix(start).strip()
    return found


def _page(
    board: Board,
    rows: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
    commands: Sequence[str],
    others: Mapping[str, Any],
) -> str:
    """Return the page of a board in Markdown."""
    name = board.name
    recipe = f"Recipe `{_recipe(board.recipe)}`"
    if board.training_recipe:
        recipe += f", and `{_recipe(board.training_recipe)}` to learn from"
    parts = [
        f"# {board.title}",
        f"{board.about.strip()} `{name}.csv` has all columns and intervals; "
        "[how to read it](../../docs/leaderboards.md).",
        *_tables(rows),
        "## How the rows were made",
        _made(rows, notes, others),
        "## The mixtures",
        f"{recipe}; the scored mixtures are those of `{name}_manifest.jsonl`. In an empty "
        "folder, with `SEPARATION_DATA` as the folder of the recordings:",
        _block(commands),
        "And for each row, in its order above:",
        _block(dict.fromkeys(line for note in _ordered(rows, notes) for line in note["commands"])),
        "## The recordings",
        f"`{name}_files.csv` lists every file with its hash: put it where `folder` and `path` say.",
        _sources(files),
    ]
    return "\n\n".join(parts) + "\n"


def _recipe(name: str) -> str:
    return recipe_argument(name).removeprefix(f"{REPOSITORY}/")


def _tables(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield a table for each split, under its name where there are several."""
    splits = list(dict.fromkeys(row["split"] for row in rows))
    for split in splits:
        members = [row for row in rows if row["split"] == split]
        if len(splits) > 1:
            yield f"## {split}"
        yield _table(members)
    if len({row["group"] for row in rows}) > len(splits):
        yield "Rows of one split that have different `group`s in the CSV file cannot be compared."


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of one split, the headline and its interval first."""
    headline = rows[0]["headline"]
    prefix = headline.removesuffix("_mean")
    shown = [
        c for c in SHOWN if c != headline and any(row.get(c) not in ("", None) for row in rows)
    ]
    header = ["system", f"{SHOWN.get(headline, headline)} (`{headline}`)", "95 %"]
    header += [*(SHOWN[column] for column in shown), "n"]
    cells = [
        [
            f"`{row['model']}`",
            number_text(_number(row[headline])),
            interval_text(_number(row[f"{prefix}_ci_lo"]), _number(row[f"{prefix}_ci_hi"])),
            *(_cell(column, row.get(column)) for column in shown),
            row["n"],
        ]
        for row in rows
    ]
    return _markdown(header, cells, "---:")


def _number(cell: Any) -> float | None:
    return float(cell) if cell not in ("", None) else None


def _cell(column: str, cell: Any) -> str:
    """Return a cell as the page shows it."""
    number = _number(cell)
    if number is None:
        return "-"
    if column == "parameters":
        return f"{number:,.0f}"
    if column == "latency_s":
        return f"{1000 * number:.1f} ms"
    return f"{number:.3f}" if column == "real_time_factor" else number_text(number)


def _ordered(
    rows: Sequence[Mapping[str, Any]], notes: Sequence[Mapping[str, Any]]
) -> list[Mapping[str, Any]]:
    """Return the notes in the order in which their rows come first."""
    order = list(dict.fromkeys(row["model"] for row in rows))
    return sorted(
        (note for note in notes if note["name"] in order),
        key=lambda note: order.index(note["name"]),
    )


def _made(
    rows: Sequence[Mapping[str, Any]],
    notes: Sequence[Mapping[str, Any]],
    others: Mapping[str, Any],
) -> str:
    """Return the table of where each row is from: its training, or its package."""
    header = ["system", "what it is", "minutes", "steps", "manifest of its training", "commit"]
    cells = []
    for note in _ordered(rows, notes):
        name = note["name"]
        what = _described(name, others)
        minutes, steps = note.get("trained_minutes", "-"), note.get("trained_steps", "-")
        manifest = str(note.get("train_manifest_sha256") or "-")[:12]
        commit, _, mark = note["commit"].partition("-")
        commit = "-".join(filter(None, (commit[:12], mark)))
        cells.append([f"`{name}`", what, str(minutes), str(steps), manifest, commit])
    return _markdown(header, cells)


def _described(name: str, others: Mapping[str, Any]) -> str:
    """Return what a system is: its package and licence, or its title and paper."""
    given = others["programs"].get(name) or others["weights"].get(name)
    if given is not None:
        return f"{given['system']}; {given['package']}, {given['licence']}"
    count, counted = split_count(name)
    if count is not None:
        return f"The weights of `{counted}`, and as many estimates as the name says."
    spec = models()[name.partition(":")[0]]
    return f"{spec.title}. {spec.paper}"


def _block(lines: Iterable[str]) -> str:
    return "\n".join(["```", *lines, "```"])


def _sources(files: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the corpora."""
    header = ["corpus", "files", "used for", "repository", "commit", "licence"]
    cells = []
    for corpus in dict.fromkeys(row["corpus"] for row in files):
        members = [row for row in files if row["corpus"] == corpus]
        uses = sorted({use for row in members for use in row["used_for"].split()}, reverse=True)
        first = members[0]
        origin = [first.get(key, "") for key in ("repository", "commit", "licence")]
        cells.append([corpus, str(len(members)), " and ".join(uses), *origin])
    return _markdown(header, cells)


def _markdown(header: Sequence[str], cells: Sequence[Sequence[str]], rule: str = "---") -> str:
    """Return a table in Markdown; `rule` is that of all columns but the first."""
    lines = [header, ["---", *(rule for _ in header[1:])], *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
