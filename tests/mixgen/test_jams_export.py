"""JAMS export: without loss, valid, and rendered by stock Scaper as we render it."""

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jams
import numpy as np
import pytest

from mixgen.audio import Samples
from mixgen.corpora import get_layout
from mixgen.draw import draw_mixtures
from mixgen.errors import InputError
from mixgen.index import SplitPlan, index_corpus
from mixgen.jams_export import read_jams, write_jams
from mixgen.manifest import Mixture
from mixgen.recipe import Recipe
from mixgen.render import source_signals
from mixgen.scene import load_scaper
from mixgen.sources import Roots, locate

needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="needs the program sox")
MakeRecipe = Callable[..., Recipe]


def _as_scaper_renders(path: Path, mixture: Mixture, roots: Roots) -> dict[str, np.ndarray]:
    """Return stock Scaper's sources, by name, and mixture: (channels, frames)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soundscape, jam, _, events = load_scaper().generate_from_jams(str(path))
    files = [observation.value["source_file"] for observation in jam.annotations[0].data]
    by_file = {file: event.T for file, event in zip(files, events, strict=True)}
    signals = {"mixture": soundscape.T}
    for source in mixture.sources:
        event = source.events[0]
        signal = by_file[str(locate(roots, event.corpus, event.path))]
        signals[source.name] = np.zeros((mixture.channels, mixture.frames))
        signals[source.name][:, : signal.shape[1]] = signal
    return signals


def _differences(
    mixture: Mixture, roots: Roots, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the largest difference and the SNR in dB, by name."""
    path = folder / f"{mixture.id}.jams"
    write_jams(path, mixture, roots)
    theirs = _as_scaper_renders(path, mixture, roots)
    ours: dict[str, Samples] = {}
    for source in mixture.sources:
        ours |= source_signals(mixture, source, roots)
    ours["mixture"] = np.sum(list(ours.values()), axis=0)
    largest = {name: float(np.abs(ours[name] - theirs[name]).max()) for name in ours}
    snr_db = {
        name: float(
            10
            * np.log10(
                np.sum(theirs[name] ** 2) / (np.sum((ours[name] - theirs[name]) ** 2) + 1e-30)
            )
        )
        for name in ours
    }
    return largest, snr_db


def test_round_trip(corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    for mixture in draw_mixtures(speech_recipe(), corpus.rows, corpus.roots):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
        assert read_jams(tmp_path / "x.jams") == mixture


@pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")
def test_file_is_valid_jams(corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    load_scaper()  # registers Scaper's namespace
    mixture = next(draw_mixtures(speech_recipe(), corpus.rows, corpus.roots))
    write_jams(tmp_path / "x.jams", mixture, corpus.roots)
    loaded = jams.load(str(tmp_path / "x.jams"), validate=True, strict=True)
    assert loaded.file_metadata.duration == pytest.approx(mixture.duration_s)
    events = loaded.search(namespace="scaper")[0].data
    assert sorted(event.value["snr"] for event in events) == sorted(
        source.events[0].snr for source in mixture.sources
    )


def test_energy_rule_cannot_be_exported(
    corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = speech_recipe(level_rule="energy")
    mixture = next(draw_mixtures(recipe, corpus.rows, corpus.roots))
    with pytest.raises(InputError, match="only the rule 'lufs' can be exported"):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "{}", '{"annotations": []}'])
def test_foreign_jams(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.jams").write_text(content)
    with pytest.raises(InputError, match="not a JAMS file with a mixture record"):
        read_jams(tmp_path / "x.jams")


@needs_sox
def test_scaper_renders_the_same_without_resampling(
    corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rows = [row for row in corpus.rows if row.kind == "speech"]
    group = {"name": "s", "kind": "speech", "count": 3, "event_time": ["uniform", 0, 1]}
    recipe = speech_recipe(
        sample_rate=16000, sources=[group], duration={"mode": "fixed", "seconds": 1.3}
    )
    for mixture in draw_mixtures(recipe, rows, corpus.roots, splits=["train"]):
        largest, _ = _differences(mixture, corpus.roots, tmp_path)
        assert max(largest.values()) <= 1e-6


@needs_sox
@pytest.mark.parametrize("seconds", [0.8, 1.4, 3.1])
def test_scaper_repeats_a_background_the_same(
    corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path, seconds: float
) -> None:
    groups = [
        {"name": "n", "kind": "noise"},
        {"name": "bg", "kind": "noise", "role": "background", "use": "independently"},
    ]
    groups[0]["labels"], groups[1]["labels"] = ["fan"], ["rain", "click"]  # type: ignore[assignment]
    recipe = speech_recipe(sources=groups, duration={"mode": "fixed", "seconds": seconds})
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        largest, _ = _differences(mixture, corpus.roots, tmp_path)
        assert max(largest.values()) <= 1e-6


@needs_sox
def test_scaper_renders_stereo_songs_the_same(
    corpus: Any, music_recipe: MakeRecipe, tmp_path: Path
) -> None:
    mixture = next(draw_mixtures(music_recipe(), corpus.rows, corpus.roots))
    largest, _ = _differences(mixture, corpus.roots, tmp_path)
    assert max(largest.values()) <= 1e-6


@needs_sox
@pytest.mark.parametrize("effects", [{"pitch_shift": 2.5}, {"time_stretch": 0.8}, {}])
def test_scaper_shifts_and_stretches_the_same(
    corpus: Any, speech_recipe: MakeRecipe, tmp_path: Path, effects: dict[str, float]
) -> None:
    chosen = effects or {"pitch_shift": -1.0, "time_stretch": 1.2}
    group = {"name": "s", "kind": "speech", "count": 2}
    group |= {name: ["const", value] for name, value in chosen.items()}
    recipe = speech_recipe(sources=[group])  # 16 kHz to 8 kHz as well
    mixture = next(draw_mixtures(recipe, corpus.rows, corpus.roots))
    assert {mixture.sources[0].events[0].as_dict()[name] for name in chosen} == set(chosen.values())
    largest, _ = _differences(mixture, corpus.roots, tmp_path)
    assert max(largest.values()) <= 1e-6


@needs_sox
@pytest.mark.parametrize(("rate", "resampled"), [(16000, False), (8000, True)])
def test_real_speech(
    real_data: Path, speech_recipe: MakeRecipe, tmp_path: Path, rate: int, resampled: bool
) -> None:
    roots = {"speech": real_data / "speech/librispeech-resemblyzer/test-other"}
    layout = get_layout("librispeech")
    index = index_corpus(layout, roots["speech"], corpus="speech", splits=SplitPlan("test"))
    group = {"name": "s", "kind": "speech", "count": 2, "event_time": ["uniform", 0, 2]}
    recipe = speech_recipe(
        sample_rate=rate,
        sources=[group],
        duration={"mode": "fixed", "seconds": 4},
        splits={"test": {"mixtures": 6, "sources": "test"}},
    )
    for mixture in draw_mixtures(recipe, index.rows, roots):
        largest, snr_db = _differences(mixture, roots, tmp_path)
        if resampled:
            assert min(snr_db.values()) >= 60
        else:
            assert max(largest.values()) <= 1e-6
