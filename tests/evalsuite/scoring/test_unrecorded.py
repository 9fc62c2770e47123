"""Estimates of a set that another program wrote: the name of their row, and their split."""

import shutil
from pathlib import Path

import pytest

from evalsuite.scoring.plan import plan_score
from evalsuite.scoring.score import score_plan
from tests.evalsuite.conftest import MakeEstimates, MakeSet

FAST = ("si_sdr",)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_name_replaces_that_of_the_folder(
    make_set: MakeSet, make_estimates: MakeEstimates, tmp_path: Path, recorded: bool
) -> None:
    """In all tables; without one the row has the name of run.json, or of the folder."""
    folder = make_set(n=1)
    estimates = make_estimates(folder, "theirs", model="recorded")
    if not recorded:
        (estimates / "run.json").unlink()
    own = score_plan(plan_score(folder, estimates, metrics=FAST), tmp_path / "own")
    named = score_plan(plan_score(folder, estimates, metrics=FAST, name="mine"), tmp_path / "mine")
    assert own.model == ("recorded" if recorded else "theirs_estimates")
    assert named.model == "mine"
    assert own.items_sha256 == named.items_sha256
    assert own.inputs_sha256 != named.inputs_sha256


def test_the_split_of_unrecorded_estimates_is_the_one_they_are_of(
    make_set: MakeSet, make_estimates: MakeEstimates
) -> None:
    """Estimates of two splits are scored on both, unless one is chosen."""
    folder = make_set(n=3, split=["train", "test", "test"])
    estimates = make_estimates(folder)
    (estimates / "run.json").unlink()
    both = plan_score(folder, estimates, metrics=FAST)
    assert (both.split, len(both.scenes)) == (None, 3)
    chosen = plan_score(folder, estimates, metrics=FAST, split="train")
    assert (chosen.split, [scene.id for scene in chosen.scenes]) == ("train", ["train_000"])
    shutil.rmtree(estimates / "train_000")
    shutil.rmtree(estimates / "test_001")
    found = plan_score(folder, estimates, metrics=FAST)
    assert (found.split, [scene.id for scene in found.scenes]) == ("test", ["test_001", "test_002"])
