"""BSS Eval "images": SDR, ISR, SIR and SAR of multichannel sources.

E. Vincent et al., "The signal separation evaluation campaign (2007-2010)", Signal Processing 92,
2012. Every channel of the estimate is projected on the delayed
channels of its own reference, and on those of all references; energies are over all channels:

    estimate = reference + spatial + interference + artifacts
    SDR = |reference|^2 / |estimate - reference|^2
    ISR = |reference|^2 / |own - reference|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2
"""

from collections.abc import Mapping

from evalsuite.metrics.bss_eval import PARAMETERS as BSS_PARAMETERS
from evalsuite.metrics.bss_eval import alone, defined, note_solver, ratio, spans
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, Value
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.metrics.si_sdr import FLOOR_DB

COLUMNS = ("sdr_img", "isr_img", "sir_img", "sar_img")
PARAMETERS: dict[str, Value] = {**BSS_PARAMETERS, "channels": "projected on all, energies added"}


def _score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
    scores, scored = defined(item, estimates, COLUMNS)
    if not scored:
        return scores
    found = item.shared(spans)
    for index, e in found.energies(scored).items():
        sir = ratio(e.own, e.every_minus_own)
        scores[index] = {
            "sdr_img": ratio(e.reference, e.estimate_minus_reference),
            "isr_img": ratio(e.reference, e.own_minus_reference),
            "sir_img": Missing(Reason.ONE_REFERENCE) if alone(item) else sir,
            "sar_img": ratio(e.every, e.estimate_minus_every),
        }
    note_solver(item, found)
    return scores


METRICS = (
    ReferenceMetric(
        name="images",
        columns=COLUMNS,
        score=_score,
        unit="dB",
        tasks=frozenset(),
        parameters={**PARAMETERS, "window": "whole item"},
        source="Vincent et al., Signal Processing 92, 2012; BSS Eval images",
        floor=FLOOR_DB,
        improvements=("sdr_img", "sir_img"),
    ),
)
