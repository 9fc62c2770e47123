"""SepFormer on weights copied from SpeechBrain 1.1, at lengths of whole frames."""

from typing import Any

import pytest
import torch

from mixgen.core.errors import UsageError
from tests.baselines.conftest import RecordProperty
from tests.baselines.parity.conftest import WHY, converted, randomise, relative_difference

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TOLERANCE = 1e-10  # in double precision
SMALL = {"encoder_out_nchannels": 32, "intra_numlayers": 2, "inter_numlayers": 2}


@pytest.fixture
def wrapper(monkeypatch: pytest.MonkeyPatch) -> Any:
    """SpeechBrain's class, without the second initialisation, whose time is quadratic in layers."""
    module = pytest.importorskip("speechbrain.lobes.models.dual_path", reason=WHY)
    monkeypatch.setattr(module.SepformerWrapper, "reset_layer_recursively", lambda *_: None)
    return module.SepformerWrapper


@pytest.mark.parametrize(
    ("arguments", "time"),
    [
        ({}, 400),
        ({**SMALL, "masknet_numspks": 3, "masknet_chunksize": 20}, 168),
        ({**SMALL, "masknet_chunksize": 20, "masknet_numlayers": 1}, 88),
        ({**SMALL, "masknet_chunksize": 20, "encoder_kernel_size": 20}, 1600),
        ({**SMALL, "masknet_chunksize": 20, "intra_nhead": 4, "inter_nhead": 4}, 2408),
    ],
)
def test_speechbrain_separates_alike(
    arguments: dict[str, Any], time: int, wrapper: Any, record_property: RecordProperty
) -> None:
    """The lengths are such that their chunks end with and without a chunk of zeros."""
    theirs = randomise(wrapper(**arguments))
    ours = converted("sepformer", "speechbrain", theirs, **arguments)
    mixture = 0.1 * torch.randn(2, time, dtype=torch.float64)
    expected = theirs(mixture).movedim(-1, 1)
    difference = relative_difference(ours.network(mixture[:, None])[:, :, 0], expected)
    record_property("largest difference", difference)
    assert difference < TOLERANCE


@pytest.mark.parametrize(
    "arguments", [{"masknet_norm": "gln"}, {"intra_nhead": 4}, {"intra_use_positional": False}]
)
def test_what_cannot_be_read_is_refused(arguments: dict[str, Any], wrapper: Any) -> None:
    theirs = wrapper(**SMALL, **arguments)
    with pytest.raises(UsageError, match=r"can be converted|have to be equal"):
        converted("sepformer", "speechbrain", theirs, **SMALL, **arguments)
