"""What the three command-line programs share: help, one-sentence errors, exit codes."""

import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import typer

from mixgen.errors import SuiteError

_DEBUG_VARIABLE = "SEPARATION_DEBUG"


def new_app(name: str, summary: str) -> typer.Typer:
    """Return an empty command-line program with the suite's conventions."""
    return typer.Typer(
        name=name,
        help=summary,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
    )


def run(app: Callable[[], object]) -> None:
    """Run `app`; end with one sentence and an exit code instead of a traceback.

    Set SEPARATION_DEBUG=1 to see the traceback of an error as well.
    """
    try:
        app()
    except SuiteError as error:
        _stop(str(error), error.exit_code)
    except KeyboardInterrupt:
        _stop("Stopped by the keyboard; finished items are kept and the next run goes on.", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except MemoryError:
        _stop("The machine ran out of memory: use fewer workers or shorter mixtures.", 6)
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(place.filename).name}:{place.lineno}"
        _stop(f"Unexpected {type(error).__name__} at {where}: {error}. Please report this.", 1)


def _stop(sentence: str, exit_code: int) -> None:
    if os.environ.get(_DEBUG_VARIABLE):
        traceback.print_exc()
    print(f"error: {' '.join(sentence.split())}", file=sys.stderr)
    raise SystemExit(exit_code)
