"""A learned analysis and synthesis of the waveform: what TasNet put in place of the STFT.

Luo and Mesgarani, "TasNet: time-domain audio separation network for real-time, single-channel
speech separation", ICASSP 2018. Axes: b batch, n_src, N basis signals, k frames.

The padding decides which frames a sample lies in. `"both"` adds L - S zeros at each end, so that
every sample lies in the same number of frames; `"end"` starts the first frame at the first sample
and only completes the last.
"""

from typing import Any

from torch import Tensor, nn
from torch.nn import functional

PADDINGS = ("both", "end")


class LearnedAnalysis(nn.Module):
    """N basis signals of L samples, one frame every S samples, that analyse a signal.

    For several channels, each basis signal has one filter per channel.
    """

    def __init__(
        self,
        *,
        channels: int,
        N: int,
        L: int,
        S: int,
        padding: str = "both",
        bias: bool = False,
        relu: bool = False,
    ) -> None:
        super().__init__()
        self.L, self.S = L, S
        self.padding = padding
        self.relu = relu
        self.encoder = nn.Conv1d(channels, N, L, S, bias=bias)

    def framing(self, time: int) -> tuple[int, int]:
        """Return how many zeros before and after a signal of `time` samples give whole frames."""
        front = self.L - self.S if self.padding == "both" else 0
        strides = -(-max(front + time + front - self.L, 0) // self.S)  # rounded up
        return front, strides * self.S + self.L - front - time

    def encode(self, signal: Tensor) -> Tensor:
        """Return the weights (b, N, k) of a signal (b, channels, time)."""
        w: Tensor = self.encoder(functional.pad(signal, self.framing(signal.shape[-1])))
        return w.relu() if self.relu else w


class LearnedBasis(LearnedAnalysis):
    """The same for analysis and for synthesis.

    Args:
        n_src: one decoder reads the weights of so many sources together; None: they share one.
        groups: of the decoder; as many as `n_src` give each source its own.
        analysis: arguments of `LearnedAnalysis`.
    """

    def __init__(self, *, n_src: int | None = None, groups: int = 1, **analysis: Any) -> None:
        super().__init__(**analysis)
        self.joint = n_src is not None
        sources, encoder = n_src or 1, self.encoder
        self.decoder = nn.ConvTranspose1d(
            sources * encoder.out_channels,
            sources * encoder.in_channels,
            self.L,
            self.S,
            groups=groups,
            bias=encoder.bias is not None,
        )

    def decode(self, d: Tensor, time: int, decoder: nn.Module | None = None) -> Tensor:
        """Return the signals (b, n_src, channels, time) of weights (b, n_src, N, k).

        `decoder` replaces the decoder of this basis.
        """
        front, _ = self.framing(time)
        axes = (1, 2) if self.joint else (0, 1)
        decoded = (decoder or self.decoder)(d.flatten(*axes))[..., front : front + time]
        signals: Tensor = decoded.reshape(*d.shape[:2], -1, time)
        return signals


def toeplitz(kernels: Tensor) -> Tensor:
    """Return the matrix that convolves the N weights of a frame along the basis, (n_src * N, N).

    A product with it is many times faster than a convolution along so short an axis.

    Args:
        kernels: shape (n_src, 1, N + 1), where N is even; zeros continue the weights of a frame.
    """
    N = kernels.shape[-1] - 1
    taps = functional.pad(kernels, (N // 2 - 1, N // 2 - 1))  # (n_src, 1, 2 N - 1)
    # In row i of a source, tap j - i + N / 2 is in column j.
    return taps.unfold(-1, N, 1).flip(-2).reshape(-1, N)
