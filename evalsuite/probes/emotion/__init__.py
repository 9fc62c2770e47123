"""Emotion: is the emotion of a talker still heard in an estimate?

A small classifier (`network`) is trained on clean speech by `evalsuite train-emotion`, and asked
about references, mixtures and estimates. The value of a set is the unweighted average recall (UAR):
the mean over emotions of the share of references whose emotion is heard. Chance is one over the
number of emotions. The metric `emotion@FOLDER` names the folder of the classifier.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import SetMetric
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores
from evalsuite.metrics.permutation import best_permutation
from evalsuite.probes._recognisers import WHISPER
from evalsuite.probes._signals import JUDGE_RATE, judged
from evalsuite.probes.emotion.folder import definition_of, load, read_meta
from mixgen.corpora.layout import emotion_of

CONDITIONS = {"": "estimate", "_clean": "reference", "_mixture": "mixture"}
"""Ending of the column, and what is asked about."""


def _emotion(item: ScoringItem, index: int) -> str:
    """Return the emotion of a reference by the names of its files; empty without a single one."""
    source = item.source(index)
    found = {emotion_of(event.path) for event in source.events} if source is not None else set()
    return found.pop() if len(found) == 1 else ""


def _text(item: ScoringItem, index: int) -> str:
    source = item.source(index)
    return "" if source is None else " ".join(event.text for event in source.events)


def _heard(folder: Path, signal: Array | None, sample_rate: int, text: str) -> str:
    """Return the emotion that is heard in the first channel; none in silence or nothing."""
    if signal is None or not signal[0].any():
        return ""
    from evalsuite.probes.emotion.training import Clip, describe, predicted

    meta = read_meta(folder)
    clip = Clip("", "", judged(signal[0], sample_rate), text)
    return meta.emotions[predicted(load(folder), describe(clip, meta.kinds))]


def _tally(
    folder: Path, item: ScoringItem, estimates: Sequence[Array | None]
) -> Mapping[str, float]:
    """Return for each emotion and condition how many references there are, and how many are heard.

    Estimates belong to references by the best permutation. A reference without one is not heard.
    """
    emotions = read_meta(folder).emotions
    pairing = best_permutation(references=item.references, estimates=estimates)
    tallies: dict[str, float] = {}
    for index, reference in enumerate(item.references):
        emotion = _emotion(item, index)
        if emotion not in emotions or not reference.any():
            continue
        number = pairing.estimate_of[index]
        signals = (None if number is None else estimates[number], reference, item.mixture)
        for ending, signal in zip(CONDITIONS, signals, strict=True):
            heard = _heard(folder, signal, item.sample_rate, _text(item, index))
            for name, count in (("n", 1), ("right", int(heard == emotion))):
                key = f"emotion{ending}_{emotion}_{name}"
                tallies[key] = tallies.get(key, 0.0) + count
    return tallies


def _score(folder: Path, sums: Mapping[str, float]) -> Scores:
    return {
        f"emotion_uar{ending}": _uar(read_meta(folder).emotions, ending, sums)
        for ending in CONDITIONS
    }


def _uar(emotions: Sequence[str], ending: str, sums: Mapping[str, float]) -> Score:
    """Return the mean recall of the emotions that a set has."""
    counts = [
        (sums.get(f"emotion{ending}_{e}_right", 0.0), sums.get(f"emotion{ending}_{e}_n", 0.0))
        for e in emotions
    ]
    recalls = [right / n for right, n in counts if n]
    if not recalls:
        return Missing(Reason.NOT_APPLICABLE, "no reference with such an emotion")
    return sum(recalls) / len(recalls)


def _untrained(_sums: Mapping[str, float]) -> Scores:
    why = "train one with `evalsuite train-emotion --out FOLDER` and name it: emotion@FOLDER"
    return {"emotion_uar": Missing(Reason.NOT_INSTALLED, why)}


def _metric(choice: str | None) -> SetMetric:
    folder = Path(choice or "")
    heard = () if choice is None else read_meta(folder).kinds
    return SetMetric(
        name="emotion" if choice is None else f"emotion@{choice}",
        columns=("emotion_uar",),
        diagnostics=("emotion_uar_clean", "emotion_uar_mixture"),
        tally=(lambda _item, _estimates: {}) if choice is None else partial(_tally, folder),
        score=_untrained if choice is None else partial(_score, folder),
        unit="1",
        tasks=frozenset(),
        parameters={
            **({} if choice is None else definition_of(folder)),
            "emotion": "in the name of the file: EmoDB, RAVDESS, CREMA-D",
            "preparation": "ends without sound cut, one level, noise 50 dB below",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "channels": "the first",
        },
        source="Lu et al., ICASSP 2020, arXiv:1911.09762 (encoder); UAR: Schuller et al., 2009",
        floor=0.0,
        libraries=WHISPER.libraries if "encoder" in heard else (),
        install=WHISPER.install,
        variant=_metric,
    )


METRICS = (_metric(None),)
