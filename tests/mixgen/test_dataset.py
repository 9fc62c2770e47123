"""Datasets: item i is the mixture that `draw` and `render` would make, in any order and process."""

import contextlib
import pickle
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset, DataLoader
from torch.utils.data.distributed import DistributedSampler

from mixgen.batch import Batch, collate
from mixgen.core.errors import InputError, UsageError
from mixgen.dataset import ManifestDataset, MixtureItem, RecipeDataset, RenderedDataset
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
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
    cache = tmp_path / "cache"
    on_the_fly = RecipeDataset(recipe, roomy.rows, "train", roots=roomy.roots)
    drawn = ManifestDataset(done.folder / "manifest.jsonl", "train", roots=roomy.roots, cache=cache)
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
        assert_same(drawn[place], item)  # from the cache
    assert any(cache.iterdir())


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


def ids_of(batches: Iterable[Batch]) -> list[str]:
    """Return the ids of all mixtures of some batches, after a look at their samples."""
    ids = []
    for batch in batches:
        assert batch["mixture"].abs().amax(dim=(1, 2)).min() > 0
        ids += batch["id"]
    return ids


def loader_of(dataset: Any, rank: int, *, shuffle: bool = True) -> Any:
    """Return the loader of one of two ranks, with two workers that stay."""
    sampler = DistributedSampler(dataset, num_replicas=2, rank=rank, shuffle=shuffle, seed=3)
    return DataLoader(
        dataset,
        sampler=sampler,
        batch_size=2,
        num_workers=2,
        persistent_workers=True,
        collate_fn=collate,
    )


def test_ranks_and_workers_share_out_every_epoch(dataset_of: MakeDataset) -> None:
    datasets = [dataset_of("clean", length=8) for _ in range(2)]
    loaders = [loader_of(dataset, rank) for rank, dataset in enumerate(datasets)]
    for epoch in (0, 1, 2, 1):
        of_ranks = []
        for dataset, loader in zip(datasets, loaders, strict=True):
            dataset.set_epoch(epoch)
            loader.sampler.set_epoch(epoch)
            of_ranks.append(ids_of(loader))
        assert [len(ids) for ids in of_ranks] == [4, 4]
        expected = [f"train-{index:06d}" for index in range(8 * epoch, 8 * epoch + 8)]
        assert sorted(of_ranks[0] + of_ranks[1]) == expected


def test_ranks_and_workers_share_out_a_manifest(
    roomy: Corpus, recipe_of: Callable[[str], Recipe], tmp_path: Path
) -> None:
    path = drawn_and_rendered(recipe_of("clean"), roomy, tmp_path).folder / "manifest.jsonl"
    dataset = ManifestDataset(path, roots=roomy.roots)
    loaders = [loader_of(dataset, rank) for rank in range(2)]
    for epoch in range(3):
        of_ranks = []
        for loader in loaders:
            loader.sampler.set_epoch(epoch)
            of_ranks.append(ids_of(loader))
        assert sorted(of_ranks[0] + of_ranks[1]) == [f"train-{i:06d}" for i in range(MIXTURES)]


def test_spawned_workers_that_stay_follow_the_epoch(dataset_of: MakeDataset) -> None:
    dataset: Any = dataset_of("clean", length=4)
    loader = DataLoader(
        dataset,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context="spawn",
        collate_fn=collate,
    )
    for epoch in (0, 2, 1):
        dataset.set_epoch(epoch)
        assert ids_of(loader) == [f"train-{4 * epoch + i:06d}" for i in range(4)]


def test_an_epoch_that_is_left_early_does_not_leak_into_the_next(dataset_of: MakeDataset) -> None:
    dataset = dataset_of("clean", length=16)
    loader = loader_of(dataset, 0, shuffle=False)
    for epoch in range(3):
        dataset.set_epoch(epoch)
        iterator = iter(loader)
        assert next(iterator)["id"] == [f"train-{16 * epoch + i:06d}" for i in (0, 2)]
    assert len(ids_of(loader)) == 8


def test_set_epoch_gives_the_mixtures_of_epoch(dataset_of: MakeDataset) -> None:
    dataset, fresh = dataset_of("conversation"), dataset_of("conversation")
    copied = pickle.loads(pickle.dumps(dataset))
    for number in (2, 0, 1):
        dataset.set_epoch(number)
        assert_same(dataset[3], fresh.epoch(number)[3])
        assert copied.record(3).id == "train-000003"  # a copy has its own epoch
    with pytest.raises(UsageError, match="not 6 from -6 on"):
        dataset.set_epoch(-1)
    assert dataset.record(3) == fresh.epoch(1).record(3)


def test_a_failed_epoch_changes_no_other(roomy: Corpus, speech_recipe: MakeRecipe) -> None:
    splits = {"train": {"mixtures": 2, "sources": {"speech": "train"}}}
    recipe = speech_recipe(sources=[SPEECH | {"use": "once"}], splits=splits)
    dataset, fresh = (
        RecipeDataset(recipe, roomy.rows, "train", roots=roomy.roots) for _ in range(2)
    )
    failed = 1
    with contextlib.suppress(InputError):
        while failed < 100:
            dataset.set_epoch(failed)
            failed += 1
    assert 1 < failed < 100
    dataset.set_epoch(failed - 1)
    assert dataset.record(1) == fresh.epoch(failed - 1).record(1)


def samples_of(batch: Batch) -> list[torch.Tensor]:
    """Return the tensors that hold samples."""
    return [batch["mixture"], batch["references"], batch["enrolments"]]


def collate_and_tell(items: list[MixtureItem]) -> tuple[Batch, bool]:
    """Collate, and tell whether all samples are in shared memory already."""
    batch = collate(items)
    return batch, all(tensor.is_shared() for tensor in samples_of(batch))


def test_workers_hand_over_batches_in_shared_memory(dataset_of: MakeDataset) -> None:
    dataset: Any = dataset_of("counted", length=8)
    loader = DataLoader(dataset, batch_size=4, num_workers=2, collate_fn=collate_and_tell)
    for number, (batch, shared) in enumerate(loader):
        assert shared
        here, shared_here = collate_and_tell([dataset[4 * number + i] for i in range(4)])
        assert not shared_here
        for tensor, expected in zip(samples_of(batch), samples_of(here), strict=True):
            assert torch.equal(tensor, expected)
