"""The networks that `models_speed.py` compares: each peer's constructor and its arguments."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from baselines.separator import STEMS


class OpenUnmixStems(nn.ModuleDict):
    """One of openunmix's networks per stem, which its separator runs and filters."""

    def __init__(self, **arguments: Any) -> None:
        self.model = import_module("openunmix.model")
        super().__init__({stem: self.model.OpenUnmix(**arguments) for stem in STEMS})

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (1, 2, time) into (1, n_src, 2, time)."""
        stems: Tensor = self.model.Separator(dict(self), niter=1)(mixture)
        return stems


Call = Callable[[nn.Module, Tensor], Tensor]


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
        positional: values of the constructor before its named arguments.
        call: runs the peer on a mixture (1, channels, time).
    """

    system: str
    peer: str
    constructor: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    note: str = ""
    rate: int = 8000
    channels: int = 1
    seconds: float = 2.0
    positional: tuple[Any, ...] = ()
    call: Call = lambda network, mixture: network(mixture)

    def make(self) -> nn.Module:
        """Build the peer's network."""
        module, name = self.constructor.split(":")
        build = getattr(import_module(module), name)
        network: nn.Module = build(*self.positional, **self.arguments)
        return network


def _asteroid(system: str, model: str, note: str = "", **arguments: Any) -> Pair:
    return Pair(system, "asteroid", f"asteroid.models:{model}", {"n_src": 2, **arguments}, note)


def _demucs(system: str, constructor: str, note: str = "", **arguments: Any) -> Pair:
    return Pair(system, "demucs", constructor, {"sources": STEMS, **arguments}, note, **_SONGS)


_SONGS: dict[str, Any] = {"rate": 44100, "channels": 2, "seconds": 4.0}
_WINDOW_2 = {"kernel_size": 2, "stride": 1, "chunk_size": 250}
_DEMUCS_V1 = {"dconv_mode": 0, "lstm_layers": 2, "norm_starts": 100, "gelu": False}

PAIRS = (
    _asteroid("conv_tasnet", "ConvTasNet", "ReLU masks", mask_act="relu"),
    Pair("conv_tasnet", "torchaudio", "torchaudio.models:ConvTasNet", {"num_sources": 2}),
    _asteroid("tasnet", "LSTMTasNet", n_filters=500, kernel_size=40, stride=20, hid_size=500),
    _asteroid("dprnn", "DPRNNTasNet", "", bn_chan=64, hop_size=125, **_WINDOW_2),
    _asteroid("dptnet", "DPTNet", "", ff_hid=128, **_WINDOW_2),
    _asteroid("sudormrf", "SuDORMRFNet", bn_chan=128, num_blocks=16, upsampling_depth=5),
    _asteroid(
        "sudormrf_improved", "SuDORMRFImprovedNet", bn_chan=256, num_blocks=16, upsampling_depth=5
    ),
    Pair(
        "sepformer",
        "speechbrain",
        "speechbrain.lobes.models.dual_path:SepformerWrapper",
        seconds=1.0,
        call=lambda network, mixture: network(mixture[:, 0]),
    ),
    Pair(
        "tf_gridnet",
        "espnet",
        "espnet2.enh.separator.tfgridnet_separator:TFGridNet",
        seconds=1.0,
        positional=(None,),
        call=lambda network, mixture: torch.stack(
            network(mixture[:, 0], torch.tensor([mixture.shape[-1]]))[0], dim=1
        ),
    ),
    Pair(
        "open_unmix",
        "openunmix",
        "models_beside_peers:OpenUnmixStems",
        {"nb_bins": 2049, "max_bin": 1487},
        "with its Wiener filter",
        **_SONGS,
    ),
    _demucs("demucs", "demucs.demucs:Demucs", "16 channels", channels=16, **_DEMUCS_V1),
    _demucs("hdemucs", "demucs.hdemucs:HDemucs", "16 channels", channels=16),
    _demucs("htdemucs", "demucs.htdemucs:HTDemucs", bottom_channels=512, t_layers=5),
    Pair(
        "denoiser",
        "denoiser",
        "denoiser.demucs:Demucs",
        {"hidden": 48, "normalize": False},
        rate=16000,
    ),
    Pair(
        "bs_roformer",
        "bs_roformer",
        "bs_roformer:BSRoformer",
        {
            "dim": 192,
            "depth": 6,
            "stereo": True,
            "time_transformer_depth": 1,
            "freq_transformer_depth": 1,
        },
        **{**_SONGS, "seconds": 2.0},
    ),
)
