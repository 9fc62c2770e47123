"""The command `baselines`: list, info, train, import, separate."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from mixgen.core import console
from mixgen.core.errors import UsageError
from mixgen.core.registry import unknown
from mixgen.core.vocabulary import ALL_TASKS

app = console.new_app("baselines", "Published separators: list, train, import, separate.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; torch's default if not given.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the content of --out.")]


@app.command("list")
def list_systems(
    task: Annotated[
        str | None, typer.Option(help="Only what is for this task, as a recipe names it.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List all separators, one line per variant.

    Example: baselines list --task music_separation
    """
    rows = _systems()
    if task is not None:
        if task not in ALL_TASKS:
            raise UsageError(unknown(sorted(ALL_TASKS), task, "task"))
        rows = [row for row in rows if row["task"] in (task, "any")]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
        return
    header = tuple(_COLUMNS)
    cells = [[show(row) for show in _COLUMNS.values()] for row in rows]
    typer.echo(console.aligned(header, cells, left={"name", "task", "causal", "paper"}))


def _systems() -> list[dict[str, Any]]:
    """Return the facts of every variant, without torch and the seconds to build them."""
    rows: list[dict[str, Any]] = json.loads(
        Path(__file__).with_name("systems.json").read_text(encoding="utf-8")
    )
    return rows


def _seconds(row: dict[str, Any], samples: str) -> str:
    """Return a number of samples in seconds or milliseconds; `all` if it has no limit."""
    if row[samples] is None:
        return "all"
    seconds = row[samples] / row["config"]["sample_rate"]
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


_COLUMNS: dict[str, Callable[[dict[str, Any]], str]] = {
    "name": lambda row: str(row["name"]),
    "task": lambda row: str(row["task"]),
    "parameters": lambda row: f"{row['parameters']:,}",
    "MACs/s": lambda row: f"{row['macs_per_second'] / 1e9:.2f} G",
    "receptive field": lambda row: _seconds(row, "receptive_field_samples"),
    "causal": lambda row: _cell(row["causal"]),
    "look-ahead": lambda row: _seconds(row, "look_ahead_samples"),
    "inputs": lambda row: ", ".join(row["inputs"]) or "-",
    "paper": lambda row: str(row["paper"]),
}


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)


@app.command()
def info(
    system: Annotated[str, typer.Argument(help="A separator's name or a checkpoint folder.")],
    as_json: Json = False,
) -> None:
    """Print the facts of a separator or a checkpoint.

    Example: baselines info conv_tasnet:small
    """
    facts = next((row for row in _systems() if row["name"] == system), None)
    if facts is None:
        from baselines.inference.describe import describe, describe_checkpoint

        exists = Path(system).exists()
        facts = describe_checkpoint(Path(system)) if exists else describe(system)
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for name, value in facts.items():
        shown = json.dumps(value) if isinstance(value, dict | list) else _cell(value)
        typer.echo(f"{name:<{width}}  {shown}")


@app.command()
def train(
    model: Annotated[
        str | None, typer.Argument(help="A separator's name; not with --resume.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")] = Path("checkpoint"),
    rendered: Annotated[
        str | None, typer.Option("--set", help="Train on a rendered set's segments.")
    ] = None,
    manifest: Annotated[
        str | None, typer.Option(help="Train on a manifest: mixed dynamically, or as recorded.")
    ] = None,
    roots: Annotated[
        list[str] | None, typer.Option("--root", help="CORPUS=FOLDER, for --manifest.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Split to train on.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Wall time of the run.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the run.")] = None,
    batch_size: Annotated[int | None, typer.Option("--batch", help="Examples in a batch.")] = None,
    segment_s: Annotated[float | None, typer.Option(help="Seconds of an example.")] = None,
    learning_rate: Annotated[float | None, typer.Option("--lr", help="Highest rate.")] = None,
    schedule: Annotated[str | None, typer.Option(help="constant, cosine, plateau or step.")] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Share of the run in which the rate rises.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help="adamw, adam, muon, rmsprop, sgd.")] = None,
    precision: Annotated[str | None, typer.Option(help="float32 or bfloat16.")] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of the optimizer.")] = None,
    average_decay: Annotated[
        float | None, typer.Option(help="Decay of the weights' moving average; 0 turns it off.")
    ] = None,
    validations: Annotated[int | None, typer.Option(help="Validations in the run.")] = None,
    valid_items: Annotated[int | None, typer.Option(help="Mixtures in a validation.")] = None,
    slowest: Annotated[float | None, typer.Option(help="Lowest random speed.")] = None,
    fastest: Annotated[float | None, typer.Option(help="Highest random speed.")] = None,
    gain_spread_db: Annotated[
        float | None, typer.Option(help="Largest random gain, up or down.")
    ] = None,
    coherent: Annotated[float | None, typer.Option(help="Share of one-song mixtures.")] = None,
    memory_gb: Annotated[float | None, typer.Option(help="Limit for files in memory.")] = None,
    workers: Annotated[int | None, typer.Option(help="Threads that make batches.")] = None,
    threads: Threads = None,
    device: Device = "auto",
    seed: Annotated[int | None, typer.Option(help="Seed of weights, examples and dropout.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue the run in --out.")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Train a separator; options that are not given have the model's defaults.

    Example: baselines train conv_tasnet:small --manifest manifests/starter_2mix/manifest.jsonl
    --out checkpoints/conv_tasnet --minutes 10
    """
    given = dict(locals())  # the options have the names of the configuration's fields
    from baselines.training import train as training
    from baselines.training.config import TrainingConfig, training_config

    if resume:
        training.resume(out, steps=steps, minutes=minutes)
        return
    if model is None:
        raise UsageError("No separator is given: name one of those that `baselines list` prints.")
    config = training_config(
        **{name: given[name] for name in TrainingConfig.model_fields if name in given}
    )
    training.train(config, out, overwrite=overwrite)


@app.command("import")
def import_peer(
    peer: Annotated[str, typer.Argument(help="asteroid, demucs, openunmix, speechbrain, ...")],
    file: Annotated[Path, typer.Argument(help="The peer's weights: a file, or their folder.")],
    out: Annotated[Path, typer.Option(help="Folder of the checkpoint.")],
    model: Annotated[
        str | None, typer.Option(help="The system, where the file does not name it.")
    ] = None,
    arguments: Annotated[
        Path | None, typer.Option(help="JSON of the constructor's arguments the file lacks.")
    ] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Turn another implementation's weights into a checkpoint; no code in the file is run.

    Example: baselines import asteroid conv_tasnet.pth --out checkpoints/conv_tasnet
    """
    from baselines.peers.weights import import_weights, read_arguments

    given = {} if arguments is None else read_arguments(arguments)
    meta = import_weights(peer, file, out, model=model, arguments=given, overwrite=overwrite)
    if as_json:
        typer.echo(json.dumps(meta.as_dict(), indent=2))
    else:
        typer.echo(f"{out}: {meta.model}, {meta.parameters:,} parameters, from {peer}")


@app.command()
def separate(
    system: Annotated[
        str, typer.Argument(help="A checkpoint folder, or a separator that needs no training.")
    ],
    audio: Annotated[Path, typer.Argument(help="A rendered set, or one audio file.")],
    out: Annotated[Path, typer.Option(help="Folder of the estimates.")],
    far_end: Annotated[
        Path | None, typer.Option(help="Audio file: what the loudspeaker played meanwhile.")
    ] = None,
    enrolment: Annotated[
        list[Path] | None, typer.Option(help="Audio file of a talker to extract; one per talker.")
    ] = None,
    split: Annotated[str, typer.Option(help="Split of the set.")] = "test",
    device: Device = "auto",
    threads: Threads = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
) -> None:
    """Separate every mixture of a set, or one recording.

    Example: baselines separate checkpoints/conv_tasnet sets/starter_2mix
    --out estimates/conv_tasnet
    """
    from baselines.inference.recording import separate_file
    from baselines.inference.separate import separate_set

    if audio.is_file():
        paths = separate_file(
            Path(system),
            audio,
            out,
            far_end=far_end,
            enrolment=enrolment or (),
            device=device,
            threads=threads,
        )
        result: Any = [str(path) for path in paths]
    else:
        if far_end is not None or enrolment:
            raise UsageError(
                f"{audio} is a set, which has the far ends and enrolments of its mixtures: leave "
                "--far-end and --enrolment out."
            )
        result = separate_set(
            system,
            audio,
            out,
            split=split,
            device=device,
            threads=threads,
            overwrite=overwrite,
        )
    if as_json:
        typer.echo(json.dumps(result, indent=2))


def main() -> None:
    """Run the command line."""
    console.run(app)


if __name__ == "__main__":
    main()
