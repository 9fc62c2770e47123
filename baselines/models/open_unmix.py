"""Open-Unmix: one BLSTM per stem estimates its magnitudes, and a Wiener filter combines them.

Fabian-Robert Stöter, Stefan Uhlich, Antoine Liutkus and Yuki Mitsufuji, "Open-Unmix - A Reference
Implementation for Music Source Separation", JOSS 4(41), 2019. Layers have the names of the paper's
code.

The variant `crossnet` is CrossNet-Open-Unmix (X-UMX): Ryosuke Sawata, Stefan Uhlich, Shusuke
Takahashi and Yuki Mitsufuji, "All for One and One for All: Improving Music Separation by Bridging
Networks", ICASSP 2021 (arXiv 2010.04228). The networks read the mean of all stems' features, before
and after the BLSTM, and are trained by a loss of magnitudes and waveforms of all sums of stems.
Bridges add no parameter. With them, all stems are needed to estimate one.

Level: both losses of magnitudes see it. Padding: frames are centred on multiples of the hop, beyond
zeros. Both papers halt the training after many epochs without progress and keep the best of several
runs, which the fields of a training do not express.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from baselines.layers.stft import Stft
from baselines.layers.wiener import wiener_filter
from baselines.losses import in_full_precision
from baselines.model import Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, Separator, SongHyperparameters, require

LOSSES = ("magnitude", "combined")
WAVEFORM_WEIGHT = 10.0  # of the combined loss, relative to the magnitudes'
EPSILON = 1e-10


@dataclass(frozen=True, kw_only=True)
class OpenUnmixHyperparameters(SongHyperparameters):
    """Sizes of the analysis and the network; the defaults are the paper's."""

    n_fft: int = 4096
    hop_length: int = 1024
    bandwidth_hz: float = 16000.0  # higher frequencies are not read, but are estimated
    hidden_size: int = 512
    n_layers: int = 3
    em_iterations: int = 1
    em_window_frames: int = 300  # every window of frames has a Wiener filter
    bridged: bool = False  # the networks read the mean of all stems' features
    loss: str = "magnitude"  # or combined: of all sums of stems, in both domains

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.hidden_size % 2 == 0, f"hidden_size is {self.hidden_size}; it must be even.")
        self.check_least(1, "em_window_frames")
        self.check_choices(loss=LOSSES)

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

    def encode(self, magnitude: Tensor) -> Tensor:
        """Return (frames, batch, hidden_size) for a mixture's (batch, channels, bins, frames)."""
        x = magnitude.permute(3, 0, 1, 2)  # (frames, batch, channels, bins)
        x = (x[..., : self.bins_read] + self.input_mean) * self.input_scale
        x = self.bn1(self.fc1(x.flatten(0, 1).flatten(1)))  # (frames * batch, hidden_size)
        encoded: Tensor = x.tanh().unflatten(0, (-1, len(magnitude)))
        return encoded

    def decode(self, encoded: Tensor, recurrent: Tensor) -> Tensor:
        """Return masks (batch, channels, bins, frames) for two (frames, batch, hidden_size)."""
        x = torch.cat([encoded, recurrent], dim=-1)  # (frames, batch, 2 * hidden_size)
        x = self.bn2(self.fc2(x.flatten(0, 1))).relu()  # (frames * batch, hidden_size)
        x = self.bn3(self.fc3(x)).reshape(*encoded.shape[:2], -1, self.bins)
        masks: Tensor = (x * self.output_scale + self.output_mean).relu()
        return masks.permute(1, 2, 3, 0)

    def forward(self, magnitude: Tensor) -> Tensor:
        """Return a stem's masks for magnitudes, both of (batch, channels, bins, frames)."""
        encoded = self.encode(magnitude)
        return self.decode(encoded, self.lstm(encoded)[0])


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

    def masks(self, magnitude: Tensor) -> Tensor:
        """Return the masks of all stems, (batch, n_src, channels, bins, frames).

        `magnitude` (batch, channels, bins, frames) is that of the mixture's spectrogram.
        """
        targets = [
            module for module in self.targets.values() if isinstance(module, OpenUnmixTarget)
        ]
        if not self.h.bridged:
            return torch.stack([target(magnitude) for target in targets], dim=1)
        encoded = mean_of([target.encode(magnitude) for target in targets])
        recurrent = mean_of([target.lstm(encoded)[0] for target in targets])
        return torch.stack([target.decode(encoded, recurrent) for target in targets], dim=1)

    def magnitudes(self, magnitude: Tensor) -> Tensor:
        """Estimate the magnitudes of all stems, (batch, n_src, channels, bins, frames)."""
        return self.masks(magnitude) * magnitude[:, None]

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean squared error of the magnitudes, or the combined loss; scalar."""
        spectrum = self.stft.analyse(batch["mixture"])
        magnitude = spectrum.abs()[:, None]
        masks = self.masks(magnitude[:, 0])
        references = self.stft.analyse(batch["references"]).abs()
        if self.h.loss == "magnitude":
            return nn.functional.mse_loss(masks * magnitude, references)
        waveforms = self.stft.synthesise(masks * spectrum[:, None], batch["mixture"].shape[-1])
        of_magnitudes = combined_squared_error(references=references, estimates=masks * magnitude)
        of_waveforms = combined_weighted_sdr_loss(
            references=batch["references"], estimates=waveforms, mixture=batch["mixture"]
        )
        return of_magnitudes + WAVEFORM_WEIGHT * of_waveforms


def mean_of(features: list[Tensor]) -> Tensor:
    """Return the mean of tensors of one shape."""
    return torch.stack(features).mean(0)


def sums_of_stems(n_src: int) -> Tensor:
    """Return which stems are in each sum of some but not all of them, (sums, n_src)."""
    members = [
        [float(stem in chosen) for stem in range(n_src)]
        for size in range(1, max(n_src, 2))
        for chosen in combinations(range(n_src), size)
    ]
    return torch.tensor(members)


@in_full_precision
def combined_squared_error(*, references: Tensor, estimates: Tensor) -> Tensor:
    """Return the mean squared error of all sums of stems, of (batch, n_src, ...); scalar.

    The products of the stems' errors are enough for it: no sum is computed.
    """
    error = (estimates - references).transpose(0, 1).flatten(1)  # (n_src, all others)
    sums = sums_of_stems(len(error)).to(error)  # (sums, n_src)
    return ((sums.T @ sums) * (error @ error.T)).sum() / (len(sums) * error.shape[1])


@in_full_precision
def combined_weighted_sdr_loss(*, references: Tensor, estimates: Tensor, mixture: Tensor) -> Tensor:
    """Return the weighted SDR loss of all sums of stems and of what they leave; scalar.

    Choi et al., "Phase-aware speech enhancement with deep complex U-Net", ICLR 2019, plus one:
    0 for perfect estimates, at most 2. Computed from the products of all signals with each other.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        mixture: shape (batch, channels, time).
    """
    n_src = references.shape[1]
    signals = torch.cat([references, estimates, mixture[:, None]], dim=1).transpose(1, 2)
    products = signals @ signals.mT  # (batch, channels, 2 * n_src + 1, 2 * n_src + 1)
    sums = sums_of_stems(n_src).to(products)
    reference = nn.functional.pad(sums, (0, n_src + 1))  # which signals to add: (sums, 2 n_src + 1)
    estimate = nn.functional.pad(sums, (n_src, 1))
    whole = nn.functional.pad(sums.new_ones(len(sums), 1), (2 * n_src, 0))

    def product(left: Tensor, right: Tensor) -> Tensor:
        return ((left @ products) * right).sum(-1)  # (batch, channels, sums)

    def length(signal: Tensor) -> Tensor:
        return (product(signal, signal).clamp(min=0) + EPSILON).sqrt()

    def cosine(left: Tensor, right: Tensor) -> Tensor:
        return product(left, right) / (length(left) * length(right))

    rest = whole - reference
    energy, energy_of_rest = length(reference).square(), length(rest).square()
    weight = energy / (energy + energy_of_rest)
    agreement = weight * cosine(reference, estimate)
    agreement = agreement + (1 - weight) * cosine(rest, whole - estimate)
    return 1 - agreement.mean()


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
        "decay": 0.3,
        "gain_spread_db": 6.0,
    },
)


@OPEN_UNMIX.variant(parameters=4 * 8_893_348)
def paper() -> Hyperparameters:
    """The four-stem system of the paper, with 8,893,348 parameters per stem."""
    return OpenUnmixHyperparameters()


@OPEN_UNMIX.variant(
    "crossnet",
    parameters=4 * 8_893_348,
    batch_size=14,
    segment_s=6.0,
    weight_decay=1e-5,
    schedule="plateau",
    decay=0.3,
    gain_spread_db=6.0,
)
def crossnet() -> Hyperparameters:
    """CrossNet-Open-Unmix: bridges between the stems' networks, and the combined loss."""
    return OpenUnmixHyperparameters(bridged=True, loss="combined")


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


@OPEN_UNMIX.imports("openunmix", "OpenUnmix")
def from_openunmix(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert one `openunmix.model.OpenUnmix` per stem.

    The names of a stem's weights begin with its name and a dot; the arguments are those of the
    networks, and the `sample_rate`. Published files also hold parts of an analysis.
    """
    check_arguments(arguments, {"unidirectional": False})
    analysis = ("stft", "transform", "sample_rate")
    of_networks = {k: v for k, v in weights.items() if k.split(".")[1] not in analysis}
    n_fft = 2 * (arguments.get("nb_bins", 4096) - 1)
    return _imported(
        renamed(of_networks, {r"^": "targets."}),
        channels=arguments.get("nb_channels", 2),
        n_fft=n_fft,
        hop_length=n_fft // 4,
        sample_rate=int(arguments.get("sample_rate", 44100)),
        hidden_size=arguments.get("hidden_size", 512),
        n_layers=arguments.get("nb_layers", 3),
    )


@OPEN_UNMIX.imports("asteroid", "XUMX")
def from_asteroid(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert asteroid's X-UMX."""
    n_fft = arguments.get("in_chan", 4096)
    check_arguments(arguments, {"window_length": n_fft, "bidirectional": True, "spec_power": 1})
    names = {
        r"^layer_enc\.(.+)\.enc\.0\.": r"targets.\1.fc1.",
        r"^layer_enc\.(.+)\.enc\.1\.": r"targets.\1.bn1.",
        r"^layer_lstm\.(.+)\.(\w+)$": r"targets.\1.lstm.\2",
        r"^layer_dec\.(.+)\.dec\.0\.": r"targets.\1.fc2.",
        r"^layer_dec\.(.+)\.dec\.1\.": r"targets.\1.bn2.",
        r"^layer_dec\.(.+)\.dec\.3\.": r"targets.\1.fc3.",
        r"^layer_dec\.(.+)\.dec\.4\.": r"targets.\1.bn3.",
        r"^mean_scale\.((?:input|output)_(?:mean|scale))_(.+)$": r"targets.\2.\1",
    }
    windows = ("encoder.", "decoder.")
    ours = renamed({k: v for k, v in weights.items() if not k.startswith(windows)}, names)
    return _imported(
        ours,
        channels=arguments.get("nb_channels", 2),
        n_fft=n_fft,
        hop_length=arguments.get("n_hop", 1024),
        sample_rate=int(arguments.get("sample_rate", 44100)),
        hidden_size=arguments.get("hidden_size", 512),
        n_layers=arguments.get("nb_layers", 3),
        bridged=True,
        loss="combined",
    )


def _imported(weights: Weights, *, n_fft: int, sample_rate: int, **sizes: Any) -> Imported:
    """Return weights of ours with their hyperparameters; some can only be read from the weights."""
    stems = tuple(dict.fromkeys(name.split(".")[1] for name in weights))
    bins_read = len(weights[f"targets.{stems[0]}.input_mean"])
    hyperparameters = OpenUnmixHyperparameters(
        n_src=len(stems),
        source_names=stems,
        n_fft=n_fft,
        sample_rate=sample_rate,
        bandwidth_hz=(bins_read - 0.5) * sample_rate / n_fft,  # between the last bin and the next
        **sizes,
    )
    return hyperparameters, weights
