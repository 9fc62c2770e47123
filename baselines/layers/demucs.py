"""What every Demucs shares: waveform encoders and decoders, their recurrent layer, and their start.

Défossez, Usunier, Bottou and Bach, "Music Source Separation in the Waveform Domain", 2019 (arXiv
1911.13254). Axes: b batch, C channels, k frames, time.
"""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional

# Added to a standard deviation before it divides, so that silence stays silent.
SMALLEST_DEVIATION = 1e-5

# The order of the authors' code.
STEMS = ("drums", "bass", "other", "vocals")


class WaveformEncoder(nn.Module):
    """A strided convolution with ReLU, then a 1x1 convolution with GLU."""

    def __init__(self, given: int, made: int, K: int, S: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(given, made, K, S)
        self.rewrite = nn.Conv1d(made, 2 * made, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, made, k) of x (b, given, time)."""
        return functional.glu(self.rewrite(self.conv(x).relu_()), dim=1)


class WaveformDecoder(nn.Module):
    """A convolution over `context` frames with GLU, then a transposed convolution.

    A ReLU follows, except after the `last` layer.
    """

    def __init__(
        self, given: int, made: int, K: int, S: int, *, context: int = 1, last: bool = False
    ) -> None:
        super().__init__()
        self.last = last
        self.rewrite = nn.Conv1d(given, 2 * given, context, padding=context // 2)
        self.conv = nn.ConvTranspose1d(given, made, K, S)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, made, time) of x (b, given, k)."""
        x = self.conv(functional.glu(self.rewrite(x), dim=1))
        return x if self.last else x.relu_()


class Blstm(nn.Module):
    """A bidirectional LSTM whose two directions a linear layer merges to the width of the input.

    Args:
        width: channels in and out.
        layers: of the LSTM.
        chunk: frames that are read at once, a multiple of 4; longer signals are read in chunks
            which overlap by half, and of which the middles are kept. None: the whole signal.
    """

    def __init__(self, width: int, layers: int, chunk: int | None = None) -> None:
        super().__init__()
        self.chunk = chunk
        self.lstm = nn.LSTM(width, width, layers, bidirectional=True)
        self.linear = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return (b, width, k) of x (b, width, k)."""
        if self.chunk is None or x.shape[-1] <= self.chunk:
            return self._read(x)
        return self._read_in_chunks(x, self.chunk)

    def _read(self, x: Tensor) -> Tensor:
        y: Tensor = self.linear(self.lstm(x.permute(2, 0, 1))[0])  # (k, b, width)
        return y.permute(1, 2, 0)

    def _read_in_chunks(self, x: Tensor, chunk: int) -> Tensor:
        batch, _, frames = x.shape
        hop = chunk // 2
        count = -(-frames // hop)  # rounded up
        padded = functional.pad(x, (0, (count - 1) * hop + chunk - frames))
        chunks = padded.unfold(-1, chunk, hop).transpose(1, 2)  # (b, count, width, chunk)
        y = self._read(chunks.flatten(0, 1)).unflatten(0, (batch, count))
        margin = hop // 2
        middles = (
            y[..., margin : margin + hop].transpose(1, 2).flatten(2)
        )  # (b, width, count * hop)
        return torch.cat([y[:, 0, :, :margin], middles], dim=-1)[..., :frames]


def whole_frames(time: int, *, depth: int, K: int, S: int) -> int:
    """Return the shortest length, `time` or more, that `depth` strided layers cover entirely."""
    frames = time
    for _ in range(depth):
        frames = max(-(-(frames - K) // S) + 1, 1)  # rounded up
    for _ in range(depth):
        frames = (frames - 1) * S + K
    return frames


def mean_and_deviation(x: Tensor, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the mean and the standard deviation of x over some axes, which keep length 1.

    The deviation of a single value is 0.
    """
    count = prod(x.shape[dim] for dim in dims)
    variance, mean = torch.var_mean(x, dims, correction=min(1, count - 1), keepdim=True)
    return mean, variance.sqrt()


@torch.no_grad()
def rescale_convolutions(module: nn.Module, reference: float) -> None:
    """Bring the initial weights of every convolution nearer to a standard deviation.

    Weights of deviation d are divided by sqrt(d / reference), and so are the biases.
    """
    kinds = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose1d, nn.ConvTranspose2d)
    for layer in module.modules():
        if isinstance(layer, kinds):
            scale = (layer.weight.std() / reference).sqrt()
            for parameter in layer.parameters():
                parameter.div_(scale)
