"""Random recipes of every kind: exact sums, levels as asked for, the same bytes however made.

`RANDOM_RECIPES=1000 pytest tests/mixgen/kinds/test_every_kind.py` tries a thousand; a default run
tries the same few every time.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mixgen.audio.levels import LEVEL_RULES
from mixgen.dataset import RecipeDataset
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import read_manifest, write_manifest
from mixgen.manifest.mixture import Mixture, Position, Source
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Contents, Corpus

MANY = int(os.environ.get("RANDOM_RECIPES", "40"))
ALWAYS_THE_SAME = "RANDOM_RECIPES" not in os.environ
LEVEL_TOLERANCE_DB = 1.0
QUIETEST_DB = -60.0  # below it, the floor of the level rules and the grid of 16 bits are near
TAIL_S = 0.1  # of the responses that are files
SIMULATED_TAIL_S = 0.6
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


SIMULATED = {
    "size_m": [["uniform", 3, 4], ["uniform", 3, 4], ["const", 2.5]],
    "t60_s": ["uniform", 0.15, 0.2],
    "distance_m": ["uniform", 0.5, 1],
    "travel_m": ["uniform", 0.1, 0.3],
}
TAGS = {
    "song0": "tempo_bpm=120.0 key=C_major beat_s=0.1",
    "song1": "tempo_bpm=132.0 key=D_major beat_s=0.0",
    "song2": "tempo_bpm=110.0 key=B_minor",
}


@st.composite
def talkers(draw: st.DrawFn, *, turns: bool, fixed: bool) -> dict[str, Any]:
    """A group of talkers, in a conversation or not."""
    group: dict[str, Any] = {
        "name": "s",
        "kind": "speech",
        "count": draw(st.sampled_from([1, 2, 3, ["choose", [0, 1, 2]], ["choose", [1, 3]]])),
        **draw(
            st.one_of(
                distributions(-6, 12).map(lambda snr: {"snr": snr}),
                distributions(-45, -25).map(lambda level: {"level_db": level}),
            )
        ),
        "use": draw(st.sampled_from(["equally", "independently"])),
    }
    enrolment = draw(st.sampled_from([None, None, {}, {"limit_s": 0.3}]))
    if enrolment is not None:
        group["enrolment"] = enrolment
    if not turns and group["count"] in (1, 2):  # for which there are always files enough
        group["use"] = draw(st.sampled_from([group["use"], "once"]))
    if turns:
        group["turns"] = {
            "utterances": draw(st.sampled_from([1, 2, ["choose", [1, 3]]])),
            "overlap": draw(distributions(0, 0.4)),
            "overlapping_turns": draw(st.sampled_from([0.5, 1.0])),
            "silence": draw(distributions(0, 0.3)),
        }
    elif fixed and draw(st.integers(0, 3)) == 0:
        group["salient"] = draw(st.sampled_from([0.3, 0.9]))
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
    duration = draw(st.sampled_from(durations))
    data: dict[str, Any] = {
        "name": "random",
        "task": "speech_separation",
        "sample_rate": draw(st.sampled_from([8000, 11025, 16000])),
        "channels": draw(st.integers(1, 3 if rooms else 2)),
        "duration": duration,
        "reference_db": draw(distributions(-45, -20)),
        "level_rule": draw(st.sampled_from(sorted(LEVEL_RULES))),
        "fade_s": draw(st.sampled_from([0.0, 0.01])),
        "sources": [
            draw(talkers(turns=turns, fixed=duration["mode"] == "fixed")),
            *draw(st.sampled_from([[], [NOISE], [FAR_END], [FAR_END, NOISE]])),
        ],
        "format": draw(st.sampled_from(["flac16", "flac24", "wav16", "wav24", "wav_float"])),
        "degradations": draw(st.lists(st.sampled_from(DEGRADATIONS), max_size=2)),
        "splits": {"train": {"mixtures": 3, "sources": {"speech": "train"}}},
        "seed": draw(st.integers(0, 99)),
    }
    if rooms:
        references = st.lists(st.sampled_from(["image", "early", "dry"]), min_size=1, unique=True)
        data["rooms"] = {"references": draw(references)}
        if draw(st.integers(0, 4)) == 0:  # seldom, because it takes long
            data["rooms"]["simulate"] = SIMULATED | {"moving": draw(st.sampled_from([0, 0.5]))}
    return Recipe.model_validate(data)


@st.composite
def music_recipes(draw: st.DrawFn) -> Recipe:
    """Stems of one song or of several, which may have to match or to be salient."""
    songs: dict[str, Any] = {"coherent": draw(st.sampled_from([0.0, 0.5, 1.0]))}
    if songs["coherent"] < 1 and draw(st.integers(0, 3)) == 0:  # seldom, because sox takes long
        songs["match"] = {"tempo": 0.2}
    excerpts = st.one_of(
        distributions(0, 2).map(lambda start: {"source_time": start}),
        st.sampled_from([0.2, 0.9]).map(lambda share: {"salient": share}),
    )
    stems = [
        {"name": stem, "kind": "music", "snr": draw(distributions(-3, 3)), **draw(excerpts)}
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
            "songs": songs,
            "format": draw(st.sampled_from(["flac16", "wav_float"])),
            "splits": {"train": {"mixtures": 3, "sources": {}}},
            "seed": draw(st.integers(0, 99)),
        }
    )


def whole(mixture: Mixture) -> set[str]:
    """Return the names of the files that end, reverberation included, inside the mixture."""
    names = {source.name for source in mixture.sources if is_whole(mixture, source)}
    return names | {file.name for file in mixture.source_files if file.part == "enrolment"}


def is_whole(mixture: Mixture, source: Source) -> bool:
    """Return whether the source ends, reverberation included, inside the mixture."""
    late_s = source.echo.delay_s if source.echo else 0.0
    if source.room:
        late_s += SIMULATED_TAIL_S if isinstance(source.room, Position) else TAIL_S
    stops = [
        event.event_time + event.event_duration * (event.time_stretch or 1.0) + late_s
        for event in source.events
    ]
    return max(stops) <= mixture.duration_s + 1e-3


@pytest.fixture(scope="module")
def check(roomy: Corpus, contents: Contents) -> Callable[[Recipe, Path], None]:
    """What must hold for any recipe."""
    rows = [row.model_copy(update={"text": TAGS.get(row.group, row.text)}) for row in roomy.rows]

    def try_out(recipe: Recipe, folder: Path) -> None:
        path = folder / "manifest.jsonl"
        drawn = list(draw_mixtures(recipe, rows, roomy.roots))
        write_manifest(path, draw_header(recipe, rows), drawn)
        manifest = read_manifest(path)
        assert manifest.mixtures == drawn
        outcome = render_set(path, folder / "set", roots=roomy.roots)
        assert outcome.failures == []
        assert verify_set(folder / "set", deep=True, roots=roomy.roots) == []
        for row in open_rendered(folder / "set"):
            asked, got = row.requested.get("level_db"), row.measured.get("level_db")
            if asked is None or got is None or min(asked, got) < QUIETEST_DB:
                continue
            if row.name in whole(manifest.by_id[row.id]):
                assert got == pytest.approx(asked, abs=LEVEL_TOLERANCE_DB), row
        done = RenderedSet(folder / "set")
        for item in RecipeDataset(recipe, rows, "train", roots=roomy.roots):
            assert np.array_equal(item.mixture, done.load_mixture(item.id))
            assert np.array_equal(item.references, done.load_references(item.id))
            for ours, written in zip(item.enrolments, done.load_enrolments(item.id), strict=True):
                assert np.array_equal(ours, written)
        # The same mixtures in another order give the same bytes.
        turned = folder / "turned.jsonl"
        write_manifest(turned, manifest.header, drawn[::-1])
        render_set(turned, folder / "again", roots=roomy.roots)
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
