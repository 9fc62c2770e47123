"""Small manifests written by hand, so that every number can be counted by hand."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mixgen.core.files import sha256_bytes
from mixgen.manifest.file import Header, Manifest, write_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.report import make_report

RATE = 8000


def event(path: str, **changes: Any) -> dict[str, Any]:
    """Return an event of 1.5 s; its content is known by its path."""
    plain = {
        "corpus": "corpus",
        "path": path,
        "sha256": sha256_bytes(path.encode()),
        "source_time": 0.0,
        "event_time": 0.0,
        "event_duration": 1.5,
        "snr": 3.0,
        "licence": "CC0",
    }
    return plain | changes


def source(name: str, label: str, *events: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """Return a target of speech."""
    plain = {
        "name": name,
        "role": "target",
        "label": label,
        "kind": "speech",
        "events": list(events),
        "gain": {"rule": "lufs"},
    }
    return plain | changes


def mixture(name: str, *sources: dict[str, Any], seconds: float = 2.0, **changes: Any) -> Mixture:
    """Return a mixture; its split is what stands before the dash in its name."""
    plain = {
        "id": name,
        "split": name.partition("-")[0],
        "sample_rate": RATE,
        "channels": 1,
        "frames": round(seconds * RATE),
        "seed": 1,
        "sources": list(sources),
        "level": {"reference_db": -30.0},
        "targets": [one["name"] for one in sources if one["role"] == "target"],
    }
    return Mixture.model_validate(plain | changes)


@pytest.fixture(scope="session")
def build() -> Any:
    """The three functions that build records: `build.event`, `build.source`, `build.mixture`."""

    class Build:
        event = staticmethod(event)
        source = staticmethod(source)
        mixture = staticmethod(mixture)

    return Build


@pytest.fixture
def manifest_of(tmp_path: Path) -> Callable[..., Path]:
    """Write a manifest of the given mixtures."""

    def write(*mixtures: Mixture, name: str = "by_hand") -> Path:
        header = Header(
            name=name,
            task="speech_separation",
            format="wav16",
            recipe_sha256="0" * 64,
            sources_sha256="1" * 64,
            seed=0,
            created_by={"mixgen": "0"},
        )
        path = tmp_path / "manifest.jsonl"
        write_manifest(path, header, mixtures)
        return path

    return write


@pytest.fixture
def facts_of(manifest_of: Callable[..., Path], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """What report.json says of a manifest of the given mixtures."""

    def facts(*mixtures: Mixture) -> dict[str, Any]:
        make_report(manifest_of(*mixtures), tmp_path / "report")
        return read_facts(tmp_path / "report")

    return facts


def read_facts(folder: Path) -> dict[str, Any]:
    """Return report.json, which must be strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"report.json holds {constant}")

    text = (folder / "report.json").read_text(encoding="utf-8")
    facts: dict[str, Any] = json.loads(text, parse_constant=refuse)
    return facts


@pytest.fixture(scope="session")
def facts_in() -> Callable[[Path], dict[str, Any]]:
    """The content of the report.json in a folder."""
    return read_facts


@pytest.fixture(scope="session")
def kept_set(  # type: ignore[no-untyped-def]
    corpus,
    tmp_path_factory: pytest.TempPathFactory,
    speech_recipe: Callable[..., Recipe],
    draw_to: Callable[..., Manifest],
) -> Path:
    """The tiny speech set, rendered; not to be written to."""
    folder = tmp_path_factory.mktemp("kept")
    path = folder / "drawn.jsonl"
    draw_to(path, speech_recipe())
    render_set(path, folder / "set", roots=corpus.roots)
    return folder / "set"
