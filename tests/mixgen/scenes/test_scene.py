"""Scenes: the events that Scaper draws, and the workarounds for its problems."""

import logging
import sys
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.scenes.scene import EventPlan, instantiate, load_scaper, sample


class MakePlan(Protocol):
    """Plans an event of a two-second file; keywords replace its distributions."""

    def __call__(self, background: bool = False, **changes: Any) -> EventPlan: ...


@pytest.fixture
def plan(tmp_path: Path) -> MakePlan:
    """Plans of events of one file."""
    path = tmp_path / "two.wav"
    soundfile.write(path, np.full(16000, 0.1), 8000)
    const = {"source_time": ("const", 0.0), "event_time": ("const", 0.0), "snr": ("const", 3.0)}
    return lambda background=False, **changes: EventPlan(path, background, **(const | changes))


def test_constants_are_drawn_as_they_are(plan: MakePlan) -> None:
    (event,) = instantiate([plan(event_time=("const", 0.25))], 3.0, 0)
    assert (event.source_time, event.event_time, event.snr) == (0.0, 0.25, 3.0)
    assert event.event_duration == 2.0
    (event,) = instantiate([plan(source_time=("const", 0.5))], 1.0, 0)
    assert (event.source_time, event.event_duration) == (0.5, 1.0)
    assert event.pitch_shift is None
    assert event.time_stretch is None


def test_events_stay_in_the_order_of_the_plans(plan: MakePlan) -> None:
    times = [0.6, 0.1, 0.3]
    events = instantiate([plan(event_time=("const", time)) for time in times], 3.0, 0)
    assert [event.event_time for event in events] == times


def test_the_seed_decides_the_scene(plan: MakePlan) -> None:
    plans = [plan(snr=("normal", 0, 5), source_time=("uniform", 0, 1))]
    first, again, other = (instantiate(plans, 0.5, seed) for seed in (1, 1, 2))
    assert first == again != other


def test_an_excerpt_fits_its_file(plan: MakePlan) -> None:
    (event,) = instantiate([plan(source_time=("uniform", 0, 1000))], 1.0, 4)
    assert 0 <= event.source_time <= 1.0
    assert event.event_duration == 1.0


def test_short_background_starts_at_zero(plan: MakePlan) -> None:
    (event,) = instantiate([plan(background=True, source_time=("uniform", 0, 1000))], 5.0, 4)
    assert (event.source_time, event.event_duration, event.snr) == (0.0, 5.0, 0.0)


def test_pitch_shift_and_time_stretch_are_drawn(plan: MakePlan) -> None:
    shifted = plan(pitch_shift=("const", 2.0), time_stretch=("const", 1.25))
    (event,) = instantiate([shifted], 1.0, 0)
    assert (event.pitch_shift, event.time_stretch) == (2.0, 1.25)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"time_stretch": ("const", 0.0)}, "Scaper refuses the scene"),
        ({"event_time": ("const", -1.0)}, "gave no start from 0 to 0.900 s in 100 draws"),
        ({"event_time": ("const", 1.0)}, "make it begin events inside the mixture"),
    ],
)
def test_scenes_that_cannot_be_drawn_are_refused(
    plan: MakePlan, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        instantiate([plan(**change)], 1.0, 0)


def test_a_long_source_begins_where_it_was_drawn(plan: MakePlan) -> None:
    (event,) = instantiate([plan(event_time=("const", 0.4))], 1.0, 0)
    assert (event.event_time, event.event_duration) == pytest.approx((0.4, 0.6))


def test_a_stretched_source_fills_the_rest(plan: MakePlan) -> None:
    stretched = plan(event_time=("const", 0.4), time_stretch=("const", 1.5))
    (event,) = instantiate([stretched], 1.0, 0)
    assert (event.event_time, event.event_duration) == pytest.approx((0.4, 0.4))


def test_a_start_outside_the_scene_is_drawn_again(plan: MakePlan) -> None:
    early = plan(event_time=("normal", 0.0, 0.5))
    for seed in range(20):
        (event,) = instantiate([early], 1.0, seed)
        assert 0 <= event.event_time <= 0.9


def test_a_sample_depends_on_the_seed_alone() -> None:
    assert sample(["const", -25], 0) == -25.0
    assert sample(["uniform", 0, 1], 5) == sample(["uniform", 0, 1], 5)
    assert sample(["choose", [3.0]], 0) == 3.0


def test_scaper_uses_pysox_and_keeps_the_root_logger(plan: MakePlan) -> None:
    level = logging.getLogger().level
    instantiate([plan()], 1.0, 0)
    assert logging.getLogger().level == level
    assert sys.modules["soxbindings"] is None
    assert load_scaper().core.sox.__name__ == "sox"


@pytest.mark.parametrize("background", [False, True])
def test_scaper_leaves_the_lists_of_a_plan_alone(plan: MakePlan, background: bool) -> None:
    starts = [0.0, 1.0, 9.0]  # the last is after the end of the file
    instantiate([plan(background, source_time=("choose", starts))], 1.5, 0)
    assert starts == [0.0, 1.0, 9.0]
