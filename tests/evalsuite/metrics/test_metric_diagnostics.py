"""Levels of estimates: against the reference, the mixture and full scale."""

import numpy as np
import pytest

from evalsuite.metrics.diagnostics import energy_db, gain_db, leak_db, peak_dbfs
from tests.evalsuite.metrics.conftest import Array


@pytest.mark.parametrize("gain", [0.5, -2.0, 1e-3, 1e160, 1e-160])
def test_gain_is_that_of_the_reference_in_the_estimate(talkers: Array, gain: float) -> None:
    """Noise that is orthogonal to the reference, and an offset, change nothing."""
    s, other = talkers - talkers.mean(axis=-1, keepdims=True)
    noise = other - (other * s).sum() / (s * s).sum() * s
    found = gain_db(reference=talkers[0], estimate=gain * (s + 3.0 * noise + 0.2))
    assert found == pytest.approx(20 * np.log10(abs(gain)), abs=1e-9)


@pytest.mark.parametrize("level", [1.0, 1e-160, 1e160])
def test_levels_do_not_overflow(talkers: Array, level: float) -> None:
    shift_db = 20 * np.log10(level)
    estimate = level * talkers[0]
    assert energy_db(estimate) == pytest.approx(energy_db(talkers[0]) + shift_db, abs=1e-9)
    leak = leak_db(estimate=estimate, mixture=0.1 * talkers[0])
    assert leak == pytest.approx(20 + shift_db, abs=1e-9)
    peak = peak_dbfs(reference=talkers[0], estimate=estimate)
    assert peak == pytest.approx(20 * np.log10(np.abs(talkers[0]).max()) + shift_db, abs=1e-9)
