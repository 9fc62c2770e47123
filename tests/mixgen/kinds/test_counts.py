"""Mixtures of unknown counts: as many sources as the recipe asks for, none at all among them.

`pytest tests/mixgen/kinds/test_counts.py -v -k shipped` draws 10,000 scenes of every shipped
recipe that leaves counts or probabilities to chance, and compares what comes with what the recipe
asks for.
"""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError
from scipy.stats import chisquare

from mixgen.audio.formats import FORMATS
from mixgen.core.errors import InputError
from mixgen.corpora.roots import Roots
from mixgen.corpora.sources import SourceRow
from mixgen.degradations import DegradationRule
from mixgen.draw.mixtures import draw_mixtures
from mixgen.draw.sampler import SourceSampler
from mixgen.recipe.read import read_recipe, shipped_folder
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.scenes.draws import Draws
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

Plenty = tuple[list[SourceRow], Roots]

SCENES = 10_000
SHIPPED = {
    path.parent.name: read_recipe(path) for path in sorted(shipped_folder().glob("*/recipe.yaml"))
}
GROUPS = {
    "speech": [(f"talker{n}", "") for n in range(60)],
    "noise": [(label, "") for label in ("ambient", "babble", "impulsive", "stationary")],
    "rir": [(f"room{n}", "") for n in range(3)],
    "music": list(
        itertools.product(["vocals", "drums", "bass", "other"], [f"song{n}" for n in range(20)])
    ),
}
SPLITS = ["train", "valid", "test"]
FILES_PER_LABEL = 12
FILE, FILE_S = "one.wav", 1.0  # so short that no turn comes after the end of its mixture
TAGS = "tempo_bpm=120.0 key=C_major beat_s=0.0"
WEIGHTS = [0.1, 0.2, 0.4, 0.2, 0.1]
TALKERS = {"name": "s", "kind": "speech", "count": ["choose_weighted", [0, 1, 2, 3, 4], WEIGHTS]}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}


def splits(train: int, test: int, **test_rule: Any) -> dict[str, Any]:
    return {
        "train": {"mixtures": train, "sources": {"speech": "train"}},
        "test": {"mixtures": test, "sources": {}, **test_rule},
    }


@pytest.fixture(scope="module")
def plenty(tmp_path_factory: pytest.TempPathFactory) -> Plenty:
    """Sources for every shipped recipe that leaves something to chance; all are one file."""
    root = tmp_path_factory.mktemp("plenty")
    soundfile.write(root / FILE, np.full(round(FILE_S * 8000), 0.1), 8000)
    rows = [
        row_of(kind, label, group, split, number)
        for kind, groups in GROUPS.items()
        for (label, group), split in itertools.product(groups, SPLITS)
        for number in range(1 if kind == "music" else FILES_PER_LABEL)
    ]
    return rows, dict.fromkeys(GROUPS, root)


def row_of(kind: str, label: str, group: str, split: str, number: int) -> SourceRow:
    """Return the row of a source, whose name is its sha256, so that records can be compared."""
    name = f"{kind}/{split}/{group}/{label}/{number}"
    return SourceRow(
        source_id=name,
        corpus=kind,
        path=FILE,
        kind=kind,
        label=label,
        group=group,
        split=split,
        duration_s=FILE_S,
        sample_rate=8000,
        channels=1,
        peak=0.1,
        loudness_lufs=-20.0,
        sha256=name,
        licence="",
        text=TAGS if kind == "music" else "",
        active=f"0.0-{FILE_S}",
    )


def shares(asked: int | list[Any] | tuple[Any, ...]) -> dict[Any, float]:
    """Return what a count, a distribution or options can give, and how likely each of it is."""
    if isinstance(asked, int):
        return {asked: 1.0}
    name, values, *weights = asked if isinstance(asked, list) else ("choose", asked)
    if name == "const":
        return {values: 1.0}
    return dict(zip(values, *weights or [[1 / len(values)] * len(values)], strict=True))


def assert_as_often(drawn: Iterable[Any], wanted: dict[Any, float]) -> None:
    """Check that only what is wanted comes, and each of it as often as it should."""
    observed = Counter(drawn)
    possible = {outcome: share for outcome, share in wanted.items() if share > 0}
    assert observed.keys() == possible.keys()
    if len(possible) > 1:
        expected = observed.total() * np.array(list(possible.values()))
        assert chisquare([observed[outcome] for outcome in possible], expected).pvalue > 0.001


def counts_of(recipe: Recipe, split: str) -> list[dict[Any, float]]:
    """Return, for each group of a recipe, how many sources it gives in a split, and how likely."""
    overruled = recipe.splits[split].counts
    return [shares(overruled.get(group.name, group.count)) for group in recipe.sources]


def splits_with_counts() -> Iterator[tuple[str, str]]:
    """Yield the first split of every shipped recipe with random counts, and splits of other counts.

    All splits without counts of their own draw alike.
    """
    for name, recipe in SHIPPED.items():
        first = next(iter(recipe.splits))
        for split, rule in recipe.splits.items():
            random = any(len(counts) > 1 for counts in counts_of(recipe, split))
            if rule.counts or (random and split == first):
                yield name, split


@pytest.mark.parametrize(("name", "split"), list(splits_with_counts()))
def test_shipped_counts(plenty: Plenty, name: str, split: str) -> None:
    recipe = SHIPPED[name]
    sampler = SourceSampler(recipe, plenty[0], split, recipe.seed)
    drawn = (tuple(sampler.count(g, index) for g in recipe.sources) for index in range(SCENES))
    # Groups are independent of one another, so that shares of single and double talk follow.
    scenes = itertools.product(*(counts.items() for counts in counts_of(recipe, split)))
    pairs = (zip(*scene, strict=True) for scene in scenes)
    assert_as_often(drawn, {counts: math.prod(each) for counts, each in pairs})


def talking_groups() -> Iterator[tuple[str, str]]:
    """Yield the recipe and the name of every shipped group that takes turns."""
    for name, recipe in SHIPPED.items():
        yield from ((name, group.name) for group in recipe.sources if group.turns)


@pytest.mark.parametrize(("name", "group"), list(talking_groups()))
def test_shipped_utterances(plenty: Plenty, name: str, group: str) -> None:
    recipe = SHIPPED[name]
    (turns,) = (some.turns for some in recipe.sources if some.name == group)
    assert turns is not None
    sampler = SourceSampler(recipe, plenty[0], "train", recipe.seed)
    scenes = SCENES if isinstance(turns.utterances, list) else SCENES // 100
    drawn_sources = itertools.chain.from_iterable(
        sampler.sources(index) for index in itertools.count()
    )
    utterances = (len(source.rows) for source in drawn_sources if source.group.name == group)
    assert_as_often(itertools.islice(utterances, scenes), shares(turns.utterances))


MIXED_SONGS = [name for name, recipe in SHIPPED.items() if 0 < recipe.songs.coherent < 1]


@pytest.mark.parametrize("name", MIXED_SONGS)
def test_shipped_shares_of_coherent_songs(plenty: Plenty, name: str) -> None:
    recipe = SHIPPED[name]
    sampler = SourceSampler(recipe, plenty[0], "train", recipe.seed)
    songs = ({source.row.group for source in sampler.sources(index)} for index in range(SCENES))
    coherent = recipe.songs.coherent
    assert_as_often((len(some) == 1 for some in songs), {True: coherent, False: 1 - coherent})


def probabilities() -> Iterator[tuple[str, str, float]]:
    """Yield recipe, purpose of the seed and probability of all that happens in some mixtures."""
    for name, recipe in SHIPPED.items():
        for place, rule in enumerate(recipe.degradations):
            yield name, f"degradation/{place}", rule.probability
        for group in recipe.sources:
            if group.echo:
                yield name, f"{group.name}/echo", group.echo.nonlinear


def happens(sampler: SourceSampler, index: int, purpose: str, probability: float) -> bool:
    """Tell whether something with a probability happens in mixture `index`."""
    return Draws(sampler.seed(index, purpose)).happens(probability)


@pytest.mark.parametrize(("name", "purpose", "probability"), list(probabilities()))
def test_shipped_probabilities(plenty: Plenty, name: str, purpose: str, probability: float) -> None:
    recipe = SHIPPED[name]
    sampler = SourceSampler(recipe, plenty[0], "train", recipe.seed)
    drawn = (happens(sampler, index, purpose, probability) for index in range(SCENES))
    assert_as_often(drawn, {True: probability, False: 1 - probability})


def options_of(rule: DegradationRule) -> dict[str, dict[Any, float]]:
    """Return, by parameter, what a rule chooses from, and how likely each of it is."""
    choices = {
        parameter: shares(asked)
        for parameter, asked in dict(rule).items()
        if isinstance(asked, tuple) or (isinstance(asked, list) and asked[0].startswith("choose"))
    }
    return {parameter: options for parameter, options in choices.items() if len(options) > 1}


@pytest.mark.parametrize(
    ("name", "place"),
    [
        (name, place)
        for name, recipe in SHIPPED.items()
        for place, rule in enumerate(recipe.degradations)
        if options_of(rule)
    ],
)
def test_shipped_options(plenty: Plenty, name: str, place: int) -> None:
    recipe = SHIPPED[name]
    rule = recipe.degradations[place]
    sampler = SourceSampler(recipe, plenty[0], "train", recipe.seed)
    # Fewer, because all parameters are drawn for the few that are looked at.
    scenes = range(SCENES // 4)
    drawn = [rule.draw(sampler.seed(index, f"degradation/{place}")) for index in scenes]
    for parameter, wanted in options_of(rule).items():
        assert_as_often((getattr(one, parameter) for one in drawn if one), wanted)


CASES = (*splits_with_counts(), *talking_groups(), *probabilities())
RANDOM = dict.fromkeys([*(name for name, *_ in CASES), *MIXED_SONGS])


@pytest.mark.parametrize(
    ("name", "split"), [(name, split) for name in RANDOM for split in SHIPPED[name].splits]
)
def test_records_hold_the_selected_files(plenty: Plenty, name: str, split: str) -> None:
    recipe, (rows, roots) = SHIPPED[name], plenty
    sampler = SourceSampler(recipe, rows, split, recipe.seed)
    drawn = draw_mixtures(recipe, rows, roots, splits=[split])
    for index, mixture in enumerate(itertools.islice(drawn, 8)):
        chosen = sampler.sources(index)
        assert [source.name for source in mixture.sources] == [source.name for source in chosen]
        files = [[event.sha256 for event in source.events] for source in mixture.sources]
        assert files == [[row.source_id for row in source.rows] for source in chosen]
        assert [degradation.name for degradation in mixture.degradations] == [
            rule.name
            for place, rule in enumerate(recipe.degradations)
            if happens(sampler, index, f"degradation/{place}", rule.probability)
        ]
        for source, rule in zip(
            mixture.sources, (source.group.echo for source in chosen), strict=True
        ):
            bent = rule and happens(sampler, index, f"{source.name}/echo", rule.nonlinear)
            assert (source.echo and source.echo.loudspeaker is not None) == bent


def test_names_and_talkers_of_every_count(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    recipe = speech_recipe(sources=[TALKERS, NOISE], splits=splits(60, 1))
    counts = set()
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots, splits=["train"]):
        talkers = [source for source in mixture.sources if source.role == "target"]
        counts.add(len(talkers))
        assert mixture.targets == [f"s{n}" for n in range(1, len(talkers) + 1)]
        assert len({source.label for source in talkers}) == len(talkers)
        assert mixture.sources[-1].name == "noise"
    assert counts == {0, 1, 2, 3, 4}


def test_one_or_none_keeps_the_plain_name(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    maybe = {**NOISE, "count": ["choose", [0, 1]]}
    recipe = speech_recipe(sources=[{"name": "s", "kind": "speech"}, maybe], splits=splits(40, 1))
    drawn = draw_mixtures(recipe, corpus.rows, corpus.roots, splits=["train"])
    assert {tuple(m.file_names) for m in drawn} == {("mixture", "s"), ("mixture", "s", "noise")}


def test_a_split_has_counts_that_training_never_has(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    group = {"name": "s", "kind": "speech", "count": ["choose", [1, 2]]}
    recipe = speech_recipe(sources=[group], splits=splits(40, 20, counts={"s": ["choose", [3, 5]]}))
    counts: dict[str, set[int]] = {"train": set(), "test": set()}
    for mixture in draw_mixtures(recipe, corpus.rows, corpus.roots):
        counts[mixture.split].add(len(mixture.targets))
    assert counts == {"train": {1, 2}, "test": {3, 5}}


def test_empty_and_single_talker_scenes_on_disk(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    group = {**TALKERS, "count": ["choose", [0, 1, 2]]}
    path = tmp_path / "manifest.jsonl"
    recipe = speech_recipe(sources=[group], splits=splits(12, 1), format="wav16")
    manifest = draw_to(path, recipe)
    outcome = render_set(path, tmp_path / "set", roots=corpus.roots)
    assert outcome.failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    rendered = RenderedSet(tmp_path / "set")
    for mixture in manifest.mixtures:
        references = rendered.load_references(mixture.id)
        samples = rendered.load_mixture(mixture.id)
        assert references.shape == (len(mixture.targets), 1, mixture.frames)
        assert np.array_equal(references.sum(axis=0), samples)
        assert samples.any() == bool(mixture.targets)
    assert {len(m.targets) for m in manifest.mixtures} == {0, 1, 2}
    assert {
        row.measured["overlap"] for row in open_rendered(tmp_path / "set") if row.name == "mixture"
    } >= {None, 0.0}
    assert set(FORMATS) >= {manifest.header.format}


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (-1, "a whole number from 0 to 32"),
        (33, "a whole number from 0 to 32"),
        (["choose", [1, 2.5]], "a whole number from 0 to 32"),
        (["uniform", 1, 3], "a number, or const, choose or choose_weighted"),
        (["choose_weighted", [1, 2], [1]], "as many weights as values"),
    ],
)
def test_counts_that_are_none(speech_recipe: MakeRecipe, count: Any, words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        speech_recipe(sources=[{"name": "s", "kind": "speech", "count": count}])


def test_counts_of_a_group_that_is_not_there(speech_recipe: MakeRecipe) -> None:
    with pytest.raises(ValidationError, match="counts of 'talkers': the recipe has no such group"):
        speech_recipe(splits=splits(1, 1, counts={"talkers": 2}))


def test_an_empty_mixture_needs_a_length(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    group = {**TALKERS, "count": ["const", 0]}
    recipe = speech_recipe(sources=[group], duration={"mode": "max"})
    with pytest.raises(InputError, match="has no length: add limit_s"):
        list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    recipe = speech_recipe(sources=[group], duration={"mode": "max", "limit_s": 0.5})
    drawn = list(draw_mixtures(recipe, corpus.rows, corpus.roots))
    assert {mixture.frames for mixture in drawn} == {4000}
