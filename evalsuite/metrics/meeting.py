"""Ratios for meetings, where talkers are silent most of the time.

T. von Neumann, K. Kinoshita, C. Boeddeker, M. Delcroix, R. Haeb-Umbach, "SA-SDR: a novel loss
function for separation of meeting style data", ICASSP 2022, arXiv:2110.15581: one ratio of the
energies of all talkers, which a silent talker does not make undefined. Z. Chen et al., "Continuous
speech separation: dataset and analysis", ICASSP 2020, arXiv:2001.11482: every utterance is
evaluated on the stream that has it best, because a talker may change streams between utterances.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import MixtureMetric, ReferenceMetric, Value
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, decibels
from evalsuite.metrics.permutation import best_permutation
from evalsuite.metrics.si_sdr import (
    FLOOR_DB,
    LIMIT_DB,
    centred,
    energy,
    pairwise_si_sdr,
    si_sdr,
)
from mixgen.audio.activity import LEAST_GAP_S, sounding_spans
from mixgen.audio.levels import ACTIVE_RANGE_DB
from mixgen.core.vocabulary import Task

MEETINGS: frozenset[Task] = frozenset({"meetings"})

# No utterance counts more: clean speech that passes through must not outweigh all others.
CEILING_DB = 50.0

ACTIVE = "si_sdr_active"
BEST, STREAM = "si_sdr_utt_best", "si_sdr_utt_stream"

Mask = NDArray[np.bool_]


def sa_sdr(*, references: Sequence[Array], estimates: Sequence[Array]) -> Score:
    """Return the source-aggregated SDR in dB, under the best permutation of whole streams.

    10 log10(sum of |s_k|^2 / sum of |s_k - e_k|^2). Both sums are over the longer of the two lists:
    a reference without an estimate is compared with silence, and so is an estimate without a
    reference.

    Args:
        references: arrays of shape (channels, time), silent ones included.
        estimates: arrays of shape (channels, time), in any order and number.
    """
    if not any(reference.any() for reference in references):
        return Missing(Reason.SILENT_REFERENCE)
    s, e = full_scale(*_of_one_length(references, estimates))
    errors = np.array([[energy(one - other) for other in e] for one in s])
    residual = float(errors[linear_sum_assignment(errors)].sum())
    return decibels(target=energy(s), residual=residual, limit_db=LIMIT_DB)


def sa_si_sdr(*, references: Sequence[Array], estimates: Sequence[Array]) -> Score:
    """Return the SA-SDR in dB against references that share the best scale, means removed.

    a = sum of <s_k, e_k> / sum of |s_k|^2, and 10 log10(sum of |a s_k|^2 / sum of |a s_k - e_k|^2).

    Args:
        references: arrays of shape (channels, time), silent ones included.
        estimates: arrays of shape (channels, time), in any order and number.
    """
    if not any(reference.any() for reference in references):
        return Missing(Reason.SILENT_REFERENCE)
    if not estimates:
        return Missing(Reason.MISSING_ESTIMATE)
    s, e = (
        np.stack([centred(samples) for samples in full_scale(signals)[0]])
        for signals in _of_one_length(references, estimates)
    )  # (n, channels * time)
    if not s.any() or not e.any():
        return Missing(Reason.SILENT_ESTIMATE if s.any() else Reason.SILENT_REFERENCE)
    products = s @ e.T
    # The sum may have either sign, because the scale a may.
    orders = [linear_sum_assignment(products, maximize=most)[1] for most in (True, False)]
    sums = [float(np.take_along_axis(products, order[:, None], axis=1).sum()) for order in orders]
    largest = int(np.argmax(np.abs(sums)))
    target = sums[largest] / energy(s) * s
    residual = energy(e[orders[largest]] - target)
    return decibels(target=energy(target), residual=residual, limit_db=LIMIT_DB)


def _of_one_length(references: Sequence[Array], estimates: Sequence[Array]) -> tuple[Array, Array]:
    """Return both lists as (n, channels, time), with silence appended to the shorter one."""
    n = max(len(references), len(estimates))
    silence = np.zeros_like(references[0])
    padded = ([*given, *[silence] * (n - len(given))] for given in (references, estimates))
    s, e = (np.stack(signals) for signals in padded)
    return s, e


def _present(estimates: Sequence[Array | None]) -> list[Array]:
    return [estimate for estimate in estimates if estimate is not None]


def _score_sa_sdr(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    return {"sa_sdr": sa_sdr(references=list(item.references), estimates=_present(estimates))}


def _score_sa_si_sdr(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    score = sa_si_sdr(references=list(item.references), estimates=_present(estimates))
    return {"sa_si_sdr": score}


def _score_active(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    """Compare each reference with its estimate in the samples where the talker is active."""
    return {
        index: {ACTIVE: _si_sdr_in(item.shared(_activity)[index], item.references[index], estimate)}
        for index, estimate in estimates.items()
    }


def _si_sdr_in(active: Mask, reference: Array, estimate: Array) -> Score:
    if not active.any():
        return Missing(Reason.SILENT_REFERENCE)
    return si_sdr(reference=reference[:, active], estimate=estimate[:, active])


def _activity(item: ScoringItem) -> list[Mask]:
    """Return the samples in which each reference is active, (time,).

    They are those of its events in the record; without events, those in which it has sound.
    """
    masks = []
    for index, reference in enumerate(item.references):
        mask = np.zeros(reference.shape[-1], bool)
        spans = _events(item, index)
        if not spans:
            item.notes[ACTIVE] = "activity measured in the references"
            (scaled,) = full_scale(reference)
            spans = [slice(a, b) for a, b in sounding_spans(scaled, item.sample_rate)]
        for span in spans:
            mask[span] = True
        masks.append(mask)
    return masks


def _events(item: ScoringItem, index: int) -> list[slice]:
    """Return the samples of every event of a reference, as the record has them."""
    source = item.source(index)
    if item.record is None or source is None:
        return []
    return [item.record.span_of(event) for event in source.events]


@dataclass(frozen=True)
class Utterance:
    """What a talker says in one event: the index of the reference, and the samples in it."""

    reference: int
    span: slice


def utterances(item: ScoringItem) -> list[Utterance]:
    """Return every event of every reference in the record that is not silent."""
    return [
        Utterance(index, span)
        for index, reference in enumerate(item.references)
        for span in _events(item, index)
        if reference[:, span].any()
    ]


def _score_utterances(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    """Score every utterance on its best stream, and on the stream of its talker."""
    found = item.shared(utterances)
    if not found:
        detail = "no record of the mixture" if item.record is None else "no utterance"
        return dict.fromkeys((BEST, STREAM), Missing(Reason.NOT_APPLICABLE, detail))
    streams = _present(estimates)
    pairing = best_permutation(references=item.references, estimates=streams)
    on_streams = [_on_streams(item, utterance, streams) for utterance in found]
    # (utterance, stream); the last column is that of no stream at all.
    scores = np.pad(np.concatenate(on_streams), ((0, 0), (0, 1)), constant_values=FLOOR_DB)
    of_talkers = [pairing.estimate_of[utterance.reference] for utterance in found]
    columns = [-1 if number is None else number for number in of_talkers]
    best, stream = scores.max(axis=1), scores[np.arange(len(found)), columns]
    return {
        BEST: float(best.mean()),
        STREAM: float(stream.mean()),
        "si_sdr_utt_gap": float((best - stream).mean()),
        "utt_switched": float((best > stream).mean()),
        "n_utterances": float(len(found)),
    }


def _on_streams(item: ScoringItem, utterance: Utterance, streams: Sequence[Array]) -> Array:
    """Return the SI-SDR of an utterance on each stream in dB, (1, n_est), floor to ceiling."""
    index, span = utterance.reference, utterance.span
    scores = pairwise_si_sdr(
        references=item.references[index : index + 1, :, span],
        estimates=[stream[:, span] for stream in streams],
    )
    return np.clip(scores, FLOOR_DB, CEILING_DB)


_AGGREGATED: dict[str, Value] = {
    "permutation": "of whole streams, the best for this metric",
    "missing_estimate": "silence",
    "surplus_estimate": "compared with silence",
    "channels": "one vector",
    "limit_db": LIMIT_DB,
}

METRICS = (
    MixtureMetric(
        name="sa_sdr",
        columns=("sa_sdr",),
        score=_score_sa_sdr,
        unit="dB",
        tasks=MEETINGS,
        parameters={**_AGGREGATED, "mean": "kept"},
        source="von Neumann et al., ICASSP 2022, arXiv:2110.15581",
        floor=0.0,
    ),
    MixtureMetric(
        name="sa_si_sdr",
        columns=("sa_si_sdr",),
        score=_score_sa_si_sdr,
        unit="dB",
        tasks=frozenset(),
        parameters={**_AGGREGATED, "mean": "removed from both", "scale": "one for all references"},
        source="von Neumann et al., ICASSP 2022, arXiv:2110.15581, with one scale",
        floor=FLOOR_DB,
    ),
    ReferenceMetric(
        name="si_sdr_active",
        columns=(ACTIVE,),
        score=_score_active,
        unit="dB",
        tasks=MEETINGS,
        parameters={
            "samples": "events of the record, else frames with sound",
            "range_db": ACTIVE_RANGE_DB,
            "least_gap_s": LEAST_GAP_S,
            "mean": "removed from both",
            "channels": "one vector",
            "limit_db": LIMIT_DB,
        },
        source="Le Roux et al., ICASSP 2019, arXiv:1811.02508, where the reference is active",
        floor=FLOOR_DB,
        improvements=(ACTIVE,),
    ),
    MixtureMetric(
        name="si_sdr_utt",
        columns=(BEST, STREAM),
        score=_score_utterances,
        unit="dB",
        tasks=MEETINGS,
        parameters={
            "utterance": "event of the record",
            "average": "mean over utterances",
            "best": "the stream with the highest SI-SDR, for each utterance by itself",
            "stream": "the stream of the talker, by SI-SDR over the whole mixture",
            "ceiling_db": CEILING_DB,
            "mean": "removed from both",
            "channels": "one vector",
        },
        source="Chen et al., ICASSP 2020, arXiv:2001.11482, with SI-SDR",
        floor=FLOOR_DB,
        diagnostics=("si_sdr_utt_gap", "utt_switched", "n_utterances"),
    ),
)
