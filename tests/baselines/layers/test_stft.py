"""Analysis compared with scipy, and exact reconstruction at any length."""

import pytest
import scipy.signal
import torch

from baselines.layers.stft import Stft
from mixgen.core.errors import UsageError


@pytest.mark.parametrize("window", ["hann", "sqrt_hann"])
@pytest.mark.parametrize("time", [1, 63, 64, 129, 1000])
def test_synthesis_inverts_analysis(window: str, time: int) -> None:
    stft = Stft(256, 64, window)
    signal = torch.randn(2, 3, time, dtype=torch.float64)
    spectrum = stft.analyse(signal)
    assert spectrum.shape == (2, 3, stft.bins, 1 + time // 64)
    torch.testing.assert_close(stft.synthesise(spectrum, time), signal, rtol=0, atol=1e-7)


def test_analysis_agrees_with_scipy() -> None:
    signal = torch.randn(1024, dtype=torch.float64)
    window = scipy.signal.get_window("hann", 256)
    theirs = scipy.signal.ShortTimeFFT(window, 64, fs=1, phase_shift=None).stft(
        signal.numpy(), p0=0, p1=17
    )
    ours = Stft(256, 64).analyse(signal)
    torch.testing.assert_close(ours, torch.as_tensor(theirs), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("hop_length", "window"), [(0, "hann"), (200, "hann"), (64, "kaiser")])
def test_frames_that_cannot_be_inverted_are_refused(hop_length: int, window: str) -> None:
    with pytest.raises(UsageError, match="can be"):
        Stft(256, hop_length, window)
