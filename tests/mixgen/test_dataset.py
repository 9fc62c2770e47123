"""Datasets: item i is the mixture that `draw` and `render` would make, in any order and process."""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
from torch.utils.data import ConcatDataset, DataLoader

from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, MixtureItem, RecipeDataset, RenderedDataset, collate
from mixgen.draw.mixtures import draw_header, draw_mixtures
from mixgen.manifest.file import write_manifest
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.sets.rendered import RenderedSet
from tests.mixgen.conftest import Corpus, MakeRecipe

MIXTURES = 6
SPEECH: dict[str, Any] = {"name": "s", "kind": "speech", "count": 2, "snr": ["normal", 6, 2]}
COUNTED = SPEECH | {"count": ["choose", [0, 1, 2]]}
TALKING = COUNTED | {"turns": {"utterances": ["choose", [1, 2]], "overlap": ["const", 0.2]}}
NOISE = {"name": "noise", "role": "background", "kind": "noise", "use": "independently"}
ECHO = {"name": "echo", "role": "far_end", "kind": "speech", "echo": {"nonlinear": 0.5}}
FIXED = {"mode": "fixed", "seconds": 0.8}
DEGRADATIONS = [
    {"name": "band", "high_hz": ["uniform", 1500, 2500]},
    {"name": "quantise", "bits": ["const", 8], "dither": "tpdf"},
]
SPEECH_KINDS: dict[str, dict[str, Any]] = {
    "clean": {"sources": [SPEECH]},
    "noisy": {"sources": [SPEECH, NOISE], "format": "wav24"},
    "independent": {"sources": [SPEECH | {"use": "independently"}, NOISE]},
    "shortest": {"sources": [SPEECH], "duration": {"mode": "min"}, "format": "wav_float"},
    "counted": {"sources": [COUNTED, NOISE], "format": "flac24"},
    "conversation": {"sources": [TALKING], "duration": {"mode": "content", "limit_s": 1.5}},
    "early": {"sources": [SPEECH, NOISE], "rooms": {"references": ["early", "dry"]}},
    "conversation in a room": {"sources": [TALKING], "duration": FIXED, "rooms": {}},
    "echo": {"sources": [COUNTED, ECHO, NOISE], "rooms": {}},
    "degraded": {"sources": [SPEECH, NOISE], "degradations": DEGRADATIONS},
}
MUSIC_KINDS = {name: {"songs": {"coherent": c}} for name, c in (("song", 1), ("songs", 0))}


class MakeDataset(Protocol):
    """Makes the dataset of a kind of mixture, with the options of `RecipeDataset`."""

    def __call__(self, kind: str, **options: Any) -> RecipeDataset: ...


@pytest.fixture(scope="module")
def recipe_of(speech_recipe: MakeRecipe, music_recipe: MakeRecipe) -> Callable[[str], Recipe]:
    """The recipe of a kind of mixture, by its name."""

    def make(kind: str) -> Recipe:
        if kind in MUSIC_KINDS:
            splits = {"train": {"mixtures": MIXTURES, "sources": {}}}
            return music_recipe(**MUSIC_KINDS[kind], splits=splits)
        splits = {"train": {"mixtures": MIXTURES, "sources": {"speech": "train"}}}
        return speech_recipe(**SPEECH_KINDS[kind], splits=splits)

    return make


@pytest.fixture
def dataset_of(roomy: Corpus, recipe_of: Callable[[str], Recipe]) -> MakeDataset:
    """The dataset of a kind of mixture."""
    return lambda kind, **options: RecipeDataset(
        recipe_of(kind), roomy.rows, "train", roots=roomy.roots, **options
    )


def drawn_and_rendered(recipe: Recipe, corpus: Corpus, folder: Path) -> RenderedSet:
    """Draw and render a recipe to disk."""
    path = folder / "manifest.jsonl"
    mixtures = draw_mixtures(recipe, corpus.rows, corpus.roots)
    write_manifest(path, draw_header(recipe, corpus.rows), mixtures)
    outcome = render_set(path, folder / "set", roots=corpus.roots)
    assert outcome.failures == []
    return RenderedSet(folder / "set")


def assert_same(item: MixtureItem, other: MixtureItem) -> None:
    assert item.record == other.record
    for signal, expected in (
        (item.mixture, other.mixture),
        (item.references, other.references),
    ):
        assert signal.dtype == np.float32
        np.testing.assert_array_equal(signal, expected, strict=True)


@pytest.mark.parametrize("kind", [*SPEECH_KINDS, *MUSIC_KINDS])
def test_items_are_what_draw_and_render_put_on_disk(
    kind: str, roomy: Corpus, recipe_of: Callable[[str], Recipe], tmp_path: Path
) -> None:
    recipe = recipe_of(kind)
    done = drawn_and_rendered(recipe, roomy, tmp_path)
    on_the_fly = RecipeDataset(recipe, roomy.rows, "train", roots=roomy.roots)
    drawn = ManifestDataset(done.folder / "manifest.jsonl", "train", roots=roomy.roots)
    read = RenderedDataset(done.folder, "train")
    assert len(on_the_fly) == len(drawn) == len(read) == MIXTURES
    order = random.Random(kind).sample(range(MIXTURES), MIXTURES)
    for place in order:
        item = on_the_fly[place]
        assert item.id == f"train-{place:06d}"
        # A float32 holds the samples of every format, so nothing is lost.
        np.testing.assert_array_equal(item.mixture.astype(float), done.load_mixture(item.id))
        np.testing.assert_array_equal(item.references.astype(float), done.load_references(item.id))
        assert_same(read[place], item)
        assert_same(drawn[place], item)


def test_counts_and_conversations_vary(dataset_of: MakeDataset) -> None:
    counted, talking = (dataset_of(kind, length=20) for kind in ("counted", "conversation"))
    assert {len(counted[i].references) for i in range(20)} == {0, 1, 2}
    assert len({talking[i].mixture.shape for i in range(20)}) > 5


def test_workers_in_any_order_give_the_same(dataset_of: MakeDataset) -> None:
    kinds = [dataset_of(kind) for kind in ("noisy", "counted", "conversation in a room", "songs")]
    expected = ConcatDataset(kinds)
    # Spawned workers get the datasets by pickle, as on systems without fork.
    loader = DataLoader(
        expected, shuffle=True, num_workers=2, batch_size=None, multiprocessing_context="spawn"
    )
    items = {(item.record.seed, item.id): item for item in loader}
    assert len(items) == len(kinds) * MIXTURES
    for item in expected:
        assert_same(items[item.record.seed, item.id], item)


def test_a_longer_dataset_begins_with_the_shorter(
    dataset_of: MakeDataset,
) -> None:
    short, long = dataset_of("noisy"), dataset_of("noisy", length=3 * MIXTURES)
    assert [long.record(i) for i in range(MIXTURES)] == [short.record(i) for i in range(len(short))]
    late = dataset_of("noisy", start=2 * MIXTURES, length=2)
    assert [late.record(i) for i in range(2)] == [
        long.record(i) for i in (2 * MIXTURES, 2 * MIXTURES + 1)
    ]


@pytest.mark.parametrize("order", [[1, 2, 0], [2, 1, 2]])
def test_epochs_follow_one_another_in_any_order(dataset_of: MakeDataset, order: list[int]) -> None:
    endless = dataset_of("conversation in a room", length=3 * MIXTURES)
    dataset = dataset_of("conversation in a room")
    for number in order:
        epoch = dataset.epoch(number)
        first = number * MIXTURES
        assert [epoch.record(i) for i in range(len(epoch))] == [
            endless.record(i) for i in range(first, first + MIXTURES)
        ]
    assert dataset.record(0) == endless.record(0)


def test_another_seed_or_format(dataset_of: MakeDataset) -> None:
    plain = dataset_of("clean")
    assert dataset_of("clean", seed=1).record(0) != plain.record(0)
    finer = dataset_of("clean", sample_format="wav24")[0]
    np.testing.assert_allclose(finer.mixture, plain[0].mixture, atol=2 * 2.0**-16)
    assert not np.array_equal(finer.mixture, plain[0].mixture)


def test_a_dataset_ends(dataset_of: MakeDataset) -> None:
    dataset = dataset_of("clean", length=2)
    assert [item.id for item in dataset] == ["train-000000", "train-000001"]  # type: ignore[attr-defined]
    with pytest.raises(IndexError):
        dataset[2]


def test_batches_are_filled_with_zeros(dataset_of: MakeDataset) -> None:
    items = [dataset_of(kind)[i] for kind in ("counted", "shortest") for i in range(4)]
    batch = collate(items)
    longest = max(item.mixture.shape[1] for item in items)
    assert batch["mixture"].shape == (8, 1, longest)
    assert batch["references"].shape == (8, 2, 1, longest)
    assert batch["id"] == [item.id for item in items]
    for place, item in enumerate(items):
        frames, n_src = batch["frames"][place], batch["n_src"][place]
        assert (n_src, frames) == (len(item.references), item.mixture.shape[1])
        np.testing.assert_array_equal(batch["mixture"][place, :, :frames], item.mixture)
        np.testing.assert_array_equal(
            batch["references"][place, :n_src, :, :frames], item.references
        )
        assert not batch["mixture"][place, :, frames:].any()
        assert not batch["references"][place, :, :, frames:].any()
        assert not batch["references"][place, n_src:].any()


def test_batches_of_empty_scenes_have_no_references(
    dataset_of: MakeDataset,
) -> None:
    dataset = dataset_of("counted", length=20)
    empty = next(i for i in range(20) if not dataset.record(i).targets)
    assert collate([dataset[empty]])["references"].shape == (1, 0, 1, 6400)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"start": -1}, "not 6 from -1 on"),
        ({"length": 0}, "has at least one, not 0 from 0 on"),
    ],
)
def test_what_no_dataset_can_be(
    dataset_of: MakeDataset, options: dict[str, int], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        dataset_of("clean", **options)
    with pytest.raises(UsageError, match="not 6 from -6 on"):
        dataset_of("clean").epoch(-1)


def test_a_split_that_is_not_there(roomy: Corpus, recipe_of: Callable[[str], Recipe]) -> None:
    with pytest.raises(InputError, match="no split 'dev': choose one of train"):
        RecipeDataset(recipe_of("clean"), roomy.rows, "dev", roots=roomy.roots)


def test_a_source_that_is_not_the_one_that_was_indexed(
    roomy: Corpus, recipe_of: Callable[[str], Recipe]
) -> None:
    rows = [row.model_copy(update={"sha256": "0" * 64}) for row in roomy.rows]
    dataset = RecipeDataset(recipe_of("clean"), rows, "train", roots=roomy.roots)
    with pytest.raises(InputError, match="is not the file that the manifest was drawn from"):
        dataset[0]
