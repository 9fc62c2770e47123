"""Models and losses of nussl, read from three of its files.

The whole package requires much that is not used here, and does not run with SciPy 1.17.
"""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import pytest
from torch import Tensor, nn

from tests.baselines.parity.conftest import WHY


class NusslModel(nn.Module):
    """The modules of a configuration, connected as it says, with the names of nussl's weights."""

    def __init__(self, builder: str, **arguments: Any) -> None:
        super().__init__()
        blocks = nussl_part("networks/modules/blocks.py")
        self.config = getattr(nussl_part("networks/builders.py"), builder)(**arguments)
        self.layers = nn.ModuleDict(
            {
                name: getattr(blocks, module["class"])(**module.get("args", {}))
                for name, module in self.config["modules"].items()
                if "class" in module
            }
        )

    def forward(self, magnitude: Tensor) -> dict[str, Tensor]:
        """Return all outputs for (batch, frames, bins, channels)."""
        values = {"mix_magnitude": magnitude}
        for name, inputs in self.config["connections"]:
            values[name] = self.layers[name](*(values[key] for key in inputs))
        return values


@cache
def nussl_part(name: str) -> ModuleType:
    """Return the module of a file of `nussl.ml`; skips the test if nussl is not installed."""
    package = importlib.util.find_spec("nussl")
    if package is None or package.submodule_search_locations is None:
        pytest.skip(WHY)
    path = Path(package.submodule_search_locations[0], "ml", name)
    spec = importlib.util.spec_from_file_location(f"nussl_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, librosa=ModuleType("librosa")):
        spec.loader.exec_module(module)
    return module


def in_nussl(spectrogram: Tensor) -> Tensor:
    """Return (batch, frames, bins, channels) for our (batch, channels, bins, frames)."""
    return spectrogram.permute(0, 3, 2, 1)


def from_nussl(values: Tensor) -> Tensor:
    """Return (batch, n, channels, bins, frames) for their (batch, frames, bins, channels, n)."""
    return values.permute(0, 4, 3, 2, 1)
