"""SA-SDR beside torchmetrics, SI-SDR of active samples, and utterances that change streams."""

from collections.abc import Sequence

import numpy as np
import pytest

from evalsuite.metrics import ItemScores, evaluate
from evalsuite.metrics.meeting import sa_sdr, sa_si_sdr
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.si_sdr import si_sdr
from mixgen.manifest.mixture import Event, Gain, Level, Mixture, Source
from tests.evalsuite.metrics.conftest import Array

RATE = 8000


def three_talkers() -> tuple[list[Array], list[Array]]:
    """References, one of them silent for a while, and reversed estimates with offsets."""
    rng = np.random.default_rng(0)
    references = rng.standard_normal((3, 4000)) + 0.2
    references[1, :2500] = 0
    references[2] *= 0.1
    estimates = 0.7 * references[::-1] + 0.05 * rng.standard_normal((3, 4000)) + 0.02
    return list(references[:, None]), list(estimates[:, None])


# `source_aggregated_signal_distortion_ratio` of torchmetrics 1.9.0 on `three_talkers()`, the
# largest value over all permutations, with the last reference or the first estimate set to zero.
# Its zero_mean is False for the first column, and True for the second.
TORCHMETRICS = {
    "all": (10.326526002194083, 19.737292299136886),
    "silent reference": (10.134680244628296, 17.498278831240796),
    "silent estimate": (10.11315417988168, 18.47884640534051),
}


@pytest.mark.parametrize("case", TORCHMETRICS)
def test_equals_torchmetrics(case: str) -> None:
    references, estimates = three_talkers()
    if case == "silent reference":
        references[2] = np.zeros_like(references[2])
    if case == "silent estimate":
        estimates[0] = np.zeros_like(estimates[0])
    found = (
        sa_sdr(references=references, estimates=estimates),
        sa_si_sdr(references=references, estimates=estimates),
    )
    assert found == pytest.approx(TORCHMETRICS[case], abs=1e-9)


def test_a_missing_estimate_counts_as_silence_and_a_surplus_one_is_compared_with_it() -> None:
    references, estimates = three_talkers()
    silence = np.zeros_like(references[0])
    for metric in (sa_sdr, sa_si_sdr):
        fewer = metric(references=references, estimates=estimates[1:])
        assert fewer == metric(references=references, estimates=[silence, *estimates[1:]])
        more = metric(references=references[:2], estimates=estimates)
        assert more == metric(references=[*references[:2], silence], estimates=estimates)
        fitting = metric(references=references[:2], estimates=estimates[1:])
        assert isinstance(more, float)
        assert isinstance(fitting, float)
        assert more < fitting


def test_the_common_scale_may_be_negative() -> None:
    references, estimates = three_talkers()
    flipped = [-3 * estimate for estimate in estimates]
    plain = sa_si_sdr(references=references, estimates=estimates)
    assert sa_si_sdr(references=references, estimates=flipped) == pytest.approx(plain, abs=1e-9)


def test_aggregated_ratios_have_values_or_reasons() -> None:
    references, estimates = three_talkers()
    silence = [np.zeros_like(reference) for reference in references]
    silent_reference, perfect = Missing(Reason.SILENT_REFERENCE), Missing(Reason.PERFECT)
    for metric in (sa_sdr, sa_si_sdr):
        assert metric(references=silence, estimates=estimates) == silent_reference
        assert metric(references=[], estimates=estimates) == silent_reference
        assert metric(references=references, estimates=references[::-1]) == perfect
    for silent in (silence, []):
        found = sa_sdr(references=references, estimates=silent)
        assert found == pytest.approx(0.0, abs=1e-12)
    silent_estimate = Missing(Reason.SILENT_ESTIMATE)
    assert sa_si_sdr(references=references, estimates=silence) == silent_estimate
    assert sa_si_sdr(references=references, estimates=[]) == Missing(Reason.MISSING_ESTIMATE)


def meeting(events: Sequence[Sequence[tuple[float, float]]], duration_s: float) -> Mixture:
    """A record of talkers s1, s2, ... with events from and to these seconds."""
    sources = [
        Source(
            name=f"s{number}",
            role="target",
            label=f"talker{number}",
            kind="speech",
            events=[_event(start_s, stop_s) for start_s, stop_s in spans],
            gain=Gain(rule="lufs"),
        )
        for number, spans in enumerate(events, start=1)
    ]
    return Mixture(
        id="meeting",
        split="test",
        sample_rate=RATE,
        channels=1,
        frames=round(duration_s * RATE),
        seed=0,
        sources=sources,
        level=Level(reference_db=-30.0),
        targets=[source.name for source in sources],
    )


def _event(start_s: float, stop_s: float) -> Event:
    return Event(
        corpus="noise",
        path="a.wav",
        sha256="0" * 64,
        source_time=0.0,
        event_time=start_s,
        event_duration=stop_s - start_s,
        snr=0.0,
    )


TURNS = (((0.0, 1.0), (2.0, 3.0)), ((0.75, 2.0), (3.0, 4.0)))


def turns() -> tuple[Array, Array]:
    """Two talkers with the events of `TURNS` in 4 s: references (2, 1, time), and noise."""
    rng = np.random.default_rng(1)
    references, noise = rng.standard_normal((2, 2, 1, 4 * RATE))
    for reference, spans in zip(references, TURNS, strict=True):
        active = np.zeros(4 * RATE, bool)
        for start_s, stop_s in spans:
            active[round(start_s * RATE) : round(stop_s * RATE)] = True
        reference[:, ~active] = 0
    return references, noise


def scored(
    references: Array, estimates: Sequence[Array | None], *, record: bool = True
) -> ItemScores:
    return evaluate(
        references=references,
        estimates=estimates,
        mixture=references.sum(axis=0),
        sample_rate=RATE,
        metrics=["si_sdr", "si_sdr_active", "si_sdr_utt"],
        record=meeting(TURNS, 4.0) if record else None,
    )


def test_active_samples_are_those_of_the_events() -> None:
    references, noise = turns()
    estimates = references + 0.1 * noise
    scores = scored(references, list(estimates[::-1]))
    for reference, estimate, found, spans in zip(
        references, estimates, scores.references, TURNS, strict=True
    ):
        active = np.concatenate([np.arange(a * RATE, b * RATE).astype(int) for a, b in spans])
        expected = si_sdr(reference=reference[:, active], estimate=estimate[:, active])
        assert found.values["si_sdr_active"] == pytest.approx(expected, abs=1e-12)
        # Noise beside the events is left out.
        assert found.values["si_sdr_active"] > found.values["si_sdr"] + 2
    assert "si_sdr_active" not in scores.notes


def test_without_a_record_activity_is_measured_in_the_references() -> None:
    references, noise = turns()
    estimates = list(references + 0.1 * noise)
    with_record, without = (scored(references, estimates, record=r) for r in (True, False))
    for expected, found in zip(with_record.references, without.references, strict=True):
        # Measured on a grid of 20 ms.
        expected_db = expected.values["si_sdr_active"]
        assert found.values["si_sdr_active"] == pytest.approx(expected_db, abs=0.1)
    assert without.notes["si_sdr_active"] == "activity measured in the references"
    assert set(without.mixture.reasons.values()) == {"not_applicable: no record of the mixture"}


def test_an_estimate_that_is_silent_where_its_talker_is_active_fails() -> None:
    references, noise = turns()
    estimates = list(references + 0.1 * noise)
    estimates[0] = np.where(references[0] == 0, noise[0], 0.0)
    scores = scored(references, estimates)
    assert scores.references[0].reasons["si_sdr_active"] == "silent_estimate"


def test_a_talker_who_never_speaks_has_no_active_score() -> None:
    references, noise = turns()
    scores = scored(references * np.array([1, 0])[:, None, None], list(noise), record=False)
    assert scores.references[1].reasons["si_sdr_active"] == "silent_reference"


def test_utterances_of_a_permutation_error() -> None:
    """The streams swap the last two utterances: each is fine on one stream, and two on none.

    Swapped streams hold nothing of the talker but noise, which counts as the floor.
    """
    references, noise = turns()
    estimates = references + 1e-2 * noise
    late = np.s_[..., 2 * RATE :]
    estimates[late] = estimates[::-1][late]
    swapped, plain = (
        scored(references, list(estimates)),
        scored(references, list(references + 1e-2 * noise)),
    )
    values = swapped.mixture.values
    assert values["n_utterances"] == 4
    assert values["utt_switched"] == 0.5
    assert plain.mixture.values["utt_switched"] == plain.mixture.values["si_sdr_utt_gap"] == 0
    assert values["si_sdr_utt_best"] == pytest.approx(40, abs=1)
    assert values["si_sdr_utt_best"] == pytest.approx(
        plain.mixture.values["si_sdr_utt_best"], abs=0.1
    )
    assert values["si_sdr_utt_stream"] == pytest.approx((40 + 40 - 30 - 30) / 4, abs=1)
    gap = values["si_sdr_utt_best"] - values["si_sdr_utt_stream"]
    assert values["si_sdr_utt_gap"] == pytest.approx(gap, abs=1e-12)


@pytest.mark.parametrize(("n_est", "best", "stream"), [(0, -30.0, -30.0), (1, 10.0, 10.0)])
def test_utterances_of_a_missing_stream_have_the_floor(
    n_est: int, best: float, stream: float
) -> None:
    """Utterances without noise count as 50 dB, those on no stream as -30 dB."""
    references, _ = turns()
    values = scored(references, list(references)[:n_est]).mixture.values
    assert (values["si_sdr_utt_best"], values["si_sdr_utt_stream"]) == pytest.approx((best, stream))


def test_more_streams_are_allowed_and_silence_gains_nothing() -> None:
    references, noise = turns()
    estimates = list(references + noise)
    values = scored(references, estimates).mixture.values
    more = scored(references, [*estimates, np.zeros_like(noise[0])]).mixture.values
    assert more == values
    silenced = scored(references, [estimates[0], np.zeros_like(noise[0])]).mixture.values
    for column in ("si_sdr_utt_best", "si_sdr_utt_stream"):
        assert silenced[column] < values[column]
