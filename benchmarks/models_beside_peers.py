"""The networks that `models_speed.py` compares: each peer's constructor and its arguments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from torch import Tensor, nn


def _first(network: nn.Module, mixture: Tensor) -> Tensor:
    output: Tensor = network(mixture)
    return output


@dataclass(frozen=True)
class Pair:
    """One system here and its peer.

    Attributes:
        system: name here.
        peer: name of the importer.
        constructor: of the peer, as `module:name`.
        arguments: of the constructor, and of the importer.
        note: what is not the published configuration.
        rate: sample rate in Hz.
        channels: of the mixture.
        seconds: of audio.
        call: how the peer is run on a mixture (1, channels, time).
    """

    system: str
    peer: str
    constructor: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    rate: int = 8000
    channels: int = 1
    seconds: float = 2.0
    call: Callable[[nn.Module, Tensor], Tensor] = _first

    def make(self) -> nn.Module:
        """Build the peer's network."""
        module, name = self.constructor.split(":")
        network: nn.Module = getattr(import_module(module), name)(**self.arguments)
        return network


PAIRS = (
    Pair("conv_tasnet", "asteroid", "asteroid.models:ConvTasNet", {"n_src": 2}, "ReLU masks"),
    Pair("conv_tasnet", "torchaudio", "torchaudio.models:ConvTasNet", {"num_sources": 2}),
)
