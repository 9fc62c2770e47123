"""WaveNet: dilated gated convolutions of samples, read in parallel to separate.

Aaron van den Oord et al., "WaveNet: A Generative Model for Raw Audio", 2016 (arXiv 1609.03499).
Separation: Dario Rethage, Jordi Pons and Xavier Serra, "A Wavenet for Speech Denoising", ICASSP
2018 (arXiv 1706.07162); Francesc Lluis, Jordi Pons and Xavier Serra, "End-to-end music source
separation: is it possible in the waveform domain?", Interspeech 2019 (arXiv 1810.12187). Cached
generation: Paine et al., "Fast Wavenet Generation Algorithm", 2016 (arXiv 1611.09482).

`AutoregressiveWaveNet` is the generative model: the mu-law levels of a signal in, the distribution
of the sample after each out, with local and global conditions, and generation that keeps what each
layer has to remember. Its default sizes, which the paper does not give, and its layout are those of
ibab/tensorflow-wavenet: 1,515,968 parameters, and each sample depends on 5,117 before it.

The separator has the same layers, and as many parameters for two sources in mono: `parameters` of
the plain variant refers to both. It is not autoregressive, and differs in what goes in and out.
- In goes the mixture, up to and including the present sample.
- Out comes, for every source but the last, a distribution over the levels, of which the mean is the
  estimate. The last source is what remains of the mixture, with all background that it contains:
  the energy-conserving estimate of Rethage et al., trained by their L1 loss over all sources, or
  by the SNR where the order of the sources is open, which they do not have.
- The loss determines the level. The mu-law clips what is above 1, and has 8 bits.
- The input is padded with zeros, which are no level: no sample is known before the first.
- For several channels, each has levels in and out, and one network reads them all.

With `levels=0`, values go in and out instead, as Rethage et al. have them, in frames of a learned
basis of `frame` samples that overlap by half, in place of single samples. With `causal=False` each
layer reads to both sides. Their sizes (128 channels, wider convolutions after the skip connections)
and their code for the speaker are not reproduced.

A context stack (`context_layers`) is the paper's second, smaller network: it reads blocks of
`context_stride` samples and conditions the first one locally.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.basis import LearnedBasis
from baselines.losses import magnitude_l1_loss, snr_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, Separator, require

# Axes: b batch, channels, time (samples), k steps: samples, or frames of some.


@dataclass(frozen=True, kw_only=True)
class WaveNetHyperparameters(Hyperparameters):
    """The defaults are those of ibab/tensorflow-wavenet."""

    sample_rate: int = 16000
    levels: int = 256  # of the mu-law; 0: real values in frames
    frame: int = 1  # samples from one frame to the next, without levels
    stacks: int = 5
    layers: int = 10  # of a stack, with dilations 1, 2, ... 2^(layers - 1)
    kernel: int = 2
    residual: int = 32  # channels between layers
    gate: int = 32  # channels of a layer's gated activation
    skip: int = 512  # channels of the skip connections
    causal: bool = True
    context_layers: int = 0  # 0: no context stack
    context_stride: int = 64  # samples of a block that the context stack reads
    context: int = 16  # channels of the context stack

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.levels != 1 and self.levels >= 0, f"levels is {self.levels}; give 2 or more.")
        self.check_least(1, "frame")
        require(
            self.levels == 0 or self.frame == 1,
            f"frame is {self.frame}; with levels a step is 1 sample.",
        )
        require(
            self.causal or self.kernel % 2 == 1,
            f"kernel is {self.kernel}; with causal=False it must be odd.",
        )
        require(
            self.causal or self.levels == 0,
            f"levels is {self.levels}; with causal=False it must be 0.",
        )

    @property
    def estimated(self) -> int:
        """Sources that the network estimates; of two or more, the last is the remainder."""
        return max(self.n_src - 1, 1)


def mu_law_levels(signal: Tensor, levels: int) -> Tensor:
    """Return the levels, 0 to levels - 1, of a signal between -1 and 1 (ITU-T G.711's mu-law)."""
    mu = levels - 1
    magnitude = torch.log1p(mu * signal.abs().clamp(max=1.0)) / torch.log1p(
        torch.tensor(float(mu), dtype=signal.dtype, device=signal.device)
    )
    return ((signal.sign() * magnitude + 1) / 2 * mu + 0.5).long()


def mu_law_values(levels: Tensor, count: int) -> Tensor:
    """Return the values, between -1 and 1, of levels of a mu-law that has `count` of them."""
    mu = count - 1
    companded = 2 * levels / mu - 1
    return companded.sign() * ((1 + mu) ** companded.abs() - 1) / mu


class GatedLayer(nn.Module):
    """A dilated convolution, its gated activation, and the residual convolution."""

    def __init__(self, h: WaveNetHyperparameters, dilation: int, local: int, constant: int) -> None:
        super().__init__()
        self.reach = (h.kernel - 1) * dilation
        self.causal = h.causal
        self.gates = nn.Conv1d(h.residual, 2 * h.gate, h.kernel, dilation=dilation)
        self.residual = nn.Conv1d(h.gate, h.residual, 1)
        self.local = nn.Conv1d(local, 2 * h.gate, 1, bias=False) if local else None
        self.constant = nn.Linear(constant, 2 * h.gate, bias=False) if constant else None

    def forward(
        self, x: Tensor, local: Tensor | None, constant: Tensor | None, past: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the next layer's input (b, residual, k), gated (b, gate, k), and the next past.

        `past` (b, residual, reach) are the steps before x (b, residual, k); None: silence.
        """
        if past is not None:
            padded = torch.cat([past, x], -1)
        else:
            ahead = 0 if self.causal else self.reach // 2
            padded = functional.pad(x, (self.reach - ahead, ahead))
        gates = self.gates(padded)
        if self.local is not None:
            gates = gates + self.local(local)
        if self.constant is not None:
            gates = gates + self.constant(constant)[..., None]
        content, gate = gates.chunk(2, 1)
        gated = content.tanh() * gate.sigmoid()  # (b, gate, k)
        return x + self.residual(gated), gated, padded[..., padded.shape[-1] - self.reach :]


class GatedLayers(nn.Module):
    """All layers, and their skip convolutions side by side, as one product that is their sum."""

    def __init__(self, h: WaveNetHyperparameters, local: int = 0, constant: int = 0) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            GatedLayer(h, 2**layer, local, constant)
            for _ in range(h.stacks)
            for layer in range(h.layers)
        )
        self.skip = nn.Conv1d(len(self.layers) * h.gate, h.skip, 1, bias=False)
        self.skip_biases = nn.Parameter(torch.zeros(len(self.layers), h.skip))

    def forward(
        self,
        x: Tensor,
        local: Tensor | None = None,
        constant: Tensor | None = None,
        pasts: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return the sum (b, skip, k) for x (b, residual, k), and what every layer remembers.

        Args:
            x: shape (b, residual, k).
            local: condition of each step, shape (b, local, k).
            constant: condition of all steps, shape (b, constant).
            pasts: what every layer remembered when the steps before x were read.
        """
        gated, remembered = [], []
        for index, layer in enumerate(self.layers):
            x, y, past = layer(x, local, constant, pasts[index] if pasts else None)
            gated.append(y)
            remembered.append(past)
        total = self.skip(torch.cat(gated, 1)) + self.skip_biases.sum(0)[:, None]
        return total, remembered

    def macs(self, given: Tensor, _output: object) -> int:
        """Return the multiplications of one call: every kernel at every step."""
        kernels = (module.weight for module in self.modules() if isinstance(module, nn.Conv1d))
        return given.shape[0] * given.shape[2] * sum(kernel.numel() for kernel in kernels)


class Levels(nn.Module):
    """The causal convolution of one-hot levels, which is a sum of rows of a table."""

    def __init__(self, h: WaveNetHyperparameters, channels: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.empty(h.kernel, channels * h.levels, h.residual))
        nn.init.xavier_uniform_(self.table)
        first = torch.arange(channels)[:, None] * h.levels  # row of each channel's lowest level
        self.register_buffer("first", first, persistent=False)
        self.first: Tensor
        self.none = channels * h.levels  # row of zeros, for what is before the signal

    def forward(self, levels: Tensor, past: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return (b, residual, k) of levels (b, channels, k), and the rows to remember."""
        count, steps = len(self.table), levels.shape[-1]
        if past is None:
            past = levels.new_full((*levels.shape[:2], count - 1), self.none)
        rows = torch.cat([past, levels + self.first], -1)  # (b, channels, kernel - 1 + k)
        table = functional.pad(self.table, (0, 0, 0, 1))
        x = sum(
            (
                functional.embedding(rows[..., tap : tap + steps], table[tap])
                for tap in range(count)
            ),
            torch.zeros((), dtype=table.dtype, device=table.device),
        )  # (b, channels, k, residual)
        return x.sum(1).transpose(1, 2), rows[..., steps:]


def post_processing(h: WaveNetHyperparameters, outputs: int) -> nn.Sequential:
    """Return ReLU, a 1x1 convolution, ReLU and a 1x1 convolution to the outputs."""
    return nn.Sequential(
        nn.ReLU(), nn.Conv1d(h.skip, h.skip, 1), nn.ReLU(), nn.Conv1d(h.skip, outputs, 1)
    )


def initialise(network: nn.Module) -> None:
    """Draw Xavier weights and set biases to zero; each layer's skip convolution counts alone."""
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for module in network.modules():
        if isinstance(module, GatedLayers):
            for weight in module.skip.weight.data.chunk(len(module.layers), 1):
                nn.init.xavier_uniform_(weight)


class LevelNetwork(nn.Module):
    """Levels in, unnormalised log probabilities of levels out, each of the steps so far."""

    def __init__(
        self, h: WaveNetHyperparameters, *, outputs: int, local: int = 0, constant: int = 0
    ) -> None:
        super().__init__()
        self.levels = Levels(h, h.channels)
        self.stack = GatedLayers(h, local, constant)
        self.post = post_processing(h, outputs * h.levels)
        initialise(self)

    def forward(
        self,
        levels: Tensor,
        local: Tensor | None = None,
        constant: Tensor | None = None,
        pasts: Sequence[Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Return (b, outputs * levels, k) for levels (b, channels, k), and what to remember."""
        x, rows = self.levels(levels, pasts[0] if pasts else None)
        total, remembered = self.stack(x, local, constant, pasts[1:] if pasts else None)
        return self.post(total), [rows, *remembered]


class AutoregressiveWaveNet(nn.Module):
    """The paper's generative model of a mono signal."""

    def __init__(self, h: WaveNetHyperparameters, *, local: int = 0, constant: int = 0) -> None:
        super().__init__()
        require(h.levels > 0, "The autoregressive model has levels; give 2 or more.")
        require(h.channels == 1, f"The autoregressive model is mono; channels is {h.channels}.")
        self.h = h
        self.network = LevelNetwork(h, outputs=1, local=local, constant=constant)

    def forward(
        self, levels: Tensor, local: Tensor | None = None, constant: Tensor | None = None
    ) -> Tensor:
        """Return unnormalised log probabilities (b, levels, time) of the sample after each.

        Args:
            levels: shape (b, time).
            local: condition of each sample, shape (b, local, time); None if the model has none.
            constant: condition of the signal, shape (b, constant); None if the model has none.
        """
        scores: Tensor = self.network(levels[:, None], local, constant)[0]
        return scores

    def loss(
        self, signal: Tensor, local: Tensor | None = None, constant: Tensor | None = None
    ) -> Tensor:
        """Return the mean negative log likelihood of signals (b, time) after their first sample."""
        levels = mu_law_levels(signal, self.h.levels)
        return functional.cross_entropy(self(levels, local, constant)[..., :-1], levels[:, 1:])

    @torch.no_grad()
    def generate(
        self,
        levels: Tensor,
        count: int,
        *,
        local: Tensor | None = None,
        constant: Tensor | None = None,
        generator: torch.Generator | None = None,
        cached: bool = True,
    ) -> Tensor:
        """Draw `count` samples after the given ones, and return the levels of all.

        Args:
            levels: at least one given sample, shape (b, time).
            count: samples to draw.
            local: condition of each sample, shape (b, local, time + count - 1 or more).
            constant: condition of the signal, shape (b, constant).
            generator: of the random numbers; None: the global one.
            cached: whether each layer keeps what it has to remember; otherwise the whole signal is
                read again for each sample, to the same result.
        """
        pasts: list[Tensor] | None = None
        for _ in range(count):
            read = 0 if pasts is None else levels.shape[1] - 1
            now = None if local is None else local[..., read : levels.shape[1]]
            scores, remembered = self.network(levels[:, None, read:], now, constant, pasts)
            pasts = remembered if cached else None
            drawn = torch.multinomial(scores[..., -1].softmax(1), 1, generator=generator)
            levels = torch.cat([levels, drawn], 1)
        return levels


class FrameNetwork(nn.Module):
    """Frames of a learned basis in, frames of the estimated sources out."""

    def __init__(self, h: WaveNetHyperparameters, local: int = 0) -> None:
        super().__init__()
        self.estimated = h.estimated
        self.basis = LearnedBasis(channels=h.channels, N=h.residual, L=2 * h.frame, S=h.frame)
        self.stack = GatedLayers(h, local)
        self.post = post_processing(h, h.estimated * h.residual)
        initialise(self)

    def forward(self, mixture: Tensor, local: Tensor | None) -> Tensor:
        """Return estimates (b, estimated, channels, time) of a mixture (b, channels, time)."""
        x = self.basis.encode(mixture)  # (b, residual, k)
        if local is not None:
            local = functional.interpolate(local, x.shape[-1])
        d = self.post(self.stack(x, local)[0]).unflatten(1, (self.estimated, -1))
        return self.basis.decode(d, mixture.shape[-1])


class ContextStack(nn.Module):
    """A smaller network that reads blocks of samples, for the condition of each block."""

    def __init__(self, h: WaveNetHyperparameters) -> None:
        super().__init__()
        self.causal = h.causal
        self.stride = h.context_stride
        self.blocks = nn.Conv1d(h.channels, h.context, self.stride, self.stride)
        sizes = replace(h, residual=h.context, gate=h.context, skip=h.context)
        self.stack = GatedLayers(replace(sizes, stacks=1, layers=h.context_layers))
        initialise(self)

    def forward(self, mixture: Tensor) -> Tensor:
        """Return conditions (b, context, time) for a mixture (b, channels, time).

        In a causal network a sample sees the blocks that ended before it.
        """
        time = mixture.shape[-1]
        blocks = self.blocks(functional.pad(mixture, (0, -time % self.stride)))
        conditions = self.stack(blocks)[0].relu()  # (b, context, blocks)
        repeated = conditions.repeat_interleave(self.stride, -1)
        delay = self.stride if self.causal else 0
        return functional.pad(repeated, (delay, 0))[..., :time]


class WaveNet(Separator):
    """The same layers, in parallel: estimates of all sources but the last, which is the rest."""

    hyperparameters_class = WaveNetHyperparameters
    network: LevelNetwork | FrameNetwork

    def __init__(self, hyperparameters: WaveNetHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = self.h = hyperparameters
        self.causal = h.causal
        self.look_ahead, self.receptive_field = reach(h)
        local = h.context if h.context_layers else 0
        self.context = ContextStack(h) if h.context_layers else None
        if h.levels:
            self.network = LevelNetwork(h, outputs=h.estimated * h.channels, local=local)
            values = mu_law_values(torch.arange(h.levels), h.levels)
            self.register_buffer("values", values, persistent=False)
        else:
            self.network = FrameNetwork(h, local)
        last = f"network.stack.layers.{h.stacks * h.layers - 1}.residual"
        self.idle_parameters = (f"{last}.weight", f"{last}.bias")
        if h.context_layers:
            last = f"context.stack.layers.{h.context_layers - 1}.residual"
            self.idle_parameters += (f"{last}.weight", f"{last}.bias")

    def forward(self, mixture: Tensor) -> Tensor:
        """Separate mixture (b, channels, time) into (b, n_src, channels, time)."""
        self.check_mixture(mixture)
        local = None if self.context is None else self.context(mixture)
        if isinstance(self.network, LevelNetwork):
            estimates = self.means(self.network(mu_law_levels(mixture, self.h.levels), local)[0])
        else:
            estimates = self.network(mixture, local)
        if self.n_src == 1:
            return estimates
        rest = mixture - estimates.sum(1)
        return torch.cat([estimates, rest[:, None]], 1)

    def means(self, scores: Tensor) -> Tensor:
        """Return the mean values (b, estimated, channels, time) of distributions.

        `scores` (b, estimated * channels * levels, time) are their unnormalised log probabilities.
        """
        h = self.h
        probabilities = scores.unflatten(1, (h.estimated, h.channels, h.levels)).softmax(3)
        return torch.einsum("bnclt,l->bnct", probabilities, self.values.to(probabilities.dtype))

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the mean absolute error of named sources, or the negative SNR of others; scalar.

        Without names the absolute error would be least where one estimate is silent and another
        takes all of the mixture.
        """
        references, estimates = batch["references"], self(batch["mixture"])
        if self.source_names is None:
            return snr_loss(references=references, estimates=estimates, named=False)
        return magnitude_l1_loss(references=references, estimates=estimates, named=True)


def reach(h: WaveNetHyperparameters) -> tuple[int, int]:
    """Return the samples that an estimate looks ahead, and its receptive field."""
    past = (h.kernel - 1) * (2**h.layers - 1) * h.stacks  # steps
    past, ahead = (past, 0) if h.causal else (past // 2, past // 2)
    if h.levels:
        past += h.kernel - 1
    else:  # a sample lies in two frames, each of two strides
        past, ahead = (past + 2) * h.frame - 1, (ahead + 2) * h.frame - 1
    if h.context_layers:
        context = (h.kernel - 1) * (2**h.context_layers - 1)  # blocks
        past += (context + 2) * h.context_stride
        ahead += 0 if h.causal else (context + 2) * h.context_stride
    return ahead, past + 1 + ahead


WAVENET = ModelSpec(
    name="wavenet",
    title="WaveNet",
    task="speech_separation",
    paper=(
        "van den Oord et al., 2016, arXiv 1609.03499; separation: Rethage, Pons and Serra, ICASSP "
        "2018, arXiv 1706.07162"
    ),
    reference_licence=(
        "espnet (Apache-2.0), the generative model compared on copied weights; "
        "ibab/tensorflow-wavenet (MIT), on sizes"
    ),
    separator=WaveNet,
    not_reproduced=(
        "The speech, music and recognition results; separation by drawing samples; the sizes of "
        "Rethage et al."
    ),
    tiny=lambda: WaveNetHyperparameters(
        levels=256, stacks=2, layers=4, residual=16, gate=16, skip=32, sample_rate=8000
    ),
    training={
        "batch_size": 1,
        "segment_s": 100_000 / 16_000,
        "optimizer": "adam",
        "weight_decay": 0.0,
        "schedule": "constant",
        "warmup": 0.0,
        "average_decay": 0.0,
    },
)


@WAVENET.variant(parameters=1_515_968)
def published() -> Hyperparameters:
    """The sizes of ibab/tensorflow-wavenet, fed with the mixture."""
    return WaveNetHyperparameters()


@WAVENET.variant("context")
def context() -> Hyperparameters:
    """With a context stack that reads half a second more of the past."""
    return WaveNetHyperparameters(context_layers=7)


@WAVENET.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: values in frames of 16 samples, which the layers read to both sides."""
    return WaveNetHyperparameters(
        sample_rate=8000,
        levels=0,
        frame=16,
        stacks=2,
        layers=6,
        kernel=3,
        residual=128,
        gate=64,
        skip=128,
        causal=False,
    )
