"""ViSQOL: the quality of speech beside its reference, by the similarity of their spectrograms.

M. Chinen et al., "ViSQOL v3: an open source production ready objective speech and audio metric",
QoMEX 2020, in the mode for speech at 16 kHz, with the polynomial from similarity to MOS.
"""

from functools import cache
from typing import Any

import numpy as np

from evalsuite.metrics.item import Array, full_scale
from evalsuite.metrics.metric import ReferenceMetric, each_channel
from evalsuite.metrics.outcome import Missing, Reason, Score
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, judged, unjudged

# The spectrograms are compared in patches of 20 frames of 20 ms.
LEAST_S = 0.5


@cache
def _judge() -> Any:
    with quiet():
        from visqol import VisqolApi

    judge = VisqolApi()
    judge.create(mode="speech", use_lattice_model=False)
    return judge


def visqol(*, reference: Array, estimate: Array, sample_rate: int) -> Score:
    """Return MOS-LQO of one channel, from 1 to 5.

    Args:
        reference: shape (time,).
        estimate: shape (time,).
        sample_rate: in Hz.
    """
    scaled = (full_scale(samples)[0] for samples in (reference, estimate))
    clean, heard = (judged(samples, sample_rate) for samples in scaled)
    problem = unjudged(reference=clean, heard=heard, least_s=LEAST_S)
    if problem is not None:
        return problem
    pair = (samples.astype(np.float64) for samples in (clean, heard))
    try:
        with quiet():
            return float(_judge().measure_from_arrays(*pair, JUDGE_RATE).moslqo)
    except (ValueError, RuntimeError, IndexError) as error:
        return Missing(Reason.METRIC_ERROR, f"{type(error).__name__}: {error}")


METRICS = (
    ReferenceMetric(
        name="visqol",
        columns=("visqol",),
        score=each_channel("visqol", visqol),
        unit="MOS-LQO",
        tasks=frozenset(),
        kinds=frozenset({"speech"}),
        parameters={
            "mode": "speech, polynomial, scaled to 5",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "least_s": LEAST_S,
            "channels": "mean of mono values",
        },
        source="Chinen et al., QoMEX 2020; visqol-python",
        floor=1.0,
        libraries=("visqol-python",),
        requires=("libsvm-official",),
        install="pip install separation-suite[judges-visqol]",
    ),
)
