"""Lists the corpus as sources.csv: what the plan knows of each file, and what is measured in it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mixgen.audio import read_audio
from mixgen.files import sha256_file
from mixgen.levels import integrated_lufs
from mixgen.manifest import Kind
from mixgen.progress import track
from mixgen.sources import SourceRow, write_roots, write_sources
from mixgen.starter.records import STEMS, Plan

CORPUS = "starter"
LICENCE = "CC0-1.0"
SOURCES_FILE = "sources.csv"


def index_starter(out: Path, plan: Plan) -> None:
    """Write `out/sources.csv`: every utterance, stem and noise, but no mixtures of songs."""
    rows = list(_known(plan))
    measured = track((_measured(out, **row) for row in rows), "listing", len(rows))
    write_sources(out / SOURCES_FILE, measured)
    write_roots(out, {CORPUS: out})


def _known(plan: Plan) -> Iterator[dict[str, str]]:
    for u in plan.utterances:
        yield _row(u.paths[0], "speech", u.speaker.name, u.speaker.name, u.speaker.split, u.text)
    for song in plan.songs:
        for path, stem in zip(song.paths[1:], STEMS, strict=True):
            yield _row(path, "music", stem, song.name, song.split)
    for noise in plan.noises:
        yield _row(noise.paths[0], "noise", noise.label, noise.kind, noise.split)


def _row(
    path: str, kind: Kind, label: str, group: str, split: str, text: str = ""
) -> dict[str, str]:
    return {
        "path": path,
        "kind": kind,
        "label": label,
        "group": group,
        "split": split,
        "text": text,
    }


def _measured(out: Path, *, path: str, **known: str) -> SourceRow:
    """Return the full row of one file."""
    samples, sample_rate = read_audio(out / path)
    return SourceRow.model_validate(
        {
            **known,
            "source_id": f"{CORPUS}/{path.removesuffix('.flac')}",
            "corpus": CORPUS,
            "path": path,
            "duration_s": round(samples.shape[1] / sample_rate, 6),
            "sample_rate": sample_rate,
            "channels": samples.shape[0],
            "peak": round(float(np.abs(samples).max()), 6),
            "loudness_lufs": round(integrated_lufs(samples, sample_rate), 3),
            "sha256": sha256_file(out / path),
            "licence": LICENCE,
        }
    )
