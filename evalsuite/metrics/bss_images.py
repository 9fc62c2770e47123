"""BSS Eval "images": SDR, ISR, SIR and SAR of multichannel sources.

E. Vincent et al., "The signal separation evaluation campaign (2007-2010)", Signal Processing 92,
2012. Every channel of the estimate is projected on the delayed channels of its own reference, and
on those of all references; energies are over all channels:

    estimate = reference + spatial + interference + artifacts
    SDR = |reference|^2 / |estimate - reference|^2
    ISR = |reference|^2 / |own - reference|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2
"""

from evalsuite.metrics.bss_eval import PARAMETERS as BSS_PARAMETERS
from evalsuite.metrics.bss_eval import Ratios, whole_item
from evalsuite.metrics.metric import ReferenceMetric, Value
from evalsuite.metrics.projection import Energies
from evalsuite.metrics.si_sdr import FLOOR_DB

COLUMNS = ("sdr_img", "isr_img", "sir_img", "sar_img")
PARAMETERS: dict[str, Value] = {**BSS_PARAMETERS, "channels": "projected on all, energies added"}


def of_images(e: Energies) -> Ratios:
    """Return targets and residuals of SDR, ISR, SIR and SAR."""
    return (
        (e.reference, e.estimate_minus_reference),
        (e.reference, e.own_minus_reference),
        (e.own, e.every_minus_own),
        (e.every, e.estimate_minus_every),
    )


METRICS = (
    ReferenceMetric(
        name="images",
        columns=COLUMNS,
        score=whole_item(COLUMNS, of_images),
        unit="dB",
        tasks=frozenset(),
        parameters={**PARAMETERS, "window": "whole item"},
        source="Vincent et al., Signal Processing 92, 2012; BSS Eval images",
        floor=FLOOR_DB,
        improvements=("sdr_img", "sir_img"),
    ),
)
