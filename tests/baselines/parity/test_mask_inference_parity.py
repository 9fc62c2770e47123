"""Mask inference on weights copied from the building blocks of nussl 1.1.9."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from baselines.models.mask_inference import MaskInference, MaskInferenceHyperparameters
from tests.baselines.conftest import RecordProperty

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WHY = "`make parity` installs the other implementations"


@pytest.fixture
def blocks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module of the blocks alone: the whole package requires much that is not used here."""
    package = importlib.util.find_spec("nussl")
    if package is None or package.submodule_search_locations is None:
        pytest.skip(WHY)
    monkeypatch.setitem(sys.modules, "librosa", ModuleType("librosa"))
    path = Path(package.submodule_search_locations[0], "ml", "networks", "modules", "blocks.py")
    spec = importlib.util.spec_from_file_location("nussl_blocks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_masks_of_copied_weights(blocks: ModuleType, record_property: RecordProperty) -> None:
    level = blocks.AmplitudeToDB()
    norm = blocks.BatchNorm().eval()
    recurrent = blocks.RecurrentStack(129, 600, 4, True, 0.3).eval()
    embedding = blocks.Embedding(129, 1200, 2, ["sigmoid"]).eval()
    norm.batch_norm.running_mean.fill_(-35.0)
    norm.batch_norm.running_var.fill_(150.0)

    ours = MaskInference(MaskInferenceHyperparameters()).eval()
    ours.batch_norm.load_state_dict(norm.batch_norm.state_dict())
    ours.blstm.load_state_dict(recurrent.rnn.state_dict())
    # Their rows are ordered by bin and then by source, ours by source and then by bin.
    rows = torch.arange(258).reshape(129, 2).T.flatten()
    ours.mask.weight.data.copy_(embedding.linear.weight[rows])
    ours.mask.bias.data.copy_(embedding.linear.bias[rows])

    magnitude = torch.rand(2, 1, 129, 40) ** 4
    theirs_in = magnitude.permute(0, 3, 2, 1)  # (batch, frames, bins, channels)
    with torch.no_grad():
        theirs = embedding(recurrent(norm(level(theirs_in))))  # (batch, frames, bins, 1, n_src)
        masks = ours.masks(magnitude)
    difference = float((masks - theirs.permute(0, 4, 3, 2, 1)).abs().max())
    record_property("largest difference", difference)
    assert difference < 1e-6
