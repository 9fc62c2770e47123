"""Word error rates: how much of the words a recogniser still understands in an estimate.

The errors of a recogniser are insertions, deletions and substitutions of words in the alignment
with the fewest (Levenshtein). Their rate over a set is the sum of errors over the sum of words, as
in the evaluations of NIST; it may be above 1. The words of a reference are what the recogniser
itself understands in the clean reference (`dwer`), or the transcript in the record (`wer`).
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores
from evalsuite.probes._recognisers import Recogniser, default_recogniser, recogniser_of
from evalsuite.probes._signals import JUDGE_RATE, judged

_NO_WORD = re.compile(r"[^\w']+|_")

# (recogniser, item, index of the reference, its channel) -> its words, or why there are none.
WordsOf = Callable[[Recogniser, ScoringItem, int, int], list[str] | Missing]


def words_of(text: str) -> list[str]:
    """Return the words of a text without case and punctuation; apostrophes inside words stay."""
    plain = unicodedata.normalize("NFKC", text).casefold().replace("’", "'")
    words = (word.strip("'") for word in _NO_WORD.sub(" ", plain).split())
    return [word for word in words if word]


def word_errors(*, reference: Sequence[str], estimate: Sequence[str]) -> int:
    """Return the fewest insertions, deletions and substitutions that turn one into the other."""
    errors = list(range(len(estimate) + 1))  # of no word of the reference, per word of the estimate
    for row, word in enumerate(reference, start=1):
        before, errors[0] = errors[0], row
        for column, other in enumerate(estimate, start=1):
            substituted = before + (word != other)
            before = errors[column]
            errors[column] = min(substituted, before + 1, errors[column - 1] + 1)
    return errors[-1]


def _heard_words(
    recogniser: Recogniser, item: ScoringItem, index: int, channel: int
) -> list[str] | Missing:
    """Return the words that the recogniser understands in the clean reference."""
    samples = item.references[index, channel]
    if not samples.any():
        return Missing(Reason.SILENT_REFERENCE)
    return words_of(recogniser.transcript(judged(samples, item.sample_rate)))


def _written_words(
    _recogniser: Recogniser, item: ScoringItem, index: int, channel: int
) -> list[str] | Missing:
    """Return the words of the transcripts in the record, in the order of time."""
    if not item.references[index, channel].any():
        return Missing(Reason.SILENT_REFERENCE)
    source = item.source(index)
    events = [] if source is None else sorted(source.events, key=lambda event: event.event_time)
    if not events or not all(event.text for event in events):
        return Missing(Reason.NOT_APPLICABLE, "the record has no transcript of the reference")
    if any(event.source_time > 0 for event in events):
        return Missing(Reason.NOT_APPLICABLE, "the transcript is of more than the excerpt")
    return words_of(" ".join(event.text for event in events))


def _score(
    rate: "WordErrorRate", item: ScoringItem, estimates: Mapping[int, Array]
) -> dict[int, Scores]:
    scores = {}
    for index, estimate in estimates.items():
        words = rate.channels(item, index)
        heard = [
            None if isinstance(known, Missing) else rate.heard(samples, item.sample_rate)
            for known, samples in zip(words, estimate, strict=True)
        ]
        scores[index] = rate.scores(words, heard)
    return scores


def _lost(rate: "WordErrorRate", item: ScoringItem, indices: Sequence[int]) -> dict[int, Scores]:
    """Return the parts of the rate where all words are deleted."""
    lost = {}
    for index in indices:
        words = rate.channels(item, index)
        nothing: list[list[str] | None] = [[] for _ in words]
        lost[index] = rate.scores(words, nothing)
        del lost[index][rate.column]
    return lost


@dataclass(frozen=True)
class WordErrorRate:
    """A word error rate: the recogniser that listens, and where the words of a reference are from.

    Attributes:
        column: of the rate; `<column>_errors` and `<column>_words` are its parts.
        recogniser: that listens.
        reference_words: returns the words of a channel of a reference.
    """

    column: str
    recogniser: Recogniser
    reference_words: WordsOf

    def channels(self, item: ScoringItem, index: int) -> list[list[str] | Missing]:
        """Return the words of each channel of a reference, or why they are not known."""
        return [
            self.reference_words(self.recogniser, item, index, channel)
            for channel in range(item.references.shape[1])
        ]

    def heard(self, samples: Array, sample_rate: int) -> list[str]:
        """Return the words that the recogniser understands in one channel, (time,)."""
        return words_of(self.recogniser.transcript(judged(samples, sample_rate)))

    def scores(
        self, words: Sequence[list[str] | Missing], heard: Sequence[list[str] | None]
    ) -> Scores:
        """Return the rate and its parts, added up over channels; the rate alone may be missing."""
        pairs = [
            (known, found or [])
            for known, found in zip(words, heard, strict=True)
            if not isinstance(known, Missing)
        ]
        if not pairs:
            return {self.column: next(known for known in words if isinstance(known, Missing))}
        errors = sum(word_errors(reference=known, estimate=found) for known, found in pairs)
        total = sum(len(known) for known, _ in pairs)
        nothing = Missing(Reason.NOT_APPLICABLE, "no word in the reference")
        return {
            self.column: errors / total if total else nothing,
            f"{self.column}_errors": float(errors),
            f"{self.column}_words": float(total),
        }


def _metric(
    column: str, reference_words: WordsOf, about: str, recogniser: Recogniser, choice: str = ""
) -> ReferenceMetric:
    rate = WordErrorRate(column, recogniser, reference_words)
    parts = (f"{column}_errors", f"{column}_words")
    return ReferenceMetric(
        name=f"{column}@{choice}" if choice else column,
        columns=(column,),
        diagnostics=parts,
        ratios={column: parts},
        score=partial(_score, rate),
        lost=partial(_lost, rate),
        unit="1",
        tasks=frozenset(),
        kinds=frozenset({"speech"}),
        parameters={
            **recogniser.parameters,
            "reference": about,
            "words": "NFKC, casefold, letters, digits and inner apostrophes",
            "sample_rate": JUDGE_RATE,
            "resampler": "soxr HQ",
            "channels": "errors and words added up",
            "mean": "sum of errors over sum of words",
        },
        source="Levenshtein distance of words, as NIST SCTK; Radford et al., ICML 2023",
        higher_is_better=False,
        floor=None,
        libraries=recogniser.libraries,
        requires=recogniser.requires,
        install=recogniser.install,
        variant=lambda choice: _metric(
            column, reference_words, about, recogniser_of(choice), choice
        ),
    )


_DEFAULT = default_recogniser()

METRICS = (
    _metric("dwer", _heard_words, "transcript of the clean reference by the judge", _DEFAULT),
    _metric("wer", _written_words, "transcript in the record", _DEFAULT),
)
