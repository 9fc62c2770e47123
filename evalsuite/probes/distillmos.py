"""DistillMOS: what listeners would say of speech, without a reference.

B. Stahl and H. Gamper, "Distillation and pruning for scalable self-supervised representation-based
speech quality assessment", ICASSP 2025, arXiv:2502.05356. The signal is cut into windows of 7.68 s,
each scaled to its peak; the value is their mean.
"""

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import cache
from types import ModuleType

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Scores
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, Signal, judged, unjudged
from evalsuite.probes._weights import Weights

WEIGHTS = Weights(
    "distillmos==0.9.1",
    "distillmos",
    "weights/distill_mos_v7.pt",
    "b18b3ac60227267cfb91e5d00ce22cc7b73716fd92f269484da1446e27031a40",
)

LEAST_S = 0.1


@contextlib.contextmanager
def _without_torchaudio() -> Iterator[None]:
    """Let a package import torchaudio without having it: it only reads files with it."""
    present = sys.modules.get("torchaudio")
    sys.modules["torchaudio"] = present or ModuleType("torchaudio")
    try:
        yield
    finally:
        if present is None:
            del sys.modules["torchaudio"]


@cache
def _judge() -> Callable[[Signal], float]:
    """Load the model."""
    WEIGHTS.file()
    import torch

    with _without_torchaudio(), quiet():
        from distillmos import ConvTransformerSQAModel

        model = ConvTransformerSQAModel().eval()

    def judge(samples: Signal) -> float:
        """Return the MOS of a signal, (time,)."""
        with torch.inference_mode():
            return float(model(torch.from_numpy(samples)[None]))

    return judge


def _score_channel(item: ScoringItem, channel: int, index: int, estimate: Array) -> Scores:
    samples = judged(estimate, item.sample_rate)
    reference = item.references[index, channel]
    problem = unjudged(reference=reference, heard=samples, least_s=LEAST_S)
    return {"distillmos": problem or _judge()(samples)}


METRICS = (
    ReferenceMetric(
        name="distillmos",
        columns=("distillmos",),
        score=mean_over_channels(_score_channel),
        unit="MOS",
        tasks=frozenset(),
        kinds=frozenset({"speech"}),
        parameters={
            "weights_sha256": WEIGHTS.sha256,
            "windows": "7.68 s, scaled to their peak",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "least_s": LEAST_S,
            "channels": "mean of mono values",
        },
        source="Stahl and Gamper, ICASSP 2025, arXiv:2502.05356; distillmos",
        floor=1.0,
        libraries=("distillmos",),
        requires=("xls-r-sqa",),
        install="pip install --no-deps distillmos==0.9.1 xls-r-sqa==0.1.0",
    ),
)
