"""Enrolment: another utterance of every talker, in a file of its own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from mixgen.audio.levels import integrated_lufs
from mixgen.audio.read import resample
from mixgen.batch import collate
from mixgen.core.errors import InputError
from mixgen.dataset import RecipeDataset, RenderedDataset
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.render.set import render_set
from mixgen.report import make_report
from mixgen.sets.rendered import RenderedSet, open_rendered
from mixgen.verify.set import verify_set
from tests.mixgen.conftest import Corpus, DrawTo, MakeRecipe

TALKERS = {"name": "s", "kind": "speech", "count": 2, "snr": ["uniform", -5, 5]}
NOISE = {"name": "noise", "role": "background", "kind": "noise"}
TURNS = {"utterances": 3, "overlap": ["const", 0.2]}


def enrolling(speech_recipe: MakeRecipe, *, limit_s: float | None = None, **keys: Any) -> Recipe:
    talkers = TALKERS | {"enrolment": {"limit_s": limit_s}} | keys
    length = {"mode": "content"} if "turns" in keys else {"mode": "fixed", "seconds": 0.8}
    return speech_recipe(sources=[talkers, NOISE], duration=length)


@pytest.fixture
def mixtures(corpus: Corpus, speech_recipe: MakeRecipe) -> list[Mixture]:
    return list(draw_mixtures(enrolling(speech_recipe), corpus.rows, corpus.roots))


def check_talkers(mixture: Mixture) -> None:
    for source in mixture.sources[:-1]:
        assert source.enrolment is not None
        assert Path(source.enrolment.path).parent.name == source.label
        assert source.enrolment.path not in {event.path for event in source.events}


def test_it_is_another_utterance_of_the_talker(mixtures: list[Mixture]) -> None:
    for mixture in mixtures:
        check_talkers(mixture)
        assert mixture.targets == ["s1", "s2"]
        enrolments = [file.name for file in mixture.source_files if file.part == "enrolment"]
        assert enrolments == ["s1_enrolment", "s2_enrolment"]
    assert all(mixture.sources[-1].enrolment is None for mixture in mixtures)


def test_talkers_of_a_conversation_keep_one_for_it(
    corpus: Corpus, speech_recipe: MakeRecipe
) -> None:
    for mixture in draw_mixtures(enrolling(speech_recipe, turns=TURNS), corpus.rows, corpus.roots):
        check_talkers(mixture)
        assert [len(source.events) for source in mixture.sources[:-1]] == [2, 2]


def test_talkers_with_one_utterance_are_left_out(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    speech = [row for row in corpus.rows if row.kind == "speech"]
    lonely = {row.label for row in speech if row.split == "train"}
    lonely = set(sorted(lonely)[:1])
    rows = [row for row in corpus.rows if row.label not in lonely or row.path.endswith("utt0.wav")]
    for mixture in draw_mixtures(enrolling(speech_recipe), rows, corpus.roots):
        assert lonely.isdisjoint(source.label for source in mixture.sources)
    single = [row for row in corpus.rows if row.kind != "speech" or row.path.endswith("utt0.wav")]
    with pytest.raises(InputError, match="is left for 's' by `enrolment`"):
        list(draw_mixtures(enrolling(speech_recipe), single, corpus.roots))


def test_rendered(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.jsonl"
    recipe = enrolling(speech_recipe, limit_s=0.6)
    manifest = draw_to(path, recipe)
    assert render_set(path, tmp_path / "set", roots=corpus.roots).failures == []
    assert verify_set(tmp_path / "set", deep=True) == []
    rows = {(row.id, row.name): row for row in open_rendered(tmp_path / "set")}
    done = RenderedSet(tmp_path / "set")
    for mixture in manifest.mixtures:
        for source, ours in zip(mixture.sources, done.load_enrolments(mixture.id), strict=False):
            assert source.enrolment is not None
            recording, rate = soundfile.read(corpus.roots["speech"] / source.enrolment.path)
            utterance = resample(recording[None, : int(0.6 * rate)], rate, mixture.sample_rate)
            gain = 10 ** ((mixture.level.reference_db - integrated_lufs(utterance, 8000)) / 20)
            fade = int(mixture.fade_s * mixture.sample_rate)
            middle = slice(fade, -fade)
            assert ours.shape == utterance.shape
            np.testing.assert_allclose(ours[:, middle], gain * utterance[:, middle], atol=2**-15)
            row = rows[mixture.id, f"{source.name}_enrolment"]
            assert (row.frames, row.channels) == (ours.shape[1], 1)
            assert row.measured["level_db"] == pytest.approx(row.requested["level_db"], abs=0.5)
    # The sum, and with it the joint clip rule, knows nothing of them.
    bare = speech_recipe(sources=[TALKERS, NOISE])
    plain = next(iter(draw_mixtures(bare, corpus.rows, corpus.roots)))
    assert plain.file_names == ["mixture", "s1", "s2", "noise"]


def test_on_the_fly_and_from_the_set_alike(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    recipe = enrolling(speech_recipe)
    path = tmp_path / "manifest.jsonl"
    draw_to(path, recipe)
    render_set(path, tmp_path / "set", roots=corpus.roots)
    read = RenderedDataset(tmp_path / "set", "train")
    mixed = RecipeDataset(recipe, corpus.rows, "train", roots=corpus.roots)
    batches = [collate([dataset[i] for i in range(3)]) for dataset in (read, mixed)]
    assert batches[0]["enrolments"].shape[:2] == (3, 2)
    assert (batches[0]["enrolment_frames"] >= 4000).all()
    for key in ("mixture", "enrolments", "enrolment_frames"):
        np.testing.assert_array_equal(batches[0][key], batches[1][key])  # type: ignore[literal-required]


def test_a_batch_without_enrolments_has_none(corpus: Corpus, speech_recipe: MakeRecipe) -> None:
    batch = collate([RecipeDataset(speech_recipe(), corpus.rows, "train", roots=corpus.roots)[0]])
    assert batch["enrolments"].shape == (1, 2, 0)


def test_the_report_counts_them_apart(
    corpus: Corpus, speech_recipe: MakeRecipe, draw_to: DrawTo, tmp_path: Path
) -> None:
    path = tmp_path / "manifest.jsonl"
    draw_to(path, enrolling(speech_recipe))
    render_set(path, tmp_path / "set", roots=corpus.roots)
    page = make_report(tmp_path / "set", tmp_path / "report", examples=1)
    assert "s1_enrolment" in Path(page).read_text()


@pytest.mark.parametrize("keys", [{"role": "interferer"}, {"kind": "noise"}])
def test_only_talkers_that_are_targets_enrol(speech_recipe: MakeRecipe, keys: dict) -> None:
    with pytest.raises(ValidationError, match="`enrolment` belongs to targets of kind speech"):
        enrolling(speech_recipe, **keys)
