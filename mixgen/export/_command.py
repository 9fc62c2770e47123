"""The command `mixgen export`."""

from pathlib import Path
from typing import Annotated

import typer

from mixgen.core.errors import UsageError
from mixgen.core.options import Dask, RootWords, Workers
from mixgen.core.registry import names_in
from mixgen.core.vocabulary import PathStyle

_EXPORTERS = [name for name in names_in("mixgen.export") if name != "exporter"]


def export_command(
    source: Annotated[
        Path | None,
        typer.Argument(metavar="SET", help="A rendered set; manifest.jsonl does for some formats."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="File or folder to write.")] = None,
    to: Annotated[str | None, typer.Option("--to", help="Format: " + ", ".join(_EXPORTERS))] = None,
    jams: Annotated[bool, typer.Option("--jams", help="The same as --to jams.")] = False,
    rttm: Annotated[bool, typer.Option("--rttm", help="The same as --to rttm.")] = False,
    root: RootWords = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split.")] = None,
    paths: Annotated[
        PathStyle,
        typer.Option("--paths", help="Of audio files; relative is to SET, where a format can."),
    ] = "absolute",
    shard_mb: Annotated[
        int, typer.Option("--shard-mb", min=1, help="Largest size of a tar file of webdataset.")
    ] = 1000,
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Export a set to the format of another program; without --to, list the formats.

    Example: mixgen export sets/speech --to webdataset --out shards
    """
    from mixgen.core.cluster import optional_cluster
    from mixgen.core.console import aligned
    from mixgen.core.progress import print_status
    from mixgen.core.registry import choose
    from mixgen.core.workers import default_workers
    from mixgen.corpora.roots import parse_roots
    from mixgen.export.exporter import Export, exporters

    chosen = [name for name in (to, jams and "jams", rttm and "rttm") if name]
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --to, --jams and --rttm")
    if not chosen:
        columns = ("format", "what it writes", "example")
        rows = [(entry.name, entry.summary, entry.example) for entry in exporters().values()]
        for line in aligned(columns, rows, left=columns).splitlines():
            print_status(line)
        raise UsageError("Say with --to which of these formats to write.")
    exporter = choose(exporters(), chosen[0], "format")
    if source is None or out is None:
        raise UsageError(f"Say which set to export, and with --out where to: {exporter.example}.")
    with optional_cluster(dask) as executor:
        what = Export(
            source=source,
            out=out,
            split=split,
            given_roots=parse_roots(root or ()),
            paths=paths,
            shard_bytes=shard_mb * 1_000_000,
            workers=workers or default_workers(),
            executor=executor,
        )
        exporter.check_paths(what)
        typer.echo(exporter.write(what))
