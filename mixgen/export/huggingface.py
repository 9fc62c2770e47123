"""Rendered sets as a folder that `datasets.load_dataset` opens, without a network.

OUT/data/<split>.jsonl has a row for each mixture, and the head of OUT/README.md declares its
columns: among them an Audio column for each name that files of the set have, with the path of the
file, or null where a mixture has none. `push_to_hub` and `save_to_disk` put the audio itself into
what they write.

Source: Q. Lhoest et al., "Datasets: A Community Library for Natural Language Processing", EMNLP
2021, arXiv 2109.02846; its documentation of dataset cards, version 5.2.
"""

import re
from collections.abc import Iterable
from typing import Any

import yaml

from mixgen.core.errors import InputError
from mixgen.core.files import to_json
from mixgen.core.progress import track
from mixgen.export.exporter import (
    Export,
    Exporter,
    RenderedMixture,
    TextFiles,
    check_manifest,
    heard_events,
    new_folder,
    rendered_mixtures,
)
from mixgen.manifest.mixture import MIXTURE, Mixture, Source
from mixgen.sets.rendered import RenderedSet

_STRING, _NUMBER = {"dtype": "string"}, {"dtype": "float64"}
_EVENTS = [
    {"name": "start_s", **_NUMBER},
    {"name": "duration_s", **_NUMBER},
    {"name": "text", **_STRING},
]
_SOURCES = [
    *({"name": name, **_STRING} for name in ("name", "role", "label", "kind")),
    {"name": "events", "list": _EVENTS},
]
_FIRST: list[dict[str, Any]] = [
    {"name": "id", **_STRING},
    {"name": "sample_rate", "dtype": "int32"},
    {"name": "duration_s", **_NUMBER},
]
_LAST: list[dict[str, Any]] = [
    {"name": "targets", "list": "string"},
    {"name": "sources", "list": _SOURCES},
]
_OWN_COLUMNS = {column["name"] for column in (*_FIRST, *_LAST)}


def export_huggingface(export: Export) -> str:
    """Write a JSON table for each split, and the card that declares their columns.

    Raises:
        InputError: there is no rendered set, it was not finished, it has no such split, two of its
            splits have one name in `datasets`, a source has the name of a column, or as in
            `new_folder`.
        UsageError, MachineError: as in `new_folder`.
    """
    rendered = export.rendered_set()
    root, written = export.audio_root(), 0
    splits, names = _contents(rendered, export.split)
    with new_folder(export, "huggingface") as folder, TextFiles(folder) as files:
        for mixture in track(rendered_mixtures(rendered, export.split), "exporting"):
            table = files[f"data/{splits[mixture.record.split]}.jsonl"]
            table.write(f"{to_json(_row(mixture, names, root))}\n")
            written += 1
        files["README.md"].write(_card(rendered, splits.values(), names))
    return f"{written} mixtures in {export.out}."


def _contents(rendered: RenderedSet, split: str | None) -> tuple[dict[str, str], list[str]]:
    """Return the names of the splits in `datasets` by their own, and all names of files."""
    splits: dict[str, str] = {}
    names: set[str] = set()
    for mixture in rendered.manifest_file:
        if split in (None, mixture.split):
            names.update(mixture.file_names)
            splits[mixture.split] = re.sub(r"\W", "_", mixture.split)
    check_manifest(rendered)
    if len(set(splits.values())) < len(splits):
        raise InputError(
            f"Two splits of {rendered.folder} have one name in `datasets`, which takes letters, "
            "digits and '_': export them one at a time with --split."
        )
    taken = sorted(_OWN_COLUMNS & names)
    if taken:
        raise InputError(
            f"{rendered.folder} has files called {taken[0]!r}, which is another column of the "
            "table: rename the source."
        )
    return splits, sorted(names, key=_place)


def _place(name: str) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Return a key by which the mixture comes first, and s10 after s9."""
    parts = re.split(r"(\d+)", name)
    return name != MIXTURE, [(p.isdigit(), int(p) if p.isdigit() else 0, p) for p in parts]


def _row(mixture: RenderedMixture, names: list[str], root: str) -> dict[str, Any]:
    record, files = mixture.record, mixture.files
    audio = {name: root + files[name].path if name in files else None for name in names}
    return {
        "id": record.id,
        "sample_rate": record.sample_rate,
        "duration_s": record.duration_s,
        **audio,
        "targets": record.targets,
        "sources": [_source(record, source) for source in record.sources],
    }


def _source(record: Mixture, source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "role": source.role,
        "label": source.label,
        "kind": source.kind,
        "events": [
            {"start_s": heard.start_s, "duration_s": heard.duration_s, "text": heard.event.text}
            for _, heard in heard_events(record, source)
        ],
    }


def _card(rendered: RenderedSet, splits: Iterable[str], names: list[str]) -> str:
    """Return the text of README.md; its head declares the tables and their columns."""
    audio = [{"name": name, "dtype": "audio"} for name in names]
    head = {
        "configs": [
            {
                "config_name": "default",
                "data_files": [{"split": name, "path": f"data/{name}.jsonl"} for name in splits],
            }
        ],
        "dataset_info": {"features": [*_FIRST, *audio, *_LAST]},
    }
    name = rendered.manifest_file.header.name
    return (
        f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---\n\n# {name}\n\n"
        "A mixture in each row. `targets` are the columns of its references, in order. The audio "
        "is in the files that the columns name.\n"
    )


EXPORTER = Exporter(
    name="huggingface",
    summary="a folder of tables with Audio columns, for Hugging Face's `datasets`",
    example="mixgen export sets/speech --to huggingface --out datasets/speech",
    write=export_huggingface,
)
