"""BSS Eval "images": SDR, ISR, SIR and SAR of multichannel sources, whole or framewise.

E. Vincent et al., "The signal separation evaluation campaign (2007-2010)", Signal Processing 92,
2012 (images, ISR); F.-R. Stoter, A. Liutkus, N. Ito, "The 2018 Signal Separation Evaluation
Campaign", LVA/ICA 2018 (version 4). Every channel of the estimate is projected on the delayed
channels of its own reference, and on those of all references; energies are over all channels:

    estimate = reference + spatial + interference + artifacts
    SDR = |reference|^2 / |estimate - reference|^2
    ISR = |reference|^2 / |own - reference|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2

Framewise, version 3 finds the filters of every frame, version 4 those of the whole item. The SDR of
a frame needs no filters: it is `sdr_v4` in both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from functools import partial

import numpy as np

from evalsuite.metrics.bss_eval import LIMIT_DB, note_solver, ratio, undefined
from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric, Value
from evalsuite.metrics.museval_v4 import (
    DYNAMIC_RANGE_DB,
    WINDOW_S,
    Mask,
    active_frames,
    compat_median,
    frame_energy,
    frames,
    framing,
    hidden_frames,
    median,
)
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.metrics.projection import TAPS, DelaySpans, Energies
from evalsuite.metrics.si_sdr import FLOOR_DB

WHOLE = ("sdr_img", "isr_img", "sir_img", "sar_img")
RATIOS = ("isr", "sir", "sar")


def _spans(item: ScoringItem) -> DelaySpans:
    return DelaySpans(item.references)


def _split(
    item: ScoringItem, estimates: Mapping[int, Array], columns: tuple[str, ...]
) -> tuple[dict[int, Scores], dict[int, Array]]:
    """Return the scores of estimates for which images are not defined, and the other estimates."""
    problems = {i: undefined(item.references[i], e) for i, e in estimates.items()}
    missing: dict[int, Scores] = {i: dict.fromkeys(columns, p) for i, p in problems.items() if p}
    return missing, {i: e for i, e in estimates.items() if i not in missing}


def _alone(item: ScoringItem) -> bool:
    return bool(item.references.any(axis=(1, 2)).sum() == 1)


def _score_whole(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    scores, scored = _split(item, estimates, WHOLE)
    if not scored:
        return scores
    spans = item.shared(_spans)
    for index, e in spans.energies(scored).items():
        sir = ratio(e.own, e.every_minus_own)
        scores[index] = {
            "sdr_img": ratio(e.reference, e.estimate_minus_reference),
            "isr_img": ratio(e.reference, e.own_minus_reference),
            "sir_img": Missing(Reason.ONE_REFERENCE) if _alone(item) else sir,
            "sar_img": ratio(e.every, e.estimate_minus_every),
        }
    note_solver(item, spans)
    return scores


def _score_frames(
    item: ScoringItem, estimates: Mapping[int, Array], *, version: int
) -> dict[int, Scores]:
    columns = _columns(version)
    scores, scored = _split(item, estimates, columns)
    if not scored:
        return scores
    hidden, reason = hidden_frames(item, estimates)
    framewise = _energies_v3 if version == 3 else _energies_v4
    energies = framewise(item, scored)
    for number, (index, estimate) in enumerate(scored.items()):
        values = _ratios(energies, number)
        active = active_frames(item.references[index], item.sample_rate)
        sounding = ~_silent_beside(item, index, estimate)
        strict = np.where(sounding & (values > FLOOR_DB), values, FLOOR_DB)[:, active]
        empty = Missing(Reason.SILENT_REFERENCE)
        medians = [compat_median(value, hidden, reason) for value in values]
        medians += [median(value, empty) for value in strict]
        scores[index] = dict(zip(columns, medians, strict=True))
        if _alone(item):
            of_sir = (column for column in columns if column.startswith("sir"))
            scores[index] |= dict.fromkeys(of_sir, Missing(Reason.ONE_REFERENCE))
    return scores


def _columns(version: int) -> tuple[str, ...]:
    return tuple(f"{r}_v{version}{rule}_med" for rule in ("", "_strict") for r in RATIOS)


def _energies_v4(item: ScoringItem, estimates: Mapping[int, Array]) -> Energies:
    """Return the energies of every frame, (n_frames, n_est), with the filters of the item."""
    window, n_frames = framing(item.mixture.shape[-1], item.sample_rate)
    spans = item.shared(_spans)
    projection = spans.project(estimates)
    note_solver(item, spans)
    starts = range(0, n_frames * window, window)
    return _stacked([projection.energies(start, start + window) for start in starts])


def _energies_v3(item: ScoringItem, estimates: Mapping[int, Array]) -> Energies:
    """Return the energies of every frame, (n_frames, n_est), with filters of its own.

    They are NaN where the reference or the estimate is silent.
    """
    window, n_frames = framing(item.mixture.shape[-1], item.sample_rate)
    frames_of_item = []
    for start in range(0, n_frames * window, window):
        references = item.references[..., start : start + window]
        here = {i: e[..., start : start + window] for i, e in estimates.items()}
        here = {i: e for i, e in here.items() if undefined(references[i], e) is None}
        energies = DelaySpans(references).energies(here) if here else {}
        frames_of_item.append(_stacked([energies.get(i, UNKNOWN) for i in estimates]))
    return _stacked(frames_of_item)


def _stacked(energies: Sequence[Energies]) -> Energies:
    parts = ([getattr(e, field.name) for e in energies] for field in fields(Energies))
    return Energies(*(np.array(part) for part in parts))


def _ratios(energies: Energies, number: int) -> Array:
    """Return ISR, SIR and SAR in dB of every frame of an estimate, (3, n_frames)."""
    e = energies
    targets = np.stack([e.reference, e.own, e.every])[..., number]
    residuals = np.stack([e.own_minus_reference, e.every_minus_own, e.estimate_minus_every])
    with np.errstate(divide="ignore", invalid="ignore"):
        values: Array = 10.0 * np.log10(targets / residuals[..., number])
    return np.where(np.abs(values) > LIMIT_DB, np.copysign(np.inf, values), values)


def _silent_beside(item: ScoringItem, index: int, estimate: Array) -> Mask:
    """Return the frames in which an estimate is silent beside its reference."""
    signals = full_scale(item.references[index], estimate)
    of_reference, of_estimate = (frame_energy(frames(s, item.sample_rate)) for s in signals)
    return np.asarray(of_estimate <= of_reference * 10 ** (-DYNAMIC_RANGE_DB / 10))


UNKNOWN = Energies(*(np.array(np.nan) for _ in fields(Energies)))
BSS_IMAGES = "Vincent et al., Signal Processing 92, 2012; BSS Eval images"
PARAMETERS: dict[str, Value] = {
    "taps": TAPS,
    "delays": "0 to 511 samples, causal",
    "channels": "projected on all, energies added",
    "limit_db": LIMIT_DB,
}
FRAMES: dict[str, Value] = {
    "window_s": WINDOW_S,
    "hop_s": WINDOW_S,
    "last_partial_frame": "dropped",
    "aggregate": "median over frames",
    "compat": "no frame with a silent reference or estimate of any source (museval)",
    "strict": "all frames where the own reference is active; silent or worse than the floor: it",
    "dynamic_range_db": DYNAMIC_RANGE_DB,
}

METRICS = (
    ReferenceMetric(
        name="images",
        columns=WHOLE,
        score=_score_whole,
        unit="dB",
        tasks=frozenset(),
        parameters={**PARAMETERS, "window": "whole item"},
        source=BSS_IMAGES,
        floor=FLOOR_DB,
        improvements=("sdr_img", "sir_img"),
    ),
    *(
        ReferenceMetric(
            name=f"images_v{version}",
            columns=_columns(version),
            score=partial(_score_frames, version=version),
            unit="dB",
            tasks=frozenset(),
            parameters={**PARAMETERS, **FRAMES, "filters": filters},
            source=f"Stoter, Liutkus, Ito, LVA/ICA 2018; museval 0.4.1, mode v{version}",
            floor=FLOOR_DB,
        )
        for version, filters in ((3, "of the frame"), (4, "of the whole item"))
    ),
)
