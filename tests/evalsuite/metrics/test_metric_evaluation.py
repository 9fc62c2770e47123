"""One item: pairing, improvements, failures and their reasons."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from evalsuite.metrics import ItemScores, evaluate, evaluate_mixture
from evalsuite.metrics.si_sdr import si_sdr, snr
from mixgen.core.errors import InputError, UsageError
from tests.evalsuite.metrics.conftest import Array

RATE = 16_000
FAST = ["si_sdr", "snr", "lag", "leak"]


def score(references: Array, estimates: list[Array | None], **changes: Any) -> ItemScores:
    arguments: dict[str, Any] = {
        "references": references,
        "estimates": estimates,
        "mixture": references.sum(axis=0),
        "sample_rate": RATE,
        "metrics": FAST,
    }
    return evaluate(**{**arguments, **changes})


def test_improvement_is_over_the_mixture_of_the_same_reference(talkers: Array) -> None:
    """The columns hold the metric's value of each pair, and its gain over that of the mixture."""
    mixture = talkers.sum(axis=0)
    estimates = list(talkers + 0.1 * talkers[::-1])
    scores = score(talkers, estimates)
    for reference, estimate, found in zip(talkers, estimates, scores.references, strict=True):
        for column, function in (("si_sdr", si_sdr), ("snr", snr)):
            value = function(reference=reference, estimate=estimate)
            gain = value - function(reference=reference, estimate=mixture)
            assert found.values[column] == value
            assert found.values[f"{column}i"] == pytest.approx(gain)


def test_a_given_baseline_is_used(talkers: Array) -> None:
    given = {"references": talkers, "mixture": talkers.sum(axis=0), "sample_rate": RATE}
    baseline = evaluate_mixture(**given, metrics=FAST)
    scores = evaluate(**given, estimates=list(talkers[::-1] + 0.1), metrics=FAST, baseline=baseline)
    assert scores.baseline == baseline
    shifted = [replace(b, values={c: v - 1.0 for c, v in b.values.items()}) for b in baseline]
    higher = evaluate(**given, estimates=list(talkers[::-1] + 0.1), metrics=FAST, baseline=shifted)
    for low, high in zip(scores.references, higher.references, strict=True):
        assert high.values["snri"] == pytest.approx(low.values["snri"] + 1.0)
    with pytest.raises(UsageError, match="baseline has 1 references for 2"):
        evaluate(**given, estimates=[], metrics=FAST, baseline=baseline[:1])
    with pytest.raises(UsageError, match="lacks a column"):
        evaluate(**given, estimates=[], metrics=["bss512"], baseline=baseline)


def test_missing_and_extra_estimates_are_reported(talkers: Array) -> None:
    few = score(talkers, [talkers[1] + 0.1 * talkers[0]])
    assert few.permutation == (None, 0)
    assert few.references[0].values["si_sdri"] is None
    assert set(few.references[0].reasons.values()) == {"missing_estimate"}
    assert "si_sdr" in few.references[0].failures
    many = score(talkers, [0.1 * talkers.sum(axis=0), *(talkers + 0.01)])
    assert many.permutation == (1, 2)
    assert [extra.estimate for extra in many.extra] == [0]
    assert many.extra[0].values["leak_db"] == pytest.approx(-20.0)


def test_names_replace_the_search_for_a_permutation(talkers: Array) -> None:
    swapped = list(talkers[::-1] + 0.1 * talkers)
    searched, named = score(talkers, swapped), score(talkers, swapped, names=["vocals", "drums"])
    assert (searched.permutation, named.permutation) == ((1, 0), (0, 1))
    assert [reference.name for reference in named.references] == ["vocals", "drums"]
    assert named.references[0].values["si_sdr"] < searched.references[0].values["si_sdr"]
    absent = score(talkers, [None, talkers[1] + 0.1], names=["vocals", "drums"])
    assert absent.permutation == (None, 1)
    assert absent.references[0].reasons["snr"] == "missing_estimate"


def test_bad_estimates_fail_the_item_and_are_named(talkers: Array) -> None:
    broken = talkers.copy()
    broken[1, 0, 5] = np.inf
    scores = score(talkers, list(broken))
    assert (scores.status, scores.reason) == ("failed", "non_finite_estimate: estimate 2")
    assert scores.references[0].values == dict.fromkeys(("si_sdr", "si_sdri", "snr", "snri"))
    assert scores.permutation == (None, None)
    short = score(talkers, [talkers[0], talkers[1, :, :-1]])
    assert short.reason == (
        "wrong_shape: estimate 2 is (1, 15999), the mixture (1, 16000) (channels, time)"
    )
    count = score(talkers, list(talkers[:1]), names=["a", "b"])
    assert count.reason == "wrong_count: 1 estimates of 2 names"


def test_bad_references_raise_one_sentence(talkers: Array) -> None:
    with pytest.raises(InputError, match=r"references have shape \(1, 16000\); allowed is"):
        score(talkers[0], [], mixture=talkers[0])
    with pytest.raises(InputError, match=r"mixture has shape \(1, 15999\)"):
        score(talkers, [], mixture=talkers[0, :, 1:])
    with pytest.raises(InputError, match="NaN or infinity"):
        score(talkers * np.nan, [], mixture=talkers[0])
    with pytest.raises(InputError, match="sample rate is 0 Hz"):
        score(talkers, [], sample_rate=0)
    for names in (["s1", "s1"], ["s1", "s2", "s2"]):
        with pytest.raises(UsageError, match="one name to each, all different"):
            score(talkers, [], names=names)


def test_float32_is_scored_in_float64(talkers: Array) -> None:
    singles = talkers.astype(np.float32)
    estimates = singles + np.float32(0.1) * singles[::-1]
    scores = score(singles, list(estimates))
    doubles = score(singles.astype(np.float64), list(estimates.astype(np.float64)))
    assert [r.values for r in scores.references] == [
        pytest.approx(r.values, abs=1e-4) for r in doubles.references
    ]


def test_lag_is_positive_for_late_estimates(talkers: Array) -> None:
    lags = [
        score(talkers, list(np.roll(talkers, shift, axis=-1))).references[0].values["lag_samples"]
        for shift in (0, 7, -3)
    ]
    assert lags == [0.0, 7.0, -3.0]


def test_a_silent_reference_has_the_level_of_its_leakage(talkers: Array) -> None:
    references = talkers.copy()
    references[1] = 0.0
    leaking = score(references, [talkers[0] + 0.1 * talkers[1], 0.01 * talkers[1]])
    level_db = 10 * np.log10((talkers[1] ** 2).sum() / (talkers[0] ** 2).sum())
    assert leaking.references[1].values["leak_db"] == pytest.approx(level_db - 40.0)
    assert leaking.references[1].values["si_sdr"] is None
    assert "leak_db" not in leaking.references[0].values
    silent = score(references, [talkers[0] + 0.1 * talkers[1], np.zeros_like(talkers[0])])
    assert silent.references[1].reasons["leak_db"].startswith("perfect")
    assert not silent.references[1].failures
