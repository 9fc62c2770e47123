"""The autoregressive WaveNet on weights copied from espnet 202511, with a local condition."""

from collections.abc import Mapping

import pytest
import torch
from torch import Tensor

from baselines.models.wavenet import AutoregressiveWaveNet, WaveNetHyperparameters, mu_law_levels
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

MODULE = "espnet.nets.pytorch_backend.wavenet"
TOLERANCE = 1e-5  # in single precision: espnet's one-hot levels have no other
STACKS, LAYERS, LOCAL = 5, 10, 4


def from_espnet(theirs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return our names: espnet has a tanh and a sigmoid branch, and a bias in its first layer."""

    def both(prefix: str, index: int, part: str) -> Tensor:
        return torch.cat([theirs[f"{prefix}_{kind}.{index}{part}"] for kind in ("tanh", "sigmoid")])

    count = STACKS * LAYERS
    table = theirs["causal.conv.weight"].permute(2, 1, 0).clone()  # (kernel, levels, residual)
    table[-1] += theirs["causal.conv.bias"]  # one level is present in every sample
    ours = {
        "levels.table": table,
        "stack.skip.weight": torch.cat([theirs[f"skip_1x1.{i}.weight"] for i in range(count)], 1),
        "stack.skip_biases": torch.stack([theirs[f"skip_1x1.{i}.bias"] for i in range(count)]),
    }
    for i in range(count):
        layer = f"stack.layers.{i}"
        biases = both("dil", i, ".conv.bias") + both("aux_1x1", i, ".bias")
        ours[f"{layer}.gates.weight"] = both("dil", i, ".conv.weight")
        ours[f"{layer}.gates.bias"] = biases
        ours[f"{layer}.local.weight"] = both("aux_1x1", i, ".weight")
        for part in ("weight", "bias"):
            ours[f"{layer}.residual.{part}"] = theirs[f"res_1x1.{i}.{part}"]
    for part in ("weight", "bias"):
        ours[f"post.1.{part}"] = theirs[f"conv_post_1.{part}"]
        ours[f"post.3.{part}"] = theirs[f"conv_post_2.{part}"]
    return ours


def test_scores_equal_those_of_espnet(record_property: RecordProperty) -> None:
    """In the published sizes, at a length beyond the receptive field of a stack."""
    peer = pytest.importorskip(MODULE, reason=WHY)
    theirs = randomise(
        peer.WaveNet(
            n_aux=LOCAL, n_resch=32, n_skipch=512, dilation_depth=LAYERS, dilation_repeat=STACKS
        )
    ).float()
    ours = AutoregressiveWaveNet(WaveNetHyperparameters(), local=LOCAL).eval()
    ours.network.load_state_dict(from_espnet(theirs.state_dict()))
    levels, local = torch.randint(256, (2, 1500)), torch.randn(2, LOCAL, 1500)
    expected = theirs(levels, local).transpose(1, 2)
    difference = relative_difference(ours(levels, local), expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_levels_equal_those_of_espnet() -> None:
    peer = pytest.importorskip(MODULE, reason=WHY)
    signal = torch.linspace(-1, 1, 4001, dtype=torch.float64)
    assert mu_law_levels(signal, 256).tolist() == peer.encode_mu_law(signal.numpy()).tolist()
