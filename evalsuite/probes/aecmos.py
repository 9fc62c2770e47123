"""AECMOS: what listeners would say of the echo that is left, and of the speech beside it.

M. Purin, S. Sootla, M. Sponza, A. Saabas, R. Cutler, "AECMOS: a speech quality assessment metric
for echo impairment", ICASSP 2022. The judge hears the far-end signal, the microphone and the output
of the canceller, and which ends talk.
"""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from evalsuite.metrics.echo import Talk, talk_of
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import MixtureMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.probes._onnx import one_thread_session
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, judged
from evalsuite.probes._weights import Weights
from mixgen.audio.read import as_long

WEIGHTS = Weights(
    "speechmos==0.0.1.1",
    "speechmos",
    "aecmos_models/Run_1663915512_Stage_0.onnx",
    "f53122f43cb7e5b77ec797e85c8b997cfc2aac8220857c709226d876de8c0a99",
)

LONGEST_S, LEAST_S = 20.0, 0.5
COLUMNS = ("aecmos_echo", "aecmos_degradation")


@cache
def _judge() -> Any:
    """Load the model for 16 kHz that gets which ends talk."""
    path = WEIGHTS.file()
    with quiet():
        from speechmos.aecmos import AECMOS

    judge = AECMOS("aecmos_16kHz")
    judge.ort_session = one_thread_session(path)
    return judge


def _far_end(item: ScoringItem) -> Array | None:
    """Return the sum of the far-end signals, (channels, time); None without one."""
    if item.record is None or item.read is None:
        return None
    signals = [item.read(name) for name in item.record.far_end_files]
    frames = item.mixture.shape[-1]
    return np.sum([as_long(s, frames) for s in signals], axis=0) if signals else None


def _scenario(found: Talk) -> str:
    """Return who talks, in the judge's words: dt both, st the far end alone, nst the near end."""
    if found.double.any():
        return "dt"
    return "st" if found.far.any() else "nst"


def _score(item: ScoringItem, estimates: Sequence[Array | None]) -> Scores:
    """Score the sum of all outputs; the value is the mean over channels."""
    far_end, talkers = _far_end(item), item.shared(talk_of)
    present = [estimate for estimate in estimates if estimate is not None]
    if far_end is None:
        return dict.fromkeys(COLUMNS, Missing(Reason.NOT_APPLICABLE, "no far-end signal"))
    if talkers is None:
        unknown = Missing(Reason.NOT_APPLICABLE, "no echo alone, which tells who talks")
        return dict.fromkeys(COLUMNS, unknown)
    if not present:
        return dict.fromkeys(COLUMNS, Missing(Reason.MISSING_ESTIMATE))
    if item.mixture.shape[-1] < LEAST_S * item.sample_rate:
        return dict.fromkeys(COLUMNS, Missing(Reason.TOO_SHORT, f"less than {LEAST_S:g} s"))
    scenario, output = _scenario(talkers), np.sum(present, axis=0)
    longest = int(LONGEST_S * item.sample_rate) - 1
    values = []
    for channel, heard in enumerate(output):
        far = far_end[min(channel, len(far_end) - 1)]
        signals = (far, item.mixture[channel], heard)
        lpb, mic, enh = (judged(s[:longest], item.sample_rate) for s in signals)
        with quiet():
            answer = _judge()({"lpb": lpb, "mic": mic, "enh": enh}, scenario)
        values.append((answer["echo_mos"], answer["deg_mos"]))
    echo, degradation = np.mean(values, axis=0)
    one_end = Missing(Reason.NOT_APPLICABLE, "one end talks alone")
    return {
        "aecmos_echo": one_end if scenario == "nst" else float(echo),
        "aecmos_degradation": one_end if scenario == "st" else float(degradation),
    }


METRICS = (
    MixtureMetric(
        name="aecmos",
        columns=COLUMNS,
        score=_score,
        unit="MOS",
        tasks=frozenset(),
        parameters={
            "weights_sha256": WEIGHTS.sha256,
            "estimate": "sum of all",
            "longest_s": LONGEST_S,
            "least_s": LEAST_S,
            "scenario": "dt where both ends talk at some time, st the far end alone, nst none",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "channels": "mean of mono values",
        },
        source="Purin et al., ICASSP 2022; speechmos",
        floor=1.0,
        libraries=("speechmos",),
        requires=("onnxruntime", "librosa", "requests"),
        install="pip install separation-suite[judges-dnsmos]",
    ),
)
