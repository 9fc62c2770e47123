"""SkiM on weights copied from ESPnet 202511: encoder, separator and decoder, at equal padding."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
BASIS = {"channel": 64, "kernel_size": 2, "stride": 1}
PAPER = {"layer": 6, "unit": 128, "segment_size": 250, "dropout": 0.1}


class Peer(nn.Module):
    """ESPnet's three parts, as its separation model chains them."""

    def __init__(self, basis: dict[str, int], **separator: Any) -> None:
        super().__init__()
        encoders = pytest.importorskip("espnet2.enh.encoder.conv_encoder", reason=WHY)
        decoders = pytest.importorskip("espnet2.enh.decoder.conv_decoder", reason=WHY)
        separators = pytest.importorskip("espnet2.enh.separator.skim_separator", reason=WHY)
        self.encoder = encoders.ConvEncoder(**basis)
        self.separator = separators.SkiMSeparator(basis["channel"], **separator)
        self.decoder = decoders.ConvDecoder(**basis)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, time) into (batch, n_src, time)."""
        lengths = torch.full(mixture.shape[:1], mixture.shape[-1])
        features, frames = self.encoder(mixture, lengths)
        masked, _, _ = self.separator(features, frames)
        return torch.stack([self.decoder(one, lengths)[0] for one in masked], 1)


def difference_to(time: int, basis: dict[str, int], separator: dict[str, Any]) -> float:
    theirs = randomise(Peer(basis, **separator))
    ours = converted("skim", "espnet", theirs, **basis, **separator)
    mixture = 0.1 * torch.randn(2, 1, time, dtype=torch.float64)
    return relative_difference(ours.network(mixture)[:, :, 0], theirs(mixture[:, 0]))


@pytest.mark.parametrize(
    ("time", "options"),
    [
        (1600, {"causal": True}),
        (1501, {"causal": True}),  # 1500 frames: whole segments
        (1600, {"causal": False, "seg_overlap": True}),  # 99 frames after the last whole segment
        (1600, {"causal": False, "seg_overlap": False}),
    ],
)
def test_published_configurations(
    time: int, options: dict[str, Any], record_property: RecordProperty
) -> None:
    difference = difference_to(time, BASIS, {**PAPER, **options})
    record_property("largest difference", difference)
    assert difference < TOLERANCE


@pytest.mark.parametrize("memory", ["hc", "h", "c", "id"])
@pytest.mark.parametrize("options", [{"causal": True}, {"causal": False, "seg_overlap": True}])
def test_every_memory_with_three_talkers(
    memory: str, options: dict[str, Any], record_property: RecordProperty
) -> None:
    basis = {"channel": 24, "kernel_size": 8, "stride": 4}
    sizes = {"layer": 3, "unit": 16, "segment_size": 20, "num_spk": 3, "mem_type": memory}
    difference = difference_to(4 * 205 + 4, basis, {**sizes, **options})  # 205 frames
    record_property("largest difference", difference)
    assert difference < TOLERANCE


def test_a_whole_segment_of_zeros_is_not_added() -> None:
    """ESPnet completes the last segment by zeros even if it is whole."""
    sizes = {"layer": 2, "unit": 16, "segment_size": 20, "causal": False}
    basis = {"channel": 24, "kernel_size": 2, "stride": 1}
    assert difference_to(101, basis, sizes) > 1e-3
    assert difference_to(102, basis, sizes) < TOLERANCE
