"""Resampling against scipy's resample_poly, sample for sample, compiled and not."""

import numpy as np
import pytest
from scipy.signal import resample_poly

from mixgen.audio import polyphase
from mixgen.audio.polyphase import resampled


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("from_rate", "to_rate"),
    [(16000, 8000), (48000, 16000), (44100, 16000), (8000, 16000), (16000, 16000)],
)
def test_samples_are_those_of_scipy(
    from_rate: int, to_rate: int, dtype: type, compiled: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not compiled:
        monkeypatch.setattr(polyphase, "kernels", lambda: None)
    random = np.random.default_rng(1)
    for frames in (1, 2, 19, 20, 21, 41, 42, 61, 1023, 2048, 2049, 5000):
        samples = random.standard_normal((2, frames)).astype(dtype)
        found = resampled(samples, from_rate, to_rate)
        expected = resample_poly(samples, to_rate, from_rate, axis=1)
        assert found.dtype == expected.dtype
        np.testing.assert_array_equal(found, expected)
