"""Conversations from recipe to disk: several utterances of each talker, and who talks when."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mixgen.core.errors import InputError
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.rttm import rttm_lines
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.sets.rendered import open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

TALKERS = {
    "name": "s",
    "kind": "speech",
    "count": ["choose", [2, 3]],
    "snr": ["uniform", -3, 3],
    "turns": {
        "utterances": ["choose", [1, 2, 3]],
        "overlap": ["const", 0.15],
        "silence": ["uniform", 0.05, 0.2],
    },
}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}
SPLITS = {"train": {"mixtures": 12, "sources": {"speech": "train"}}}


@pytest.fixture(scope="module")
def meeting(speech_recipe: MakeRecipe) -> Recipe:
    """Two or three talkers in turns over a background."""
    return speech_recipe(
        sources=[TALKERS, NOISE], duration={"mode": "content"}, splits=SPLITS, format="wav16"
    )


def draw(corpus: Corpus, recipe: Recipe) -> list[Mixture]:
    return list(draw_mixtures(recipe, corpus.rows, corpus.roots))


def overlap_of(mixture: Mixture) -> float:
    """The share of the time with speech in which two talk."""
    at = np.arange(0, mixture.duration_s, 1e-4)
    active = sum(
        ((at >= e.event_time) & (at < e.event_time + e.event_duration)).astype(int)
        for s in mixture.sources[:-1]
        for e in s.events
    )
    assert active.max() <= 2
    return float((active > 1).sum() / (active > 0).sum())


def test_conversations_have_the_overlap_and_end_with_their_last_turn(
    corpus: Corpus, meeting: Recipe
) -> None:
    drawn = draw(corpus, meeting)
    assert {len(m.targets) for m in drawn} == {2, 3}
    for mixture in drawn:
        talkers = mixture.sources[:-1]
        turns = [event for source in talkers for event in source.events]
        last = max(event.event_time + event.event_duration for event in turns)
        assert mixture.duration_s == pytest.approx(last, abs=2 / mixture.sample_rate)
        assert overlap_of(mixture) <= 0.15 + 1e-3
        for source in talkers:
            assert len({event.path for event in source.events}) == len(source.events)
            assert {Path(event.path).parts[0] for event in source.events} == {source.label}
            assert len({event.snr for event in source.events}) == 1
    assert max(len(s.events) for m in drawn for s in m.sources) == 3
    # Where one talker is left with the last turns, there are too few changes for so much.
    assert sum(overlap_of(m) == pytest.approx(0.15, abs=1e-3) for m in drawn) >= 9


def test_on_disk_a_talker_is_as_loud_in_every_utterance(
    corpus: Corpus, meeting: Recipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.jsonl"
    draw_to(path, meeting)
    outcome = render_set(path, tmp_path / "set", roots=corpus.roots)
    assert outcome.failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    talkers = [row for row in open_rendered(tmp_path / "set") if row.name.startswith("s")]
    assert talkers
    for row in talkers:
        assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=0.5)
    for row in open_rendered(tmp_path / "set"):
        if row.name == "mixture":
            assert row.requested["overlap"] == pytest.approx(0.15, abs=0.03)


def test_a_fixed_length_leaves_out_what_ends_later(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    fixed = {"mode": "fixed", "seconds": 1.6}
    recipe = speech_recipe(sources=[TALKERS, NOISE], duration=fixed, splits=SPLITS)
    drawn = draw(corpus, recipe)
    assert {m.frames for m in drawn} == {12800}
    for mixture in drawn:
        assert mixture.targets == [f"s{n + 1}" for n in range(len(mixture.targets))]
        for source in mixture.sources[:-1]:
            assert source.events
            assert all(e.event_time + e.event_duration <= 1.6 + 1e-6 for e in source.events)


@pytest.mark.parametrize("role", ["background", "noise"])
def test_rttm_names_every_turn_in_order(corpus: Corpus, meeting: Recipe, role: str) -> None:
    mixture = draw(corpus, meeting)[0]
    *talkers, noise = mixture.sources
    mixture = mixture.model_copy(
        update={"sources": [*talkers, noise.model_copy(update={"role": role})]}
    )
    fields = [line.split() for line in rttm_lines(mixture)]
    assert {len(words) for words in fields} == {10}
    assert [float(words[3]) for words in fields] == sorted(float(words[3]) for words in fields)
    listed = {(words[7], round(float(words[4]), 3)) for words in fields}
    assert listed == {
        (source.label, round(event.event_duration, 3))
        for source in talkers
        for event in source.events
    }
    assert {words[1] for words in fields} == {mixture.id}


def test_one_order_of_drawing_or_another(corpus: Corpus, meeting: Recipe) -> None:
    assert draw(corpus, meeting) == draw(corpus, meeting)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"duration": {"mode": "max"}}, "turns need the duration mode content or fixed"),
        ({"sources": [{"name": "s", "kind": "speech"}]}, "and content needs turns"),
        ({"sources": [TALKERS, TALKERS | {"name": "t"}]}, "one group that is not music"),
    ],
)
def test_turns_that_do_not_fit(
    speech_recipe: MakeRecipe, changes: dict[str, Any], words: str
) -> None:
    base = {"sources": [TALKERS, NOISE], "duration": {"mode": "content"}, "splits": SPLITS}
    with pytest.raises(ValidationError, match=words):
        speech_recipe(**(base | changes))


def test_utterances_longer_than_any_mixture_are_left_out(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "turns": {"utterances": 2}}
    recipe = speech_recipe(sources=[group], duration={"mode": "fixed", "seconds": 0.7})
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        assert mixture.sources
    brief = speech_recipe(sources=[group], duration={"mode": "fixed", "seconds": 0.3})
    with pytest.raises(InputError, match="is left for 's' by the length of the mixtures"):
        list(draw_mixtures(brief, corpus.rows, corpus.roots))
