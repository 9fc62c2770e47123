"""FSD50K: FSD50K.{dev,eval}_audio/*.wav, FSD50K.ground_truth/ and, for licences, FSD50K.metadata/.

Layout source: Fonseca et al., "FSD50K: an Open Dataset of Human-Labeled Sound Events", TASLP 2022.
A clip has several labels, each with all classes above it, so that a class is never rarer than the
classes below it. The label used here is the rarest over the whole set, which is the most specific.
"""

import functools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mixgen.core.files import read_json
from mixgen.core.vocabulary import Kind
from mixgen.corpora.layout import SPLITS, Found, Layout, audio_files
from mixgen.corpora.tables import read_table

_PARTS = {"FSD50K.dev_audio": "dev", "FSD50K.eval_audio": "eval"}
_COLUMNS = {"dev": ("fname", "labels", "split"), "eval": ("fname", "labels")}
_LICENCE = re.compile(r"creativecommons\.org/(?:licenses|publicdomain)/([^/]+)/([\d.]+)")
_NAMES = {"zero": "CC0", "by": "CC BY", "by-nc": "CC BY-NC", "sampling+": "CC Sampling+"}


@dataclass(frozen=True)
class _Clip:
    label: str
    group: str
    split: str
    licence: str


def _find(root: Path, _kind: Kind) -> Iterator[Found]:
    clips = functools.cache(_clips)
    for path in audio_files(root):
        part = _PARTS.get(path.parent.name)
        clip = clips((root / path).parent.parent).get((part, path.stem)) if part else None
        if clip:
            yield Found(
                path.as_posix(), "noise", clip.label, clip.group, clip.split, licence=clip.licence
            )


def _clips(base: Path) -> dict[tuple[str, str], _Clip]:
    """Return what the tables and metadata hold on each clip, by its part and name."""
    tables = {
        part: list(read_table(base / "FSD50K.ground_truth" / f"{part}.csv", columns))
        for part, columns in _COLUMNS.items()
    }
    clips_of = Counter(label for rows in tables.values() for row in rows for label in _labels(row))
    infos = {part: _infos(base, part) for part in tables}
    return {
        (part, row["fname"]): _Clip(
            label=min(_labels(row), key=clips_of.__getitem__),
            # Clips of one uploader are often parts of one recording.
            group=str(infos[part][row["fname"]].get("uploader", row["fname"])),
            split=SPLITS.get(row.get("split", part), ""),
            licence=_licence(str(infos[part][row["fname"]].get("license"))),
        )
        for part, rows in tables.items()
        for row in rows
    }


def _labels(row: dict[str, str]) -> list[str]:
    return row["labels"].split(",")


def _infos(base: Path, part: str) -> defaultdict[str, dict[str, Any]]:
    """Return the information by the uploaders on each clip, by name; empty where it is missing."""
    path = base / "FSD50K.metadata" / f"{part}_clips_info_FSD50K.json"
    infos = read_json(path) if path.is_file() else {}
    items = infos.items() if isinstance(infos, dict) else ()
    return defaultdict(dict, {name: info for name, info in items if isinstance(info, dict)})


def _licence(address: str) -> str:
    """Return the licence at a Creative Commons address, like "CC BY-NC 3.0"; empty for others."""
    known = _LICENCE.search(address)
    return f"{_NAMES.get(known[1], known[1])} {known[2]}" if known else ""


LAYOUT = Layout(
    name="fsd50k",
    summary="FSD50K, each clip under its own licence",
    citation=(
        "Fonseca et al., FSD50K: an Open Dataset of Human-Labeled Sound Events, IEEE/ACM "
        "TASLP 30, 2022"
    ),
    home="https://zenodo.org/records/4060432",
    find=_find,
)
