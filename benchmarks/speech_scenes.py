"""The scenes that the speed benchmarks share: two talkers over a noise, from real or starter audio.

Real audio is looked for in the folder SEPARATION_DATA, or ../shared/data beside the repository;
without it, name the sources.csv of a starter corpus (`mixgen starter --out FOLDER` makes one).
"""

import os
from pathlib import Path
from typing import Any

from mixgen.core.vocabulary import Kind
from mixgen.corpora.index import SplitPlan, index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import Roots, find_roots
from mixgen.corpora.sources import SourceRow, read_sources
from mixgen.recipe.schema import Recipe

REPOSITORY = Path(__file__).resolve().parents[1]
LIBRISPEECH = "speech/librispeech-resemblyzer"


def data_folder() -> Path:
    """Return the folder where real audio is looked for."""
    return Path(os.environ.get("SEPARATION_DATA") or REPOSITORY.parent / "shared" / "data")


def recordings(folder: str = "") -> Path:
    """Return a folder of real audio below the one where it is looked for; stops without it."""
    path = data_folder() / folder
    if not path.is_dir():
        raise SystemExit(f"No recordings in {path}: set SEPARATION_DATA to the folder of audio.")
    return path


def corpus(sources: Path | None) -> tuple[list[SourceRow], Roots]:
    """Return rows and roots of `sources`, or of the real audio."""
    if sources:
        rows = [row for row in read_sources([sources]) if row.split == "train"]
        return rows, find_roots([sources])
    data = data_folder()
    if not data.is_dir():
        raise SystemExit(f"No real audio in {data}: give --sources STARTER/sources.csv.")
    folders: dict[Kind, Path] = {"speech": data / LIBRISPEECH, "noise": data / "noise"}
    layouts: dict[Kind, str] = {"speech": "librispeech", "noise": "folder"}
    rows = [
        row
        for name, root in folders.items()
        for row in index_corpus(
            get_layout(layouts[name]),
            root,
            corpus=name,
            kind=name,
            licence="",
            splits=SplitPlan("train"),
        ).rows
    ]
    return rows, {str(kind): folder for kind, folder in folders.items()}


def two_talkers_and_noise(
    duration_s: float, sample_rate: int, mixtures: int, **talkers: Any
) -> Recipe:
    """Return the recipe of a set with one split of so many mixtures.

    `talkers` are more keys of their group, such as `pitch_shift` and `time_stretch`.
    """
    speech = {
        "name": "s",
        "kind": "speech",
        "count": 2,
        "snr": ["uniform", 0, 5],
        "source_time": ["uniform", 0, 2],
        "event_time": ["uniform", 0, 1],
    }
    noise = {
        "name": "noise",
        "kind": "noise",
        "role": "background",
        "use": "independently",
        "source_time": ["uniform", 0, 1000],
    }
    return Recipe.model_validate(
        {
            "name": "benchmark",
            "task": "speech_separation",
            "sample_rate": sample_rate,
            "duration": {"mode": "fixed", "seconds": duration_s},
            "reference_db": ["const", -40],
            "sources": [speech | talkers, noise],
            "splits": {"train": {"mixtures": mixtures, "sources": "train"}},
        }
    )
