"""Identity of the talker: is an estimate the voice of its reference, or of another talker?

L. Wan, Q. Wang, A. Papir, I. Lopez Moreno, "Generalized end-to-end loss for speaker verification",
ICASSP 2018, as trained by Resemblyzer: an LSTM maps speech to a vector of length 1. The cosine of
the vectors of two signals says how alike their voices are, from 0 to 1.
"""

import math
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from evalsuite.metrics.extraction import interferers
from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric, mean_over_channels
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, Signal, judged, remembered, unjudged
from evalsuite.probes._weights import Weights

WEIGHTS = Weights(
    "Resemblyzer==0.1.4",
    "resemblyzer",
    "pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
)

Voice = NDArray[np.float64]

# Some frames of speech. The judge repeats nothing: it fills up to 1.6 s with silence.
LEAST_S = 0.1


def voice(samples: Array, sample_rate: int) -> Voice:
    """Return the unit vector of the voice in one channel, (time,) to (256,)."""
    return _encoder()(judged(samples, sample_rate))


@cache
def _encoder() -> Callable[[Signal], Voice]:
    """Load Resemblyzer on one processor."""
    path = WEIGHTS.file()
    with quiet():
        from resemblyzer import VoiceEncoder, preprocess_wav

        encoder = VoiceEncoder("cpu", verbose=False, weights_fpath=path)

    def encode(samples: Signal) -> Voice:
        """Encode the speech in a signal; all of it where no speech is found."""
        with quiet():
            speech = preprocess_wav(samples)
            found = encoder.embed_utterance(speech if len(speech) else samples)
        found = found.astype(np.float64)
        return np.asarray(found / math.sqrt(found @ found))

    return remembered(encode)


def _other_talkers(item: ScoringItem, index: int, channel: int) -> list[Array]:
    """Return one channel of every other talker: references, and interferers in the record."""
    talkers = [reference for k, reference in enumerate(item.references) if k != index]
    others = [talker[channel] for talker in (*talkers, *item.shared(interferers))]
    return [other for other in others if judged(other, item.sample_rate).any()]


def _similarity(item: ScoringItem, channel: int, index: int, estimate: Array) -> float:
    """Return the cosine of the estimate's voice and its reference's."""
    own = voice(item.references[index, channel], item.sample_rate)
    return float(voice(estimate, item.sample_rate) @ own)


def _confusion(item: ScoringItem, channel: int, index: int, estimate: Array) -> Score:
    """Return 1 where the voice is nearer to another talker of the mixture, else 0."""
    others = _other_talkers(item, index, channel)
    if not others:
        return Missing(Reason.ONE_REFERENCE)
    own = _similarity(item, channel, index, estimate)
    heard = voice(estimate, item.sample_rate)
    nearest = max(float(heard @ voice(other, item.sample_rate)) for other in others)
    return float(nearest > own)


def _score(
    column: str,
    function: Callable[[ScoringItem, int, int, Array], Score],
    item: ScoringItem,
    channel: int,
    index: int,
    estimate: Array,
) -> Scores:
    clean, heard = (
        judged(samples, item.sample_rate) for samples in (item.references[index, channel], estimate)
    )
    problem = unjudged(reference=clean, heard=heard, least_s=LEAST_S)
    return {column: problem or function(item, channel, index, estimate)}


def _metric(
    column: str,
    function: Callable[[ScoringItem, int, int, Array], Score],
    parameters: Mapping[str, str],
    *,
    higher_is_better: bool,
) -> ReferenceMetric:
    return ReferenceMetric(
        name=column,
        columns=(column,),
        score=mean_over_channels(partial(_score, column, function)),
        unit="1",
        tasks=frozenset(),
        kinds=frozenset({"speech"}),
        parameters={
            **parameters,
            "weights_sha256": WEIGHTS.sha256,
            "preprocessing": "Resemblyzer: level, pauses without speech cut",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "least_s": LEAST_S,
            "channels": "mean of mono values",
        },
        source="Wan et al., ICASSP 2018; Resemblyzer",
        higher_is_better=higher_is_better,
        floor=0.0 if higher_is_better else 1.0,
        libraries=("Resemblyzer",),
        requires=("librosa", "webrtcvad-wheels"),
        install=(
            "pip install separation-suite[judges-talker] && "
            "pip install --no-deps Resemblyzer==0.1.4"
        ),
    )


METRICS = (
    _metric("talker_sim", _similarity, {"value": "cosine to the reference"}, higher_is_better=True),
    _metric(
        "talker_confusion",
        _confusion,
        {"value": "1 if another talker of the mixture is nearer than the reference"},
        higher_is_better=False,
    ),
)
