"""Echo metrics on talkers whose levels and times are known."""

import numpy as np
import pytest

from evalsuite.metrics import ItemScores, evaluate, evaluate_mixture
from evalsuite.metrics.echo import erle_db, talk
from evalsuite.metrics.outcome import Missing, Reason
from evalsuite.metrics.si_sdr import si_sdr, snr
from tests.evalsuite.metrics.conftest import Array, echo_record

RATE = 8_000
FRAME = 160  # 20 ms
PARTS = {"near": slice(0, 8_000), "double": slice(8_000, 16_000), "far": slice(16_000, 24_000)}
METRICS = ["erle", "si_sdr_dt", "snr_dt"]


def noise(seed: int, *parts: str, channels: int = 1) -> Array:
    """Make 3 s of noise, (channels, time), that sounds only in these parts of a second each."""
    samples = np.zeros((channels, 24_000))
    for part in parts:
        where = PARTS[part]
        random = np.random.default_rng([seed, where.start])
        samples[:, where] = random.standard_normal((channels, 8_000))
    return samples


def scored(estimates: list[Array | None], near: Array, echo: Array) -> ItemScores:
    mixture = near + echo
    references = near[None] if near.any() else np.zeros((0, *near.shape))
    return evaluate(
        references=references,
        estimates=estimates,
        mixture=mixture,
        sample_rate=RATE,
        metrics=METRICS,
        record=echo_record(mixture, sample_rate=RATE, n_near=len(references)),
        read={"echo": echo}.__getitem__,
    )


NEAR, ECHO = noise(0, "near", "double"), noise(1, "double", "far")


@pytest.mark.parametrize("attenuation_db", [0.0, 12.0, 40.0, -6.0])
@pytest.mark.parametrize("channels", [1, 2])
def test_erle_is_the_attenuation_of_the_echo(attenuation_db: float, channels: int) -> None:
    near = noise(0, "near", "double", channels=channels)
    echo = noise(1, "double", "far", channels=channels)
    scores = scored([near + 10 ** (-attenuation_db / 20) * echo], near, echo)
    assert scores.mixture.values["erle_db"] == pytest.approx(attenuation_db, abs=1e-9)


@pytest.mark.parametrize("near", [NEAR, 0.0 * NEAR])
def test_the_outputs_of_a_canceller_count_together(near: Array) -> None:
    """Also where nobody talks at the near end, and there is no reference."""
    scores = scored([near + 0.03 * ECHO, 0.07 * ECHO], near, ECHO)
    assert scores.mixture.values["erle_db"] == pytest.approx(20.0, abs=1e-9)


def test_erle_of_energies_that_do_not_overflow() -> None:
    found = erle_db(mixture=1e-160 * ECHO, estimate=1e160 * ECHO)
    assert found == pytest.approx(-6400.0, abs=1e-9)


def test_only_double_talk_counts_in_its_columns() -> None:
    """The near end is spoilt where it talks alone, and the far end where nobody answers."""
    error = 0.1 * noise(3, "double")
    estimate = NEAR + error + noise(4, "near", "far")
    (reference,) = scored([estimate], NEAR, ECHO).references
    double = PARTS["double"]
    part = {"reference": NEAR[:, double], "estimate": (NEAR + error)[:, double]}
    assert reference.values["si_sdr_dt"] == si_sdr(**part)
    assert reference.values["snr_dt"] == snr(**part)
    assert reference.values["snr_dt"] == pytest.approx(20.0, abs=0.3)
    base = snr(reference=NEAR[:, double], estimate=(NEAR + ECHO)[:, double])
    assert isinstance(base, float)
    assert reference.values["snr_dti"] == pytest.approx(reference.values["snr_dt"] - base)


def test_the_mixture_is_scored_with_its_record() -> None:
    mixture = NEAR + ECHO
    record = echo_record(mixture, sample_rate=RATE, n_near=1)
    alone = evaluate_mixture(
        references=NEAR[None],
        mixture=mixture,
        sample_rate=RATE,
        metrics=METRICS,
        record=record,
        read={"echo": ECHO}.__getitem__,
    )
    assert alone[0].values == scored([mixture], NEAR, ECHO).baseline[0].values
    assert set(alone[0].values) == {"si_sdr_dt", "snr_dt"}
    assert None not in alone[0].values.values()


@pytest.mark.parametrize(("level_db", "double", "far"), [(-39, 3, 1), (-50, 2, 1), (-61, 2, 2)])
def test_the_near_end_talks_within_40_db_and_is_silent_below_60(
    level_db: float, double: int, far: int
) -> None:
    """Six frames: loud, loud, at a level, zero; the echo sounds in the first four."""
    samples = np.ones((1, 6 * FRAME))
    near = np.repeat([1.0, 1.0, 10 ** (level_db / 20), 0.0, 0.0, 1.0], FRAME) * samples
    echo = np.repeat([0.1, 0.1, 0.1, 0.1, 0.0, 0.0], FRAME) * samples
    found = talk(near=near, echo=echo, sample_rate=RATE)
    assert (found.double.sum(), found.far.sum()) == (double * FRAME, far * FRAME)


def test_the_last_frame_may_be_a_part() -> None:
    samples = np.ones((2, 2 * FRAME + 7))
    found = talk(near=samples, echo=samples, sample_rate=RATE)
    assert found.double.shape == found.far.shape == (2 * FRAME + 7,)
    assert found.double.all()


def test_muting_is_perfect_in_far_end_single_talk_and_fails_in_double_talk() -> None:
    scores = scored([0.0 * NEAR], NEAR, ECHO)
    assert scores.mixture.reasons["erle_db"].startswith("perfect")
    reasons = scores.references[0].reasons
    assert reasons["si_sdr_dt"] == "silent_estimate"
    assert scores.references[0].values["snr_dt"] == 0.0  # the floor


def test_what_is_not_there_has_no_value() -> None:
    near_only = scored([NEAR], NEAR, 0.0 * ECHO)
    assert near_only.mixture.reasons["erle_db"] == "not_applicable: no far-end single talk"
    assert near_only.references[0].reasons["snr_dt"] == "not_applicable: no double talk"
    unknown = evaluate(
        references=NEAR[None],
        estimates=[NEAR],
        mixture=NEAR + ECHO,
        sample_rate=RATE,
        metrics=METRICS,
    )
    assert unknown.references[0].reasons["snr_dt"] == "not_applicable: no double talk"
    missing = scored([None], NEAR, ECHO)
    assert missing.mixture.reasons["erle_db"] == "missing_estimate"
    silent = erle_db(mixture=0.0 * ECHO, estimate=ECHO)
    assert silent == Missing(Reason.NOT_APPLICABLE, "the mixture is silent")
