"""SCNet: a spectrogram compressed band by band, most where least is heard, and dual-path LSTMs.

Weinan Tong, Jiaxu Zhu, Jun Chen, Shiyin Kang, Tao Jiang, Yang Li, Zhiyong Wu and Helen Meng,
"SCNet: Sparse Compression Network for Music Source Separation", ICASSP 2024 (arXiv 2401.13276).

Each of the encoder's stages cuts the frequency axis in three bands. The low band keeps its
resolution, the middle one is shortened by 4, the high one by 16; convolution modules, deepest for
the low band, then read along time. Between encoder and decoder, BLSTMs read along frequency and
along time; after every second layer the time axis is a spectrum of itself. Stages of the decoder
join the encoder's output of the same size through a gated convolution, and undo the compression.
The output is the spectrogram of each stem, not a mask of the mixture's.

Structure, sizes and loss are those of the authors' repository (starrytong/SCNet, MIT), which is no
package: its parameter counts are matched, its output is not compared. The paper counts 10.08
million parameters, the repository's configuration has 10.58 million; the latter is followed.

- The mixture's spectrogram is normalised to mean 0 and deviation 1; the stems get these back.
- The number of frames is made even for the Fourier transform over time, by zeros after the mixture.
- The ends are padded with zeros, where the repository reflects them.

The loss is the root mean square error of each stem's complex spectrogram, which fixes the level.
The repository's stems are mixed anew in groups of 4 examples, scaled by 0.25 to 1.25, and
flipped; its rate decays by 0.98 every 10 of 150 epochs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.fitted import FittedSeparator
from baselines.layers.stft import Stft
from baselines.losses import in_full_precision
from baselines.model import ModelSpec
from baselines.separator import Hyperparameters, SongHyperparameters, require

LOSSES = ("spectrum_rmse", "si_sdr")
SMALLEST_DEVIATION = 1e-5

# Axes: b batch, n_src, c channels of the signal, C of the network, f frequencies, t frames.


@dataclass(frozen=True, kw_only=True)
class ScnetHyperparameters(SongHyperparameters):
    """Sizes of the analysis and the network; the defaults are the paper's."""

    n_fft: int = 4096
    hop_length: int = 1024
    C: tuple[int, ...] = (32, 64, 128)  # channels after each stage
    shares: tuple[float, float, float] = (0.175, 0.392, 0.433)  # of the frequencies, in each band
    strides: tuple[int, int, int] = (1, 4, 16)  # by which a band is shortened
    kernels: tuple[int, int, int] = (3, 4, 16)
    depths: tuple[int, int, int] = (3, 2, 1)  # convolution modules of a band
    compression: int = 4  # of the channels inside a convolution module
    layers: int = 6  # dual-path layers, an even number
    loss: str = "spectrum_rmse"  # or si_sdr, of the waveforms

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("shares", "strides", "kernels", "depths"):
            given = getattr(self, name)
            require(len(given) == 3, f"{name} has {len(given)} values; give 3, one per band.")
        require(
            abs(sum(self.shares) - 1) < 1e-6,
            f"shares sum to {sum(self.shares)}; they must sum to 1.",
        )
        for stride, kernel in zip(self.strides, self.kernels, strict=True):
            require(
                kernel == stride or (stride == 1 and kernel % 2 == 1),
                f"kernels and strides have {kernel} and {stride} for a band; they must be equal, "
                "or the stride 1 and the kernel odd.",
            )
        require(min(self.C) >= self.compression, f"C is {self.C}; compression={self.compression}.")
        require(self.layers % 2 == 0, f"layers is {self.layers}; it must be even.")
        self.check_choices(loss=LOSSES)

    def band_sizes(self, f: int) -> list[int]:
        """Return how many of f frequencies are in each band."""
        ends = [ceil(f * self.shares[0]), ceil(f * (self.shares[0] + self.shares[1])), f]
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]


class ConvolutionModule(nn.Module):
    """Norm, gated convolution, depthwise convolution and projection along time, as a residual."""

    def __init__(self, channels: int, compression: int) -> None:
        super().__init__()
        hidden = channels // compression
        self.layers = nn.Sequential(
            nn.GroupNorm(1, channels),
            nn.Conv1d(channels, 2 * hidden, 3, padding=1),
            nn.GLU(1),
            nn.Conv1d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GroupNorm(1, hidden),
            nn.SiLU(),
            nn.Conv1d(hidden, channels, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b * f, C, t) to its shape."""
        update: Tensor = self.layers(x)
        return x + update


class Compression(nn.Module):
    """A stage of the encoder: bands are shortened, read along time, and joined."""

    def __init__(self, h: ScnetHyperparameters, inputs: int, outputs: int) -> None:
        super().__init__()
        self.h = h
        self.shorten = nn.ModuleList(
            nn.Conv2d(inputs, outputs, (kernel, 1), (stride, 1))
            for kernel, stride in zip(h.kernels, h.strides, strict=True)
        )
        self.along_time = nn.ModuleList(
            nn.Sequential(*(ConvolutionModule(outputs, h.compression) for _ in range(depth)))
            for depth in h.depths
        )
        self.join = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, list[int]]:
        """Shorten x (b, C, f, t).

        Returns:
            The joined bands, the bands as they are, and the length of each.
        """
        bands = [
            self._read(self.shorten[index](self._padded(band, index)), index)
            for index, band in enumerate(x.split(self.h.band_sizes(x.shape[2]), dim=2))
        ]
        together = torch.cat(bands, dim=2)
        return self.join(together), together, [band.shape[2] for band in bands]

    def _padded(self, band: Tensor, index: int) -> Tensor:
        """Pad a band on both sides to whole strides, or so that its length stays."""
        stride, kernel = self.h.strides[index], self.h.kernels[index]
        missing = kernel - 1 if stride == 1 else -band.shape[2] % stride
        return functional.pad(band, (0, 0, missing // 2, missing - missing // 2))

    def _read(self, band: Tensor, index: int) -> Tensor:
        """Read a band (b, C, f, t) along time, each frequency by itself."""
        batch = band.shape[0]
        rows = band.transpose(1, 2).flatten(0, 1)  # (b * f, C, t)
        read: Tensor = functional.gelu(self.along_time[index](rows))
        read = read.unflatten(0, (batch, -1))  # (b, f, C, t)
        return read.transpose(1, 2)


class Expansion(nn.Module):
    """A stage of the decoder: the encoder's bands are joined in, and all bands lengthened."""

    def __init__(self, h: ScnetHyperparameters, inputs: int, outputs: int) -> None:
        super().__init__()
        self.h = h
        self.fuse = nn.Conv2d(2 * inputs, 2 * inputs, 3, padding=1)
        self.lengthen = nn.ModuleList(
            nn.ConvTranspose2d(inputs, outputs, (kernel, 1), (stride, 1))
            for kernel, stride in zip(h.kernels, h.strides, strict=True)
        )

    def forward(self, x: Tensor, skipped: Tensor, lengths: list[int], f: int) -> Tensor:
        """Map x and `skipped` (b, C, sum of lengths, t) to f frequencies."""
        x = x + skipped
        x = functional.glu(self.fuse(torch.cat([x, x], dim=1)), dim=1)
        bands = []
        for layer, band, size in zip(
            self.lengthen, x.split(lengths, dim=2), self.h.band_sizes(f), strict=True
        ):
            longer = layer(band)
            bands.append(longer.narrow(2, (longer.shape[2] - size) // 2, size))  # its middle
        return torch.cat(bands, dim=2)


class DualPath(nn.Module):
    """A BLSTM along frequency, then one along time, each a residual after a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(nn.GroupNorm(1, channels) for _ in range(2))
        self.blstms = nn.ModuleList(
            nn.LSTM(channels, channels, batch_first=True, bidirectional=True) for _ in range(2)
        )
        self.project = nn.ModuleList(nn.Linear(2 * channels, channels) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, C, f, t) to its shape."""
        for norm, blstm, project in zip(self.norms, self.blstms, self.project, strict=True):
            # First (b, t, f, C), to read along f, then (b, f, t, C).
            sequences = norm(x).permute(0, 3, 2, 1)
            hidden, _ = blstm(sequences.flatten(0, 1))
            x = x + project(hidden).unflatten(0, sequences.shape[:2]).permute(0, 3, 2, 1)
            x = x.transpose(2, 3)
        return x


class Separation(nn.Module):
    """Dual-path layers in pairs: one on frames, one on their spectrum over time."""

    def __init__(self, h: ScnetHyperparameters) -> None:
        super().__init__()
        widths = [h.C[-1], 2 * h.C[-1]] * (h.layers // 2)
        self.layers = nn.ModuleList(DualPath(width) for width in widths)

    def forward(self, x: Tensor) -> Tensor:
        """Map x (b, C, f, t), of an even number of frames, to its shape."""
        for index, layer in enumerate(self.layers):
            x = layer(x)
            x = _from_spectrum(x) if index % 2 else _to_spectrum(x)
        return x


def _to_spectrum(x: Tensor) -> Tensor:
    """Return real and imaginary parts (b, 2 C, f, t / 2 + 1) of the transform over time."""
    x = x.float() if x.dtype == torch.bfloat16 else x
    spectrum = torch.fft.rfft(x, norm="ortho")
    return torch.cat([spectrum.real, spectrum.imag], dim=1)


def _from_spectrum(x: Tensor) -> Tensor:
    """Return x (b, C, f, t) of the parts (b, 2 C, f, t / 2 + 1) of its transform."""
    x = x.float() if x.dtype == torch.bfloat16 else x
    real, imaginary = x.chunk(2, dim=1)
    signal: Tensor = torch.fft.irfft(torch.complex(real, imaginary), norm="ortho")
    return signal


class Scnet(FittedSeparator):
    """Maps the mixture's complex spectrogram to that of each named stem."""

    hyperparameters_class = ScnetHyperparameters
    silence_tolerance = 2.0

    def __init__(self, hyperparameters: ScnetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.fitted = h.loss == "si_sdr"
        self.stft = Stft(h.n_fft, h.hop_length)
        self.scale = h.n_fft**-0.5
        inputs = [2 * h.channels, *h.C[:-1]]
        outputs = [2 * h.channels * h.n_src, *h.C[:-1]]
        self.encoder = nn.ModuleList(
            Compression(h, few, many) for few, many in zip(inputs, h.C, strict=True)
        )
        self.separation = Separation(h)
        self.decoder = nn.ModuleList(
            Expansion(h, many, few) for few, many in zip(outputs, h.C, strict=True)
        )

    def network(self, mixture: Tensor) -> Tensor:
        """Return the stems (b, n_src, c, time) of a mixture (b, c, time)."""
        time = mixture.shape[-1]
        hops = time // self.h.hop_length + 1
        hops += 1 - hops % 2  # an odd number of hops has an even number of frames
        padded = functional.pad(mixture, (0, hops * self.h.hop_length - time))
        spectrum = self.stft.analyse(padded) * self.scale  # (b, c, f, t)
        stems = self.spectra(torch.view_as_real(spectrum).permute(0, 1, 4, 2, 3))
        stems = stems.to(spectrum.real.dtype).permute(0, 1, 2, 4, 5, 3).contiguous()
        return self.stft.synthesise(torch.view_as_complex(stems) / self.scale, time)

    def spectra(self, parts: Tensor) -> Tensor:
        """Return the stems' real and imaginary parts (b, n_src, c, 2, f, t).

        `parts` (b, c, 2, f, t) are those of the mixture's spectrogram.
        """
        x = parts.flatten(1, 2)  # (b, 2 c, f, t)
        mean = x.mean((1, 2, 3), keepdim=True)
        deviation = x.std((1, 2, 3), keepdim=True)
        x = (x - mean) / (deviation + SMALLEST_DEVIATION)
        passed = []
        for stage in self.encoder:
            f = x.shape[2]
            x, skipped, lengths = stage(x)
            passed.append((skipped, lengths, f))
        x = self.separation(x)
        for stage, (skipped, lengths, f) in zip(
            reversed(self.decoder), reversed(passed), strict=True
        ):
            x = stage(x, skipped, lengths, f)
        stems: Tensor = (x * deviation + mean).unflatten(1, (self.n_src, self.channels, 2))
        return stems

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the error of the spectrograms, or the negative SI-SDR in dB; scalar."""
        if self.fitted:
            return super().training_loss(batch)
        estimates, references = self.network(batch["mixture"]), batch["references"]
        return spectrum_rmse_loss(references=references, estimates=estimates, stft=self.stft)


@in_full_precision
def spectrum_rmse_loss(*, references: Tensor, estimates: Tensor, stft: Stft) -> Tensor:
    """Return the root mean square error of each stem's spectrogram, mean over the stems; scalar.

    Spectrograms are scaled to keep energy.

    Args:
        references: shape (b, n_src, c, time).
        estimates: shape (b, n_src, c, time).
        stft: the analysis.
    """
    error = torch.view_as_real(stft.analyse(estimates - references)) * stft.n_fft**-0.5
    mean_square = error.square().flatten(2).mean(-1)  # (b, n_src)
    # The slope of the root of 0 is infinite.
    root: Tensor = mean_square.clamp(min=torch.finfo(mean_square.dtype).tiny).sqrt()
    return root.mean()


SCNET = ModelSpec(
    name="scnet",
    title="SCNet",
    task="music_separation",
    paper="Tong et al., ICASSP 2024, arXiv 2401.13276",
    reference_licence="starrytong/SCNet (MIT), read; parameter counts are compared",
    separator=Scnet,
    not_reproduced=(
        "The MUSDB18 scores, which need an accelerator; a comparison on copied weights "
        "(the authors' code is no package); reflection at the ends of the signal (here zeros)."
    ),
    tiny=lambda: ScnetHyperparameters(
        n_fft=64,
        hop_length=32,
        C=(12,),
        kernels=(3, 2, 4),
        strides=(1, 2, 4),
        layers=2,
        loss="si_sdr",
    ),
    training={
        "batch_size": 4,
        "segment_s": 11.0,
        "optimizer": "adam",
        "learning_rate": 5e-4,
        "weight_decay": 0.0,
        "schedule": "step",
        "decay": 0.98,
        "patience": 10,
        "validations": 150,
        "average_decay": 0.9995,
        "gain_spread_db": 6.0,
    },
)


@SCNET.variant(parameters=10_578_768)
def paper() -> Hyperparameters:
    """The paper's system for four stems."""
    return ScnetHyperparameters()


@SCNET.variant("large", parameters=42_181_232)
def large() -> Hyperparameters:
    """The authors' larger system: twice the channels."""
    return ScnetHyperparameters(C=(64, 128, 256))


@SCNET.variant(
    "small",
    batch_size=2,
    segment_s=2.0,
    learning_rate=2e-3,
    beta2=0.98,
    valid_items=10,
)
def small() -> Hyperparameters:
    """For laptops: half the bins, fewer channels, one pair of layers, and the SI-SDR loss."""
    return ScnetHyperparameters(
        n_fft=2048, C=(12, 24, 48), depths=(1, 1, 1), layers=2, loss="si_sdr"
    )
