"""SuDoRM-RF++ GC: group communication against its definition, consistency and options."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.models.sudormrf_groupcomm import (
    GroupBlock,
    GroupCommHyperparameters,
    GroupCommSudoRmRf,
    GroupCommunication,
)
from mixgen.core.errors import UsageError

TINY = {"C_E": 24, "C": 8, "C_U": 16, "B": 2, "Q": 2, "G": 4}


def tiny(**changes: Any) -> GroupCommSudoRmRf:
    return GroupCommSudoRmRf(GroupCommHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize("wrong", [{"G": 3}, {"G": 0}, {"C_U": 18}, {"output_slopes": 16}])
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_estimates_add_up_to_the_mixture() -> None:
    separator = tiny(n_src=3, channels=2)
    mixture = torch.randn(2, 2, 700)
    torch.testing.assert_close(separator.network(mixture).sum(1), mixture, rtol=0, atol=1e-5)
    torch.testing.assert_close(separator(mixture).sum(1), mixture, rtol=0, atol=1e-2)


def test_group_communication_transforms_averages_and_concatenates() -> None:
    """Frame by frame and group by group, with one weight for the concatenated features."""
    layer = GroupCommunication(n=3, groups=4).double()
    w = {k: v.data.copy_(torch.randn_like(v)) for k, v in layer.named_parameters()}
    x = torch.randn(2, 4, 3, 5, dtype=torch.float64)  # (b, G, n, k)
    read = torch.cat([w["own.weight"], w["common.weight"]], 1)[..., 0]  # (n, 2 hidden)
    added = torch.empty_like(x)
    for item in range(2):
        for k in range(5):
            transformed = [_prelu_linear(w, "transform", x[item, g, :, k]) for g in range(4)]
            mean = _prelu_linear(w, "average", sum(transformed, torch.zeros(9)) / 4)
            for g in range(4):
                both = read @ torch.cat([transformed[g], mean]) + w["own.bias"]
                added[item, g, :, k] = functional.prelu(both, w["prelu.weight"])
    flat = functional.group_norm(added.flatten(0, 1), 1, w["norm.weight"], w["norm.bias"], eps=1e-8)
    expected = x.flatten(0, 1) + flat
    torch.testing.assert_close(layer(x.flatten(0, 1)), expected, rtol=0, atol=1e-12)


def _prelu_linear(w: dict[str, Tensor], name: str, x: Tensor) -> Tensor:
    linear = w[f"{name}.0.weight"][..., 0] @ x.double() + w[f"{name}.0.bias"]
    return functional.prelu(linear, w[f"{name}.1.weight"])


def test_groups_share_one_block() -> None:
    """Exchanging groups of the input exchanges groups of the output."""
    block = GroupBlock(GroupCommHyperparameters(**TINY))
    x = torch.randn(1, 4, 2, 8)  # (b, G, n, k)
    order = [2, 0, 3, 1]
    exchanged = block(x[:, order].flatten(1, 2)).view_as(x)
    expected = block(x.flatten(1, 2)).view_as(x)[:, order]
    torch.testing.assert_close(exchanged, expected, rtol=0, atol=1e-5)
