"""Scenes: Scaper draws the events of a mixture. This is the only module that imports Scaper.

One `scaper.Scaper` per mixture gets the files to use and the distributions to draw from; its
instantiation becomes the events of the record. This module works around problems of Scaper 1.6.5:
it uses `np.Inf`, which numpy 2 does not have; it prefers soxbindings, which corrupts audio without
an error; it changes the root logger; and it warns about every value that it adjusts.
"""

import copy
import dataclasses
import functools
import sys
import tempfile
import threading
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.core.errors import InputError, MachineError

_SHORTEST_EVENT_S = 0.1
_TRIES = 100


@dataclasses.dataclass(frozen=True)
class EventPlan:
    """One event to instantiate: its file, and a Scaper distribution tuple for each quantity.

    It lasts `duration_s`, or less if the mixture or the file ends before.
    """

    path: Path
    background: bool
    source_time: tuple[Any, ...]
    event_time: tuple[Any, ...]
    snr: tuple[Any, ...]
    pitch_shift: tuple[Any, ...] | None = None
    time_stretch: tuple[Any, ...] | None = None
    duration_s: float | None = None


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


@functools.cache
def _empty_folder() -> tempfile.TemporaryDirectory[str]:
    """Return an empty folder: Scaper requires one of labels, but every event names its file."""
    return tempfile.TemporaryDirectory(prefix="mixgen-scaper-")


def instantiate(plans: Sequence[EventPlan], duration_s: float, seed: int) -> list[DrawnEvent]:
    """Let Scaper draw one scene of `duration_s` seconds, with one event for each plan, in order.

    Raises:
        InputError: Scaper refuses a distribution or a file.
    """
    if not plans:
        return []
    scaper = load_scaper()
    # JAMS sorts events by time; a unique label identifies each.
    folder = _empty_folder().name
    labels = [str(number) for number in range(len(plans))]
    try:
        with warnings.catch_warnings():
            # Scaper warns whenever it fits an excerpt to its file, which is normal here.
            warnings.simplefilter("ignore")
            scene = scaper.Scaper(duration_s, folder, folder, random_state=_seeded(seed))
            scene.fg_labels = scene.bg_labels = labels
            for label, plan in zip(labels, plans, strict=True):
                _add_event(scene, label, plan)
            jam = scene._instantiate(disable_instantiation_warnings=True)
    except scaper.scaper_exceptions.ScaperError as error:
        raise InputError(f"Scaper refuses the scene: {error}") from None
    values = {event.value["label"]: event.value for event in jam.annotations[0].data}
    return [_drawn(values[label]) for label in labels]


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


def _add_event(scene: Any, label: str, plan: EventPlan) -> None:
    # `choose` from one file, because Scaper ties a `const` file to a folder named like its label.
    source_file = ("choose", [str(plan.path)])
    if plan.background:
        scene.add_background(("const", label), source_file, _copied(plan.source_time))
        return
    # The start is drawn first: Scaper would move it forward until the duration fits the scene.
    start_s = _start_s(scene, plan.event_time)
    stretch = plan.time_stretch and value(plan.time_stretch, scene.random_state)
    left_s = (scene.duration - start_s) / (stretch or 1.0)
    scene.add_event(
        label=("const", label),
        source_file=source_file,
        source_time=_copied(plan.source_time),
        event_time=("const", start_s),
        event_duration=("const", min(left_s, plan.duration_s or left_s)),
        snr=_copied(plan.snr),
        pitch_shift=plan.pitch_shift and _copied(plan.pitch_shift),
        time_stretch=None if stretch is None else ("const", stretch),
    )


def _start_s(scene: Any, event_time: tuple[Any, ...]) -> float:
    """Draw when an event begins, again and again until that is inside the scene."""
    latest_s = scene.duration - min(_SHORTEST_EVENT_S, scene.duration / 2)
    for _ in range(_TRIES):
        start_s = value(event_time, scene.random_state)
        if 0 <= start_s <= latest_s:
            return start_s
    raise InputError(
        f"event_time {list(event_time)} gave no start from 0 to {latest_s:.3f} s in {_TRIES} draws "
        f"for a mixture of {scene.duration:.3f} s: make it begin events inside the mixture."
    )


def value(distribution: Sequence[Any], random_state: np.random.RandomState) -> float:
    """Draw one number from a Scaper distribution with a random state."""
    return float(load_scaper().core._get_value_from_dist(_copied(distribution), random_state))


def _copied(distribution: Sequence[Any]) -> tuple[Any, ...]:
    """Return a copy of a distribution: Scaper may change the lists of `choose`."""
    return tuple(copy.copy(part) if isinstance(part, list) else part for part in distribution)


def _drawn(value: dict[str, Any]) -> DrawnEvent:
    names = [field.name for field in dataclasses.fields(DrawnEvent)]
    numbers: dict[str, Any] = {
        name: None if value[name] is None else float(value[name]) for name in names
    }
    return DrawnEvent(**numbers)
