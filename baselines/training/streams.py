"""Utterances of a meeting on a few streams, as references of continuous speech separation.

Chen et al., "Continuous speech separation: dataset and analysis", ICASSP 2020 (arXiv 2001.11482):
two streams hold the speech of any number of talkers, as long as no more than two talk at a time.
Which stream an utterance is on does not matter, as long as no two overlap on one: utterances are
the vertices of a graph whose edges are overlaps, and streams are its colours. Utterances that are
connected form a group. Groups do not overlap, so that each may have its streams in any order (see
`baselines.layers.permutation.on_best_streams`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baselines.compatibility import STREAMS
from mixgen.manifest.mixture import Mixture

Signal = NDArray[np.float32]


@dataclass(frozen=True)
class Utterance:
    """What a target says from one sample of the mixture to another, and the next thing it says.

    Attributes:
        target: index of the target.
        start: of the event.
        stop: of the event.
        until: the first sample of the target's next event; reverberation after `stop` counts here.
    """

    target: int
    start: int
    stop: int
    until: int


def utterances_of(mixture: Mixture) -> list[Utterance]:
    """Return every event of every target in the order of their starts."""
    source_of = {file.name: source for source in mixture.sources for file in source.files}
    found = []
    for index, name in enumerate(mixture.targets):
        spans = sorted(
            (span.start, span.stop)
            for span in map(mixture.span_of, source_of[name].events if name in source_of else ())
        )
        ends = [start for start, _ in spans[1:]] + [mixture.frames]
        found += [
            Utterance(index, start, stop, until)
            for (start, stop), until in zip(spans, ends, strict=True)
        ]
    return sorted(found, key=lambda utterance: (utterance.start, utterance.target))


def on_streams(
    utterances: Sequence[Utterance], references: Signal, start: int, streams: int = STREAMS
) -> Signal:
    """Lay the utterances of a segment onto streams, (groups, streams, channels, time).

    Where more than `streams` talk at a time, an utterance goes to the stream that is free first.

    Args:
        utterances: of the mixture, in the order of their starts.
        references: of the targets in the segment, shape (targets, channels, time).
        start: first sample of the segment.
        streams: number of streams.
    """
    frames = references.shape[-1]
    groups: list[Signal] = []
    ends = [0] * streams  # of the last utterance on each stream
    for utterance in utterances:
        if utterance.stop <= start or utterance.start >= start + frames:
            continue
        if not groups or utterance.start >= max(ends):
            groups.append(np.zeros((streams, *references.shape[1:]), np.float32))
            ends = [0] * streams
        stream = int(np.argmin(ends))
        ends[stream] = max(ends[stream], utterance.stop)
        own = slice(max(utterance.start - start, 0), max(utterance.until - start, 0))
        groups[-1][stream, :, own] += references[utterance.target, :, own]
    if not groups:
        return np.zeros((1, streams, *references.shape[1:]), np.float32)
    return np.stack(groups)
