"""How often the gate is wrong on simulated pairs of checkpoints with a known difference."""

import pytest

from benchmarks.gate_rates import (
    SIDE,
    SYNTHETIC,
    TOLERANCE_DB,
    Differences,
    nominal,
    rate_interval,
    real_differences,
    verdicts,
)

PAIRS = 200
N = 60
NORMAL, HEAVY, _ = SYNTHETIC


@pytest.mark.parametrize(("question", "limit_db"), [("not worse", -TOLERANCE_DB), ("better", 0.0)])
@pytest.mark.parametrize("differences", [HEAVY, real_differences()[0]], ids=lambda d: d.name)
def test_one_in_forty_is_wrong_either_way_at_the_limit(
    differences: Differences, question: str, limit_db: float
) -> None:
    counts = verdicts(differences, question=question, true_db=limit_db, n=N, pairs=PAIRS)
    for verdict in ("fail", "pass"):
        low, high = rate_interval(counts[verdict], PAIRS)
        assert low <= SIDE <= high, f"{counts[verdict]} of {PAIRS} {verdict}"


def test_six_metrics_together_fail_no_more_often_than_one() -> None:
    """Without Holm's correction every seventh candidate would fail."""
    columns = ["si_sdr", "snr", "sdr_bss512", "sir_bss512", "sar_bss512", "nsdr"]
    arguments = {"question": "not worse", "true_db": -TOLERANCE_DB, "n": N, "pairs": PAIRS}
    counts = verdicts(HEAVY, columns=columns, **arguments)
    assert rate_interval(counts["fail"], PAIRS)[0] <= SIDE
    assert counts["fail"] < 0.07 * PAIRS
    assert counts["pass"] == 0


def test_the_nominal_rates_are_those_of_a_test_at_five_percent() -> None:
    """One standard error beyond the limit a test at 2.5 % a side is right with 16.9 %."""
    spread_db = 1.0 / N**0.5
    assert nominal(NORMAL, "better", 0.0, N) == pytest.approx((SIDE, SIDE))
    assert nominal(NORMAL, "better", spread_db, N)[1] == pytest.approx(0.1685, abs=1e-4)
    assert nominal(NORMAL, "not worse", -TOLERANCE_DB - spread_db, N)[0] == pytest.approx(
        0.1685, abs=1e-4
    )
