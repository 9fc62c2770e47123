"""The command `evalsuite`: score, rank, check, pin, report, metrics, train-emotion, run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evalsuite.listing import metrics_command
from evalsuite.report.command import report_command
from evalsuite.train_emotion import train_command
from mixgen.core import console
from mixgen.core.errors import GateFailed, PartialFailure, UsageError
from mixgen.core.progress import print_status, printable

if TYPE_CHECKING:
    from evalsuite.boards.slices import Slicing
    from evalsuite.gate.check import CheckResult
    from evalsuite.scoring.folder import SystemScores
    from evalsuite.scoring.pairing import Pairing

app = console.new_app("evalsuite", "Score separated audio, rank systems, gate checkpoints.")

Metrics = Annotated[
    str | None,
    typer.Option(
        help="Metrics, separated by commas; default: those for the set's task. `evalsuite metrics` "
        "lists them."
    ),
]
Workers = Annotated[
    int | None, typer.Option(min=1, help="Processes; default: one per processor core.")
]
Talkers = Annotated[
    Path | None,
    typer.Option(help="CSV file with the columns label and gender, for slices by gender."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


@app.command("score")
def score_command(
    estimates: Annotated[Path, typer.Option(help="Folder of estimates.")],
    out: Annotated[Path, typer.Option(help="Folder for items.jsonl and run.json.")],
    set_folder: Annotated[Path | None, typer.Option("--set", help="A rendered set.")] = None,
    references: Annotated[
        Path | None, typer.Option(help="Folder of references, in place of --set.")
    ] = None,
    mixtures: Annotated[
        Path | None, typer.Option(help="Folder of mixtures: ID.wav or ID/mixture.wav.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option(help="Of the system, in tables; default: that of run.json or the folder."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(help="Of --references; default: speech or music separation.")
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            help="Of --references: id/source, source/id or id_source. Default: found out."
        ),
    ] = None,
    sources: Annotated[
        str | None, typer.Option(help="Of --references, separated by commas; default: all.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="Of --set; default: the one of which there are estimates."),
    ] = None,
    metrics: Metrics = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Score estimates against the references of a rendered set, or of any folder.

    Folders of other programs hold ID/SOURCE.wav, SOURCE/ID.wav (LibriMix) or ID_SOURCE.wav.

    Example: evalsuite score --set sets/two_talkers --estimates est/conv_tasnet --out scores/ct

    Example: evalsuite score --references Libri2Mix/test --estimates est --out scores/est
    """
    from evalsuite.scoring.folder import ScoreFolder
    from evalsuite.scoring.pairing import pair_folders
    from evalsuite.scoring.plan import plan_score
    from evalsuite.scoring.score import score_plan
    from mixgen.core.workers import default_workers

    if references is None:
        if set_folder is None:
            raise UsageError("Give --set, a rendered set, or --references, a folder of audio.")
        if any(option is not None for option in (mixtures, task, layout, sources)):
            raise UsageError(
                "--mixtures, --task, --layout and --sources go with --references: the set has its "
                "own."
            )
        plan = plan_score(set_folder, estimates, split=split, metrics=_names(metrics), name=name)
    elif set_folder is not None:
        raise UsageError("Give either --set, a rendered set, or --references, a folder of audio.")
    elif split is not None:
        raise UsageError("--split goes with --set: --references is one split, all that it holds.")
    else:
        pairing = pair_folders(
            references,
            estimates,
            mixtures=mixtures,
            name=name,
            task=task,
            layout=layout,
            sources=_names(sources),
            metrics=_names(metrics),
        )
        _print_pairing(pairing)
        plan = pairing.plan
    score_plan(plan, out, workers=workers or default_workers())
    scores = ScoreFolder(out)
    counts = scores.run.counts
    if as_json:
        _print_json(scores.run.as_dict())
    else:
        model = printable(scores.run.model)
        print(f"{model} on {scores.run.set}: {counts.n} mixtures scored into {out}")
    _warn([scores])
    if counts.n_failed:
        _print_failed(scores)
        raise PartialFailure(
            f"{counts.n_failed} of {counts.n} mixtures could not be scored in full; "
            f"{out / 'items.jsonl'} lists them with their reasons."
        )


@app.command("rank")
def rank_command(
    scores: Annotated[list[Path], typer.Argument(help="Folders made by `evalsuite score`.")],
    out: Annotated[Path | None, typer.Option(help="CSV file to write the leaderboard to.")] = None,
    markdown: Annotated[
        Path | None, typer.Option(help="Markdown file to write the tables to.")
    ] = None,
    talkers: Talkers = None,
    as_json: AsJson = False,
) -> None:
    """Rank score folders, separately for each set, split and metric definition.

    Beside the leaderboard, files named LEADERBOARD_by_COUNT.csv and the like hold its slices: by
    number of sources, overlap, SNR, T60 and stem, where they vary; LEADERBOARD_counts.csv says how
    many sources were found where there are so many, and LEADERBOARD_seeds.csv joins the rows that
    differ in the seed of training alone. With --talkers there are slices by the gender of talkers,
    and by whether all talkers of a mixture have the same.

    Example: evalsuite rank scores/* --out leaderboard.csv --markdown leaderboard.md
    """
    from evalsuite.boards.counts import counts_markdown
    from evalsuite.boards.leaderboard import rank
    from evalsuite.boards.show import leaderboard_markdown, leaderboard_text
    from evalsuite.run import write_boards
    from evalsuite.scoring.folder import open_scores
    from mixgen.core.files import write_text

    if talkers is not None and out is None:
        raise UsageError("--talkers makes files of slices beside the leaderboard: give --out, too.")
    opened = [open_scores(folder) for folder in scores]
    rows = rank(opened) if out is None else write_boards(out, opened, _slicings(talkers))
    if markdown is not None:
        tables = (leaderboard_markdown(rows), counts_markdown(opened))
        write_text(markdown, "\n".join(filter(None, tables)))
    if as_json:
        _print_json(rows)
    else:
        print(leaderboard_text(rows))
    _warn(opened)


@app.command("check")
def check_command(
    base: Annotated[Path, typer.Argument(help="Scores to compare with, or a pinned file.")],
    candidate: Annotated[Path, typer.Argument(help="Scores to judge.")],
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            help="How much worse a metric may get: `si_sdr=0.2`, or `0.2` for all in dB. "
            "Default: 0.1 dB, 0.02 for PESQ, 0.01 for STOI."
        ),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(help="Columns, separated by commas; default: all but the improvements."),
    ] = None,
    better: Annotated[
        bool,
        typer.Option(
            "--better",
            help="Ask whether the candidate is better, by the column that ranks the set or those "
            "of --metrics.",
        ),
    ] = False,
    strict: Annotated[bool, typer.Option(help="Fail on an inconclusive result.")] = False,
    by: Annotated[
        str | None,
        typer.Option(
            help="Slices to judge as well, with commas: count, overlap, snr, t60, stem; with "
            "--talkers also gender and genders."
        ),
    ] = None,
    talkers: Talkers = None,
    out: Annotated[Path | None, typer.Option(help="JSON file to write the result to.")] = None,
    junit: Annotated[Path | None, typer.Option(help="JUnit XML file, for CI systems.")] = None,
    markdown: Annotated[Path | None, typer.Option(help="Markdown file.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check whether a candidate scores worse than a base: exit code 5 if so, else 0.

    With --better the exit code is 5 if it scores no better. An inconclusive result (too few
    mixtures) prints a warning and exits with 0, with --strict with 5.

    Example: evalsuite check scores/last_week scores/today --tolerance si_sdr=0.2
    """
    from evalsuite.gate.check import check, parse_tolerances
    from evalsuite.gate.verdicts import check_markdown, check_text, write_junit
    from evalsuite.scoring.folder import open_scores
    from mixgen.core.files import write_json, write_text

    old, new = open_scores(base), open_scores(candidate)
    tolerances = parse_tolerances(tolerance or [], old.unit_of)
    result = check(
        base=old,
        candidate=new,
        tolerances=tolerances,
        columns=_names(metrics),
        better=better,
        by=_names(by) or (),
        slicings=_slicings(talkers),
    )
    if out is not None:
        write_json(out, result.as_dict())
    if junit is not None:
        write_junit(junit, result)
    if markdown is not None:
        write_text(markdown, check_markdown(result))
    if as_json:
        _print_json(result.as_dict())
    else:
        print(check_text(result))
    _raise_verdict(result, strict=strict)


@app.command("pin")
def pin_command(
    scores: Annotated[Path, typer.Argument(help="A folder made by `evalsuite score`.")],
    out: Annotated[Path, typer.Option(help="File to write, for a repository.")],
) -> None:
    """Write what `evalsuite check` needs of scores to one small file.

    Example: evalsuite pin scores/release --out baseline.jsonl
    """
    from evalsuite.scoring.folder import ScoreFolder, write_pinned

    pinned = ScoreFolder(scores)
    write_pinned(out, pinned)
    rows = f"{len(pinned.items)} rows of {printable(pinned.run.model)}"
    print(f"{rows} on {pinned.run.set} pinned in {out} ({out.stat().st_size / 1024:.0f} kB)")


app.command("report")(report_command)
app.command("metrics")(metrics_command)
app.command("train-emotion")(train_command)


@app.command("run")
def run_command(
    set_folders: Annotated[list[Path], typer.Option("--set", help="A rendered set; repeatable.")],
    systems: Annotated[
        list[str],
        typer.Option(
            "--system",
            help="A separator's name, a checkpoint, module:function, module:Class, an ONNX file, a "
            "command with {mixture} and {out} or a folder of estimates; repeatable.",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for estimates, scores and leaderboard.csv.")],
    split: Annotated[str, typer.Option(help="Split to separate and score.")] = "test",
    metrics: Metrics = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Separate, score and rank all systems on all sets; finished steps are not repeated.

    Example: evalsuite run --set sets/two_talkers --system mixture --system runs/ct --out bench
    """
    from evalsuite.boards.show import leaderboard_text
    from evalsuite.run import LEADERBOARD_FILE, run
    from evalsuite.scoring.folder import ScoreFolder
    from mixgen.core.workers import default_workers

    result = run(
        sets=set_folders,
        systems=systems,
        out=out,
        split=split,
        metrics=_names(metrics),
        workers=workers or default_workers(),
    )
    if as_json:
        _print_json(result.rows)
    else:
        print(leaderboard_text(result.rows))
        print(f"\nwritten to {out / LEADERBOARD_FILE}")
    _warn([ScoreFolder(folder) for folder in result.scores])
    if result.n_failed:
        raise PartialFailure(
            f"{result.n_failed} mixtures could not be scored in full; the items.jsonl of each "
            f"system below {out} lists them with their reasons."
        )


def _print_pairing(pairing: "Pairing") -> None:
    """Print what is paired with what, and the files that have no counterpart."""
    from evalsuite.boards.show import first_lines

    print_status(f"paired {pairing.summary}")
    for line in first_lines(pairing.unmatched):
        print_status(f"unmatched: {line}")


def _print_failed(scores: "SystemScores") -> None:
    """Print the references that failed, with their reasons."""
    from evalsuite.boards.show import first_lines

    failed = (row for row in scores.items if row.status == "failed")
    lines = dict.fromkeys(f"failed: {row.id} {row.reference}: {row.reason}" for row in failed)
    for line in first_lines(list(lines)):
        print_status(line)


def _warn(systems: "Sequence[SystemScores]") -> None:
    """Print what to know of the scores, once for all systems that it holds for."""
    from evalsuite.boards.show import lag_warnings, level_warnings, missing_warnings

    sentences = (
        sentence
        for warnings in (missing_warnings, lag_warnings, level_warnings)
        for scores in systems
        for sentence in warnings(scores)
    )
    for sentence in dict.fromkeys(sentences):
        print_status(f"warning: {sentence}")


def _slicings(talkers: Path | None) -> "tuple[Slicing, ...]":
    from evalsuite.boards.talkers import read_talkers, talker_slicings

    return () if talkers is None else talker_slicings(read_talkers(talkers))


def _names(text: str | None) -> list[str] | None:
    return None if text is None else [name.strip() for name in text.split(",") if name.strip()]


def _raise_verdict(result: "CheckResult", *, strict: bool) -> None:
    """Raise GateFailed on a failure, and if `strict` on an inconclusive result, else warn of it."""
    if result.verdict == "fail":
        checks = [*result.metrics, *result.slices]
        failed = ", ".join(dict.fromkeys(c.metric for c in checks if c.verdict == "fail"))
        comparison = "worse" if result.question == "not worse" else "no better"
        raise GateFailed(f"{result.candidate} is {comparison} than {result.base} in {failed}.")
    if result.verdict == "inconclusive":
        asked = "got worse" if result.question == "not worse" else "is better"
        sentence = f"It is undecided whether the candidate {asked}: score more mixtures."
        if strict:
            raise GateFailed(sentence)
        print_status(f"warning: {sentence}")


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False, indent=2))


def main() -> None:
    """Run the program."""
    console.run(app)


if __name__ == "__main__":
    main()
