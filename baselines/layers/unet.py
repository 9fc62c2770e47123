"""The U-Net of strided 5x5 convolutions that reads spectrograms as images.

Andreas Jansson, Eric Humphrey, Nicola Montecchio, Rachel Bittner, Aparna Kumar and Tillman Weyde,
"Singing voice separation with deep U-Net convolutional networks", ISMIR 2017.
Axes: p patches, maps, bins, frames.

Borders are padded as TensorFlow's "same" convolutions pad them, because every public system of this
family was trained with them: of k - s zeros, the smaller half comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from baselines.layers.spectrogram_masks import SpectrogramHyperparameters

SLOPE = 0.2  # of the leaky ReLU

Pair = tuple[int, int]
Film = Sequence[tuple[Tensor, Tensor]]
"""Factor and offset for the maps of each level, which broadcast to (p, maps, 1, 1)."""


@dataclass(frozen=True, kw_only=True)
class StridedHyperparameters(SpectrogramHyperparameters):
    """Sizes of a U-Net; the defaults are those of Jansson et al."""

    widths: tuple[int, ...] = (16, 32, 64, 128, 256, 512)  # maps of each level of the encoder
    kernel: int = 5
    stride_bins: int = 2
    stride_frames: int = 2
    dropout: float = 0.5

    @property
    def multiple(self) -> tuple[int, int]:
        """Bins and frames that a patch is a multiple of."""
        levels = len(self.widths)
        return self.stride_bins**levels, self.stride_frames**levels

    @property
    def network(self) -> dict[str, Any]:
        """Arguments of a `UNet` of these sizes."""
        return {
            "inputs": self.channels,
            "outputs": self.channels,
            "widths": self.widths,
            "kernel": self.kernel,
            "stride": (self.stride_bins, self.stride_frames),
            "dropout": self.dropout,
        }


class SameConv2d(nn.Conv2d):
    """Convolution of stride s that returns 1 / s of the bins and frames."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Pair) -> None:
        super().__init__(inputs, outputs, kernel, stride)
        self.margins = [
            margin
            for s in reversed(stride)
            for margin in ((kernel - s) // 2, kernel - s - (kernel - s) // 2)
        ]

    def forward(self, x: Tensor) -> Tensor:
        """Map (p, inputs, bins, frames) to (p, outputs, bins / s, frames / s)."""
        return super().forward(functional.pad(x, self.margins))


class SameConvTranspose2d(nn.ConvTranspose2d):
    """Transposed convolution of stride s that returns s times the bins and frames."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Pair) -> None:
        padding = ((kernel - stride[0]) // 2, (kernel - stride[1]) // 2)
        super().__init__(inputs, outputs, kernel, stride, padding)

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:  # noqa: ARG002
        """Map (p, inputs, bins, frames) to (p, outputs, s * bins, s * frames)."""
        bins, frames = x.shape[2] * self.stride[0], x.shape[3] * self.stride[1]
        return super().forward(x)[:, :, :bins, :frames]


class Down(nn.Module):
    """Strided convolution, batch norm, optional FiLM and leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: Pair) -> None:
        super().__init__()
        self.conv = SameConv2d(inputs, outputs, kernel, stride)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor, film: tuple[Tensor, Tensor] | None = None) -> Tensor:
        """Map (p, inputs, bins, frames) to (p, outputs, bins / s, frames / s)."""
        x = self.norm(self.conv(x))
        if film is not None:
            x = film[0] * x + film[1]
        return functional.leaky_relu_(x, SLOPE)


class UNet(nn.Module):
    """An encoder of strided convolutions, its mirror image as decoder, and skips between them.

    Args:
        inputs: maps of a patch.
        outputs: maps of the result, which has no activation.
        widths: maps of each level of the encoder.
        kernel: of every convolution, along both axes.
        stride: of every convolution, along bins and frames.
        dropout: in the levels of the decoder that `dropped` lists, the deepest being 0.
        last_norm: whether the last layer, too, has a batch norm.
    """

    def __init__(
        self,
        *,
        inputs: int,
        outputs: int,
        widths: Sequence[int],
        kernel: int = 5,
        stride: Pair = (2, 2),
        dropout: float = 0.0,
        dropped: Sequence[int] = (0, 1, 2),
        last_norm: bool = False,
    ) -> None:
        super().__init__()
        self.last_norm = last_norm
        self.down = nn.ModuleList(
            Down(below, above, kernel, stride)
            for below, above in zip([inputs, *widths], widths, strict=False)
        )
        self.up = nn.ModuleList()
        given = widths[-1]
        for level, width in enumerate([*reversed(widths[:-1]), outputs]):
            last = level == len(widths) - 1
            layers = [SameConvTranspose2d(given, width, kernel, stride), *self.after(width, last)]
            if dropout and level in dropped and not last:
                layers.append(nn.Dropout(dropout))
            self.up.append(nn.Sequential(*layers))
            given = 2 * width  # with the skip

    def after(self, width: int, last: bool) -> list[nn.Module]:
        """Return the layers that follow a transposed convolution."""
        norm: list[nn.Module] = [nn.BatchNorm2d(width)] if not last or self.last_norm else []
        return norm if last else [*norm, nn.ReLU(inplace=True)]

    def encode(self, x: Tensor, film: Film | None = None) -> list[Tensor]:
        """Return the maps of all levels for patches (p, inputs, bins, frames)."""
        levels = []
        for number, down in enumerate(self.down):
            x = down(x, None if film is None else film[number])
            levels.append(x)
        return levels

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Return (p, outputs, bins, frames) from the maps of all levels."""
        x: Tensor = self.up[0](levels[-1])
        for up, skip in zip(self.up[1:], reversed(levels[:-1]), strict=True):
            x = up(torch.cat([skip, x], dim=1))
        return x

    def forward(self, x: Tensor, film: Film | None = None) -> Tensor:
        """Map patches (p, inputs, bins, frames) to (p, outputs, bins, frames)."""
        return self.decode(self.encode(x, film))
