"""What the three command-line programs share: help, one-sentence errors, exit codes."""

import os
import signal
import sys
import traceback
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from mixgen.core.errors import PartialFailure, SuiteError
from mixgen.core.progress import print_status, printable
from mixgen.core.versions import __version__

_DEBUG_VARIABLE = "SEPARATION_DEBUG"
_STOPPED = 130
_SHOWN = 20


def new_app(name: str, summary: str) -> typer.Typer:
    """Return an empty command-line program with the suite's conventions."""
    app = typer.Typer(
        name=name,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )

    def show(wanted: bool) -> None:
        if wanted:
            typer.echo(f"{name} {__version__}")
            raise typer.Exit

    @app.callback(help=summary)
    def options(
        version: Annotated[
            bool, typer.Option("--version", callback=show, is_eager=True, help="Show the version.")
        ] = False,
    ) -> None:
        pass

    return app


def aligned(
    header: Sequence[str], rows: Iterable[Sequence[str]], *, left: Collection[str] = ()
) -> str:
    """Return lines in columns: those whose header is in `left` to the left, others to the right."""
    table = [[printable(cell) for cell in row] for row in (header, *rows)]
    columns = [_padded(column, column[0] in left) for column in zip(*table, strict=True)]
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))


def _padded(cells: Sequence[str], to_the_left: bool) -> list[str]:
    width = max(map(len, cells))
    return [cell.ljust(width) if to_the_left else cell.rjust(width) for cell in cells]


def report_failures(what: str, failures: list[tuple[str, str]], *, others: bool) -> None:
    """Print the first of the items that failed, as (name, reason), and end the program with 4.

    Raises:
        PartialFailure: there are any; `others` says whether other items did not fail.
    """
    for name, reason in failures[:_SHOWN]:
        print_status(f"{what}: {name}: {reason}")
    if failures:
        more = len(failures) - _SHOWN
        tail = f" ({more} more not shown)" if more > 0 else ""
        rest = "the others are done" if others else "there are no others"
        raise PartialFailure(f"{len(failures)} item(s) {what}{tail}; {rest}.")


def run(app: Callable[[], object]) -> None:
    """Run `app`; end with one sentence and an exit code instead of a traceback.

    A SIGTERM ends it in the same way as Ctrl-C. Set SEPARATION_DEBUG=1 to see the traceback of an
    error as well.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        _run(app)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _run(app: Callable[[], object]) -> None:
    try:
        _flushed(app)
    except SuiteError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop_early()
    except SystemExit as end:
        if end.code == _STOPPED:  # what typer makes of a KeyboardInterrupt
            _stop_early()
        raise
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        _stop(f"Cannot use {error.filename or 'a file'}: {error.strerror or error}.", 6)
    except MemoryError:
        _stop("The machine ran out of memory: use fewer workers or shorter mixtures.", 6)
    except Exception as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        _stop(f"Unexpected {type(error).__name__} at {where}: {error}. Please report this.", 1)


def _flushed(app: Callable[[], object]) -> None:
    """Run `app` and write what it printed, so that a full disk is noticed here."""
    try:
        app()
    finally:
        sys.stdout.flush()


def _stop_early() -> None:
    _stop("Stopped before the end: the same command uses what is written already.", _STOPPED)


def _stop(sentence: str, exit_code: int) -> None:
    if os.environ.get(_DEBUG_VARIABLE):
        traceback.print_exc()
    print(f"error: {printable(' '.join(sentence.split()))}", file=sys.stderr)
    raise SystemExit(exit_code)
