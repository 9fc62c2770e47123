"""Diarisation error: how well the activity of the estimates tells who speaks when.

J. G. Fiscus, J. Ajot, M. Michel, J. S. Garofolo, "The Rich Transcription 2006 spring meeting
recognition evaluation", MLMI 2006. With streams mapped to talkers so that they are active together
for as long as possible, at each moment with N_ref talkers and N_est streams active, N_ok of them
as mapped:

    missed speech  max(0, N_ref - N_est)
    false alarm    max(0, N_est - N_ref)
    confusion      min(N_ref, N_est) - N_ok
    error rate     (missed + false alarm + confusion) / speech, each over the whole set

Speech of two talkers at a time counts twice. With a collar, the time around each start and end of
a talker in the reference is not scored.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from evalsuite.metrics.counting import ACTIVE_RANGE_DB, active_estimates
from evalsuite.metrics.item import Array, ScoringItem, full_scale
from evalsuite.metrics.metric import SetMetric
from evalsuite.metrics.outcome import Missing, Reason, Scores
from mixgen.audio.activity import LEAST_GAP_S, sounding_spans
from mixgen.audio.levels import FRAME_S
from mixgen.core.vocabulary import Task

# A frame this far below the loudest frame of its own signal is silent. Leakage of a competing
# talker from -20 dB down is thus no speech.
RANGE_DB = 20.0

# On either side of a start or end of a talker in the reference.
COLLARS_S = {"der_collar0ms": 0.0, "der_collar250ms": 0.25}

KINDS = ("missed", "false_alarm", "confusion")

Spans = NDArray[np.float64]  # (spans, 2): start and end in seconds


@dataclass(frozen=True)
class DiarisationTimes:
    """Seconds of speech in the reference, and of the three kinds of error."""

    speech: float
    missed: float
    false_alarm: float
    confusion: float


def diarisation_times(
    *, references: Sequence[Spans], estimates: Sequence[Spans], collar_s: float
) -> DiarisationTimes:
    """Compare who is active when, with the mapping of streams to talkers that is best.

    Args:
        references: spans of each talker in order and apart, shape (spans, 2) in seconds.
        estimates: spans of each stream, as the references; in any order and number.
        collar_s: seconds on either side of each start and end in the references that are not
            scored.
    """
    bounds = np.unique(np.concatenate([np.zeros(0), *(spans.reshape(-1) for spans in references)]))
    collars = bounds[:, None] + np.array([-collar_s, collar_s])
    parts = [bounds, collars.reshape(-1), *(spans.reshape(-1) for spans in estimates)]
    edges = np.unique(np.concatenate(parts))
    middle_s, length_s = (edges[1:] + edges[:-1]) / 2, np.diff(edges)
    length_s = np.where(_covered(collars, middle_s), 0.0, length_s)
    talking, heard = _active(references, middle_s), _active(estimates, middle_s)
    together_s = (talking * length_s) @ heard.T.astype(np.float64)  # (n_ref, n_est)
    mapped_s = float(together_s[linear_sum_assignment(together_s, maximize=True)].sum())
    n_ref, n_est = talking.sum(axis=0), heard.sum(axis=0)
    return DiarisationTimes(
        speech=float(n_ref @ length_s),
        missed=float(np.maximum(n_ref - n_est, 0) @ length_s),
        false_alarm=float(np.maximum(n_est - n_ref, 0) @ length_s),
        confusion=max(0.0, float(np.minimum(n_ref, n_est) @ length_s) - mapped_s),
    )


def _active(signals: Sequence[Spans], times_s: Array) -> NDArray[np.bool_]:
    """Return (signal, time): whether the signal is active then."""
    active = np.zeros((len(signals), len(times_s)), bool)
    for row, spans in zip(active, signals, strict=True):
        row[:] = _covered(spans, times_s)
    return active


def _covered(spans: Spans, times_s: Array) -> NDArray[np.bool_]:
    """Return for each time whether it lies in a span; starts and ends are in order."""
    begun = np.searchsorted(spans[:, 0], times_s, side="right")
    ended = np.searchsorted(spans[:, 1], times_s, side="right")
    return np.asarray(begun > ended)


def active_times(samples: Array, sample_rate: int) -> Spans:
    """Return when a signal (channels, time) is active, shape (spans, 2) in seconds."""
    (scaled,) = full_scale(samples)
    return sounding_spans(scaled, sample_rate, range_db=RANGE_DB) / sample_rate


def _tally(item: ScoringItem, estimates: Sequence[Array | None]) -> Mapping[str, float]:
    """Return the seconds of speech and errors of one mixture, for every collar."""
    talkers, streams = (
        [active_times(signal, item.sample_rate) for signal in signals]
        for signals in (item.references, active_estimates(item, estimates))
    )
    tallies: dict[str, float] = {}
    for column, collar_s in COLLARS_S.items():
        times = diarisation_times(references=talkers, estimates=streams, collar_s=collar_s)
        tallies |= {f"{column}_{kind}_s": value for kind, value in asdict(times).items()}
    return tallies


def _score(sums: Mapping[str, float]) -> Scores:
    return {name: score for column in COLLARS_S for name, score in _rates(sums, column)}


def _rates(sums: Mapping[str, float], column: str) -> Iterator[tuple[str, float | Missing]]:
    """Yield the error rate and its three parts, whose sum it is."""
    speech_s = sums[f"{column}_speech_s"]
    seconds = {f"{column}_{kind}": sums[f"{column}_{kind}_s"] for kind in KINDS}
    for name, error_s in {column: sum(seconds.values()), **seconds}.items():
        nothing = Missing(Reason.NOT_APPLICABLE, "no speech in any reference")
        yield name, error_s / speech_s if speech_s else nothing


METRICS = (
    SetMetric(
        name="der",
        columns=tuple(COLLARS_S),
        tally=_tally,
        score=_score,
        unit="1",
        tasks=frozenset[Task]({"meetings"}),
        parameters={
            "frame_s": FRAME_S,
            "range_db": RANGE_DB,
            "least_gap_s": LEAST_GAP_S,
            "streams": f"estimates within {ACTIVE_RANGE_DB:g} dB of the quietest reference",
            "mapping": "longest common activity in each mixture",
            "overlap": "scored",
            **COLLARS_S,
        },
        source="Fiscus et al., MLMI 2006; NIST Rich Transcription",
        higher_is_better=False,
        floor=1.0,
        diagnostics=tuple(f"{column}_{kind}" for column in COLLARS_S for kind in KINDS),
    ),
)
