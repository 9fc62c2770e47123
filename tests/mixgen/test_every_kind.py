"""Random recipes of every kind: exact sums, levels as asked for, the same bytes however made.

`RANDOM_RECIPES=1000 pytest tests/mixgen/test_every_kind.py` tries a thousand; a default run tries
the same few every time.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mixgen.corpora import get_layout
from mixgen.dataset import RecipeDataset
from mixgen.draw import draw_header, draw_mixtures
from mixgen.index import SplitPlan, index_corpus
from mixgen.levels import LEVEL_RULES
from mixgen.manifest import Mixture, Source, read_manifest, write_manifest
from mixgen.recipe import Recipe
from mixgen.rendered import RenderedSet
from mixgen.renderset import render_set
from mixgen.verify import verify_set

MANY = int(os.environ.get("RANDOM_RECIPES", "40"))
ALWAYS_THE_SAME = "RANDOM_RECIPES" not in os.environ
LEVEL_TOLERANCE_DB = 1.0
QUIETEST_DB = -60.0  # below it, the floor of the level rules and the grid of 16 bits are near
TAIL_S = 0.1
DEGRADATIONS: list[dict[str, Any]] = [
    {"name": "band", "high_hz": ["uniform", 1000, 3500]},
    {"name": "clipping", "below_peak_db": ["uniform", 1, 12]},
    {"name": "codec", "codec": ["mulaw", "alaw"]},
    {"name": "packet_loss", "loss_rate": ["const", 0.1], "mean_burst": ["const", 2]},
    {"name": "quantise", "bits": ["const", 12], "dither": "tpdf"},
]


def distributions(low: float, high: float) -> st.SearchStrategy[list[Any]]:
    """Scaper distributions whose values are from low to high."""
    numbers = st.floats(low, high).map(lambda x: round(x, 3))
    pairs = st.tuples(numbers, numbers).map(sorted)
    return st.one_of(
        numbers.map(lambda x: ["const", x]),
        pairs.map(lambda p: ["uniform", *p]),
        st.lists(numbers, min_size=1, max_size=3, unique=True).map(lambda many: ["choose", many]),
    )


@st.composite
def talkers(draw: st.DrawFn, *, turns: bool) -> dict[str, Any]:
    """A group of talkers, in a conversation or not."""
    group: dict[str, Any] = {
        "name": "s",
        "kind": "speech",
        "count": draw(st.sampled_from([1, 2, 3, ["choose", [0, 1, 2]], ["choose", [1, 3]]])),
        "snr": draw(distributions(-6, 12)),
        "use": draw(st.sampled_from(["equally", "independently"])),
    }
    if turns:
        group["turns"] = {
            "utterances": draw(st.sampled_from([1, 2, ["choose", [1, 3]]])),
            "overlap": draw(distributions(0, 0.4)),
            "overlapping_turns": draw(st.sampled_from([0.5, 1.0])),
            "silence": draw(distributions(0, 0.3)),
        }
    else:
        group["event_time"] = draw(distributions(0, 0.2))
        group["source_time"] = draw(distributions(0, 1))
        if draw(st.integers(0, 9)) == 0:  # seldom, because sox takes long
            group["pitch_shift"] = draw(distributions(-2, 2))
            group["time_stretch"] = draw(distributions(0.8, 1.2))
    return group


FAR_END = {
    "name": "far",
    "role": "far_end",
    "kind": "speech",
    "count": ["choose", [0, 1]],
    "snr": ["uniform", -10, 10],
    "echo": {"delay_s": ["uniform", 0, 0.1], "nonlinear": 0.5},
}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}


@st.composite
def speech_recipes(draw: st.DrawFn) -> Recipe:
    """Clean, noisy, reverberant, degraded mixtures of any number of talkers, or conversations."""
    turns = draw(st.booleans())
    rooms = draw(st.booleans())
    durations = [{"mode": "fixed", "seconds": 0.8}]
    if turns:
        durations = [{"mode": "content", "limit_s": 1.5}]
    else:
        durations += [{"mode": mode, "limit_s": 0.9} for mode in ("min", "max")]
    data: dict[str, Any] = {
        "name": "random",
        "task": "speech_separation",
        "sample_rate": draw(st.sampled_from([8000, 11025, 16000])),
        "channels": draw(st.integers(1, 3 if rooms else 2)),
        "duration": draw(st.sampled_from(durations)),
        "reference_db": draw(distributions(-45, -20)),
        "level_rule": draw(st.sampled_from(sorted(LEVEL_RULES))),
        "fade_s": draw(st.sampled_from([0.0, 0.01])),
        "sources": [
            draw(talkers(turns=turns)),
            *draw(st.sampled_from([[], [NOISE], [FAR_END], [FAR_END, NOISE]])),
        ],
        "format": draw(st.sampled_from(["flac16", "flac24", "wav16", "wav24", "wav_float"])),
        "degradations": draw(st.lists(st.sampled_from(DEGRADATIONS), max_size=2)),
        "splits": {"train": {"mixtures": 3, "sources": {"speech": "train"}}},
        "seed": draw(st.integers(0, 99)),
    }
    if rooms:
        parts = st.lists(st.sampled_from(["image", "early", "dry"]), min_size=1, unique=True)
        data["rooms"] = {"references": draw(parts)}
    return Recipe.model_validate(data)


@st.composite
def music_recipes(draw: st.DrawFn) -> Recipe:
    """Stems of one song or of several."""
    stems = [
        {
            "name": stem,
            "kind": "music",
            "snr": draw(distributions(-3, 3)),
            "source_time": draw(distributions(0, 2)),
        }
        for stem in draw(
            st.lists(st.sampled_from(["vocals", "drums", "bass", "other"]), min_size=1, unique=True)
        )
    ]
    return Recipe.model_validate(
        {
            "name": "random",
            "task": "music_separation",
            "sample_rate": draw(st.sampled_from([16000, 22050])),
            "channels": draw(st.integers(1, 2)),
            "duration": {"mode": "fixed", "seconds": 0.5},
            "reference_db": draw(distributions(-40, -15)),
            "sources": stems,
            "songs": {"coherent": draw(st.sampled_from([0.0, 0.5, 1.0]))},
            "format": draw(st.sampled_from(["flac16", "wav_float"])),
            "splits": {"train": {"mixtures": 3, "sources": {}}},
            "seed": draw(st.integers(0, 99)),
        }
    )


@pytest.fixture(scope="module")
def roomy(corpus: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The tiny corpora, and three rooms with four responses to three microphones each."""
    root = tmp_path_factory.mktemp("rooms")
    random = np.random.default_rng(0)
    decay = 10 ** (-3 * np.arange(1600)[:, None] / 1600)
    for room in range(3):
        for place in range(4):
            response = 0.05 * decay * random.standard_normal((1600, 3))
            response[40] = 0.5
            path = root / f"room{room}" / f"{place}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, response, 16000, subtype="FLOAT")
    index = index_corpus(
        get_layout("folder"), root, corpus="rooms", kind="rir", splits=SplitPlan(name="train")
    )
    return replace(corpus, rows=[*corpus.rows, *index.rows], roots=corpus.roots | {"rooms": root})


def whole(mixture: Mixture) -> set[str]:
    """Return the names of the sources that are heard to their ends, reverberation included."""
    return {source.name for source in mixture.sources if is_whole(mixture, source)}


def is_whole(mixture: Mixture, source: Source) -> bool:
    """Tell whether a source is heard to its end."""
    late_s = (TAIL_S if source.room else 0.0) + (source.echo.delay_s if source.echo else 0.0)
    stops = [
        event.event_time + event.event_duration * (event.time_stretch or 1.0) + late_s
        for event in source.events
    ]
    return max(stops) <= mixture.duration_s + 1e-3


@pytest.fixture(scope="module")
def check(
    roomy: Any, contents: Callable[[Path], dict[str, bytes]]
) -> Callable[[Recipe, Path], None]:
    """What must hold for any recipe."""

    def try_out(recipe: Recipe, folder: Path) -> None:
        path = folder / "manifest.jsonl"
        drawn = list(draw_mixtures(recipe, roomy.rows, roomy.roots))
        write_manifest(path, draw_header(recipe, roomy.rows), drawn)
        manifest = read_manifest(path)
        assert manifest.mixtures == drawn
        outcome = render_set(manifest, path, folder / "set", roomy.roots)
        assert outcome.failures == []
        assert verify_set(folder / "set", deep=True) == []
        for row in outcome.rows:
            asked, got = row.requested.get("level_db"), row.measured.get("level_db")
            if asked is None or got is None or min(asked, got) < QUIETEST_DB:
                continue
            if row.name in whole(manifest.by_id[row.id]):
                assert got == pytest.approx(asked, abs=LEVEL_TOLERANCE_DB), row
        done = RenderedSet(folder / "set")
        for item in RecipeDataset(recipe, roomy.rows, roomy.roots, "train"):
            assert np.array_equal(item.mixture, done.load_mixture(item.id))
            assert np.array_equal(item.references, done.load_references(item.id))
        # The same mixtures in another order give the same bytes.
        turned = folder / "turned.jsonl"
        write_manifest(turned, manifest.header, drawn[::-1])
        render_set(read_manifest(turned), turned, folder / "again", roomy.roots)
        audio, again = contents(folder / "set"), contents(folder / "again")
        files = [file for file in audio if not file.endswith(".jsonl")]
        assert files
        assert all(audio[file] == again[file] for file in files)

    return try_out


@settings(max_examples=MANY, deadline=None, derandomize=ALWAYS_THE_SAME)
@given(recipe=st.one_of(speech_recipes(), music_recipes()))
def test_random_recipes(recipe: Recipe, check: Callable[[Recipe, Path], None]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        check(recipe, Path(folder))
