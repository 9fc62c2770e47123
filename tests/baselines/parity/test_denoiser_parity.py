"""Causal Demucs on weights copied from denoiser 0.1.5, at reduced widths and equal padding."""

from typing import Any

import pytest
import torch

from baselines.layers.demucs import whole_frames
from baselines.models.denoiser import Denoiser
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]


@pytest.mark.parametrize(
    ("changes", "tolerance"),
    [
        ({"resample": 1}, 1e-10),
        ({}, 1e-6),  # the sinc filters have single precision
        ({"normalize": True, "causal": False, "stride": 2, "resample": 2}, 1e-6),
        ({"depth": 3, "chin": 2, "chout": 2, "resample": 2}, 1e-6),
    ],
)
def test_estimates_are_those_of_the_original_code(
    changes: dict[str, Any],
    tolerance: float,
    record_property: RecordProperty,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = pytest.importorskip("denoiser.demucs", reason=WHY)
    arguments = {"hidden": 8, "normalize": False, **changes}
    theirs = randomise(module.Demucs(**arguments))
    ours = converted("denoiser", "denoiser", theirs, **arguments)
    assert isinstance(ours, Denoiser)
    h = ours.h

    def complete_the_last_frame(time: int) -> int:
        return whole_frames(time * h.U, depth=h.L, K=h.K, S=h.S) // h.U - time

    monkeypatch.setattr(ours, "padding", complete_the_last_frame)
    for time in (4000, 4001):
        mixture = torch.randn(2, h.channels, time, dtype=torch.float64)
        difference = relative_difference(ours(mixture)[:, 0], theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < tolerance


def test_the_padding_matters_at_the_end_only(record_property: RecordProperty) -> None:
    module = pytest.importorskip("denoiser.demucs", reason=WHY)
    arguments = {"hidden": 8, "normalize": False}
    theirs = randomise(module.Demucs(**arguments))
    ours = converted("denoiser", "denoiser", theirs, **arguments)
    mixture = torch.randn(1, 1, 6000, dtype=torch.float64)
    difference = (ours(mixture)[:, 0] - theirs(mixture)).abs()[0, 0] / theirs(mixture).abs().max()
    record_property(
        "largest difference but for the last 200 samples", float(difference[:-200].max())
    )
    assert difference[:-200].max() < 1e-6
