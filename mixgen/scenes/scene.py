"""Scenes: Scaper's distributions draw the events of a mixture. Only this module imports Scaper.

The events of a record are those that `scaper.Scaper` would instantiate from the same files and
distributions: its own functions draw the numbers, in its order, from one random state, and its
rules fit them to the file and the scene. Its class is not used, because it would open every file,
check every distribution at every event and make a JAMS object of every scene; a test compares with
it. This module works around problems of Scaper 1.6.5: it uses `np.Inf`, which numpy 2 does not
have; it prefers soxbindings, which corrupts audio without an error.

Source: Salamon et al., "Scaper: A library for soundscape synthesis and augmentation", WASPAA 2017.
"""

import dataclasses
import functools
import math
import sys
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.audio.read import audio_info
from mixgen.core.errors import InputError, MachineError

_SHORTEST_EVENT_S = 0.1
_TRIES = 100


@dataclasses.dataclass(frozen=True)
class EventPlan:
    """One event to instantiate: its file, and a Scaper distribution tuple for each quantity.

    It lasts `duration_s`, or less if the mixture or the file ends before. `length_s` is that of the
    file, exactly; without it, the file is opened.
    """

    path: Path
    background: bool
    source_time: tuple[Any, ...]
    event_time: tuple[Any, ...]
    snr: tuple[Any, ...]
    pitch_shift: tuple[Any, ...] | None = None
    time_stretch: tuple[Any, ...] | None = None
    duration_s: float | None = None
    length_s: float | None = None


@dataclasses.dataclass(frozen=True)
class DrawnEvent:
    """What Scaper drew for one event; times in seconds, snr in dB, pitch_shift in semitones."""

    source_time: float
    event_time: float
    event_duration: float
    snr: float
    pitch_shift: float | None = None
    time_stretch: float | None = None


class _NumpyWithInf:
    """numpy with the `np.Inf` that Scaper 1.6.5 uses and numpy 2 does not have."""

    Inf = np.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@functools.cache
def load_scaper() -> Any:
    """Import Scaper with pysox as its back-end.

    Raises:
        MachineError: Scaper is not installed.
    """
    # Scaper prefers soxbindings without a switch to turn it off, and it corrupts audio on numpy 2.
    sys.modules["soxbindings"] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import scaper
            import scaper.core
    except ImportError as error:
        raise MachineError(
            f"Scaper cannot be imported ({error}): run "
            "`pip install --no-deps scaper==1.6.5 sox==1.4.0`."
        ) from None
    scaper.core.np = _NumpyWithInf()
    return scaper


def instantiate(plans: Sequence[EventPlan], duration_s: float, seed: int) -> list[DrawnEvent]:
    """Draw one scene of `duration_s` seconds, with one event for each plan, in order.

    Raises:
        InputError: Scaper refuses a distribution, or a file cannot be read.
    """
    if not plans:
        return []
    scaper = load_scaper()
    random = _seeded(seed)
    try:
        begun = [_Begun.of(plan, duration_s, random) for plan in plans]
        # Scaper instantiates all backgrounds before all other events.
        order = sorted(range(len(plans)), key=lambda number: not plans[number].background)
        events = {n: _instantiated(plans[n], begun[n], duration_s, random) for n in order}
    except scaper.scaper_exceptions.ScaperError as error:
        raise InputError(f"Scaper refuses the scene: {error}") from None
    return [events[number] for number in range(len(plans))]


_of_thread = threading.local()


def _seeded(seed: int) -> np.random.RandomState:
    """Return a random state with this seed, valid until the next call in this thread.

    Seeding one is a hundred times faster than creating one, and gives the same numbers.
    """
    if not hasattr(_of_thread, "state"):
        _of_thread.state = np.random.RandomState()
    state: np.random.RandomState = _of_thread.state
    state.seed(seed)
    return state


def sample(distribution: Sequence[Any], seed: int) -> float:
    """Draw one number from a Scaper distribution.

    Raises:
        InputError: Scaper refuses the distribution.
    """
    scaper = load_scaper()
    try:
        return value(distribution, _seeded(seed))
    except scaper.scaper_exceptions.ScaperError as error:
        raise InputError(f"Scaper refuses the distribution {distribution}: {error}") from None


def value(distribution: Sequence[Any], random_state: np.random.RandomState) -> float:
    """Draw one number from a Scaper distribution with a random state."""
    if distribution[0] == "const":
        return float(distribution[1])
    return _drawn(_checked("_validate_distribution", distribution), random_state)


def _drawn(distribution: Sequence[Any], random_state: np.random.RandomState) -> float:
    name, *arguments = distribution
    function = load_scaper().core.SUPPORTED_DIST[name]
    return float(function(*arguments, random_state=random_state))


def _checked(check: str, distribution: Sequence[Any]) -> Sequence[Any]:
    """Return a distribution after one of Scaper's functions has checked it.

    Raises:
        scaper.scaper_exceptions.ScaperError: Scaper refuses it.
    """
    _check(check, tuple(tuple(p) if isinstance(p, list) else p for p in distribution))
    return distribution


@functools.lru_cache(maxsize=256)  # some have thousands of values
def _check(check: str, distribution: tuple[Any, ...]) -> None:
    """Let Scaper check a distribution, once; tuples in it stand for lists."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Scaper warns of a normal distribution of times
        given = tuple(list(part) if isinstance(part, tuple) else part for part in distribution)
        getattr(load_scaper().core, check)(given)


@dataclasses.dataclass(frozen=True, slots=True)
class _Begun:
    """What is drawn before Scaper instantiates an event: start, longest duration and stretch."""

    start_s: float
    duration_s: float
    stretch: float | None

    @classmethod
    def of(cls, plan: EventPlan, scene_s: float, random: np.random.RandomState) -> "_Begun":
        """Draw the start first: Scaper would move it forward until the duration fits the scene."""
        _checked("_validate_time", plan.source_time)
        if plan.background:
            return cls(0.0, scene_s, None)
        start_s = _start_s(plan.event_time, scene_s, random)
        stretch = None if plan.time_stretch is None else value(plan.time_stretch, random)
        if stretch is not None and stretch <= 0:
            _checked("_validate_time_stretch", ("const", stretch))
        left_s = (scene_s - start_s) / (stretch or 1.0)
        return cls(start_s, min(left_s, plan.duration_s or left_s), stretch)


def _start_s(event_time: tuple[Any, ...], scene_s: float, random: np.random.RandomState) -> float:
    """Draw when an event begins, again and again until that is inside the scene."""
    latest_s = scene_s - min(_SHORTEST_EVENT_S, scene_s / 2)
    for _ in range(_TRIES):
        start_s = value(event_time, random)
        if 0 <= start_s <= latest_s:
            return start_s
    raise InputError(
        f"event_time {list(event_time)} gave no start from 0 to {latest_s:.3f} s in {_TRIES} draws "
        f"for a mixture of {scene_s:.3f} s: make it begin events inside the mixture."
    )


def _instantiated(
    plan: EventPlan, begun: _Begun, scene_s: float, random: np.random.RandomState
) -> DrawnEvent:
    """Draw an event as `Scaper._instantiate_event` does, fitted to its file and to the scene."""
    length_s = audio_info(plan.path).duration_s if plan.length_s is None else plan.length_s
    duration_s = begun.duration_s if plan.background else min(begun.duration_s, length_s)
    sounding_s = duration_s * (begun.stretch or 1.0)
    if sounding_s > scene_s:
        duration_s, sounding_s = scene_s / (begun.stretch or 1.0), scene_s
    fitted = _fitted(plan.source_time, duration_s, length_s)
    source_time = -math.inf
    while source_time < 0:
        source_time = _drawn(fitted, random)
        if source_time + duration_s > length_s:
            source_time = max(0.0, length_s - duration_s)
    is_late = begun.start_s + sounding_s > scene_s
    snr, shift = plan.snr, plan.pitch_shift
    return DrawnEvent(
        source_time=source_time,
        event_time=scene_s - sounding_s if is_late else begun.start_s,
        event_duration=duration_s,
        snr=0.0 if plan.background else _drawn(_checked("_validate_snr", snr), random),
        pitch_shift=(
            None if shift is None else _drawn(_checked("_validate_pitch_shift", shift), random)
        ),
        time_stretch=begun.stretch,
    )


def _fitted(source_time: Sequence[Any], duration_s: float, length_s: float) -> Sequence[Any]:
    """Return a distribution of times from which an excerpt stays inside its file, as in Scaper."""
    latest_s = max(0.0, length_s - duration_s)

    def fit(time_s: float) -> float:
        return latest_s if time_s + duration_s > length_s else time_s

    name, *values = source_time
    match name:
        case "const":
            return [name, fit(values[0])]
        case "choose":
            return [name, list({fit(time_s) for time_s in values[0]})]
        case "choose_weighted":
            return [name, [fit(time_s) for time_s in values[0]], values[1]]
        case "normal":
            return [name, fit(values[0]), values[1]]
        case "uniform":
            low_s, high_s = map(fit, values)
            return ["const", low_s] if low_s == high_s else [name, low_s, high_s]
        case _:
            mean_s, low_s, high_s = (fit(values[index]) for index in (0, 2, 3))
            return (
                ["const", mean_s] if low_s == high_s else [name, mean_s, values[1], low_s, high_s]
            )
