"""A tiny plan of the starter corpus, and the corpus that is made from it."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from mixgen.starter.corpus import StarterSummary, make_starter
from mixgen.starter.items import Plan
from mixgen.starter.plan import full_plan


@pytest.fixture(scope="session")
def needs_espeak() -> None:
    """Skip the test if espeak-ng is not installed."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not installed: `make setup` installs it")


@pytest.fixture(scope="session")
def tiny_plan() -> Plan:
    """Two training voices with two utterances each, one song, and one noise of each class."""
    plan = full_plan()
    first, second = plan.speakers[:2]
    utterances = [u for u in plan.utterances if u.speaker in (first, second) and u.number <= 2]
    one_per_label = {
        noise.label: noise for noise in reversed(plan.noises) if noise.split == "train"
    }
    noises = [dataclasses.replace(n, duration_s=2.0) for n in one_per_label.values()]
    song = dataclasses.replace(plan.songs[0], length_s=5.0)
    return Plan(tuple(utterances), (song,), tuple(noises))


@pytest.fixture(scope="session")
def corpus(
    request: pytest.FixtureRequest, tiny_plan: Plan, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, StarterSummary]:
    """A tiny corpus made by one worker; tests must not change it."""
    request.getfixturevalue("needs_espeak")
    out = tmp_path_factory.mktemp("starter") / "corpus"
    return out, make_starter(out, workers=1, plan=tiny_plan)
