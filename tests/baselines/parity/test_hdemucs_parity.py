"""Hybrid Demucs on weights copied from demucs 4.1, at reduced widths."""

from typing import Any

import pytest
import torch

from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision


@pytest.mark.parametrize(
    "changes",
    [
        {"channels": 4, "dconv_comp": 1},
        {"channels": 4, "growth": 1.5, "depth": 6, "dconv_comp": 1, "norm_starts": 9,
         "dconv_lstm": 5, "dconv_attn": 5},
        {"channels": 8, "nfft": 256, "depth": 4, "norm_starts": 1, "dconv_lstm": 2,
         "dconv_attn": 2},
        {"channels": 8, "nfft": 256, "depth": 3, "audio_channels": 1, "dconv_mode": 3,
         "context": 0},
    ],
)  # fmt: skip
def test_estimates_are_those_of_the_maintained_code(
    changes: dict[str, Any], record_property: RecordProperty
) -> None:
    module = pytest.importorskip("demucs.hdemucs", reason=WHY)
    arguments = {"sources": ["drums", "vocals", "other"], **changes}
    theirs = randomise(module.HDemucs(**arguments))
    ours = converted("hdemucs", "demucs", theirs, **arguments)
    for time in (700, 30011):
        mixture = torch.randn(2, arguments.get("audio_channels", 2), time, dtype=torch.float64)
        difference = relative_difference(ours(mixture), theirs(mixture))
        record_property(f"largest difference at {time} samples", difference)
        assert difference < TOLERANCE


def test_recurrence_over_long_signals_is_read_in_the_same_chunks(
    record_property: RecordProperty,
) -> None:
    module = pytest.importorskip("demucs.hdemucs", reason=WHY)
    arguments = {
        "sources": ["drums", "vocals"],
        "channels": 8,
        "nfft": 256,
        "depth": 3,
        "dconv_lstm": 2,
        "dconv_attn": 2,
    }
    theirs = randomise(module.HDemucs(**arguments))
    ours = converted("hdemucs", "demucs", theirs, **arguments)
    for frames in (200, 201, 450):
        mixture = torch.randn(1, 2, 64 * frames, dtype=torch.float64)
        difference = relative_difference(ours(mixture), theirs(mixture))
        record_property(f"largest difference at {frames} frames", difference)
        assert difference < TOLERANCE
