"""Causal Demucs: speech enhancement on the waveform, block by block, with an LSTM in its middle.

Alexandre Défossez, Gabriel Synnaeve and Yossi Adi, "Real Time Speech Enhancement in the Waveform
Domain", Interspeech 2020 (arXiv 2006.12847). Symbols are those of the paper.

Written from the paper, because its code may not be used commercially. Reproduced exactly: the
network, with upsampling by U, and its initialisation. `DenoiserStream` takes blocks of any length
and returns what `forward` returns for the whole signal.

Padding. Zeros follow the signal, as many as its last estimate depends on, so that silence after it
changes nothing; the original code only completes the last frame of the deepest layer. The sinc
filters read zeros before the signal.

Look-ahead. With filters of 56 crossings on each side, an estimate of the plain variant depends on
763 later samples. The outermost weigh so little that no change is seen more than about 700 samples
ahead in double precision, and about 400 in single precision.

Level. The paper divides by the deviation of the whole signal or, in its causal evaluation, of the
signal so far. Here a causal network reads the mixture as it is, and is trained on it; the
non-causal variant divides by the deviation of the whole mixture. The loss sees level.

Loss. L1 of the waveforms, plus spectral convergence and the L1 of log magnitudes at three
resolutions, weighted by 0.1 as the published causal models were, where the paper has 0.5. Each term
is a mean, so that the weight does not depend on the length of the segments. For several sources
without names, the best permutation counts.

The paper remixes speech and noise within a batch, masks bands, adds reverberation, and delays;
training here mixes sources of several recordings and varies their speed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import log2
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.demucs import (
    Blstm,
    WaveformDecoder,
    WaveformEncoder,
    mean_and_deviation,
    rescale_convolutions,
    whole_frames,
)
from baselines.layers.permutation import assigned_cost
from baselines.losses import hann_spectrogram, in_full_precision
from baselines.model import SMALL_SPEECH, Imported, ModelSpec, Weights, check_arguments, renamed
from baselines.separator import Hyperparameters, Separator, require

INITIAL_DEVIATION = 0.1
SMALLEST_DEVIATION = 1e-3
SMALLEST_POWER = 1e-7  # of a time-frequency bin, in logarithms
RESOLUTIONS = ((512, 50, 240), (1024, 120, 600), (2048, 240, 1200))  # FFT, hop, window


@dataclass(frozen=True, kw_only=True)
class DenoiserHyperparameters(Hyperparameters):
    """Symbols of the paper; the defaults are its smaller causal system."""

    n_src: int = 1
    sample_rate: int = 16000
    H: int = 48  # channels of the first layer; each layer doubles them
    L: int = 5  # layers of the encoder, and of the decoder
    K: int = 8  # length of a strided filter in samples
    S: int = 4  # its stride
    U: int = 4  # times the sample rate inside the network
    crossings: int = 56  # of a sinc filter with zero, on each side
    causal: bool = True
    normalise: bool = False
    stft_weight: float = 0.1

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check_least(1, "H", "L", "crossings")
        require(self.U in (1, 2, 4, 8), f"U is {self.U}; it can be 1, 2, 4 or 8.")
        require(
            self.S % self.U == 0 and self.K % self.S == 0,
            f"K={self.K} must be a multiple of S={self.S}, and S of U={self.U}.",
        )
        require(
            not (self.causal and self.normalise),
            "normalise=True reads the whole mixture, which a causal network cannot.",
        )

    @property
    def doublings(self) -> int:
        """How often the sample rate doubles."""
        return int(log2(self.U))

    @property
    def reach(self) -> int:
        """Samples after t that the estimate at t depends on but for the LSTM, for the worst t."""
        period, Z = self.S**self.L, self.crossings
        frame = whole_frames(1, depth=self.L, K=self.K, S=self.S)
        farthest = 0
        for t in range(max(period // self.U, 1)):
            last = t * self.U + (2 * Z - 1) * (self.U - 1)  # that the lowering filters read
            last = last // period * period + frame - 1  # that the frames read
            for _ in range(self.doublings):
                last = (last - 1) // 2 + Z
            farthest = max(farthest, last - t)
        return farthest


class Halfway(nn.Module):
    """Values halfway between samples, by a sinc filter under a Hann window.

    Smith and Gossett, "A flexible sampling-rate conversion method", ICASSP 1984.
    """

    taps: Tensor

    def __init__(self, crossings: int) -> None:
        super().__init__()
        distance = torch.arange(2 * crossings) - crossings + 0.5
        window = (distance * (torch.pi / 2 / crossings)).cos().square()
        self.register_buffer("taps", (distance.sinc() * window)[None, None], persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, time - 2 crossings + 1) of x (b, C, time)."""
        between = functional.conv1d(x.flatten(0, 1)[:, None], self.taps.to(x.dtype))
        unfolded: Tensor = between[:, 0].unflatten(0, x.shape[:2])
        return unfolded

    def macs(self, _given: Tensor, output: Tensor) -> int:
        """Return the multiply-accumulates of a call."""
        return output.numel() * self.taps.shape[-1]


class Denoiser(Separator):
    """The paper's system, for one source or more."""

    hyperparameters_class = DenoiserHyperparameters

    def __init__(self, hyperparameters: DenoiserHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.causal = h.causal
        self.look_ahead = h.reach if h.causal else None
        self.silence_tolerance = 0.0 if h.causal else 0.5
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()  # from the deepest layer to the first
        given, made = h.channels, h.n_src * h.channels
        for layer in range(h.L):
            width = h.H * 2**layer
            self.encoder.append(WaveformEncoder(given, width, h.K, h.S))
            self.decoder.insert(0, WaveformDecoder(width, made, h.K, h.S, last=layer == 0))
            given = made = width
        self.recurrent = nn.LSTM(given, given, 2) if h.causal else Blstm(given, 2)
        self.halfway = Halfway(h.crossings)
        rescale_convolutions(self, INITIAL_DEVIATION)

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (batch, channels, time) into (batch, n_src, channels, time)."""
        self.check_mixture(mixture)
        time, deviation = mixture.shape[-1], mixture.new_ones(1)
        if self.h.normalise:
            _, deviation = mean_and_deviation(mixture.mean(1, keepdim=True), (1, 2))
            mixture = mixture / (deviation + SMALLEST_DEVIATION)
        x = functional.pad(mixture, (0, self.padding(time)))
        for _ in range(self.h.doublings):
            x = self.raised(x)
        skips = []
        for encode in self.encoder:
            x = encode(x)
            skips.append(x)
        x = self._recur(x)
        for decode in self.decoder:
            x = decode(x + skips.pop())
        for _ in range(self.h.doublings):
            x = self.lowered(x)
        estimates: Tensor = (deviation * x[..., :time]).unflatten(1, (self.n_src, self.channels))
        return estimates

    def padding(self, time: int) -> int:
        """Return how many zeros after a signal of `time` samples complete all that is read."""
        h = self.h
        return whole_frames((time + h.reach) * h.U, depth=h.L, K=h.K, S=h.S) // h.U - time

    def raised(self, x: Tensor) -> Tensor:
        """Return x (b, C, time) at twice its rate, (b, C, 2 time)."""
        Z = self.h.crossings
        between = self.halfway(functional.pad(x, (Z - 1, Z)))
        return torch.stack([x, between], dim=-1).flatten(-2)

    def lowered(self, x: Tensor) -> Tensor:
        """Return x (b, C, 2 time) at half its rate, (b, C, time)."""
        Z = self.h.crossings
        between: Tensor = self.halfway(functional.pad(x[..., 1::2], (Z, Z - 1)))
        return 0.5 * (x[..., ::2] + between)

    def _recur(self, x: Tensor) -> Tensor:
        if isinstance(self.recurrent, Blstm):
            merged: Tensor = self.recurrent(x)
            return merged
        y: Tensor = self.recurrent(x.permute(2, 0, 1))[0]  # (k, b, width)
        return y.permute(1, 2, 0)

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the L1 loss of the waveforms plus the weighted losses of spectrograms; scalar."""
        return _enhancement_loss(
            references=batch["references"],
            estimates=self(batch["mixture"]),
            weight=self.h.stft_weight,
            named=self.source_names is not None,
        )


@in_full_precision
def _enhancement_loss(
    *, references: Tensor, estimates: Tensor, weight: float, named: bool
) -> Tensor:
    """Return the loss of signals (b, n_src, channels, time); scalar."""
    difference = references[:, :, None] - estimates[:, None]
    cost = difference.abs().mean((-1, -2))  # (b, n_src references, n_src estimates)
    for n_fft, hop, window in RESOLUTIONS:
        reference = _magnitude(references, n_fft, hop, window)[:, :, None]  # (b, n_src, 1, ...)
        estimate = _magnitude(estimates, n_fft, hop, window)[:, None]
        error = (reference - estimate).square().sum((-1, -2, -3)).sqrt()
        convergence = error / reference.square().sum((-1, -2, -3)).sqrt()
        log_difference = (reference.log() - estimate.log()).abs().mean((-1, -2, -3))
        cost = cost + weight / len(RESOLUTIONS) * (convergence + log_difference)
    return assigned_cost(cost, named=named).mean()


def _magnitude(signal: Tensor, n_fft: int, hop: int, window: int) -> Tensor:
    """Return the magnitudes (b, n_src, channels, bins, frames), never quite 0."""
    spectrum = hann_spectrogram(signal, n_fft=n_fft, hop=hop, window=window)
    power = spectrum.real.square() + spectrum.imag.square()
    return power.clamp(min=SMALLEST_POWER).sqrt()


class DenoiserStream:
    """Enhances a signal block by block, with the estimates that the whole signal would have.

    `push` returns the estimates that are complete, `finish` the rest; then the stream is over.
    """

    def __init__(self, denoiser: Denoiser) -> None:
        require(denoiser.causal, "Only a causal denoiser enhances block by block.")
        self.h = denoiser.h
        self.denoiser = denoiser.eval()
        self.encoder = [x for x in denoiser.encoder if isinstance(x, WaveformEncoder)]
        self.decoder = [x for x in denoiser.decoder if isinstance(x, WaveformDecoder)]
        self.read = self.written = 0  # samples
        self.held: dict[str, Tensor] = {}  # what each stage has read and still needs
        self.state: tuple[Tensor, Tensor] | None = None  # of the LSTM

    @torch.no_grad()
    def push(self, block: Tensor) -> Tensor:
        """Return the estimates (b, n_src, channels, complete) after a block (b, channels, time)."""
        self.read += block.shape[-1]
        return self._process(block, last=False)

    @torch.no_grad()
    def finish(self, like: Tensor) -> Tensor:
        """Return the estimates of the samples that are left; `like` is any block."""
        zeros = self.denoiser.padding(self.read)
        return self._process(like.new_zeros(*like.shape[:2], zeros), last=True)

    def _process(self, x: Tensor, *, last: bool) -> Tensor:
        for number in range(self.h.doublings):
            x = self._raise(f"raise {number}", x, last=last)
        skips = []
        for number, encode in enumerate(self.encoder):
            x = self._encode(f"encode {number}", encode, x)
            skips.append(self._with_held(f"skip {number}", x))
        if x.shape[-1]:
            y, self.state = self.denoiser.recurrent(x.permute(2, 0, 1), self.state)
            x = y.permute(1, 2, 0)
        for number, decode in zip(reversed(range(self.h.L)), self.decoder, strict=True):
            frames = x.shape[-1]
            skip = skips.pop()
            self.held[f"skip {number}"] = skip[..., frames:]
            x = self._decode(f"decode {number}", decode, x + skip[..., :frames], last=last)
        for number in range(self.h.doublings):
            x = self._lower(f"lower {number}", x, last=last)
        x = x[..., : self.read - self.written] if last else x
        self.written += x.shape[-1]
        estimates: Tensor = x.unflatten(1, (self.denoiser.n_src, self.denoiser.channels))
        return estimates

    def _with_held(self, stage: str, x: Tensor, zeros: int = 0) -> Tensor:
        """Return x after what the stage holds, which is some zeros at first."""
        if stage not in self.held:
            self.held[stage] = x.new_zeros(*x.shape[:-1], zeros)
        return torch.cat([self.held[stage], x], dim=-1)

    def _raise(self, stage: str, x: Tensor, *, last: bool) -> Tensor:
        Z = self.h.crossings
        x = self._with_held(stage, x, zeros=Z - 1)
        x = functional.pad(x, (0, Z if last else 0))
        ready = max(x.shape[-1] - 2 * Z + 1, 0)
        self.held[stage] = x[..., ready:]
        if ready == 0:
            return x[..., :0]
        between = self.denoiser.halfway(x)
        return torch.stack([x[..., Z - 1 : Z - 1 + ready], between], dim=-1).flatten(-2)

    def _lower(self, stage: str, x: Tensor, *, last: bool) -> Tensor:
        Z = self.h.crossings
        x = self._with_held(stage, x, zeros=2 * Z)
        x = functional.pad(x, (0, 2 * Z - 2 if last else 0))
        ready = max(x.shape[-1] // 2 - 2 * Z + 1, 0)
        self.held[stage] = x[..., 2 * ready :]
        if ready == 0:
            return x[..., :0]
        between: Tensor = self.denoiser.halfway(x[..., 1::2])
        return 0.5 * (x[..., 2 * Z :: 2][..., :ready] + between)

    def _encode(self, stage: str, encode: WaveformEncoder, x: Tensor) -> Tensor:
        K, S = self.h.K, self.h.S
        x = self._with_held(stage, x)
        frames = max((x.shape[-1] - K) // S + 1, 0)
        self.held[stage] = x[..., frames * S :]
        if frames == 0:
            return x.new_zeros(len(x), encode.conv.out_channels, 0)
        encoded: Tensor = encode(x[..., : (frames - 1) * S + K])
        return encoded

    def _decode(self, stage: str, decode: WaveformDecoder, x: Tensor, *, last: bool) -> Tensor:
        """Decode new frames; samples that later frames add to are held, without bias and ReLU."""
        S, frames, conv = self.h.S, x.shape[-1], decode.conv
        y = x.new_zeros(len(x), conv.out_channels, frames * S)
        y = self._with_held(stage, y, zeros=self.h.K - S)
        if frames:
            # What is held comes first: it is of the samples where the new frames begin.
            new = functional.glu(decode.rewrite(x), dim=1)
            y = y + functional.conv_transpose1d(new, conv.weight, stride=S)
        self.held[stage] = y[..., frames * S :]
        ready = y if last else y[..., : frames * S]
        ready = ready if conv.bias is None else ready + conv.bias[:, None]
        return ready if decode.last else ready.relu()


DENOISER = ModelSpec(
    name="denoiser",
    title="Causal Demucs (denoiser)",
    task="speech_enhancement",
    paper="Défossez, Synnaeve and Adi, Interspeech 2020, arXiv 2006.12847",
    reference_licence="denoiser 0.1.5 (CC BY-NC 4.0), only run beside, on copied weights",
    separator=Denoiser,
    not_reproduced=(
        "Division by the deviation of the signal so far; masked bands, added reverberation and "
        "delays in training; the mixture that is added back to keep some noise."
    ),
    tiny=lambda: DenoiserHyperparameters(n_src=2, H=8, L=2, U=2, crossings=2, stft_weight=0.001),
    training={
        "batch_size": 64,
        "segment_s": 4.5,
        "learning_rate": 3e-4,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "constant",
        "average_decay": 0.0,
    },
)


@DENOISER.variant(parameters=18_867_937)
def paper() -> Hyperparameters:
    """The smaller causal system of the paper, which runs in real time on a laptop."""
    return DenoiserHyperparameters()


@DENOISER.variant("h64", parameters=33_533_569)
def h64() -> Hyperparameters:
    """The larger causal system of the paper."""
    return DenoiserHyperparameters(H=64)


@DENOISER.variant("noncausal", parameters=60_813_953)
def noncausal() -> Hyperparameters:
    """The non-causal system of the paper, with strides of 2 and a bidirectional LSTM."""
    return DenoiserHyperparameters(H=64, S=2, U=2, causal=False, normalise=True, stft_weight=0.5)


@DENOISER.imports("denoiser", "Demucs")
def from_denoiser(weights: Weights, arguments: Mapping[str, Any]) -> Imported:
    """Convert `denoiser.demucs.Demucs`."""
    check_arguments(arguments, {"growth": 2, "glu": True, "floor": 1e-3})
    channels = arguments.get("chin", 1)
    causal = arguments.get("causal", True)
    names = {
        r"^(encoder\.\d+)\.0\.": r"\1.conv.",
        r"^(encoder\.\d+)\.2\.": r"\1.rewrite.",
        r"^(decoder\.\d+)\.0\.": r"\1.rewrite.",
        r"^(decoder\.\d+)\.2\.": r"\1.conv.",
        r"^lstm\.lstm\.": "recurrent." if causal else "recurrent.lstm.",
        r"^lstm\.": "recurrent.",
    }
    hyperparameters = DenoiserHyperparameters(
        n_src=arguments.get("chout", 1) // channels,
        channels=channels,
        sample_rate=arguments.get("sample_rate", 16000),
        H=arguments.get("hidden", 48),
        L=arguments.get("depth", 5),
        K=arguments.get("kernel_size", 8),
        S=arguments.get("stride", 4),
        U=arguments.get("resample", 4),
        causal=causal,
        normalise=arguments.get("normalize", True),
    )
    return hyperparameters, renamed(weights, names)


@DENOISER.variant("small", **SMALL_SPEECH | {"batch_size": 8, "learning_rate": 1e-3})
def small() -> Hyperparameters:
    """For laptops: four layers of 24 channels and more, at the sample rate of the signal."""
    return DenoiserHyperparameters(H=24, L=4, U=1)
