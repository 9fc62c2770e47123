"""DPTNet: sizes, options, and what its two paths see."""

from typing import Any

import pytest
import torch

from baselines.fake_tensors import without_data
from baselines.inference.macs import macs_per_second
from baselines.models.dptnet import DPTNet, DPTNetHyperparameters, TransformerPath
from baselines.registry import build
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"N": 24, "L": 16, "B": 8, "H": 8, "K": 10, "R": 2}


def tiny(**changes: Any) -> DPTNet:
    return DPTNet(DPTNetHyperparameters(**{**TINY, **changes})).eval()


def test_computation_is_that_measured_on_the_authors_code() -> None:
    """49.8 GMAC per second of 8 kHz audio with 64 basis signals."""
    with without_data():
        assert macs_per_second(build("dptnet:n64")) == pytest.approx(49.8e9, rel=0.001)


@pytest.mark.parametrize("wrong", [{"norm": "cLN"}, {"heads": 3}, {"mask": "tanh"}, {"K": 9}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize("norm", ["LN", "gLN"])
@pytest.mark.parametrize("within_chunks", [True, False])
def test_a_path_sees_one_axis_of_the_chunks(within_chunks: bool, norm: str) -> None:
    """Norms included: a change reaches its whole sequence, and no other one."""
    path = TransformerPath(DPTNetHyperparameters(**TINY, norm=norm), within_chunks).double()
    x = torch.randn(4, 2, 10, 8, dtype=torch.float64)  # (S, b, K, B)
    altered = x.clone()
    altered[1, 0, 3, 2] += 1
    changed = (path(altered) - path(x)).abs().amax(-1) > 1e-12  # (S, b, K)
    expected = torch.zeros_like(changed)
    expected[(1, 0) if within_chunks else (slice(None), 0, 3)] = True
    assert torch.equal(changed, expected)


def test_the_order_of_frames_is_heard_without_positions() -> None:
    """The recurrent layer replaces positional encodings: reversed chunks give other features."""
    path = TransformerPath(DPTNetHyperparameters(**TINY), within_chunks=True)
    x = torch.randn(4, 2, 10, 8)
    assert (path(x.flip(2)).flip(2) - path(x)).abs().max() > 1e-3


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(30))
    losses = train_on_tones(tiny(R=1).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 8
