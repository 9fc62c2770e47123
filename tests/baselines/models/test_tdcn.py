"""TDCN++: its connections and scales, and estimates that add up to the mixture."""

import pytest
import torch

from baselines.models.tdcn import FeatureNorm, TDCNHyperparameters, TDCNPlusPlus
from baselines.registry import build


def small(**changes: object) -> TDCNPlusPlus:
    sizes = {"n_fft": 128, "hop_length": 32, "B": 8, "H": 16, "X": 2, "R": 3}
    return TDCNPlusPlus(TDCNHyperparameters(**(sizes | changes))).eval()


@pytest.mark.parametrize("channels", [1, 2])
def test_the_estimates_add_up_to_the_mixture(channels: int) -> None:
    mixture = torch.randn(2, channels, 1500)
    with torch.no_grad():
        estimates = small(channels=channels)(mixture)
    torch.testing.assert_close(estimates.sum(1), mixture, rtol=0, atol=1e-5)


def test_with_a_rest_all_estimates_can_be_silent() -> None:
    separator = small(rest=True, n_src=2)
    separator.masks.weight.data.zero_()
    separator.masks.register_forward_hook(lambda _module, _inputs, y: y - 100.0)  # masks near 0
    separator.weights.register_forward_hook(
        lambda _module, _inputs, y: y + torch.tensor([0.0, 0.0, 100.0])
    )
    mixture = torch.randn(1, 1, 1500)
    with torch.no_grad():
        assert separator(mixture).abs().max() < 1e-6


def test_dilations_repeat_and_scales_decay() -> None:
    blocks = [block for repeat in build("tdcn++").tdcn.repeats for block in repeat]
    assert [block.depthwise.dilation[0] for block in blocks] == [2**x for x in range(8)] * 4
    scales = [float(block.contract.scale.detach()) for block in blocks]
    assert scales == pytest.approx([0.9**number for number in range(32)])


def test_each_repeat_gets_the_inputs_of_all_before_it() -> None:
    names = set(build("tdcn++").tdcn.connections)
    assert names == {"0_to_1", "0_to_2", "0_to_3", "1_to_2", "1_to_3", "2_to_3"}


def test_connections_carry_the_inputs_of_repeats() -> None:
    """With blocks that add nothing, the features are sums of linear maps of the first input."""
    tdcn = small(B=2).tdcn
    for repeat in tdcn.repeats:
        for block in repeat:
            block.contract.scale.data.zero_()
    for name, dense in tdcn.connections.items():
        dense.linear.weight.data = torch.eye(2)[:, :, None] * {"0_to_1": 2.0}.get(name, 1.0)
        dense.linear.bias.data.zero_()
    x = torch.randn(1, 65, 4)
    first = tdcn.bottleneck(x)  # then 3 times that, then 3 + 1 + 3 = 7 times
    torch.testing.assert_close(tdcn(x), 7 * first)


def test_norms_are_over_time_alone() -> None:
    x = torch.randn(2, 3, 500) * torch.tensor([1.0, 10.0, 100.0])[:, None] + 5
    y = FeatureNorm(3)(x)
    torch.testing.assert_close(y.mean(-1), torch.zeros(2, 3), rtol=0, atol=1e-4)
    torch.testing.assert_close(y.var(-1, correction=0), torch.ones(2, 3), rtol=0, atol=2e-3)
