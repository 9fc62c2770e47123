"""The command `evalsuite report`."""

from pathlib import Path
from typing import Annotated

import typer


def report_command(
    scores: Annotated[
        list[Path],
        typer.Argument(help="Folders made by `evalsuite score`, or the --out of `evalsuite run`."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of index.html and what belongs to it.")],
    set_folders: Annotated[
        list[Path] | None,
        typer.Option("--set", help="The rendered set that was scored, for players; repeatable."),
    ] = None,
    references: Annotated[
        Path | None,
        typer.Option(help="The folder of references that was scored, in place of --set."),
    ] = None,
    mixtures: Annotated[
        Path | None, typer.Option(help="The folder of mixtures that goes with --references.")
    ] = None,
    estimates: Annotated[
        list[str] | None,
        typer.Option(
            help="NAME=FOLDER, where the estimates of a system are not beside its scores; "
            "repeatable."
        ),
    ] = None,
    examples: Annotated[
        int,
        typer.Option(min=0, help="Best, median and worst mixtures to show of each system."),
    ] = 1,
) -> None:
    """Show scores on one page: leaderboard, distributions, slices, significance, sounds.

    The folder needs no network and opens from the disk. Systems are ranked as `evalsuite rank`
    ranks them, separately for each set, split and metric definition.

    Example: evalsuite report results --set sets/two_talkers --out page
    """
    from evalsuite.report import make_report

    page = make_report(
        scores,
        out,
        sets=set_folders or (),
        references=references,
        mixtures=mixtures,
        estimates=estimates or (),
        examples=examples,
    )
    typer.echo(f"The report is {page}.")
