"""Metrics of mixtures whose number of sources a system does not know.

J. Zhu, R. A. Yeh, M. Hasegawa-Johnson, "Multi-decoder DPRNN: source separation for variable number
of speakers", ICASSP 2021, arXiv:2011.12022 (P-SI-SNR). S. Wisdom et al., "What's all the fuss about
free universal sound separation data?", ICASSP 2021, arXiv:2011.00803 (which estimates are active;
under- and over-separation).
"""

import math
from collections.abc import Sequence

import numpy as np

from evalsuite.metrics.diagnostics import energy_db, leak_db
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import MixtureMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.permutation import best_permutation
from evalsuite.metrics.si_sdr import FLOOR_DB, si_sdr
from mixgen.core.vocabulary import SOUND_TASKS, SPEECH_TASKS

# An estimate is active if its energy is above that of the quietest active reference, in an empty
# scene that of the mixture, less this. Where the system itself tells which of its estimates hold a
# source, all that are not silent are active.
ACTIVE_RANGE_DB = 20.0
PENALTY_DB = 30.0


def active_references(item: ScoringItem) -> list[Array]:
    """Return the references that are not silent, each (channels, time)."""
    return [reference for reference in item.references if reference.any()]


def active_estimates(item: ScoringItem, estimates: Sequence[Array | None]) -> list[Array]:
    """Return the estimates, each (channels, time), in which a source was found."""
    sounding = [e for e in estimates if e is not None and e.any()]
    if item.counted:
        return sounding
    signals = active_references(item) or [item.mixture]
    levels_db = [energy_db(signal) for signal in signals if signal.any()]
    threshold_db = min(levels_db, default=-math.inf) - ACTIVE_RANGE_DB
    return [estimate for estimate in sounding if energy_db(estimate) > threshold_db]


def p_si_snr(*, references: Sequence[Array], estimates: Sequence[Array]) -> Score:
    """Return the penalised SI-SNR in dB, of active references and estimates, each (channels, time).

    With N of the former and M of the latter: (sum of the SI-SNR of min(N, M) pairs - 30 |N - M|) /
    max(N, M). A pair below -30 dB counts as -30 dB: leaving out an estimate gains nothing.
    """
    most = max(len(references), len(estimates))
    if most == 0:
        return Missing(Reason.NOT_APPLICABLE, "no source, and none was found")
    pairs = matched(references, estimates)
    scores = [si_sdr(reference=r, estimate=e) for r, e in pairs]
    if any(isinstance(score, Missing) and score.reason is Reason.PERFECT for score in scores):
        return Missing(Reason.PERFECT)
    values = [-PENALTY_DB if isinstance(s, Missing) else max(s, -PENALTY_DB) for s in scores]
    return (sum(values) - PENALTY_DB * abs(len(references) - len(estimates))) / most


def matched(references: Sequence[Array], estimates: Sequence[Array]) -> list[tuple[Array, Array]]:
    """Return the pairs of the assignment with the highest sum of SI-SDR."""
    if not references:
        return []
    pairing = best_permutation(references=np.stack(references), estimates=estimates)
    numbers = zip(references, pairing.estimate_of, strict=True)
    return [(reference, estimates[i]) for reference, i in numbers if i is not None]


def _score_p_si_snr(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    found = active_estimates(item, estimates)
    return {"p_si_snr": p_si_snr(references=active_references(item), estimates=found)}


def _score_count(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    references, found = active_references(item), active_estimates(item, estimates)
    pairs = matched(references, found)
    error = len(found) - len(references)
    return {
        "count_right": float(error == 0),
        "n_found": float(len(found)),
        "n_missed": float(max(-error, 0)),
        "n_extra": float(max(error, 0)),
        "under_separated": float(error < 0),
        "over_separated": float(error > 0),
        "extra_leak_db": _extra_leak_db(item, found, pairs),
        "si_sdri_missed_0": _improvement_with_missed(item, references, pairs),
    }


def _extra_leak_db(
    item: ScoringItem, found: Sequence[Array], pairs: Sequence[tuple[Array, Array]]
) -> Score:
    """Return the level in dB against the mixture of all estimates beyond the references."""
    extra = [e for e in found if not any(e is paired for _, paired in pairs)]
    if not extra:
        return Missing(Reason.NOT_APPLICABLE, "no extra estimate")
    return leak_db(estimate=np.concatenate(extra), mixture=item.mixture)


def _improvement_with_missed(
    item: ScoringItem, references: Sequence[Array], pairs: Sequence[tuple[Array, Array]]
) -> Score:
    """Return the mean gain in SI-SDR over the mixture in dB; missed references gain 0 dB."""
    gains = []
    for reference, estimate in pairs:
        score = si_sdr(reference=reference, estimate=estimate)
        base = si_sdr(reference=reference, estimate=item.mixture)
        if isinstance(base, Missing) or (
            isinstance(score, Missing) and score.reason is Reason.PERFECT
        ):
            return Missing(Reason.NOT_APPLICABLE, "the mixture or an estimate is perfect")
        gains.append((FLOOR_DB if isinstance(score, Missing) else score) - base)
    if not references:
        return Missing(Reason.NOT_APPLICABLE, "no source")
    return sum(gains) / len(references)


METRICS = (
    MixtureMetric(
        name="p_si_snr",
        columns=("p_si_snr",),
        score=_score_p_si_snr,
        unit="dB",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={
            "penalty_db": PENALTY_DB,
            "active_range_db": ACTIVE_RANGE_DB,
            "mean": "removed from both",
        },
        source="Zhu, Yeh, Hasegawa-Johnson, ICASSP 2021, arXiv:2011.12022",
        floor=-PENALTY_DB,
        counts_vary=True,
    ),
    MixtureMetric(
        name="counting",
        columns=("count_right",),
        score=_score_count,
        unit="1",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={"active_range_db": ACTIVE_RANGE_DB},
        source="Wisdom et al., ICASSP 2021, arXiv:2011.00803",
        floor=0.0,
        diagnostics=(
            "n_found",
            "n_missed",
            "n_extra",
            "under_separated",
            "over_separated",
            "extra_leak_db",
            "si_sdri_missed_0",
        ),
        counts_vary=True,
    ),
)
