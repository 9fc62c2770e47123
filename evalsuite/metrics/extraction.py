"""Whom an extractor found: the talker whose enrolment it got, or another one of the mixture."""

from collections.abc import Mapping

import numpy as np

from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.si_sdr import centred, pairwise_si_sdr

COLUMN = "wrong_talker"


def wrong_talker(*, talkers: Array, asked: int, estimate: Array) -> Score:
    """Return 1 if the estimate has a higher SI-SDR against another talker than the asked one, or 0.

    Args:
        talkers: every talker of the mixture, shape (n, channels, time).
        asked: index of the talker that the estimate should hold.
        estimate: shape (channels, time).
    """
    if not talkers[asked].any():
        return Missing(Reason.SILENT_REFERENCE)
    if not centred(*full_scale(estimate)).any():
        return Missing(Reason.SILENT_ESTIMATE)
    scores = pairwise_si_sdr(references=talkers, estimates=[estimate])[:, 0]
    return float(scores.max() > scores[asked])


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    """Score the estimates of targets that have an enrolment."""
    surplus = item.n_est > len(item.references)
    searched = not item.named and (surplus or not _are_equal(list(estimates.values())))
    return {
        index: {COLUMN: _of_target(item, index, estimate, searched=searched)}
        for index, estimate in estimates.items()
    }


def _of_target(item: ScoringItem, index: int, estimate: Array, *, searched: bool) -> Score:
    source = item.source(index)
    if source is None or source.enrolment is None:
        return Missing(Reason.NOT_APPLICABLE, "no enrolment names the target")
    if searched:
        return Missing(Reason.NOT_APPLICABLE, "the system gets no enrolment")
    others = [
        reference
        for other, reference in enumerate(item.references)
        if other != index and item.source(other) is not source
    ]
    others += item.shared(interferers)
    if not any(other.any() for other in others):
        return Missing(Reason.NOT_APPLICABLE, "no other talker in the mixture")
    talkers = np.stack([item.references[index], *others])
    return wrong_talker(talkers=talkers, asked=0, estimate=estimate)


def interferers(item: ScoringItem) -> list[Array]:
    """Return the talkers in the record that are no targets, each (channels, time)."""
    if item.record is None or item.read is None:
        return []
    return [
        item.read(source.name)
        for source in item.record.sources
        if source.role == "interferer" and source.kind == "speech"
    ]


def _are_equal(estimates: list[Array]) -> bool:
    """Return whether all estimates are the same, as those of no separation: they have no order."""
    return all(np.array_equal(estimate, estimates[0]) for estimate in estimates)


METRICS = (
    ReferenceMetric(
        name=COLUMN,
        columns=(COLUMN,),
        score=_score,
        unit="1",
        tasks=frozenset({"target_speaker"}),
        parameters={
            "nearest": "highest SI-SDR",
            "talkers": "targets and interferers that speak",
            "mean": "removed from both",
            "channels": "one vector",
        },
        source="argmax over the talkers of the SI-SDR of Le Roux et al., ICASSP 2019",
        higher_is_better=False,
        floor=1.0,
        kinds=frozenset({"speech"}),
    ),
)
