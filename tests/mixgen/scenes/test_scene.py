"""Scenes: the events drawn, compared with Scaper's own class; workarounds for its problems."""

import logging
import sys
import warnings
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from mixgen.core.errors import InputError
from mixgen.scenes.scene import DrawnEvent, EventPlan, instantiate, load_scaper, sample, value


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


def by_scaper(plans: list[EventPlan], duration_s: float, seed: int) -> list[DrawnEvent]:
    """Let `scaper.Scaper` instantiate a scene, with starts and stretches that are drawn before."""
    folder = str(plans[0].path.parent)
    scene = load_scaper().Scaper(duration_s, folder, folder, random_state=seed)
    labels = [str(number) for number in range(len(plans))]
    scene.fg_labels = scene.bg_labels = labels
    for label, plan in zip(labels, plans, strict=True):
        file = ("choose", [str(plan.path)])
        if plan.background:
            scene.add_background(("const", label), file, plan.source_time)
            continue
        latest_s, start_s = duration_s - min(0.1, duration_s / 2), -1.0
        while not 0 <= start_s <= latest_s:
            start_s = value(plan.event_time, scene.random_state)
        stretch = plan.time_stretch and value(plan.time_stretch, scene.random_state)
        left_s = (duration_s - start_s) / (stretch or 1.0)
        scene.add_event(
            label=("const", label),
            source_file=file,
            source_time=plan.source_time,
            event_time=("const", start_s),
            event_duration=("const", min(left_s, plan.duration_s or left_s)),
            snr=plan.snr,
            pitch_shift=plan.pitch_shift,
            time_stretch=stretch and ("const", stretch),
        )
    jam = scene._instantiate(disable_instantiation_warnings=True)
    values = {event.value["label"]: event.value for event in jam.annotations[0].data}
    names = DrawnEvent.__dataclass_fields__
    return [DrawnEvent(**{name: values[label][name] for name in names}) for label in labels]


def random_distribution(random: np.random.Generator, low: float, high: float) -> tuple[Any, ...]:
    """One of Scaper's six distributions, mostly from low to high."""
    numbers = sorted(random.uniform(low, high, 3).tolist())
    middle, width = (low + high) / 2, (high - low) / 4
    options: list[tuple[Any, ...]] = [
        ("const", numbers[0]),
        ("choose", numbers),
        ("choose_weighted", numbers, [0.5, 0.25, 0.25]),
        ("uniform", numbers[0], numbers[2]),
        ("normal", middle, width),
        ("truncnorm", middle, width, low, high),
    ]
    return options[random.integers(len(options))]


def random_plan(
    random: np.random.Generator, files: dict[Path, float], duration_s: float
) -> EventPlan:
    """An event in a scene of one of the files, which are given with their lengths."""
    path = list(files)[random.integers(len(files))]
    length_s = files[path] if random.random() < 0.8 else None
    source_time = random_distribution(random, 0.0, [0.5, 3.0, 100.0][random.integers(3)])
    if random.random() < 0.25:
        anything = ("const", 0.0)
        return EventPlan(path, True, source_time, anything, anything, length_s=length_s)
    return EventPlan(
        path,
        False,
        source_time,
        event_time=random_distribution(random, 0.0, duration_s / 2),
        snr=random_distribution(random, -5.0, 20.0),
        pitch_shift=random_distribution(random, -2.0, 2.0) if random.random() < 0.5 else None,
        time_stretch=random_distribution(random, 0.8, 1.2) if random.random() < 0.5 else None,
        duration_s=float(random.uniform(0.05, 3.0)) if random.random() < 0.3 else None,
        length_s=length_s,
    )


def test_a_thousand_scenes_are_those_of_scaper(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files = {}
    for frames, rate in ((16000, 8000), (11025, 22050), (1001, 44100), (70001, 16000)):
        path = tmp_path / f"{frames}.wav"
        soundfile.write(path, np.zeros(frames), rate)
        files[path] = frames / rate
    for seed in range(1000):
        duration_s = [0.3, 2.0, 4.0][random.integers(3)]
        plans = [random_plan(random, files, duration_s) for _ in range(random.integers(1, 6))]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Scaper's, wherever it changes what was asked for
            expected = by_scaper(plans, duration_s, seed)
        assert instantiate(plans, duration_s, seed) == expected
