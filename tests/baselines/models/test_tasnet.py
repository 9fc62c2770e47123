"""TasNet: frames of unit energy, skips, causality and options."""

from typing import Any

import pytest
import torch
from torch import nn

from baselines.fake_tensors import without_data
from baselines.models.tasnet import TasNet, TasNetHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"N": 24, "L": 16, "H": 8}


def tiny(**changes: Any) -> TasNet:
    return TasNet(TasNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        {"norm": "BN"},
        {"mask": "tanh"},
        {"padding": ""},
        {"S": 17},
        {"layers": 3},
        {"causal": True, "norm": "gLN"},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


@pytest.mark.parametrize("mask", ["softmax", "sigmoid", "relu"])
@pytest.mark.parametrize(
    "other", [{"S": 8, "norm": "gLN"}, {"skip": False}, {"unit_energy": False, "layers": 6}]
)
def test_options_give_finite_estimates(mask: str, other: dict[str, Any]) -> None:
    separator = tiny(mask=mask, n_src=3, channels=2, **other)
    assert separator(torch.randn(2, 2, 333)).isfinite().all()


def test_weights_do_not_depend_on_the_energy_of_their_frame() -> None:
    basis = tiny().basis
    signal = torch.randn(1, 1, 32)
    louder = torch.cat([signal[..., :16], 100 * signal[..., 16:]], dim=-1)
    w, with_energy = basis.analyse(signal)
    louder_w, louder_with_energy = basis.analyse(louder)
    torch.testing.assert_close(louder_w, w)
    gains = torch.tensor([1.0, 100.0])
    torch.testing.assert_close(louder_with_energy, with_energy * gains, rtol=1e-4, atol=1e-5)


def test_silent_frames_stay_silent() -> None:
    mixture = torch.randn(1, 1, 64)
    mixture[..., 16:48] = 0
    estimates = tiny().network(mixture)
    assert (estimates[..., 16:48] == 0).all()
    assert (estimates[..., :16] != 0).any()


def test_the_gate_weighs_the_filters() -> None:
    """Against the equation, on one frame of unit energy."""
    basis = tiny().basis
    frame = nn.functional.normalize(torch.randn(16), dim=0)
    u, v = basis.encoder.weight[:, 0] @ frame, basis.gate.weight[:, 0] @ frame
    w, _ = basis.analyse(frame[None, None])
    torch.testing.assert_close(w[0, :, 0], u.relu() * v.sigmoid())


def test_the_second_layer_is_added_to_the_fourth() -> None:
    """If layers three and four give nothing, the masks are those of layers one and two."""
    with_skips, without = tiny(), tiny(skip=False)
    without.load_state_dict(with_skips.state_dict())
    w = torch.rand(1, 24, 30)
    assert (with_skips.separation(w) - without.separation(w)).abs().max() > 1e-4
    for weight in with_skips.separation.pairs[1].parameters():
        nn.init.zeros_(weight)
    del without.separation.pairs[1]
    torch.testing.assert_close(with_skips.separation(w), without.separation(w))


def test_softmax_masks_sum_to_one() -> None:
    masks = tiny().separation(torch.rand(1, 24, 30))
    torch.testing.assert_close(masks.sum(1), torch.ones(1, 24, 30))


def test_the_causal_system_waits_for_one_frame() -> None:
    separator = tiny(causal=True, H=16)
    assert separator.look_ahead == 15
    mixture = torch.randn(1, 1, 96)
    altered = mixture.clone()
    altered[..., 50] += 1  # in the frame of samples 48 to 63
    changed = (separator.network(altered) != separator.network(mixture))[0].any(0)[0]
    assert int(changed.nonzero()[0]) == 48


def test_the_causal_system_has_nearly_the_published_size() -> None:
    """31.1 M parameters; later papers print 32.0 M for it, and 23.6 M for the other of 23.1 M."""
    with without_data():
        separator = TasNet(TasNetHyperparameters(causal=True, H=1000))
    assert sum(parameter.numel() for parameter in separator.parameters()) == 31_094_000


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(30))
    losses = train_on_tones(tiny(layers=2).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] < losses[0] - 6
