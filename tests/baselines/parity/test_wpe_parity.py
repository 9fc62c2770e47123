"""WPE beside nara_wpe 0.0.11 on the same spectrograms."""

import numpy as np
import pytest
import torch

from baselines.models.wpe import Wpe, WpeHyperparameters, dereverberated
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-9  # in double precision


@pytest.mark.parametrize(
    ("channels", "frames", "taps", "delay", "iterations"),
    [(1, 200, 10, 3, 3), (2, 300, 10, 3, 3), (8, 400, 5, 2, 1), (1, 120, 30, 1, 5)],
)
def test_the_same_prediction(
    channels: int,
    frames: int,
    taps: int,
    delay: int,
    iterations: int,
    record_property: RecordProperty,
) -> None:
    theirs = pytest.importorskip("nara_wpe.wpe", reason=WHY)
    loudness = torch.randn(6, 1, frames, dtype=torch.float64) ** 2
    y = loudness * torch.randn(6, channels, frames, dtype=torch.complex128)
    options = {"taps": taps, "delay": delay, "iterations": iterations}
    expected = torch.from_numpy(theirs.wpe_v8(y.numpy(), **options))
    difference = relative_difference(dereverberated(y, **options), expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


@pytest.mark.parametrize("channels", [1, 2])
def test_the_same_waveform_from_its_spectrogram(
    channels: int, record_property: RecordProperty
) -> None:
    """Our analysis and synthesis around their prediction."""
    theirs = pytest.importorskip("nara_wpe.wpe", reason=WHY)
    separator = Wpe(WpeHyperparameters(channels=channels))
    loudness = torch.randn(40, dtype=torch.float64).square().repeat_interleave(500)
    mixture = loudness * torch.randn(1, channels, 20_000, dtype=torch.float64)
    spectrum = separator.stft.analyse(mixture)[0].transpose(0, 1).numpy()  # (bins, channels, ...)
    predicted = torch.from_numpy(np.swapaxes(theirs.wpe_v8(spectrum), 0, 1).copy())
    expected = separator.stft.synthesise(predicted, mixture.shape[-1])
    difference = relative_difference(separator(mixture)[0, 0], expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE
