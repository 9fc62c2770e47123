"""The SDR of the Music Demixing Challenges against its formula in plain numpy."""

import numpy as np
import pytest

from evalsuite.metrics.mdx import nsdr


@pytest.mark.parametrize(("level", "noise"), [(0.1, 0.03), (0.1, 0.0), (0.0, 0.01), (1e-5, 1e-5)])
def test_nsdr_is_the_ratio_of_energies_with_a_constant(level: float, noise: float) -> None:
    rng = np.random.default_rng(0)
    reference = level * rng.standard_normal((2, 44_100))
    estimate = reference + noise * rng.standard_normal((2, 44_100))
    ratio = (np.sum(reference**2) + 1e-7) / (np.sum((reference - estimate) ** 2) + 1e-7)
    found = nsdr(reference=reference, estimate=estimate)
    assert found == pytest.approx(10 * np.log10(ratio), abs=1e-9)


def test_nsdr_does_not_overflow() -> None:
    reference = np.ones((1, 100))
    assert nsdr(reference=reference, estimate=1e200 * reference) == pytest.approx(-4000.0)
