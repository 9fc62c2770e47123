"""The command `evalsuite train-emotion`."""

from functools import partial
from pathlib import Path
from typing import Annotated, get_args

import typer

from mixgen.core.errors import UsageError


def train_command(
    sources: Annotated[
        list[Path],
        typer.Argument(help="Lists made by `mixgen index` of EmoDB, RAVDESS, CREMA-D."),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the classifier: must not exist.")],
    hear: Annotated[
        str, typer.Option(help="What it hears, with commas: encoder, acoustic, text.")
    ] = "encoder",
    fusion: Annotated[
        str, typer.Option(help="Of several: trained together (joint), or one by one (frozen).")
    ] = "joint",
    emotions: Annotated[
        str | None, typer.Option(help="To tell apart, with commas; default: all there are.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Of the sources; default: all.")] = None,
    root: Annotated[
        list[str] | None, typer.Option(help="CORPUS=FOLDER, where a corpus has moved; repeatable.")
    ] = None,
    validate: Annotated[
        bool, typer.Option(help="Leave out each talker in turn, and print the UAR.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of weights and order.")] = 0,
) -> None:
    """Train a classifier of emotion on clean speech, for the metric emotion@FOLDER.

    Train it on other talkers than those of the sets that it will judge: --split takes a part.

    Example: evalsuite train-emotion emodb.csv --split train --out judges/emotion
    """
    from evalsuite.probes._recognisers import WHISPER_WEIGHTS
    from evalsuite.probes.emotion.features import KINDS
    from evalsuite.probes.emotion.folder import save
    from evalsuite.probes.emotion.training import (
        EPOCHS,
        Fusion,
        describe,
        leave_talkers_out,
        read_clips,
        train,
    )
    from mixgen.core.progress import print_status, track
    from mixgen.core.registry import choose, unknown
    from mixgen.corpora.roots import parse_roots
    from mixgen.corpora.sources import open_sources

    kinds = [word.strip() for word in hear.split(",")]
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(unknown(KINDS, kind, "kind of features"))
    ways: dict[str, Fusion] = {name: name for name in get_args(Fusion)}
    way = choose(ways, fusion, "fusion")
    if out.exists():
        raise UsageError(f"{out} exists: give another --out, or remove it.")
    rows, roots = open_sources(sources, parse_roots(root or []))
    wanted = None if emotions is None else [word.strip() for word in emotions.split(",")]
    clips = read_clips((r for r in rows if split in (None, r.split)), roots, wanted)
    labels = sorted({clip.emotion for clip in clips})
    if len(labels) < 2:
        raise UsageError(f"The sources have the emotion {labels[0]} alone: give two or more.")
    described = [describe(clip, kinds) for clip in track(clips, "describe")]
    trained = partial(train, emotions=labels, kinds=kinds, fusion=way, seed=seed)
    if validate:
        found = leave_talkers_out(described, {"clean": described}, trained, labels)
        print_status(f"UAR {found['clean']:.3f} of {len(labels)} emotions, each talker left out")
    meta = {
        "emotions": labels,
        "kinds": kinds,
        "fusion": fusion,
        "encoder_sha256": WHISPER_WEIGHTS.sha256 if "encoder" in kinds else "",
        "epochs": EPOCHS,
        "seed": seed,
        "n_clips": len(clips),
        "talkers": sorted({clip.talker for clip in clips}),
    }
    save(out, trained(described), meta)
    typer.echo(f"A classifier of {', '.join(labels)}, trained on {len(clips)} clips, is in {out}.")
