"""Open-Unmix: one BLSTM per stem estimates its magnitudes, and a Wiener filter combines them.

Fabian-Robert Stöter, Stefan Uhlich, Antoine Liutkus and Yuki Mitsufuji, "Open-Unmix - A Reference
Implementation for Music Source Separation", JOSS 4(41), 2019. Layers have the names of the paper's
code, so that published weights load into `OpenUnmixTarget` unchanged.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from baselines.layers.stft import Stft
from baselines.layers.wiener import wiener_filter
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, Separator, require

STEMS = ("vocals", "drums", "bass", "other")


@dataclass(frozen=True, kw_only=True)
class OpenUnmixHyperparameters(Hyperparameters):
    """Sizes of the analysis and the network; the defaults are the paper's."""

    n_src: int = 4
    sample_rate: int = 44100
    channels: int = 2
    source_names: tuple[str, ...] = STEMS
    n_fft: int = 4096
    hop_length: int = 1024
    bandwidth_hz: float = 16000.0  # higher frequencies are not read, but are estimated
    hidden_size: int = 512
    n_layers: int = 3
    em_iterations: int = 1
    em_window_frames: int = 300  # every window of frames has a Wiener filter

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.source_names is not None, "Open-Unmix separates named stems: give source_names."
        )
        require(self.hidden_size % 2 == 0, f"hidden_size is {self.hidden_size}, must be even.")
        require(self.em_window_frames >= 1, "em_window_frames must be 1 or more.")

    @property
    def bins_read(self) -> int:
        """Frequency bins up to and including the bandwidth."""
        below = int(self.bandwidth_hz * self.n_fft / self.sample_rate) + 1
        return min(below, self.n_fft // 2 + 1)


class OpenUnmixTarget(nn.Module):
    """The paper's network for one stem."""

    def __init__(
        self, *, bins: int, bins_read: int, channels: int, hidden_size: int, n_layers: int
    ) -> None:
        super().__init__()
        self.bins = bins
        self.bins_read = bins_read
        self.input_mean = nn.Parameter(torch.zeros(bins_read))
        self.input_scale = nn.Parameter(torch.ones(bins_read))
        self.fc1 = nn.Linear(channels * bins_read, hidden_size, bias=False)
        self.bn1 = nn.BatchNorm1d(hidden_size)
        self.lstm = nn.LSTM(
            hidden_size,
            hidden_size // 2,
            n_layers,
            bidirectional=True,
            dropout=0.4 if n_layers > 1 else 0.0,
        )
        self.fc2 = nn.Linear(2 * hidden_size, hidden_size, bias=False)
        self.bn2 = nn.BatchNorm1d(hidden_size)
        self.fc3 = nn.Linear(hidden_size, channels * bins, bias=False)
        self.bn3 = nn.BatchNorm1d(channels * bins)
        self.output_scale = nn.Parameter(torch.ones(bins))
        self.output_mean = nn.Parameter(torch.ones(bins))

    def forward(self, magnitude: Tensor) -> Tensor:
        """Estimate a stem's magnitudes from the mixture's, both (batch, channels, bins, frames)."""
        batch, channels, _, frames = magnitude.shape
        x = magnitude.permute(3, 0, 1, 2)  # (frames, batch, channels, bins)
        x = (x[..., : self.bins_read] + self.input_mean) * self.input_scale
        x = self.bn1(self.fc1(x.flatten(0, 1).flatten(1)))  # (frames * batch, hidden_size)
        x = x.tanh().reshape(frames, batch, -1)
        x = torch.cat([x, self.lstm(x)[0]], dim=-1)  # (frames, batch, 2 * hidden_size)
        x = self.bn2(self.fc2(x.flatten(0, 1))).relu()  # (frames * batch, hidden_size)
        x = self.bn3(self.fc3(x)).reshape(frames, batch, channels, self.bins)
        mask: Tensor = (x * self.output_scale + self.output_mean).relu()
        return mask.permute(1, 2, 3, 0) * magnitude


class OpenUnmix(Separator):
    """One network per named stem, then a multichannel Wiener filter of all stems."""

    hyperparameters_class = OpenUnmixHyperparameters
    one_network_per_source = True
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: OpenUnmixHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.stft = Stft(h.n_fft, h.hop_length)
        self.targets = nn.ModuleDict(
            {
                name: OpenUnmixTarget(
                    bins=self.stft.bins,
                    bins_read=h.bins_read,
                    channels=h.channels,
                    hidden_size=h.hidden_size,
                    n_layers=h.n_layers,
                )
                for name in h.source_names
            }
        )

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        spectrum = self.stft.analyse(mixture)  # (batch, channels, bins, frames)
        magnitudes = self.magnitudes(spectrum.abs())
        windows = zip(
            magnitudes.split(self.h.em_window_frames, dim=-1),
            spectrum.split(self.h.em_window_frames, dim=-1),
            strict=True,
        )
        filtered = [
            wiener_filter(magnitude, mix, iterations=self.h.em_iterations)
            for magnitude, mix in windows
        ]
        return self.stft.synthesise(torch.cat(filtered, dim=-1), mixture.shape[-1])

    def magnitudes(self, magnitude: Tensor) -> Tensor:
        """Estimate the magnitudes of all stems, (batch, n_src, channels, bins, frames)."""
        return torch.stack([target(magnitude) for target in self.targets.values()], dim=1)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean squared error of the magnitudes, mean over the stems; scalar."""
        estimates = self.magnitudes(self.stft.analyse(batch["mixture"]).abs())
        references = self.stft.analyse(batch["references"]).abs()
        return nn.functional.mse_loss(estimates, references)


OPEN_UNMIX = ModelSpec(
    name="open_unmix",
    title="Open-Unmix",
    task="music_separation",
    paper="Stöter, Uhlich, Liutkus and Mitsufuji, JOSS 4(41), 2019, doi 10.21105/joss.01667",
    reference_licence="openunmix 1.3 (MIT), compared on copied weights",
    separator=OpenUnmix,
    not_reproduced=(
        "Input statistics of the training set, which the original computes first (here they are "
        "learned, from 0 and 1); reflection at the ends of the signal (here zeros)."
    ),
    tiny=lambda: OpenUnmixHyperparameters(n_fft=256, hop_length=128, hidden_size=16, n_layers=1),
    training={
        "batch_size": 16,
        "segment_s": 6.0,
        "weight_decay": 1e-5,
        "schedule": "plateau",
        "gain_spread_db": 6.0,
    },
)


@OPEN_UNMIX.variant(parameters=4 * 8_893_348)
def paper() -> Hyperparameters:
    """The four-stem system of the paper, with 8,893,348 parameters per stem."""
    return OpenUnmixHyperparameters()


@OPEN_UNMIX.variant(
    "small",
    batch_size=8,
    segment_s=4.0,
    weight_decay=1e-5,
    gain_spread_db=3.0,
    valid_items=10,
)
def small() -> Hyperparameters:
    """For laptops: half the bins and frames, one layer of 128 per stem."""
    return OpenUnmixHyperparameters(n_fft=2048, hop_length=1024, hidden_size=128, n_layers=1)
