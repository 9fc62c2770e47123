"""SuDoRM-RF++ GC: one narrow block for all groups of channels, which exchange their mean.

Efthymios Tzinis, Zhepei Wang, Xilin Jiang and Paris Smaragdis, "Compute and memory efficient
universal sound source separation", Journal of Signal Processing Systems 94, 2022 (arXiv
2103.02644). Group communication: Luo, Han and Mesgarani, "Ultra-lightweight speech separation via
group communication", ICASSP 2021 (arXiv 2011.08397). Mixture consistency: Wisdom et al.,
"Differentiable consistency constraints for improved deep speech enhancement", ICASSP 2019 (arXiv
1811.08521).

Reproduced exactly: the layers and the parameter count of the authors' code for 8 blocks, the size
that they released; the row of their README says 16.
- Groups. The C channels are G groups, and every group passes through the same narrow block, after
  transform-average-concatenate (TAC) has added to each what it makes of itself and of their mean.
- Consistency. Each estimate receives an equal share of what their sum lacks of the mixture, in
  training as in use. Estimates that add up to the mixture leave the fit to its level nothing to do.
- Loss. By SI-SDR, by which the authors train it for two talkers, the level of one estimate is free,
  and the consistency adds what it lacks to the others. Here the loss is the one that they use for
  any number of sounds: the SNR, softly limited to 30 dB.
- Padding, channels and training: see `baselines.models.sudormrf_improved`.

TAC's last layer reads a group's features beside those of the mean. It is computed as the sum of two
products, of which the second is the same for all groups.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from baselines.layers.norms import global_norm
from baselines.layers.u_conv_block import UConvolution
from baselines.losses import snr_loss
from baselines.model import SMALL_SPEECH, ModelSpec
from baselines.models.sudormrf import PUBLISHED_TRAINING
from baselines.models.sudormrf_improved import ImprovedHyperparameters, ImprovedSudoRmRf
from baselines.separator import Hyperparameters, require

# Axes: b batch, G groups, n channels of a group, k frames.
HIDDEN = 3  # features inside TAC, times the channels of a group


@dataclass(frozen=True, kw_only=True)
class GroupCommHyperparameters(ImprovedHyperparameters):
    """The defaults are those of the released system."""

    B: int = 8  # U-ConvBlocks
    G: int = 16  # groups of channels

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            self.G >= 1 and self.C % self.G == 0 and self.C_U % self.G == 0,
            f"G is {self.G}; it must divide C={self.C} and C_U={self.C_U}.",
        )
        require(self.output_slopes == 1, "output_slopes must be 1 with group communication.")


class GroupCommunication(nn.Module):
    """Transform-average-concatenate: adds to each group what depends on it and on all."""

    def __init__(self, n: int, groups: int) -> None:
        super().__init__()
        self.groups = groups
        hidden = HIDDEN * n
        self.transform = nn.Sequential(nn.Conv1d(n, hidden, 1), nn.PReLU())
        self.average = nn.Sequential(nn.Conv1d(hidden, hidden, 1), nn.PReLU())
        self.own = nn.Conv1d(hidden, n, 1)
        self.common = nn.Conv1d(hidden, n, 1, bias=False)
        self.prelu = nn.PReLU()
        self.norm = global_norm(n)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b * G, n, k) of x (b * G, n, k)."""
        transformed = self.transform(x)  # (b * G, hidden, k)
        mean = self.average(transformed.unflatten(0, (-1, self.groups)).mean(1))  # (b, hidden, k)
        own = self.own(transformed).unflatten(0, (-1, self.groups))  # (b, G, n, k)
        both = own + self.common(mean)[:, None]
        y: Tensor = x + self.norm(self.prelu(both.flatten(0, 1)))
        return y


class GroupBlock(nn.Module):
    """Group communication, then one U-ConvBlock that all groups share."""

    def __init__(self, h: GroupCommHyperparameters) -> None:
        super().__init__()
        self.groups = h.G
        self.communication = GroupCommunication(h.C // h.G, h.G)
        self.path = UConvolution(C=h.C // h.G, C_U=h.C_U // h.G, Q=h.Q)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        groups = x.unflatten(1, (self.groups, -1)).flatten(0, 1)  # (b * G, n, k)
        groups = self.communication(groups)
        y: Tensor = (self.path(groups) + groups).view_as(x)
        return y


class GroupCommSudoRmRf(ImprovedSudoRmRf):
    """SuDoRM-RF++ with group communication and mixture consistency."""

    hyperparameters_class = GroupCommHyperparameters
    block_class = GroupBlock

    def network(self, mixture: Tensor) -> Tensor:
        """Return estimates (b, n_src, channels, time) that add up to the mixture."""
        estimates = super().network(mixture)
        lacking = mixture - estimates.sum(1)
        return estimates + lacking[:, None] / self.n_src

    def training_loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the negative SNR of a batch in dB; scalar."""
        return snr_loss(
            references=batch["references"],
            estimates=self.network(batch["mixture"]),
            named=self.source_names is not None,
        )


SUDORMRF_GROUPCOMM = ModelSpec(
    name="sudormrf_groupcomm",
    title="SuDoRM-RF++ GC",
    task="speech_separation",
    paper=(
        "Tzinis et al., Journal of Signal Processing Systems 94, 2022, arXiv 2103.02644; Luo, Han "
        "and Mesgarani, ICASSP 2021, arXiv 2011.08397"
    ),
    reference_licence="sudo_rm_rf (MIT), on sizes; no weights were compared",
    separator=GroupCommSudoRmRf,
    not_reproduced=(
        "The WSJ0-2mix and FUSS scores (the first corpus is not free); SI-SDR as the loss."
    ),
    tiny=lambda: GroupCommHyperparameters(C_E=32, C=16, C_U=32, B=1, Q=1, G=2),
    training=PUBLISHED_TRAINING,
)


@SUDORMRF_GROUPCOMM.variant(parameters=507_177)
def paper() -> Hyperparameters:
    """The released system of 8 blocks."""
    return GroupCommHyperparameters()


@SUDORMRF_GROUPCOMM.variant("small", **SMALL_SPEECH)
def small() -> Hyperparameters:
    """For laptops: a third of the frames, three times as long, and fewer, narrower blocks."""
    return GroupCommHyperparameters(C_E=256, K_E=65, C=128, C_U=256, B=6, G=8)
