"""Demucs on weights copied from demucs 4.1, whose `Demucs` without residual branches it is.

Widths are reduced; layers, strides and padding are those of the paper's systems.
"""

from typing import Any

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

# The first system of the paper, in the maintained code.
PLAIN: dict[str, Any] = {
    "dconv_mode": 0,
    "lstm_layers": 2,
    "norm_starts": 100,
    "gelu": False,
    "normalize": False,
    "resample": False,
    "channels": 8,
}


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({}, 1e-10),
        ({"normalize": True}, 1e-10),
        ({"depth": 3, "kernel_size": 16, "stride": 8, "growth": 1.5, "context": 2}, 1e-10),
        ({"audio_channels": 1, "lstm_layers": 1}, 1e-10),
        ({"resample": True, "normalize": True}, 1e-6),  # their filters have single precision
    ],
)
def test_estimates_are_those_of_the_maintained_code(
    changes: dict[str, Any], tolerance: float, record_property: RecordProperty
) -> None:
    module = pytest.importorskip("demucs.demucs", reason=WHY)
    arguments = {"sources": ["drums", "bass", "vocals"], **PLAIN, **changes}
    theirs = randomise(module.Demucs(**arguments))
    ours = converted("demucs", "demucs", theirs, **arguments)
    for time in (6000, 6001):
        mixture = torch.randn(2, arguments.get("audio_channels", 2), time, dtype=torch.float64)
        difference = relative_difference(ours(mixture), theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < tolerance


@pytest.mark.parametrize("rates", [(1, 2), (2, 1), (3, 2)])
def test_the_resampler_is_that_of_julius(
    rates: tuple[int, int], record_property: RecordProperty
) -> None:
    julius = pytest.importorskip("julius", reason=WHY)
    from baselines.models.demucs import Resampler

    signal = torch.randn(2, 2, 901)
    difference = relative_difference(
        Resampler(*rates)(signal), julius.resample_frac(signal, *rates)
    )
    record_property("largest difference", difference)
    assert difference < 1e-6


def test_the_initial_weights_are_rescaled_alike() -> None:
    module = pytest.importorskip("demucs.demucs", reason=WHY)
    from baselines.layers.demucs import rescale_convolutions

    theirs = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3), torch.nn.ConvTranspose1d(8, 4, 8, 4))
    ours = torch.nn.Sequential(torch.nn.Conv1d(4, 8, 3), torch.nn.ConvTranspose1d(8, 4, 8, 4))
    ours.load_state_dict(theirs.state_dict())
    module.rescale_module(theirs, reference=0.1)
    rescale_convolutions(ours, 0.1)
    for name, expected in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], expected)
