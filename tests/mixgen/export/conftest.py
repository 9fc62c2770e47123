"""Small rendered sets of every kind that exports have to hold."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from mixgen.core.files import read_jsonl
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.exporter import Export, exporters
from mixgen.manifest.file import write_manifest
from mixgen.render.set import render_set
from tests.mixgen.conftest import Corpus, MakeRecipe

AWKWARD = 'a "set", für ß'  # the name of the folder of every set
WORDS = 'He said: "Größe, please", and\tleft; 100 $data?'
TALKERS: dict[str, Any] = {"name": "s", "kind": "speech", "count": 2}
NOISE = {"name": "noise", "role": "noise", "kind": "noise", "use": "independently"}
FAR_END = {"name": "echo", "role": "far_end", "kind": "speech", "use": "independently"}
ECHO = {"delay_s": ["const", 0.1]}
ANY = {"any": {"mixtures": 4, "sources": {}}}
KINDS: dict[str, dict[str, Any]] = {
    "noisy": {},
    "clean": {"sources": [TALKERS]},
    "counts": {
        "sources": [TALKERS | {"count": ["choose", [0, 1, 3]], "distinct_labels": False}, NOISE],
        "splits": {"any": {"mixtures": 8, "sources": {}}},
    },
    "splits": {
        "sources": [TALKERS],
        "splits": {
            "none": {"mixtures": 2, "sources": {}, "counts": {"s": 0}},
            "one": {"mixtures": 2, "sources": {}, "counts": {"s": 1}},
            "two": {"mixtures": 2, "sources": {}},
        },
    },
    "enrolment": {"sources": [TALKERS | {"enrolment": {}}, NOISE]},
    "echo": {
        "sources": [TALKERS | {"count": 1}, FAR_END | {"echo": ECHO}],
        "splits": ANY,
    },
    "degraded": {
        "sources": [TALKERS],
        "degradations": [{"name": "band", "high_hz": ["const", 2000]}],
    },
    "turns": {
        "sources": [TALKERS | {"turns": {"utterances": 2, "overlap": ["const", 0.2]}}],
        "duration": {"mode": "content"},
    },
}


class ExportKind(Protocol):
    """Exports the set of a kind to a format, and returns the folder that was written."""

    def __call__(self, kind: str, to: str, **options: Any) -> Path: ...


def _render(folder: Path, corpus: Corpus, recipe: Any) -> Path:
    rows = [
        row.model_copy(update={"text": WORDS, "label": f"{row.label}, 'Zoë'"})
        if row.kind == "speech"
        else row
        for row in corpus.rows
    ]
    manifest = folder / "m.jsonl"
    mixtures = draw_mixtures(recipe, rows, corpus.roots)
    write_manifest(manifest, draw_header(recipe, rows), mixtures)
    assert render_set(manifest, folder / AWKWARD, roots=corpus.roots).failures == []
    return folder / AWKWARD


@pytest.fixture(scope="session")
def sets(
    corpus: Corpus,
    roomy: Corpus,
    speech_recipe: MakeRecipe,
    music_recipe: MakeRecipe,
    tmp_path_factory: pytest.TempPathFactory,
) -> dict[str, Path]:
    """The folder of a rendered set of every kind."""
    recipes = {kind: speech_recipe(**changes) for kind, changes in KINDS.items()}
    folders = {
        kind: _render(tmp_path_factory.mktemp(kind), corpus, recipe)
        for kind, recipe in recipes.items()
    }
    folders["songs"] = _render(tmp_path_factory.mktemp("songs"), corpus, music_recipe())
    rooms = {"references": ["early", "dry"]}
    recipe = speech_recipe(sources=[TALKERS, NOISE], rooms=rooms)
    folders["rooms"] = _render(tmp_path_factory.mktemp("rooms"), roomy, recipe)
    return folders


@pytest.fixture
def export_kind(sets: dict[str, Path], tmp_path: Path) -> ExportKind:
    """Export the set of a kind."""

    def export(kind: str, to: str, **options: Any) -> Path:
        out = tmp_path / f"{to}-{kind}"
        what = Export(**{"source": sets[kind], "out": out, **options})
        exporters()[to].write(what)
        return what.out

    return export


def rendered_rows(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of rendered.jsonl, without the header."""
    yield from read_jsonl(folder / "rendered.jsonl")[1:]
