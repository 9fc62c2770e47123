"""What an echo canceller does while only the far end talks, and while both ends talk.

ITU-T G.168 (2015) calls the attenuation of the echo by a canceller echo return loss enhancement,
ERLE. K. Sridhar et al., "ICASSP 2021 Acoustic Echo Cancellation Challenge", ICASSP 2021, and
H. Zhang and D. Wang, Interspeech 2018, measure it in far-end single talk, as the energy of the
microphone over that of the output; the latter measure the near end in double talk.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evalsuite.metrics.diagnostics import energy_db
from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import MixtureMetric, PairFunction, ReferenceFunction, ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.si_sdr import FLOOR_DB, LIMIT_DB, si_sdr, snr
from mixgen.audio.levels import ACTIVE_RANGE_DB, FRAME_S, active_frames, frame_energies

SILENT_DB = 60.0

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Talk:
    """When which end talks, one value per sample, (time,) each.

    Attributes:
        far: an echo is active, and the near end is silent.
        double: an echo and the near end are active.
    """

    far: Mask
    double: Mask


def talk(*, near: Array, echo: Array, sample_rate: int) -> Talk:
    """Find single talk of the far end and double talk, in frames of 20 ms.

    A frame is active within 40 dB of the loudest frame of its signal. The near end is silent where
    its frame is at least 60 dB below its loudest; what lies between counts as neither.

    Args:
        near: sum of the references, shape (channels, time).
        echo: as the microphones pick it up, shape (channels, time).
        sample_rate: in Hz.
    """
    near, echo = full_scale(near)[0], full_scale(echo)[0]
    power = frame_energies(near, sample_rate)
    silent = power <= power.max() * 10.0 ** (-SILENT_DB / 10.0)
    echoes = active_frames(echo, sample_rate)
    far, double = echoes & silent, echoes & active_frames(near, sample_rate)
    width = max(1, int(FRAME_S * sample_rate))
    frames = near.shape[-1]
    return Talk(*(np.repeat(found, width)[:frames] for found in (far, double)))


def erle_db(*, mixture: Array, estimate: Array) -> Score:
    """Return the ERLE in dB, 10 log10(|x|² / |e|²), of what the microphone and the output hold.

    Args:
        mixture: far-end single talk at the microphones, shape (channels, time).
        estimate: the output of the canceller at the same time, shape (channels, time).
    """
    if not mixture.any():
        return Missing(Reason.NOT_APPLICABLE, "the mixture is silent")
    if not estimate.any():
        return Missing(Reason.PERFECT, "silent, as it should be")
    return energy_db(mixture) - energy_db(estimate)


def talk_of(item: ScoringItem) -> Talk | None:
    """Return who talks when in a mixture; None where its record has no echo."""
    sources = () if item.record is None else item.record.sources
    echoes = [file for s in sources if s.role == "far_end" for file in s.files]
    names = [file.name for file in echoes if file.is_in_sum]
    if item.read is None or not names:
        return None
    echo = sum((item.read(name) for name in names), np.zeros_like(item.mixture))
    return talk(near=item.references.sum(axis=0), echo=echo, sample_rate=item.sample_rate)


def _score_erle(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    """Score the sum of all outputs, where a mixture has far-end single talk."""
    found = item.shared(talk_of)
    present = [estimate for estimate in estimates if estimate is not None]
    if found is None or not found.far.any():
        score: Score = Missing(Reason.NOT_APPLICABLE, "no far-end single talk")
    elif not present:
        score = Missing(Reason.MISSING_ESTIMATE)
    else:
        output = np.sum(present, axis=0)
        score = erle_db(mixture=item.mixture[:, found.far], estimate=output[:, found.far])
    return {"erle_db": score}


def _in_double_talk(column: str, function: PairFunction) -> ReferenceFunction:
    """Return a metric function that fills `column` with the score of the samples of double talk."""

    def score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        """Return the scores in double talk."""
        found = item.shared(talk_of)
        if found is None or not found.double.any():
            missing = Missing(Reason.NOT_APPLICABLE, "no double talk")
            return {index: {column: missing} for index in estimates}
        return {
            index: {
                column: function(
                    reference=item.references[index][:, found.double],
                    estimate=estimate[:, found.double],
                )
            }
            for index, estimate in estimates.items()
        }

    return score


def _double_talk_metric(
    column: str, function: PairFunction, floor: float, source: str
) -> ReferenceMetric:
    return ReferenceMetric(
        name=column,
        columns=(column,),
        score=_in_double_talk(column, function),
        unit="dB",
        tasks=frozenset({"echo_cancellation"}),
        parameters={**_FRAMES, "samples": "double talk", "limit_db": LIMIT_DB},
        source=source,
        floor=floor,
        improvements=(column,),
    )


_FRAMES: dict[str, str | float] = {
    "frame_s": FRAME_S,
    "active_db": ACTIVE_RANGE_DB,
    "channels": "one vector",
}

METRICS = (
    MixtureMetric(
        name="erle",
        columns=(),
        score=_score_erle,
        unit="dB",
        tasks=frozenset({"echo_cancellation"}),
        parameters={
            **_FRAMES,
            "silent_db": SILENT_DB,
            "samples": "far-end single talk",
            "estimate": "sum of all",
        },
        source="ITU-T G.168 (2015); Zhang and Wang, Interspeech 2018",
        floor=None,
        diagnostics=("erle_db",),
    ),
    _double_talk_metric("si_sdr_dt", si_sdr, FLOOR_DB, "Le Roux et al., ICASSP 2019"),
    _double_talk_metric("snr_dt", snr, 0.0, "10 log10(|s|^2 / |s - e|^2)"),
)
