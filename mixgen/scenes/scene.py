"""Scaper decides what happens in a mixture. This is the only module that imports it.

One `scaper.Scaper` per mixture is told which files to use and which distributions to draw from;
its instantiation becomes the events of the record. Known traps of Scaper 1.6.5 are kept out here:
`np.Inf` on numpy 2, soxbindings (which corrupts audio without a word), the root logger, warnings
about every value that it adjusts.
"""

import copy
import functools
import sys
import tempfile
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mixgen.core.errors import InputError, MachineError

_SHORTEST_EVENT_S = 0.1
_TRIES = 100


@dataclass(frozen=True)
class EventPlan:
    """One event to instantiate: its file, and a Scaper distribution tuple for each quantity.

    It lasts `duration_s`, or as long as the mixture and the file let it.
    """

    path: Path
    background: bool
    source_time: tuple[Any, ...]
    event_time: tuple[Any, ...]
    snr: tuple[Any, ...]
    pitch_shift: tuple[Any, ...] | None = None
    time_stretch: tuple[Any, ...] | None = None
    duration_s: float | None = None


@dataclass(frozen=True)
class DrawnEvent:
    """What Scaper drew for one event; times in seconds, snr in dB, pitch_shift in semitones."""

    source_time: float
    event_time: float
    event_duration: float
    snr: float
    pitch_shift: float | None = None
    time_stretch: float | None = None


class _NumpyWithInf:
    """numpy as Scaper 1.6.5 knows it: `np.Inf` went away in numpy 2."""

    Inf = np.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(np, name)


@functools.cache
def load_scaper() -> Any:
    """Import Scaper with pysox as its back-end.

    Raises:
        MachineError: Scaper is not installed.
    """
    # soxbindings would be preferred by Scaper, has no switch, and corrupts audio on numpy 2.
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
    """Scaper wants folders of labels; files are named outright here, so an empty one serves."""
    return tempfile.TemporaryDirectory(prefix="mixgen-scaper-")


def instantiate(plans: Sequence[EventPlan], duration_s: float, seed: int) -> list[DrawnEvent]:
    """Let Scaper draw one scene of `duration_s` seconds; the events come in the order of `plans`.

    Raises:
        InputError: Scaper refuses a distribution or a file.
    """
    if not plans:
        return []
    scaper = load_scaper()
    # JAMS sorts events by time; a label of its own tells each event apart.
    folder = _empty_folder().name
    labels = [str(number) for number in range(len(plans))]
    try:
        with warnings.catch_warnings():
            # Scaper warns whenever it fits an excerpt to its file, which is the normal case.
            warnings.simplefilter("ignore")
            scene = scaper.Scaper(duration_s, folder, folder, random_state=_seeded(seed))
            scene.fg_labels = scene.bg_labels = labels
            for label, plan in zip(labels, plans, strict=True):
                _add(scene, label, plan)
            jam = scene._instantiate(disable_instantiation_warnings=True)
    except scaper.scaper_exceptions.ScaperError as error:
        raise InputError(f"Scaper refuses the scene: {error}") from None
    values = {event.value["label"]: event.value for event in jam.annotations[0].data}
    return [_drawn(values[label]) for label in labels]


_kept = threading.local()


def _seeded(seed: int) -> np.random.RandomState:
    """Return a random state with this seed, until the next call in this thread.

    To seed one is a hundred times faster than to make one, and gives the same numbers.
    """
    if not hasattr(_kept, "state"):
        _kept.state = np.random.RandomState()
    _kept.state.seed(seed)
    state: np.random.RandomState = _kept.state
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


def _add(scene: Any, label: str, plan: EventPlan) -> None:
    # `choose` from one file, because Scaper ties a `const` file to a folder named like its label.
    source_file = ("choose", [str(plan.path)])
    if plan.background:
        scene.add_background(("const", label), source_file, _own(plan.source_time))
        return
    # Drawn first: Scaper would move an event forward until its duration fits into the scene.
    start_s = _start_s(scene, plan.event_time)
    stretch = plan.time_stretch and value(plan.time_stretch, scene.random_state)
    left_s = (scene.duration - start_s) / (stretch or 1.0)
    scene.add_event(
        label=("const", label),
        source_file=source_file,
        source_time=_own(plan.source_time),
        event_time=("const", start_s),
        event_duration=("const", min(left_s, plan.duration_s or left_s)),
        snr=_own(plan.snr),
        pitch_shift=plan.pitch_shift and _own(plan.pitch_shift),
        time_stretch=None if stretch is None else ("const", stretch),
    )


def _start_s(scene: Any, event_time: tuple[Any, ...]) -> float:
    latest_s = scene.duration - min(_SHORTEST_EVENT_S, scene.duration / 2)
    for _ in range(_TRIES):
        start_s = value(event_time, scene.random_state)
        if 0 <= start_s <= latest_s:
            return start_s
    raise InputError(
        f"event_time {list(event_time)} gave no start from 0 to {latest_s:.3f} s in {_TRIES} draws "
        f"for a mixture of {scene.duration:.3f} s: let it begin events inside the mixture."
    )


def value(distribution: Sequence[Any], random_state: np.random.RandomState) -> float:
    """Draw one number from a Scaper distribution with a random state."""
    return float(load_scaper().core._get_value_from_dist(_own(distribution), random_state))


def _own(distribution: Sequence[Any]) -> tuple[Any, ...]:
    """Return a distribution for Scaper to keep: it changes the lists of `choose` as it likes."""
    return tuple(copy.copy(part) if isinstance(part, list) else part for part in distribution)


def _drawn(value: dict[str, Any]) -> DrawnEvent:
    names = ("source_time", "event_time", "event_duration", "snr", "pitch_shift", "time_stretch")
    return DrawnEvent(**{name: _number(value[name]) for name in names})


def _number(value: Any) -> Any:
    return None if value is None else float(value)
