"""The command `mixgen`."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import typer

from mixgen.core.console import new_app, report_failures, run
from mixgen.core.errors import UsageError
from mixgen.core.options import AsJson, Cache, Dask, Out, RootWords, Workers
from mixgen.core.registry import names_in
from mixgen.core.vocabulary import FormatName, Kind
from mixgen.published.commands import import_commands
from mixgen.published.options import Measure, Tree

app = new_app(
    "mixgen", "Build reproducible mixture sets: index, draw, render, verify, report, export."
)
app.add_typer(import_commands(), name="import")

_EXPORTERS = [name for name in names_in("mixgen.export") if name != "exporter"]


@app.command()
def starter(out: Out, workers: Workers = None, as_json: AsJson = False) -> None:
    """Make the starter corpus: synthetic speech, songs and noise, for learning and plumbing.

    Example: mixgen starter --out corpora/starter
    """
    from mixgen.core.files import to_json
    from mixgen.starter.corpus import make_starter

    summary = dataclasses.asdict(make_starter(out, workers=workers))
    if as_json:
        typer.echo(to_json(summary))
    else:
        typer.echo(
            f"Starter corpus in {out}: {summary['counts']}, {summary['corpus_sha256'][:12]}."
        )


@app.command()
def index(
    layout: Annotated[
        str, typer.Argument(help="Layout: " + ", ".join(names_in("mixgen.corpora.layouts")))
    ],
    root: Annotated[Path, typer.Argument(help="Root folder of the corpus.")],
    out: Annotated[Path, typer.Option("--out", help="The sources.csv to write.")],
    corpus: Annotated[
        str | None, typer.Option("--corpus", help="Name of the corpus (default: the folder's).")
    ] = None,
    kind: Annotated[
        Kind, typer.Option("--kind", help="In a plain folder; rir is for room responses.")
    ] = "speech",
    licence: Annotated[str | None, typer.Option("--licence", help="Licence of the audio.")] = None,
    split: Annotated[str | None, typer.Option("--split", help="One split for all files.")] = None,
    parts: Annotated[
        str | None, typer.Option("--parts", help="Shares, as in train=0.8,valid=0.1,test=0.1.")
    ] = None,
    by: Annotated[
        Literal["label", "group"], typer.Option("--by", help="What --parts keeps together.")
    ] = "label",
    workers: Workers = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Also store every file decoded, in this folder."),
    ] = None,
    dask: Dask = None,
    as_json: AsJson = False,
) -> None:
    """Measure every audio file of a corpus and list it in a sources.csv.

    Example: mixgen index librispeech corpora/LibriSpeech --out speech.csv
    """
    from mixgen.audio.cache import open_cache
    from mixgen.core.cluster import optional_cluster
    from mixgen.core.files import to_json
    from mixgen.core.workers import default_workers
    from mixgen.corpora.index import SplitPlan, index_corpus, parse_parts
    from mixgen.corpora.layout import get_layout
    from mixgen.corpora.roots import write_roots
    from mixgen.corpora.sources import write_sources

    name = corpus or root.resolve().name.lower().replace(" ", "-")
    decoded = open_cache(cache) if cache else None
    plan = SplitPlan(split, by, parse_parts(parts) if parts else None)
    with optional_cluster(dask) as executor:
        result = index_corpus(
            get_layout(layout),
            root,
            corpus=name,
            kind=kind,
            licence=licence,
            splits=plan,
            workers=workers or default_workers(),
            cache=decoded,
            executor=executor,
        )
    write_sources(out, result.rows)
    write_roots(out.parent, {name: root})
    hours = sum(row.duration_s for row in result.rows) / 3600
    stored = sum(decoded.holds(row.sha256) for row in result.rows) if decoded else 0
    if as_json:
        refused = [{"path": path, "reason": reason} for path, reason in result.refused]
        answer = {"files": len(result.rows), "hours": hours, "refused": refused}
        typer.echo(to_json(answer | ({} if decoded is None else {"decoded": stored})))
    else:
        in_cache = "" if decoded is None else f" Decoded in {cache}: {stored}."
        typer.echo(f"{len(result.rows)} files, {hours:.2f} h, in {out}.{in_cache}")
    report_failures("skipped", result.refused, others=True)


@app.command("layouts")
def list_layouts(as_json: AsJson = False) -> None:
    """List the corpus layouts that `index` knows: what each is for, licence and home page.

    Example: mixgen layouts
    """
    from mixgen.core.console import aligned
    from mixgen.core.files import to_json
    from mixgen.corpora.layout import layouts

    names = ("name", "summary", "licence", "citation", "home")
    rows = [{name: getattr(entry, name) for name in names} for entry in layouts().values()]
    if as_json:
        typer.echo(to_json(rows))
        return
    shown = ("name", "summary", "licence", "home")
    typer.echo(aligned(shown, [[row[name] or "-" for name in shown] for row in rows], left=shown))


@app.command()
def convert(
    root: Annotated[Path, typer.Argument(help="Folder of .stem.mp4 files, as MUSDB18 has them.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the decoded songs.")],
) -> None:
    """Decode compressed stems into folders of WAV files for the layout `stems` (needs ffmpeg).

    Example: mixgen convert corpora/musdb18 --out corpora/musdb18-wav
    """
    from mixgen.corpora.musdb_mp4 import convert_songs

    songs, failures = convert_songs(root, out)
    typer.echo(f"{len(songs)} songs in {out}.")
    report_failures("failed", failures, others=len(songs) > 0)


@app.command()
def rooms(
    recipe: Annotated[str, typer.Argument(help="A rooms.yaml, or the name of a shipped bank.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the bank.")],
    workers: Workers = None,
) -> None:
    """Simulate a bank of room responses, with a sources.csv to draw from.

    Example: mixgen rooms rooms_small --out corpora/rooms
    """
    from mixgen.core.workers import default_workers
    from mixgen.corpora.rir_bank import make_bank, read_room_recipe
    from mixgen.recipe.read import find_recipe

    plan = read_room_recipe(find_recipe(recipe, "rooms.yaml"))
    bank = make_bank(plan, out, workers=workers or default_workers())
    typer.echo(f"{bank.responses} responses in {bank.rooms} rooms, in {out}.")


@app.command()
def draw(
    recipe: Annotated[str, typer.Argument(help="A recipe.yaml, or the name of a shipped set.")],
    sources: Annotated[list[Path], typer.Option("--sources", help="A sources.csv; repeatable.")],
    out: Annotated[Path, typer.Option("--out", help="The manifest.jsonl to write.")],
    root: RootWords = None,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, help="Another seed than the recipe's.")
    ] = None,
    split: Annotated[
        list[str] | None, typer.Option("--split", help="Draw only this split; repeatable.")
    ] = None,
    mixtures: Annotated[
        list[str] | None,
        typer.Option("--mixtures", help="N or SPLIT=N: how many instead; repeatable."),
    ] = None,
    source_splits: Annotated[
        list[str] | None,
        typer.Option(
            "--splits",
            help="SPLIT=NAME[,NAME]: the splits of the corpora to take a split's sources from; "
            "repeatable.",
        ),
    ] = None,
    dask: Dask = None,
) -> None:
    """Decide every mixture of a recipe and write the manifest.

    Example: mixgen draw starter_2mix --sources corpora/starter/sources.csv --out set.jsonl
    """
    from mixgen.core.cluster import optional_cluster
    from mixgen.corpora.roots import parse_roots
    from mixgen.draw.manifest import draw_manifest
    from mixgen.recipe.changes import parse_mixtures, parse_source_splits

    given_roots = parse_roots(root or ())
    numbers = parse_mixtures(mixtures or ())
    corpus_splits = parse_source_splits(source_splits or ())
    with optional_cluster(dask) as executor:
        manifest = draw_manifest(
            recipe,
            sources,
            out,
            roots=given_roots,
            seed=seed,
            splits=split,
            mixtures=numbers,
            source_splits=corpus_splits,
            executor=executor,
        )
    typer.echo(f"{manifest.count()} mixtures in {out}.")


@app.command()
def render(
    manifest: Annotated[Path, typer.Argument(help="A manifest.jsonl.")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the rendered set.")],
    root: RootWords = None,
    sample_format: Annotated[
        FormatName | None, typer.Option("--format", help="Sample format (default: the manifest's).")
    ] = None,
    workers: Workers = None,
    shard: Annotated[
        str, typer.Option("--shard", help="i/N: this run's share of the blocks.")
    ] = "1/1",
    cache: Cache = None,
    layout: Tree = "native",
    measure: Measure = False,
    dask: Dask = None,
) -> None:
    """Render a manifest to audio; run again, it repairs what is missing or altered.

    Example: mixgen render set.jsonl --out sets/speech --workers 2
    """
    from mixgen.core.cluster import optional_cluster
    from mixgen.core.workers import default_workers
    from mixgen.corpora.roots import parse_roots
    from mixgen.published.render import render_in_layout
    from mixgen.render.set import parse_shard

    share = parse_shard(shard)
    with optional_cluster(dask) as executor:
        outcome = render_in_layout(
            manifest,
            out,
            layout,
            roots=parse_roots(root or ()),
            sample_format=sample_format,
            workers=workers or default_workers(),
            shard=share,
            cache=cache,
            executor=executor,
            measures=measure,
        )
    typer.echo(f"{outcome.written} files written, {outcome.in_place} in place, in {out}.")
    report_failures("failed", outcome.failures, others=outcome.in_place > 0)


@app.command()
def verify(
    rendered_set: Annotated[Path, typer.Argument(help="Folder of a rendered set.")],
    deep: Annotated[
        bool,
        typer.Option(
            "--deep", help="Also decode all files and find again what is recorded of them."
        ),
    ] = False,
    root: RootWords = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance", help="QUANTITY=X: allowed distance from the requested value; repeatable."
        ),
    ] = None,
    workers: Workers = None,
    dask: Dask = None,
    as_json: AsJson = False,
) -> None:
    """Check a rendered set against its manifest, file by file.

    Example: mixgen verify sets/speech --tolerance level_db=1
    """
    from mixgen.core.cluster import optional_cluster
    from mixgen.core.workers import default_workers
    from mixgen.corpora.roots import parse_roots
    from mixgen.sets.rendered import all_rows
    from mixgen.verify.problem import conclusion
    from mixgen.verify.set import off_target, parse_tolerances, verify_set

    allowed, roots = parse_tolerances(tolerance or ()), parse_roots(root or ())
    with optional_cluster(dask) as executor:
        problems = verify_set(
            rendered_set,
            deep=deep,
            roots=roots,
            workers=workers or default_workers(),
            executor=executor,
        )
    off = list(off_target(all_rows(rendered_set), allowed))
    if as_json:
        typer.echo(json.dumps([problem.as_dict() for problem in (*problems, *off)]))
    else:
        for problem in (*problems, *off):
            typer.echo(f"{problem.kind:<12} {problem.path}  ({problem.detail})")
    sentence = conclusion(rendered_set, problems, off, deep=deep)
    if not as_json:
        typer.echo(sentence)


@app.command()
def report(
    source: Annotated[
        Path, typer.Argument(metavar="SET", help="A rendered set or manifest.jsonl.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of report.html and report.json.")],
    examples: Annotated[
        int, typer.Option("--examples", min=0, help="Mixtures of each split to look at and hear.")
    ] = 3,
    hashes: Annotated[
        bool, typer.Option("--hashes/--no-hashes", help="Compare the hashes of all files.")
    ] = True,
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="The recipe of the set, where it is not found.")
    ] = None,
) -> None:
    """Show what is in a set: checks, sizes, levels, use of files, leakage, licences, examples.

    Example: mixgen report sets/speech --out reports/speech
    """
    from mixgen.report import make_report

    page = make_report(source, out, examples=examples, hashes=hashes, recipe=recipe)
    typer.echo(f"The report is {page}.")


@app.command()
def export(
    source: Annotated[
        Path, typer.Argument(metavar="SET", help="A manifest.jsonl or a rendered set.")
    ],
    out: Annotated[Path, typer.Option("--out", help="File or folder to write.")],
    to: Annotated[str | None, typer.Option("--to", help="Format: " + ", ".join(_EXPORTERS))] = None,
    jams: Annotated[bool, typer.Option("--jams", help="The same as --to jams.")] = False,
    rttm: Annotated[bool, typer.Option("--rttm", help="The same as --to rttm.")] = False,
    root: RootWords = None,
    split: Annotated[str | None, typer.Option("--split", help="Only this split.")] = None,
    shard_mb: Annotated[
        int, typer.Option("--shard-mb", min=1, help="Largest size of a tar file of webdataset.")
    ] = 1000,
    workers: Workers = None,
    dask: Dask = None,
) -> None:
    """Export a set to the format of another program.

    jams: one JAMS file per mixture, which stock Scaper renders. rttm: who is active when.
    webdataset: tar files with the audio of a rendered set.

    Example: mixgen export sets/speech --to webdataset --out shards
    """
    from mixgen.core.cluster import optional_cluster
    from mixgen.core.registry import choose
    from mixgen.core.workers import default_workers
    from mixgen.corpora.roots import parse_roots
    from mixgen.export.exporter import Export, exporters

    chosen = [name for name in (to, jams and "jams", rttm and "rttm") if name]
    if len(chosen) > 1:
        raise typer.BadParameter("choose one of --to, --jams and --rttm")
    if not chosen:
        formats = "; ".join(f"{entry.name}: {entry.summary}" for entry in exporters().values())
        raise UsageError(f"Say with --to which format to write ({formats}).")
    exporter = choose(exporters(), chosen[0], "format")
    with optional_cluster(dask) as executor:
        what = Export(
            source=source,
            out=out,
            split=split,
            given_roots=parse_roots(root or ()),
            shard_bytes=shard_mb * 1_000_000,
            workers=workers or default_workers(),
            executor=executor,
        )
        typer.echo(exporter.write(what))


def main() -> None:
    """Run the program."""
    run(app)


if __name__ == "__main__":
    main()
