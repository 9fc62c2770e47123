"""Options that several commands of `mixgen` have."""

from pathlib import Path
from typing import Annotated

import typer

Out = Annotated[Path, typer.Option("--out", help="Where the result goes.")]
RootWords = Annotated[
    list[str] | None,
    typer.Option("--root", help="CORPUS=FOLDER: where a corpus is on this machine; repeatable."),
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes (default: one per processor).")
]
Cache = Annotated[
    Path | None,
    typer.Option(
        "--cache", help="Folder of decoded source files, kept for other runs (or MIXGEN_CACHE)."
    ),
]
Dask = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Work on a Dask cluster: tcp://HOST:PORT of its scheduler, or a scheduler file.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
