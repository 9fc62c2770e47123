"""Hybrid Transformer Demucs on weights copied from demucs 4.1, at reduced widths.

Their positional encodings have single precision.
"""

from typing import Any

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-6  # in double precision


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": 8, "bottom_channels": 32, "t_layers": 5},
        {"channels": 8, "t_layers": 2, "t_heads": 4, "t_hidden_scale": 2.0, "dconv_mode": 3},
        {"channels": 8, "nfft": 1024, "depth": 3, "bottom_channels": 16, "audio_channels": 1,
         "t_layers": 3, "norm_starts": 1, "dconv_comp": 4},
    ],
)  # fmt: skip
def test_estimates_are_those_of_the_maintained_code(
    changes: dict[str, Any], record_property: RecordProperty
) -> None:
    module = pytest.importorskip("demucs.htdemucs", reason=WHY)
    arguments = {"sources": ["drums", "vocals"], "use_train_segment": False, **changes}
    theirs = randomise(module.HTDemucs(**arguments))
    ours = converted("htdemucs", "demucs", theirs, **arguments)
    for time in (700, 30011):
        mixture = torch.randn(2, arguments.get("audio_channels", 2), time, dtype=torch.float64)
        difference = relative_difference(ours(mixture), theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE
