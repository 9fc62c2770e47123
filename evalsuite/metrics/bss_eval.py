"""BSS Eval version 3, "sources": SDR, SIR and SAR after a 512-tap distortion filter.

E. Vincent, R. Gribonval, C. Fevotte, "Performance measurement in blind audio source separation",
IEEE Trans. ASLP 14(4), 2006. The estimate is projected on the span of its own reference delayed
by 0 to 511 samples, and on the span of all references with these delays:

    estimate = own + interference + artifacts
    SDR = |own|^2 / |estimate - own|^2
    SIR = |own|^2 / |all - own|^2
    SAR = |all|^2 / |estimate - all|^2

The correlations of the references are computed once per item, for all estimates and for the
mixture.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from evalsuite.metrics.item import Array, ScoringItem
from evalsuite.metrics.metric import ReferenceFunction, ReferenceMetric, Value, mean_score
from evalsuite.metrics.outcome import Missing, Reason, Score, Scores, decibels
from evalsuite.metrics.projection import TAPS, DelaySpans, Energies
from evalsuite.metrics.si_sdr import FLOOR_DB
from mixgen.core.vocabulary import SOUND_TASKS, SPEECH_TASKS

# Rounding errors of the normal equations lie this deep.
LIMIT_DB = 150.0

# Energies of targets and residuals.
Ratios = tuple[tuple[Array, Array], ...]

COLUMNS = ("sdr_bss512", "sir_bss512", "sar_bss512")


def defined(
    item: ScoringItem, estimates: Mapping[int, Array], columns: Sequence[str]
) -> tuple[dict[int, Scores], dict[int, Array]]:
    """Split estimates into scores of those for which BSS Eval is not defined, and the others."""
    problems = {i: _problem(item.references[i], e) for i, e in estimates.items()}
    missing: dict[int, Scores] = {i: dict.fromkeys(columns, p) for i, p in problems.items() if p}
    return missing, {i: e for i, e in estimates.items() if i not in missing}


def _problem(reference: Array, estimate: Array) -> Missing | None:
    n_samples = estimate.shape[-1]
    if n_samples < TAPS:
        return Missing(Reason.TOO_SHORT, f"{n_samples} samples; the filter alone has {TAPS}")
    if not reference.any():
        return Missing(Reason.SILENT_REFERENCE)
    return None if estimate.any() else Missing(Reason.SILENT_ESTIMATE)


def note_solver(item: ScoringItem, spans: DelaySpans) -> None:
    """Note if normal equations were singular."""
    if routes := spans.routes - {"recursion", "cholesky"}:
        item.notes["bss512_solver"] = ", ".join(sorted(routes))


def spans(item: ScoringItem) -> DelaySpans:
    """Return the spans of the references, to be shared by metrics."""
    return DelaySpans(item.references)


def mean_over_mono(function: ReferenceFunction) -> ReferenceFunction:
    """Return a metric function that scores every channel as a mono item, and averages."""

    def score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        """Return the means over the channels."""
        by_channel = [
            function(mono, {i: e[channel : channel + 1] for i, e in estimates.items()})
            for channel, mono in enumerate(item.shared(_mono_items))
        ]
        return {
            i: {c: mean_score([scores[i][c] for scores in by_channel]) for c in by_channel[0][i]}
            for i in estimates
        }

    return score


def _mono_items(item: ScoringItem) -> list[ScoringItem]:
    """Return an item for every channel, with the notes of the whole."""
    return [
        replace(
            item,
            references=item.references[:, channel : channel + 1],
            mixture=item.mixture[channel : channel + 1],
            _shared={},
        )
        for channel in range(len(item.mixture))
    ]


def of_sources(e: Energies) -> Ratios:
    """Return targets and residuals of SDR, SIR and SAR."""
    return (
        (e.own, e.estimate_minus_own),
        (e.own, e.every_minus_own),
        (e.every, e.estimate_minus_every),
    )


def whole_item(columns: Sequence[str], ratios: Callable[[Energies], Ratios]) -> ReferenceFunction:
    """Return a metric function that fills columns with ratios of energies over the whole item."""

    def score(item: ScoringItem, estimates: Mapping[int, Array]) -> dict[int, Scores]:
        """Return the ratios of each estimate."""
        scores, scored = defined(item, estimates, columns)
        if not scored:
            return scores
        found = item.shared(spans)
        for index, energies in found.energies(scored).items():
            values = [_decibels(*pair) for pair in ratios(energies)]
            scores[index] = dict(zip(columns, values, strict=True)) | no_interference(item, columns)
        note_solver(item, found)
        return scores

    return score


def _decibels(target: Array, residual: Array) -> Score:
    return decibels(target=target.item(), residual=residual.item(), limit_db=LIMIT_DB)


def no_interference(item: ScoringItem, columns: Sequence[str]) -> Scores:
    """Return that SIR has no value, where one reference alone is not silent."""
    if item.references.any(axis=(1, 2)).sum() > 1:
        return {}
    of_sir = (column for column in columns if column.startswith("sir"))
    return dict.fromkeys(of_sir, Missing(Reason.ONE_REFERENCE))


PARAMETERS: dict[str, Value] = {
    "taps": TAPS,
    "delays": "0 to 511 samples, causal",
    "limit_db": LIMIT_DB,
}
SOURCE = "Vincent, Gribonval, Fevotte, IEEE TASLP 14(4), 2006; BSS Eval 3 sources"

METRICS = (
    ReferenceMetric(
        name="bss512",
        columns=COLUMNS,
        score=mean_over_mono(whole_item(COLUMNS, of_sources)),
        unit="dB",
        tasks=SPEECH_TASKS | SOUND_TASKS,
        parameters={**PARAMETERS, "window": "whole item", "channels": "mean of mono values"},
        source=SOURCE,
        floor=FLOOR_DB,
        improvements=("sdr_bss512", "sir_bss512"),
    ),
)
