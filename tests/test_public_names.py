"""What the three packages offer under their own names, and what importing them costs."""

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import baselines
import evalsuite
import mixgen
from mixgen.corpora.index import index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import write_roots
from mixgen.corpora.sources import write_sources

PACKAGES = ("mixgen", "baselines", "evalsuite")
HEAVY = ("torch", "scaper", "scipy", "soundfile", "pandas", "pydantic", "matplotlib", "jinja2")


@pytest.mark.parametrize("name", PACKAGES)
def test_every_public_name_is_there(name: str) -> None:
    package = importlib.import_module(name)
    assert len(package.__all__) >= 4
    assert all(getattr(package, public) is not None for public in package.__all__)


@pytest.mark.parametrize(
    "code", [f"import {name}" for name in PACKAGES] + [f"import {name}.cli" for name in PACKAGES]
)
def test_nothing_heavy_is_imported(code: str) -> None:
    check = f"{code}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True)
    assert (answer.stdout, answer.stderr) == ("[]\n", "")


RECIPE = """
name: tones
task: speech_separation
sample_rate: 8000
duration: {mode: fixed, seconds: 0.5}
sources: [{name: s, kind: speech, count: 2}]
splits: {test: {mixtures: 2, sources: {}}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    """A recipe of two tones, with its sources.csv beside it."""
    for number in range(3):
        path = tmp_path / "tones" / str(number) / "0.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, np.sin(0.1 * (number + 1) * np.arange(8000)), 8000)
    index = index_corpus(get_layout("folder"), tmp_path / "tones", corpus="tones")
    write_sources(tmp_path / "sources.csv", index.rows)
    write_roots(tmp_path, {"tones": tmp_path / "tones"})
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE, encoding="utf-8")
    return path


def test_each_package_is_one_line(recipe: Path, tmp_path: Path) -> None:
    sources = [recipe.with_name("sources.csv")]
    dataset = mixgen.RecipeDataset(str(recipe), sources=sources, split="test")
    manifest = mixgen.draw_manifest(recipe, sources, tmp_path / "set.jsonl")
    mixgen.render_set(tmp_path / "set.jsonl", tmp_path / "set")
    assert mixgen.verify_set(tmp_path / "set") == []
    rendered = mixgen.load_set(str(tmp_path / "set"))
    assert manifest.count() == len(rendered.mixtures()) == len(dataset)
    item = dataset[0]
    mixture, references = item.mixture, item.references
    separator = baselines.build("mixture", n_src=2, sample_rate=8000)
    estimates = baselines.separate(separator, mixture, sample_rate=8000)
    np.testing.assert_array_equal(estimates, np.stack([mixture, mixture]))
    scores = evalsuite.evaluate(
        references=references,
        estimates=estimates,
        mixture=mixture,
        sample_rate=8000,
        metrics=["si_sdr"],
    )
    assert [scored.values["si_sdri"] for scored in scores.references] == [0.0, 0.0]


def test_separating_at_another_rate_keeps_rate_and_length() -> None:
    separator = baselines.build("mixture", n_src=2, sample_rate=8000)
    tone = np.sin(2 * np.pi * 440 * np.arange(16001) / 16000)
    estimates = baselines.separate(separator, tone, sample_rate=16000)
    assert estimates.shape == (2, 1, 16001)
    inner = slice(200, -200)
    np.testing.assert_allclose(estimates[0, 0, inner], tone[inner], atol=1e-3)
