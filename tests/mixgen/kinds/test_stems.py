"""Stems that a song has in several files: their sum keeps their balance and has one level."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from mixgen.audio.levels import integrated_lufs
from mixgen.core.errors import InputError
from mixgen.corpora.sources import SourceRow
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.manifest.file import write_manifest
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import SourceRenderer
from mixgen.render.set import render_set
from mixgen.sets.rendered import open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, MakeRecipe


@pytest.fixture
def rows(corpus: Corpus) -> list[SourceRow]:
    """The tiny songs, whose `other` is a second bass."""
    return [
        row.model_copy(update={"label": "bass"}) if row.label == "other" else row
        for row in corpus.rows
    ]


@pytest.fixture(params=[0.0, 1.0], ids=["incoherent", "coherent"])
def recipe(request: pytest.FixtureRequest, music_recipe: MakeRecipe) -> Recipe:
    """Vocals, drums and bass, of one song or of several."""
    stems = [
        {"name": stem, "kind": "music", "source_time": ["uniform", 0, 100], "snr": ["const", 2]}
        for stem in ("vocals", "drums", "bass")
    ]
    return music_recipe(sources=stems, songs={"coherent": request.param})


def test_parts_of_a_stem_keep_their_balance(
    corpus: Corpus, recipe: Recipe, rows: list[SourceRow]
) -> None:
    for mixture in draw_mixtures(recipe, rows, corpus.roots):
        vocals, _, bass = mixture.sources
        assert (len(vocals.events), len(bass.events)) == (1, 2)
        assert not vocals.gain.shared
        assert bass.gain.shared
        first, second = bass.events
        assert Path(first.path).parent == Path(second.path).parent
        assert first.source_time == second.source_time
        start = int(first.source_time * 16000)
        files = [soundfile.read(corpus.roots["songs"] / e.path)[0].T for e in bass.events]
        both = sum(file[:, start : start + mixture.frames] for file in files)
        gain = 10 ** ((mixture.level.reference_db + 2 - integrated_lufs(both, 16000)) / 20)
        ours = SourceRenderer(mixture, bass, corpus.roots).signals()["bass"]
        middle = slice(200, mixture.frames - 200)  # between the fades
        np.testing.assert_allclose(ours[:, middle], gain * both[:, middle], atol=1e-12)


def test_on_disk(corpus: Corpus, recipe: Recipe, rows: list[SourceRow], tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    write_manifest(path, draw_header(recipe, rows), draw_mixtures(recipe, rows, corpus.roots))
    render_set(path, tmp_path / "set", roots=corpus.roots)
    assert verify_set(tmp_path / "set", deep=True) == []
    for row in open_rendered(tmp_path / "set"):
        if row.name == "bass":
            assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=0.2)


def test_scaper_levels_every_file(
    corpus: Corpus, recipe: Recipe, rows: list[SourceRow], tmp_path: Path
) -> None:
    mixture = next(iter(draw_mixtures(recipe, rows, corpus.roots)))
    with pytest.raises(InputError, match="a stem of several files with one level"):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
