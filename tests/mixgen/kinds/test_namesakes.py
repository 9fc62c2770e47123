"""Two corpora that call different talkers, or different rooms, by one name."""

from pathlib import Path
from typing import Any

import pytest

from mixgen.corpora.sources import SourceRow
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.mixture import Response
from tests.mixgen.conftest import Corpus, MakeRecipe

SPLITS = {"train": {"mixtures": 30, "sources": {}}}


def doubled(rows: list[SourceRow], kind: str) -> list[SourceRow]:
    """The rows, and for those of a kind the same files once more as those of another corpus."""
    others = [
        row.model_copy(update={"corpus": "other", "source_id": f"other/{row.path}"})
        for row in rows
        if row.kind == kind
    ]
    return [*rows, *others]


@pytest.fixture
def roots(roomy: Corpus) -> dict[str, Path]:
    return roomy.roots | {"other": roomy.roots["speech"]}


@pytest.mark.parametrize("keys", [{}, {"turns": {"utterances": 2}}], ids=["alone", "conversation"])
def test_talkers_stay_one_person(
    roomy: Corpus, roots: dict[str, Path], speech_recipe: MakeRecipe, keys: dict[str, Any]
) -> None:
    group = {"name": "s", "kind": "speech", "count": 2, "enrolment": {}, **keys}
    duration = {"mode": "content"} if keys else {"mode": "fixed", "seconds": 0.8}
    recipe = speech_recipe(sources=[group], splits=SPLITS, duration=duration)
    met = set()
    for mixture in draw_mixtures(recipe, doubled(roomy.rows, "speech"), roots):
        for source in mixture.sources:
            assert source.enrolment is not None
            corpora = {event.corpus for event in (*source.events, source.enrolment)}
            assert len(corpora) == 1
            met |= corpora
    assert met == {"speech", "other"}


def test_a_mixture_stays_in_one_room(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {"name": "s", "kind": "speech", "count": 3}
    recipe = speech_recipe(sources=[group], splits=SPLITS, rooms={})
    roots = roomy.roots | {"other": roomy.roots["rooms"]}
    names = set()
    for mixture in draw_mixtures(recipe, doubled(roomy.rows, "rir"), roots):
        responses = [s.room for s in mixture.sources if isinstance(s.room, Response)]
        assert len(responses) == 3
        assert len({response.corpus for response in responses}) == 1
        assert mixture.room is not None
        assert mixture.room.name == f"{responses[0].corpus}/{Path(responses[0].path).parts[0]}"
        names.add(mixture.room.name)
    assert len(names) == 8


@pytest.mark.parametrize(
    "sources",
    [
        [
            {"name": "s", "kind": "speech", "enrolment": {}, "labels": ["spk0"]},
            {
                "name": "i",
                "role": "interferer",
                "kind": "speech",
                "labels": ["spk0"],
                "distinct_labels": False,
            },
        ],
        [
            {
                "name": "s",
                "kind": "speech",
                "count": 2,
                "labels": ["spk0"],
                "distinct_labels": False,
                "enrolment": {},
            }
        ],
    ],
    ids=["in another group", "in the same group"],
)
def test_an_enrolment_is_never_in_the_mixture(
    roomy: Corpus, speech_recipe: MakeRecipe, sources: list[dict[str, Any]]
) -> None:
    recipe = speech_recipe(sources=sources, splits=SPLITS)
    for mixture in draw_mixtures(recipe, roomy.rows, roomy.roots):
        in_mixture = {event.path for source in mixture.sources for event in source.events}
        enrolled = {source.enrolment.path for source in mixture.sources if source.enrolment}
        assert in_mixture.isdisjoint(enrolled)
