"""Options of published sets: those that importers share, and those of `mixgen render`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from mixgen.core.errors import UsageError

_Value = TypeVar("_Value", int, str)

RATES = (8000, 16000)
MODES = ("min", "max")

Lists = Annotated[
    list[Path], typer.Option("--metadata", help="Official list of mixtures; repeatable.")
]
Manifest = Annotated[Path, typer.Option("--out", help="The manifest.jsonl to write.")]
Rates = Annotated[
    list[int] | None,
    typer.Option("--sample-rate", help="8000 or 16000; repeatable (default: both)."),
]
Modes = Annotated[
    list[str] | None,
    typer.Option("--mode", help="As long as the shortest talker (min) or the longest (max)."),
]
SourceLists = Annotated[
    list[Path] | None,
    typer.Option("--sources", help="A sources.csv with known lengths and hashes; repeatable."),
]
AllowMissing = Annotated[
    bool, typer.Option("--allow-missing", help="Leave out mixtures that lack a source file.")
]
Fixed = Annotated[
    bool, typer.Option("--fixed", help="Let the stems on disk sum to the mixture exactly.")
]

Tree = Annotated[
    str, typer.Option("--layout", help="Tree of the files: native, or the name of a published set.")
]
Measure = Annotated[bool, typer.Option("--measure", help="Measure levels also in published sets.")]


def chosen(values: Sequence[_Value] | None, allowed: Sequence[_Value], option: str) -> list[_Value]:
    """Return the values of a repeatable option, each once; all that are allowed without any.

    Raises:
        UsageError: one is not allowed.
    """
    for value in values or ():
        if value not in allowed:
            raise UsageError(f"{option} takes {', '.join(map(str, allowed))}, not {value}.")
    return list(dict.fromkeys(values or allowed))
