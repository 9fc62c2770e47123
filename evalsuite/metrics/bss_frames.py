"""BSS Eval by frames: SIR and SAR, with SDR for sources and ISR for images; medians over frames.

F.-R. Stoter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation Campaign", LVA/ICA 2018.
Version 3 finds the distortion filters of every frame, version 4 those of the whole item. The SDR of
the frame of an image needs no filters: in both versions it is that of museval_v4.py.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from functools import partial

import numpy as np

from evalsuite.metrics.bss_eval import (
    LIMIT_DB,
    PARAMETERS,
    SOURCE,
    Ratios,
    defined,
    mean_over_mono,
    no_interference,
    note_solver,
    of_sources,
    spans,
)
from evalsuite.metrics.bss_images import PARAMETERS as IMAGE_PARAMETERS
from evalsuite.metrics.bss_images import of_images
from evalsuite.metrics.framewise import PARAMETERS as FRAME_PARAMETERS
from evalsuite.metrics.framewise import (
    active_frames,
    compat_median,
    framing,
    hidden_frames,
    median,
    silent_beside,
)
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.metrics.projection import TAPS, DelaySpans, Energies
from evalsuite.metrics.si_sdr import FLOOR_DB

# Energies of every frame, (n_frames, n_est).
FrameEnergies = Callable[[ScoringItem, Mapping[int, Array]], Energies]

RULES = ("_med", "_strict_med")
UNKNOWN = Energies(*(np.array(np.nan) for _ in fields(Energies)))


def with_own_filters(item: ScoringItem, estimates: Mapping[int, Array]) -> Energies:
    """Return energies with the filters of each frame; NaN where reference or estimate is silent."""
    window, n_frames = framing(item.mixture.shape[-1], item.sample_rate)
    by_frame = []
    for start in range(0, n_frames * window, window):
        here = slice(start, start + window)
        references = item.references[..., here]
        sounding = {
            i: estimate[..., here]
            for i, estimate in estimates.items()
            if window >= TAPS and references[i].any() and estimate[..., here].any()
        }
        energies = DelaySpans(references).energies(sounding) if sounding else {}
        by_frame.append(_stacked([energies.get(i, UNKNOWN) for i in estimates]))
    return _stacked(by_frame)


def with_common_filters(item: ScoringItem, estimates: Mapping[int, Array]) -> Energies:
    """Return energies with the filters of the whole item."""
    window, n_frames = framing(item.mixture.shape[-1], item.sample_rate)
    found = item.shared(spans)
    projection = found.project(estimates)
    note_solver(item, found)
    starts = range(0, n_frames * window, window)
    return _stacked([projection.energies_of_frame(start, start + window) for start in starts])


def _stacked(energies: Sequence[Energies]) -> Energies:
    parts = ([getattr(e, field.name) for e in energies] for field in fields(Energies))
    return Energies(*(np.array(part) for part in parts))


def _of_images(e: Energies) -> Ratios:
    """Return targets and residuals of ISR, SIR and SAR."""
    return of_images(e)[1:]


def _columns(ratios: Sequence[str]) -> tuple[str, ...]:
    return tuple(ratio + rule for rule in RULES for ratio in ratios)


def _score(
    item: ScoringItem,
    estimates: Mapping[int, Array],
    *,
    columns: Sequence[str],
    energies: FrameEnergies,
    ratios: Callable[[Energies], Ratios],
) -> dict[int, Scores]:
    scores, scored = defined(item, estimates, columns)
    if not scored:
        return scores
    hidden, reason = hidden_frames(item, estimates)
    values = _decibels(ratios(energies(item, scored)))  # (3, n_frames, n_est)
    for number, (index, estimate) in enumerate(scored.items()):
        reference, of_frames = item.references[index], values[..., number]
        sounding = ~silent_beside(reference, estimate, item.sample_rate)
        strict = np.where(sounding & (of_frames > FLOOR_DB), of_frames, FLOOR_DB)
        strict = strict[:, active_frames(reference, item.sample_rate)]
        medians = [compat_median(ratio, hidden, reason) for ratio in of_frames]
        medians += [median(ratio, Missing(Reason.SILENT_REFERENCE)) for ratio in strict]
        scores[index] = dict(zip(columns, medians, strict=True)) | no_interference(item, columns)
    return scores


def _decibels(ratios: Ratios) -> Array:
    """Return ratios in dB, infinite where one of both energies is rounding error."""
    with np.errstate(divide="ignore", invalid="ignore"):
        values = np.array([10.0 * np.log10(target / residual) for target, residual in ratios])
    return np.where(np.abs(values) > LIMIT_DB, np.copysign(np.inf, values), values)


FRAMES = {
    **FRAME_PARAMETERS,
    "strict": "all frames where the own reference is active; silent or worse than the floor: it",
}
SOURCES = _columns(("sdr_bss512", "sir_bss512", "sar_bss512"))


def _images(version: int, energies: FrameEnergies, filters: str) -> ReferenceMetric:
    columns = _columns([f"{ratio}_v{version}" for ratio in ("isr", "sir", "sar")])
    return ReferenceMetric(
        name=f"images_v{version}",
        columns=columns,
        score=partial(_score, columns=columns, energies=energies, ratios=_of_images),
        unit="dB",
        tasks=frozenset(),
        parameters={**IMAGE_PARAMETERS, **FRAMES, "filters": filters},
        source=f"Stoter, Liutkus, Ito, LVA/ICA 2018; museval 0.4.1, mode v{version}",
        floor=FLOOR_DB,
    )


METRICS = (
    ReferenceMetric(
        name="bss512_frames",
        columns=SOURCES,
        score=mean_over_mono(
            partial(_score, columns=SOURCES, energies=with_own_filters, ratios=of_sources)
        ),
        unit="dB",
        tasks=frozenset(),
        parameters={
            **PARAMETERS,
            **FRAMES,
            "channels": "mean of mono values",
            "filters": "of the frame",
        },
        source=SOURCE,
        floor=FLOOR_DB,
    ),
    _images(3, with_own_filters, "of the frame"),
    _images(4, with_common_filters, "of the whole item"),
)
