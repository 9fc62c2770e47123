"""The U-ConvBlock of SuDoRM-RF, and a learned basis whose frames such blocks can halve.

Tzinis, Wang and Smaragdis, "Sudo rm -rf: Efficient Networks for Universal Audio Source Separation",
MLSP 2020. Axes: b batch, n_src, C_E basis signals, C channels outside and C_U inside a block,
k frames. A block resamples Q times: it halves the rate Q times, so k is a multiple of 2^Q.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.norms import global_norm
from baselines.separator import Hyperparameters, require


@dataclass(frozen=True, kw_only=True)
class UConvHyperparameters(Hyperparameters):
    """Sizes by the symbols of the first paper; the defaults are those of SuDoRM-RF 1.0x."""

    C_E: int = 512  # basis signals of the encoder
    K_E: int = 21  # length of a basis signal in samples; frames begin every K_E // 2
    C: int = 128  # channels of the bottleneck and between blocks
    C_U: int = 512  # channels inside a block
    B: int = 16  # U-ConvBlocks
    Q: int = 4  # resamplings of a block

    def __post_init__(self) -> None:
        super().__post_init__()
        require(self.K_E % 2 == 1 and self.K_E > 2, f"K_E is {self.K_E}; it can be 3, 5, 7 ...")
        self.check_least(0, "Q")


def resample(x: Tensor, stages: Iterable[nn.Module]) -> Tensor:
    """Apply stages, of which all but the first halve the rate, and add their outputs up.

    From the lowest rate to the highest, each sum is repeated to the next rate (the nearest
    neighbour) and the output of that rate is added.

    Args:
        x: shape (b, C_U, k).
        stages: Q + 1 layers.
    """
    levels: list[Tensor] = []  # (b, C_U, k), (b, C_U, k / 2), ...
    for stage in stages:
        levels.append(stage(levels[-1] if levels else x))
    total = levels.pop()
    for level in reversed(levels):
        total = functional.interpolate(total, scale_factor=2.0) + level
    return total


class UConvolution(nn.Module):
    """1x1 to C_U, depthwise convolutions at Q + 1 rates, 1x1 back to C; without the residual path.

    `slopes` is how many slopes the first and the last PReLU have: one, or one per channel.
    """

    def __init__(self, *, C: int, C_U: int, Q: int, slopes: tuple[int, int] = (1, 1)) -> None:
        super().__init__()
        self.expand = nn.Conv1d(C, C_U, 1)
        self.expand_norm = global_norm(C_U)
        self.expand_prelu = nn.PReLU(slopes[0])
        self.depthwise = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(C_U, C_U, 5, stride=2 if level else 1, padding=2, groups=C_U),
                global_norm(C_U),
            )
            for level in range(Q + 1)
        )
        self.sum_norm = global_norm(C_U)
        self.sum_prelu = nn.PReLU(slopes[1])
        self.project = nn.Conv1d(C_U, C, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, C, k) of x (b, C, k)."""
        y = self.expand_prelu(self.expand_norm(self.expand(x)))  # (b, C_U, k)
        y = self.sum_prelu(self.sum_norm(resample(y, self.depthwise)))
        projected: Tensor = self.project(y)
        return projected


class AlignedBasis(nn.Module):
    """C_E basis signals of K_E samples, an odd number, one frame every K_E // 2 samples.

    Frame k is centred on sample k * (K_E // 2). Zeros complete the last of a multiple of 2^Q
    frames. The decoder reads the latents of all sources; with `groups` it keeps them apart.
    For several channels, each basis signal has one filter per channel.
    """

    def __init__(
        self,
        *,
        channels: int,
        n_src: int,
        C_E: int,
        K_E: int,
        Q: int,
        groups: int = 1,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.n_src = n_src
        self.K_E, self.S = K_E, K_E // 2
        self.multiple = 2**Q
        self.encoder = nn.Conv1d(channels, C_E, K_E, self.S, bias=bias)
        self.decoder = nn.ConvTranspose1d(
            n_src * C_E, n_src * channels, K_E, self.S, groups=groups, bias=bias
        )

    def framing(self, time: int) -> tuple[int, int]:
        """Return how many zeros before and after a signal of `time` samples give whole frames."""
        frames = -(-time // (self.S * self.multiple)) * self.multiple  # rounded up
        return self.S, (frames - 1) * self.S + self.K_E - self.S - time

    def encode(self, signal: Tensor) -> Tensor:
        """Return the weights (b, C_E, k) of a signal (b, channels, time)."""
        weights: Tensor = self.encoder(functional.pad(signal, self.framing(signal.shape[-1])))
        return weights

    def decode(self, latents: Tensor, time: int) -> Tensor:
        """Return the signals (b, n_src, channels, time) of latents (b, n_src, C_E, k)."""
        decoded = self.decoder(latents.flatten(1, 2))[..., self.S : self.S + time]
        signals: Tensor = decoded.unflatten(1, (self.n_src, -1))
        return signals
