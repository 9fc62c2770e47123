"""TF-GridNet on weights copied from ESPnet 202511, between silences of half a window.

ESPnet pads its STFT by reflection and ours has zeros: beside silence they are equal.
"""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
SMALL = {"n_layers": 2, "lstm_hidden_units": 24, "emb_dim": 12}


@pytest.fixture
def stft_in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """ESPnet rounds the samples to single precision before the STFT; here it cannot."""
    monkeypatch.setattr(Tensor, "float", lambda tensor: tensor)


def espnet(arguments: dict[str, Any]) -> nn.Module:
    module = pytest.importorskip("espnet2.enh.separator.tfgridnet_separator", reason=WHY)
    return randomise(module.TFGridNet(None, **arguments))


def outputs(theirs: nn.Module, mixture: Tensor) -> Tensor:
    estimates, _, _ = theirs(mixture, torch.full((len(mixture),), mixture.shape[-1]))
    return torch.stack(estimates, 1)


@pytest.mark.usefixtures("stft_in_double")
@pytest.mark.parametrize(
    ("arguments", "time"),
    [
        ({}, 500),
        ({"n_fft": 256, "emb_dim": 64, "lstm_hidden_units": 256, "n_layers": 2}, 499),
        ({**SMALL, "emb_ks": 3, "emb_hs": 3, "n_srcs": 3}, 1999),
        ({**SMALL, "emb_ks": 5, "emb_hs": 2}, 2000),
        ({**SMALL, "emb_ks": 1, "attn_n_head": 3, "attn_approx_qk_dim": 100}, 2000),
    ],
)
def test_espnet_separates_alike(
    arguments: dict[str, Any], time: int, record_property: RecordProperty
) -> None:
    theirs = espnet(arguments)
    ours = converted("tf_gridnet", "espnet", theirs, **arguments)
    margin = ours.h.n_fft // 2
    ours.stft.window = torch.hann_window(ours.h.n_fft, dtype=torch.float64)
    mixture = 0.1 * torch.randn(2, time, dtype=torch.float64)
    mixture = nn.functional.pad(mixture, (margin, margin))
    expected = outputs(theirs, mixture)
    difference = relative_difference(ours.network(mixture[:, None])[:, :, 0], expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_the_separator_of_a_whole_model_is_found() -> None:
    theirs = espnet(SMALL)
    alone = converted("tf_gridnet", "espnet", theirs, **SMALL).state_dict()
    whole = converted("tf_gridnet", "espnet", nn.ModuleDict({"separator": theirs}), **SMALL)
    torch.testing.assert_close(whole.state_dict(), alone, rtol=0, atol=0)
