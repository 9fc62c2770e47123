"""The commands `mixgen import NAME`, one for each published set."""

import functools
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from mixgen.core.progress import print_status

_SHOWN = 20


def import_commands() -> typer.Typer:
    """Return the group `mixgen import`."""
    return typer.Typer(
        cls=_ImportCommands,
        no_args_is_help=True,
        rich_markup_mode=None,
        help=(
            "Import the official lists of a published set as a manifest.\n\n"
            "Example: mixgen import wsj0mix --metadata mix_2_spk_tt.txt --activlev activlev "
            "--wsj0 corpora --out set.jsonl"
        ),
    )


class _ImportCommands(TyperGroup):
    """A group whose commands are the published sets, found when one is asked for."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 - its signature
        """Return the names of the sets."""
        from mixgen.published.published_set import published_sets

        return list(published_sets())

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002 - its signature
        """Return the command that imports a set; None if there is no such set."""
        from mixgen.published.published_set import published_sets

        entry = published_sets().get(cmd_name)
        if entry is None:
            return None
        app = typer.Typer(
            add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False
        )
        app.command(cmd_name)(_with_answer(entry.importer))
        return typer.main.get_command(app)


def _with_answer(importer: Callable[..., Any]) -> Callable[..., None]:
    """Return an importer that prints what it did."""

    @functools.wraps(importer)
    def command(**options: Any) -> None:
        imported = importer(**options)
        for name, reason in imported.left_out[:_SHOWN]:
            print_status(f"left out: {name}: {reason}")
        tail = ""
        if imported.left_out:
            tail = f", {len(imported.left_out)} left out"
            if len(imported.left_out) > _SHOWN:
                print_status(f"left out: {len(imported.left_out) - _SHOWN} more")
        typer.echo(f"{imported.mixtures} mixtures in {options['out']}{tail}.")

    return command
