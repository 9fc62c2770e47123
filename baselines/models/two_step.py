"""Two-step separation: first a basis in which sources come apart, then masks for it.

Efthymios Tzinis, Shrikant Venkataramani, Zhepei Wang, Cem Subakan and Paris Smaragdis, "Two-Step
Sound Source Separation: Training on Learned Latent Targets", ICASSP 2020 (arXiv 1910.09804).

Step 1 trains the basis without a separator: the softmax over the sources' own weights masks the
mixture's weights, and the SI-SDR of what they decode to is maximised. Step 2 trains the separator,
a temporal convolutional network (TDCN), to reach these masked weights: the SI-SDR of weights,
without removal of a mean, which the paper shows to be a lower bound of that of the signals.

The layout is the one that the first author published again beside "Sudo rm -rf" (MLSP 2020), whose
table prints its 8.63 M parameters: 256 basis signals of 21 samples with bias and ReLU, 4 repeats of
8 blocks without skip paths, a mask layer that convolves along the basis, ReLU and softmax over the
sources, and a decoder for each source. The code of the two-step experiments has one decoder, and
batch norms instead of gLN before the bottleneck and before the mask layer.

One run trains both steps, on every batch, for this is how all systems here are trained. The loss is
the sum of both steps' losses. No gradient of step 2 reaches the basis, which is trained by step 1
alone. The separator follows the targets of a basis that still changes in the first epochs, where
the paper has a finished basis. The steps share the learning rate and the limit of the gradient's
norm.

A decoder belongs to a source only in step 1, where the order of the sources is known; step 2
searches for the best permutation. Padding: L - S zeros at both ends. gLN is over the whole signal.
The estimates are fitted to the mixture's level, which SI-SDR leaves open.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from baselines.layers.basis import LearnedBasis, toeplitz
from baselines.layers.fitted import FittedSeparator
from baselines.layers.norms import global_norm
from baselines.layers.permutation import assigned_cost
from baselines.losses import in_full_precision, pairwise_si_sdr_db, si_sdr_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.separator import Hyperparameters, require

# Axes: b batch, n_src, N basis signals, B bottleneck, H hidden, k frames.


@dataclass(frozen=True, kw_only=True)
class TwoStepHyperparameters(Hyperparameters):
    """The paper's separator, TDCN."""

    N: int = 256  # basis signals, an even number
    L: int = 21  # length of a basis signal in samples; the stride is half of it, rounded down
    B: int = 256  # channels of the bottleneck and of the residual path
    H: int = 512  # channels inside a convolutional block
    P: int = 3  # kernel size of a block's depthwise convolution
    X: int = 8  # blocks in a repeat, of dilation 1, 2, ... 2^(X-1)
    R: int = 4  # repeats

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.n_src >= 2, f"n_src is {self.n_src}; masks that sum to one need two sources.")
        require(self.N % 2 == 0, f"N is {self.N}; the mask layer needs an even number.")
        require(self.L >= 2, f"L is {self.L}; a basis signal has 2 samples or more.")
        require(self.P % 2 == 1, f"P is {self.P}; an odd kernel keeps the number of frames.")


class ConvolutionalBlock(nn.Module):
    """1x1, dilated depthwise and 1x1 convolution, added to the input."""

    def __init__(self, h: TwoStepHyperparameters, dilation: int) -> None:
        super().__init__()
        margin = dilation * (h.P - 1) // 2
        self.layers = nn.Sequential(
            nn.Conv1d(h.B, h.H, 1),
            nn.PReLU(),
            global_norm(h.H),
            nn.Conv1d(h.H, h.H, h.P, padding=margin, dilation=dilation, groups=h.H),
            nn.PReLU(),
            global_norm(h.H),
            nn.Conv1d(h.H, h.B, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return x (b, B, k) plus what the block adds to it."""
        added: Tensor = self.layers(x)
        return x + added


class ConvolutionAlongBasis(nn.Conv1d):
    """A convolution of each frame along the basis, with one output per source."""

    def __init__(self, h: TwoStepHyperparameters) -> None:
        super().__init__(1, h.n_src, h.N + 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, n_src, N, k) of x (b, N, k)."""
        y: Tensor = (toeplitz(self.weight) @ x).unflatten(1, (-1, x.shape[1]))
        return y if self.bias is None else y + self.bias[:, None, None]


class Separation(nn.Module):
    """TDCN: from the mixture's weights to one mask per source."""

    def __init__(self, h: TwoStepHyperparameters) -> None:
        super().__init__()
        self.norm = global_norm(h.N)
        self.bottleneck = nn.Conv1d(h.N, h.B, 1)
        self.blocks = nn.Sequential(
            *(ConvolutionalBlock(h, dilation=2**x) for _ in range(h.R) for x in range(h.X))
        )
        self.widen = nn.Conv1d(h.B, h.N, 1) if h.B != h.N else nn.Identity()
        self.mask_norm = global_norm(h.N)
        self.mask = ConvolutionAlongBasis(h)

    def forward(self, w: Tensor) -> Tensor:
        """Return masks (b, n_src, N, k) for the mixture's weights w (b, N, k)."""
        x = self.blocks(self.bottleneck(self.norm(w)))  # (b, B, k)
        x = self.mask_norm(self.widen(x))  # (b, N, k)
        scores: Tensor = self.mask(x)  # (b, n_src, N, k)
        return scores.relu().softmax(1)


class TwoStep(FittedSeparator):
    """The paper's system; both steps are trained at once."""

    hyperparameters_class = TwoStepHyperparameters
    silence_tolerance = 0.5

    def __init__(self, hyperparameters: TwoStepHyperparameters) -> None:
        super().__init__(hyperparameters)
        h = hyperparameters
        self.basis = LearnedBasis(
            channels=h.channels,
            N=h.N,
            L=h.L,
            S=h.L // 2,
            bias=True,
            relu=True,
            n_src=h.n_src,
            groups=h.n_src,
        )
        self.separation = Separation(hyperparameters)

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) at the level of the network's output."""
        w = self.basis.encode(mixture)  # (b, N, k)
        d = w[:, None] * self.separation(w)  # (b, n_src, N, k)
        return self.basis.decode(d, mixture.shape[-1])

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the sum of both steps' negative SI-SDR in dB; scalar."""
        mixture, references = batch["mixture"], batch["references"]
        w = self.basis.encode(mixture)  # (b, N, k)
        targets = w[:, None] * self.ideal_masks(references)  # (b, n_src, N, k)
        step_1 = si_sdr_loss(
            references=references,
            estimates=self.basis.decode(targets, mixture.shape[-1]),
            named=True,
        )
        w = w.detach()
        step_2 = latent_si_sdr_loss(
            targets=targets.detach(),
            estimates=w[:, None] * self.separation(w),
            named=self.source_names is not None,
        )
        return step_1 + step_2

    def ideal_masks(self, references: Tensor) -> Tensor:
        """Return step 1's masks (b, n_src, N, k) from references (b, n_src, channels, time)."""
        w = self.basis.encode(references.flatten(0, 1))  # (b * n_src, N, k)
        scores: Tensor = w.unflatten(0, references.shape[:2])  # (b, n_src, N, k)
        return scores.softmax(1)


@in_full_precision
def latent_si_sdr_loss(*, targets: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the negative SI-SDR in dB of weights (b, n_src, N, k), their mean included; scalar.

    Unless the sources are `named`, the best permutation counts.
    """
    cost = -pairwise_si_sdr_db(references=targets, estimates=estimates, zero_mean=False)
    return assigned_cost(cost, named=named).mean()


TWO_STEP = ModelSpec(
    name="two_step",
    title="Two-step TDCN",
    task="speech_separation",
    paper="Tzinis et al., ICASSP 2020, arXiv 1910.09804",
    reference_licence="sudo_rm_rf (MIT): its size and MACs; no weights were compared",
    separator=TwoStep,
    not_reproduced=(
        "The WSJ0-2mix and ESC-50 scores; a basis that is finished before step 2 begins."
    ),
    tiny=lambda: TwoStepHyperparameters(N=64, L=17, B=16, H=32, X=3, R=1),
    training={
        "optimizer": "adam",
        "weight_decay": 0.0,
        "batch_size": 4,
        "segment_s": 4.0,
        "schedule": "constant",
        "warmup": 0.0,
        "average_decay": 0.0,
    },
)


@TWO_STEP.variant(parameters=8_628_038)
def paper() -> Hyperparameters:
    """The paper's separator, TDCN."""
    return TwoStepHyperparameters()


@TWO_STEP.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a third of the frames, three times as long, and fewer, narrower blocks."""
    return TwoStepHyperparameters(L=64, B=96, H=192, X=5, R=2)
