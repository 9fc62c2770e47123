"""Small manifests whose every number can be counted, and the reports about them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest

from mixgen.core.files import sha256_bytes
from mixgen.manifest.file import Header, write_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.render.set import render_set
from mixgen.report import make_report
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

RATE = 8000

FactsIn = Callable[[Path], dict[str, Any]]


class ManifestOf(Protocol):
    """Writes a manifest of the given mixtures and returns its path."""

    def __call__(self, *mixtures: Mixture, name: str = "small") -> Path: ...


class FactsOf(Protocol):
    """Reports on a manifest of the given mixtures and returns the content of report.json."""

    def __call__(self, *mixtures: Mixture) -> dict[str, Any]: ...


class Build:
    """Builds records; keywords replace their values."""

    @staticmethod
    def event(path: str, **changes: Any) -> dict[str, Any]:
        """Return an event of 1.5 s; the path stands for the content of its file."""
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

    @staticmethod
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

    @staticmethod
    def mixture(
        name: str, *sources: dict[str, Any], seconds: float = 2.0, **changes: Any
    ) -> Mixture:
        """Return a mixture of the split that its name begins with, up to the dash."""
        plain = {
            "id": name,
            "split": name.partition("-")[0],
            "sample_rate": RATE,
            "channels": 1,
            "frames": round(seconds * RATE),
            "seed": 1,
            "sources": list(sources),
            "level": {"reference_db": -30.0},
            "targets": [source["name"] for source in sources if source["role"] == "target"],
        }
        return Mixture.model_validate(plain | changes)


@pytest.fixture(scope="session")
def build() -> Build:
    """The functions that build records."""
    return Build()


@pytest.fixture
def manifest_of(tmp_path: Path) -> ManifestOf:
    """Write a manifest of the given mixtures."""

    def write(*mixtures: Mixture, name: str = "small") -> Path:
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
def facts_of(manifest_of: ManifestOf, tmp_path: Path) -> FactsOf:
    """The content of report.json about a manifest of the given mixtures."""

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
def facts_in() -> FactsIn:
    """The content of the report.json in a folder."""
    return read_facts


@pytest.fixture(scope="session")
def kept_set(
    corpus: Corpus,
    tmp_path_factory: pytest.TempPathFactory,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
) -> Path:
    """The tiny speech set, rendered; tests must not change it."""
    folder = tmp_path_factory.mktemp("kept")
    path = folder / "drawn.jsonl"
    draw_to(path, speech_recipe())
    render_set(path, folder / "set", roots=corpus.roots)
    return folder / "set"
