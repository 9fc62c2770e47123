"""Metrics of quality beside packages that live in an environment of their own."""

import numpy as np
import pytest

from evalsuite.metrics.log_wmse import impulse_response, log_wmse
from tests.evalsuite.metrics.test_metric_log_wmse import scene

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WHY = "the peer lives in an environment of its own: `make parity`"


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_log_wmse_equals_the_package(rate: int, silent: bool) -> None:
    """The package computes in float32."""
    peer = pytest.importorskip("log_wmse_audio_quality", reason=WHY)
    signals = scene(rate, silent=silent)
    names = ("mixture", "estimate", "reference")
    expected = peer.calculate_log_wmse(*(signals[name] for name in names), rate)
    assert log_wmse(**signals, sample_rate=rate) == pytest.approx(expected, abs=1e-4)


def test_the_weighting_equals_that_of_the_package() -> None:
    peer = pytest.importorskip("log_wmse_audio_quality.freq_weighting_filter", reason=WHY)
    stored = peer.HumanHearingSensitivityFilter().impulse_response
    np.testing.assert_allclose(impulse_response(), stored, atol=3e-8)
