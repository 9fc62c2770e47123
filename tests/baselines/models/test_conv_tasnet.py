"""Conv-TasNet: padding, level, causality and options."""

from typing import Any

import pytest
import torch

from baselines.models.conv_tasnet import (
    ConvTasNet,
    ConvTasNetHyperparameters,
    CumulativeLayerNorm,
    from_asteroid,
)
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

TINY = {"N": 24, "L": 16, "B": 8, "H": 16, "Sc": 8, "X": 3, "R": 2}


def tiny(**changes: Any) -> ConvTasNet:
    return ConvTasNet(ConvTasNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    ("size", "options"),
    [
        (5_116_593, {"n_src": 3}),
        (5_050_545, {"causal": True, "norm": "cLN"}),
    ],
)
def test_variants_have_the_published_size(size: int, options: dict[str, Any]) -> None:
    separator = ConvTasNet(ConvTasNetHyperparameters(**options))
    assert sum(parameter.numel() for parameter in separator.parameters()) == size


def test_causal_with_global_norm_is_refused() -> None:
    with pytest.raises(UsageError, match="norm='cLN'"):
        ConvTasNetHyperparameters(causal=True)


@pytest.mark.parametrize(
    "wrong", [{"norm": "BN"}, {"mask": "tanh"}, {"P": 2}, {"S": 17}, {"n_src": 0}, {"padding": ""}]
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_global_norm_depends_on_the_future() -> None:
    """The contract's test of causality can fail: the non-causal network does not pass it."""
    mixture = 0.1 * torch.randn(1, 1, 2000)
    altered = mixture.clone()
    altered[..., 1500] += 1
    separator = tiny()
    assert (separator.network(mixture) != separator.network(altered))[..., :16].any()


def test_cumulative_norm_is_the_norm_of_the_frames_so_far() -> None:
    norm = CumulativeLayerNorm(5)
    x = torch.randn(2, 5, 9)
    for frame in range(1, 10):
        expected = torch.nn.functional.group_norm(x[..., :frame], 1, eps=1e-8)
        torch.testing.assert_close(norm(x)[..., frame - 1], expected[..., -1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("options", [{}, {"causal": True, "norm": "cLN"}])
def test_estimates_follow_the_gain_of_the_mixture(options: dict[str, Any]) -> None:
    separator = tiny(**options)
    mixture = torch.randn(1, 1, 2000)
    torch.testing.assert_close(
        separator(0.01 * mixture), 0.01 * separator(mixture), rtol=1e-3, atol=5e-5
    )


@pytest.mark.parametrize("mask", ["sigmoid", "relu", "softmax"])
@pytest.mark.parametrize("encoder", ["linear", "relu"])
def test_options_give_finite_estimates(mask: str, encoder: str) -> None:
    separator = tiny(mask=mask, encoder=encoder, n_src=3, channels=2)
    assert separator(torch.randn(2, 2, 333)).isfinite().all()


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """A tiny network learns to separate a low from a high tone in a few steps."""
    lowest, ranges = torch.tensor([200, 2000]), torch.tensor([200, 1000])
    tones_hz = (lowest + ranges * torch.rand(4, 2) for _ in range(40))
    losses = train_on_tones(tiny(N=32, L=16).train(), tones_hz, learning_rate=5e-3)
    assert losses[-1] < losses[0] - 8


def test_slopes_of_an_exported_graph_get_their_names_by_their_order() -> None:
    """The importer gives the same weights as for the state dict, but for the unused residual."""
    state = {
        "encoder.filterbank._filters": torch.randn(4, 1, 16),
        "decoder.filterbank._filters": torch.randn(4, 1, 16),
        "masker.TCN.0.res_conv.weight": torch.randn(2, 3, 1),
        "masker.TCN.0.res_conv.bias": torch.randn(2),
        "masker.TCN.0.shared_block.1.weight": torch.tensor([0.0]),
        "masker.TCN.0.shared_block.4.weight": torch.tensor([1.0]),
        "masker.TCN.1.shared_block.1.weight": torch.tensor([2.0]),
        "masker.TCN.1.shared_block.4.weight": torch.tensor([3.0]),
        "masker.mask_net.0.weight": torch.tensor([4.0]),
    }
    exported = {k: v for k, v in state.items() if "shared_block" not in k and "mask_net" not in k}
    exported |= {f"onnx::PRelu_{98 + n}": torch.tensor([[float(n)]]) for n in (3, 0, 4, 1, 2)}
    exported["onnx::Add_7"] = torch.zeros(1)
    _, expected = from_asteroid(state, {"n_src": 1})
    _, found = from_asteroid(exported, {"n_src": 1})
    unused = "separation.blocks.1.residual."
    assert {name for name in found if not name.startswith(unused)} == set(expected)
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert not found[f"{unused}weight"].any()
