"""DNSMOS: what listeners would say of noisy or enhanced speech, without a reference.

C. K. A. Reddy, V. Gopal, R. Cutler, "DNSMOS P.835: a non-intrusive perceptual objective speech
quality metric to evaluate noise suppressors", ICASSP 2022, and "DNSMOS", ICASSP 2021 (P.808). They
were trained on one talker in noise. A second talker is speech to them: the signal's quality (SIG)
and P.808 do not fall with it, so these two explain the others and rank nothing.
"""

from functools import cache
from typing import Any

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Scores
from evalsuite.probes._onnx import one_thread_session
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, judged, unjudged
from evalsuite.probes._weights import Weights

_SPEECHMOS = ("speechmos==0.0.1.1", "speechmos")
WEIGHTS = Weights(
    *_SPEECHMOS,
    "dnsmos_models/sig_bak_ovr.onnx",
    "269fbebdb513aa23cddfbb593542ecc540284a91849ac50516870e1ac78f6edd",
)
P808_WEIGHTS = Weights(
    *_SPEECHMOS,
    "dnsmos_models/model_v8.onnx",
    "9246480c58567bc6affd4200938e77eef49468c8bc7ed3776d109c07456f6e91",
)

# Shorter signals are repeated to 9.01 s; a repetition of less is a buzz.
LEAST_S = 0.1
_KEYS = {
    "dnsmos_ovrl": "ovrl_mos",
    "dnsmos_bak": "bak_mos",
    "dnsmos_sig": "sig_mos",
    "dnsmos_p808": "p808_mos",
}


@cache
def _judge() -> Any:
    """Load both models of DNSMOS."""
    paths = [weights.file() for weights in (WEIGHTS, P808_WEIGHTS)]
    with quiet():
        from speechmos.dnsmos import DNSMOS

    judge = DNSMOS.__new__(DNSMOS)  # its own __init__ opens the models with as many threads as CPUs
    judge.onnx_sess, judge.p808_onnx_sess = (one_thread_session(path) for path in paths)
    return judge


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    samples = judged(estimate, item.sample_rate)
    reference = item.references[index, channel]
    problem = unjudged(reference=reference, heard=samples, least_s=LEAST_S)
    if problem is not None:
        return dict.fromkeys(_KEYS, problem)
    with quiet():
        found = _judge()(samples, JUDGE_RATE, False)
    return {column: float(found[key]) for column, key in _KEYS.items()}


METRICS = (
    ReferenceMetric(
        name="dnsmos",
        columns=("dnsmos_ovrl", "dnsmos_bak"),
        diagnostics=("dnsmos_sig", "dnsmos_p808"),
        score=mean_over_channels(_score_channel),
        unit="MOS",
        tasks=frozenset(),
        kinds=frozenset({"speech"}),
        parameters={
            "weights_sha256": f"{WEIGHTS.sha256}, {P808_WEIGHTS.sha256}",
            "windows": "9.01 s every second; shorter signals are repeated",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "least_s": LEAST_S,
            "channels": "mean of mono values",
        },
        source="Reddy, Gopal, Cutler, ICASSP 2022 and ICASSP 2021; speechmos",
        floor=1.0,
        libraries=("speechmos",),
        requires=("onnxruntime", "librosa", "requests"),
        install="pip install separation-suite[judges-dnsmos]",
    ),
)
