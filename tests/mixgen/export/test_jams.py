"""JAMS export: without loss, valid, and rendered by stock Scaper as by this suite."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any, Protocol

import jams
import numpy as np
import pytest

from mixgen.audio.read import Samples
from mixgen.core.errors import InputError
from mixgen.corpora.index import SplitPlan, index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import Roots, locate
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import jams_dict, read_jams, write_jams
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.render.mixture import SourceRenderer
from mixgen.scenes.draws import seconds_of
from mixgen.scenes.scene import load_scaper
from tests.mixgen.conftest import Corpus

EXACT = 1e-12
ROUNDED = 1e-6  # more, for levels that are rounded to 1e-6 dB
SHIFT = {"pitch_shift": ["uniform", -3, 3]}
STRETCH = {"time_stretch": ["uniform", 0.8, 1.25]}

needs_sox = pytest.mark.skipif(shutil.which("sox") is None, reason="needs the program sox")


class MakeRecipe(Protocol):
    """Makes a recipe with the given keys replaced."""

    def __call__(self, **changes: Any) -> Recipe: ...


def _as_scaper_renders(path: Path, mixture: Mixture, roots: Roots) -> dict[str, np.ndarray]:
    """Return the sources, by name, and the mixture of stock Scaper: (channels, frames)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soundscape, jam, _, events = load_scaper().generate_from_jams(str(path))
    files = [observation.value["source_file"] for observation in jam.annotations[0].data]
    by_file = {file: event.T for file, event in zip(files, events, strict=True)}
    signals = {"mixture": soundscape.T}
    for source in mixture.sources:
        signals[source.name] = np.zeros((mixture.channels, mixture.frames))
        for event in source.events:
            signal = by_file[str(locate(roots, event.corpus, event.path))]
            signals[source.name][:, : signal.shape[1]] += signal
    return signals


def _as_we_render(mixture: Mixture, roots: Roots) -> dict[str, Samples]:
    """Return the sources, by name, and the mixture: (channels, frames)."""
    signals: dict[str, Samples] = {}
    for source in mixture.sources:
        signals |= SourceRenderer(mixture, source, roots).signals()
    return signals | {"mixture": np.sum(list(signals.values()), axis=0)}


def _differences(
    mixture: Mixture, roots: Roots, folder: Path
) -> tuple[dict[str, float], dict[str, float]]:
    """Return the largest difference and the SNR in dB, by name, without rounding of levels."""
    path = folder / f"{mixture.id}.jams"
    write_jams(path, mixture, roots)
    theirs = _as_scaper_renders(path, mixture, roots)
    rounded = _as_we_render(mixture, roots)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mixgen.render.mixture._LEVEL_DIGITS", 15)
        ours = _as_we_render(mixture, roots)
    assert max(np.abs(rounded[name] - ours[name]).max() for name in ours) <= ROUNDED
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


def test_a_round_trip_gives_the_same_mixture(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    for mixture in draw_mixtures(speech_recipe(), corpus.rows, corpus.roots):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
        assert read_jams(tmp_path / "x.jams") == mixture


@pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")
def test_the_file_is_valid_jams(corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path) -> None:
    load_scaper()  # registers Scaper's namespace
    mixture = next(draw_mixtures(speech_recipe(), corpus.rows, corpus.roots))
    write_jams(tmp_path / "x.jams", mixture, corpus.roots)
    loaded = jams.load(str(tmp_path / "x.jams"), validate=True, strict=True)
    assert loaded.file_metadata.duration == pytest.approx(mixture.duration_s)
    events = loaded.search(namespace="scaper")[0].data
    assert sorted(event.value["snr"] for event in events) == sorted(
        source.events[0].snr for source in mixture.sources
    )


def test_the_energy_rule_cannot_be_exported(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    recipe = speech_recipe(level_rule="energy")
    mixture = next(draw_mixtures(recipe, corpus.rows, corpus.roots))
    with pytest.raises(InputError, match="level rule other than 'lufs'"):
        write_jams(tmp_path / "x.jams", mixture, corpus.roots)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["[]", "{}", '{"annotations": []}'])
def test_other_json_is_not_read_as_jams(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.jams").write_text(content)
    with pytest.raises(InputError, match="not a JAMS file with a mixture record"):
        read_jams(tmp_path / "x.jams")


@needs_sox
def test_scaper_renders_the_same_without_resampling(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    rows = [row for row in corpus.rows if row.kind == "speech"]
    group = {"name": "s", "kind": "speech", "count": 3, "event_time": ["uniform", 0, 1]}
    recipe = speech_recipe(
        sample_rate=16000, sources=[group], duration={"mode": "fixed", "seconds": 1.3}
    )
    for mixture in draw_mixtures(recipe, rows, corpus.roots, splits=["train"]):
        largest, _ = _differences(mixture, corpus.roots, tmp_path)
        assert max(largest.values()) <= EXACT


@needs_sox
@pytest.mark.parametrize("seconds", [0.8, 1.4, 3.1])
def test_scaper_repeats_a_background_the_same(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path, seconds: float
) -> None:
    groups = [
        {"name": "n", "kind": "noise"},
        {"name": "bg", "kind": "noise", "role": "background", "use": "independently"},
    ]
    groups[0]["labels"], groups[1]["labels"] = ["fan"], ["rain", "click"]  # type: ignore[assignment]
    recipe = speech_recipe(sources=groups, duration={"mode": "fixed", "seconds": seconds})
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        largest, _ = _differences(mixture, corpus.roots, tmp_path)
        assert max(largest.values()) <= EXACT


@needs_sox
def test_scaper_renders_stereo_songs_the_same(
    corpus: Corpus, music_recipe: MakeRecipe, tmp_path: Path
) -> None:
    mixture = next(draw_mixtures(music_recipe(), corpus.rows, corpus.roots))
    largest, _ = _differences(mixture, corpus.roots, tmp_path)
    assert max(largest.values()) <= EXACT


@needs_sox
def test_scaper_renders_conversations_the_same(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    turns = {"utterances": 2, "overlap": ["const", 0.2]}
    group = {"name": "s", "kind": "speech", "count": 2, "turns": turns}
    recipe = speech_recipe(sample_rate=16000, sources=[group], duration={"mode": "content"})
    mixture = next(draw_mixtures(recipe, corpus.rows, corpus.roots))
    assert [len(source.events) for source in mixture.sources] == [2, 2]
    largest, _ = _differences(mixture, corpus.roots, tmp_path)
    assert max(largest.values()) <= EXACT


@needs_sox
@pytest.mark.parametrize("rate", [16000, 8000])
@pytest.mark.parametrize("changes", [SHIFT, STRETCH, SHIFT | STRETCH], ids="-".join)
def test_scaper_shifts_and_stretches_the_same(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path, changes: dict[str, Any], rate: int
) -> None:
    group = {"name": "s", "kind": "speech", "count": 2, "event_time": ["uniform", 0, 0.3]}
    recipe = speech_recipe(sources=[group | changes], sample_rate=rate)
    reach_the_end = set()
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        for event in (source.events[0] for source in mixture.sources):
            assert {name for name in (*SHIFT, *STRETCH) if getattr(event, name)} == set(changes)
            stop_s = event.event_time + event.event_duration * (event.time_stretch or 1)
            reach_the_end.add(stop_s >= mixture.duration_s - 1e-9)
        largest, _ = _differences(mixture, corpus.roots, tmp_path)
        assert max(largest.values()) <= EXACT
    assert reach_the_end == {False, True}


@needs_sox
@pytest.mark.parametrize("channels", [1, 2])
def test_scaper_shifts_and_stretches_stereo_songs_the_same(
    corpus: Corpus, music_recipe: MakeRecipe, tmp_path: Path, channels: int
) -> None:
    stems = [{"name": s, "kind": "music"} | SHIFT | STRETCH for s in ("vocals", "bass")]
    recipe = music_recipe(sources=stems, channels=channels, sample_rate=22050)
    mixture = next(draw_mixtures(recipe, corpus.rows, corpus.roots))
    largest, _ = _differences(mixture, corpus.roots, tmp_path)
    assert max(largest.values()) <= EXACT


def _as_scaper_writes(mixture: Mixture, roots: Roots) -> Any:
    """Return the annotation that stock Scaper writes for the events of a mixture."""
    duration_s = seconds_of(mixture.frames, mixture.sample_rate)
    scene = load_scaper().Scaper(duration_s, str(roots["speech"]), str(roots["noise"]))
    scene.sr, scene.ref_db = mixture.sample_rate, mixture.level.reference_db
    scene.fade_in_len = scene.fade_out_len = mixture.fade_s
    for source in mixture.sources:
        (event,) = source.events
        file = ("const", str(locate(roots, event.corpus, event.path)))
        if source.role == "background":
            scene.add_background(("const", source.label), file, ("const", event.source_time))
            continue
        names = ("source_time", "event_time", "event_duration", "snr", *SHIFT, *STRETCH)
        values = {name: ("const", getattr(event, name)) for name in names}
        scene.add_event(label=("const", source.label), source_file=file, **values)
    _, jam, _, _ = scene.generate(no_audio=True, disable_instantiation_warnings=True)
    return jam.annotations[0]


def test_the_annotation_is_the_one_that_scaper_writes(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    talkers, noise = speech_recipe().model_dump(exclude_defaults=True)["sources"]
    recipe = speech_recipe(sources=[talkers | SHIFT | STRETCH, noise])
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        ours = jams_dict(mixture, corpus.roots)["annotations"][0]
        theirs = _as_scaper_writes(mixture, corpus.roots)
        events = {event.value["source_file"]: event for event in theirs.data}
        assert len(events) == len(ours["data"]) == 3
        for event in ours["data"]:
            same = events[event["value"]["source_file"]]
            assert event["time"] == pytest.approx(same.time)
            assert event["duration"] == pytest.approx(same.duration)
            assert event["value"] == pytest.approx(same.value)
        for key in ("original_duration", "sr", "ref_db", "fade_in_len", "fade_out_len", "n_events"):
            assert ours["sandbox"]["scaper"][key] == theirs.sandbox.scaper[key]


@needs_sox
@pytest.mark.parametrize("changes", [{}, SHIFT | STRETCH], ids=["plain", "shifted and stretched"])
@pytest.mark.parametrize("rate", [16000, 8000])
def test_scaper_renders_real_speech_the_same(
    real_data: Path, speech_recipe: MakeRecipe, tmp_path: Path, rate: int, changes: dict[str, Any]
) -> None:
    roots = {"speech": real_data / "speech/librispeech-resemblyzer/test-other"}
    layout = get_layout("librispeech")
    index = index_corpus(layout, roots["speech"], corpus="speech", splits=SplitPlan("test"))
    group = {"name": "s", "kind": "speech", "count": 2, "event_time": ["uniform", 0, 2]}
    recipe = speech_recipe(
        sample_rate=rate,
        sources=[group | changes],
        duration={"mode": "fixed", "seconds": 4},
        splits={"test": {"mixtures": 6, "sources": "test"}},
    )
    for mixture in draw_mixtures(recipe, index.rows, roots):
        largest, snr_db = _differences(mixture, roots, tmp_path)
        # Without shift or stretch this suite resamples with soxr and Scaper with sox.
        if rate == 8000 and not changes:
            assert min(snr_db.values()) >= 60
        else:
            assert max(largest.values()) <= EXACT


def test_a_mixture_without_sources_is_exported(
    corpus: Corpus, speech_recipe: MakeRecipe, tmp_path: Path
) -> None:
    group = {"name": "s", "kind": "speech", "count": ["const", 0]}
    recipe = speech_recipe(sources=[group])
    mixture = next(iter(draw_mixtures(recipe, corpus.rows, corpus.roots)))
    write_jams(tmp_path / "empty.jams", mixture, corpus.roots)
    assert json.loads((tmp_path / "empty.jams").read_text())["annotations"][0]["data"] == []
