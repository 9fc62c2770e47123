"""Progress of long work: a bar on a terminal, one plain line every few seconds elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from typing import TypeVar

Item = TypeVar("Item")

_SECONDS_BETWEEN_LINES = 5.0


def track(items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
    """Yield `items`, and show on stderr how many are done."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    if sys.stderr.isatty():
        yield from _with_bar(items, description, total)
    else:
        yield from _with_lines(items, description, total)


def _with_bar(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield from progress.track(items, total=total, description=description)


def _with_lines(items: Iterable[Item], description: str, total: int | None) -> Iterator[Item]:
    spoken = time.monotonic()
    for done, item in enumerate(items, start=1):
        yield item
        if time.monotonic() - spoken >= _SECONDS_BETWEEN_LINES:
            spoken = time.monotonic()
            print_status(f"{description}: {done}" + (f" of {total}" if total else ""))


def print_status(line: str) -> None:
    """Print one line to stderr."""
    print(printable(line), file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return text whose control characters, which could steer a terminal, are spelled out."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
