"""Log-spectral features of speech, and the way back to a power spectrogram.

Powers are relative to the largest bin of the mixture. Their logarithm is scaled so that 0 is
silence and 1 the largest bin:

    n(P) = ln(1 + P / e) / ln(1 + 1 / e)     with e = 10^(-range_db / 10)

Features of a spectrogram with powers P, frame by frame:

    log_spectrum     n(P)
    log_filterbank   n(W P)       W has the triangles of mel bands as rows, each of sum 1
    mfcc             D n(W P)     D has the first rows of the orthonormal DCT-II

The way back from estimated features f is the log spectrum

    n(P) + A^+ (f - f(P)),     limited to 0 to 1,

of the mixture's powers P and features f(P). A is the identity, W or D W, and A^+ its
pseudo-inverse. It takes the smallest change of the log spectrum whose average under the triangles
is the change of the bands: one that is linear in frequency between their centres, so that the
harmonics of the mixture stay. This is a mask in decibels on the mixture.

Axes: ..., bins or bands or features, frames.
"""

import math

import torch
from torch import Tensor, nn

from baselines.separator import require

TARGETS = ("log_spectrum", "log_filterbank", "mfcc")


class LogSpectra(nn.Module):
    """Features of one kind.

    Args:
        target: one of TARGETS.
        sample_rate: in Hz.
        bins: of the spectrogram, from 0 Hz to half the sample rate.
        bands: mel bands of log_filterbank and mfcc.
        coefficients: of mfcc, from 0 on.
        range_db: how far `e` is below the largest bin; quieter bins are close to silence.
    """

    bands: Tensor
    matrix: Tensor
    inverse: Tensor
    transform: Tensor

    def __init__(
        self,
        target: str,
        *,
        sample_rate: int,
        bins: int,
        bands: int,
        coefficients: int,
        range_db: float,
    ) -> None:
        super().__init__()
        require(target in TARGETS, f"target is {target!r}; it can be {' or '.join(TARGETS)}.")
        require(
            target != "mfcc" or 1 <= coefficients <= bands,
            f"coefficients is {coefficients}; of {bands} bands it can be 1 to {bands}.",
        )
        self.target = target
        self.softness = 10 ** (-range_db / 10)
        triangles = mel_triangles(bands, bins, sample_rate)
        transform = torch.eye(bands, dtype=torch.float64)
        if target == "mfcc":
            transform = cosine_transform(bands)[:coefficients]
        matrix = transform @ triangles
        for name, value in (
            ("bands", triangles),
            ("transform", transform),
            ("inverse", torch.linalg.pinv(matrix)),  # (bins, features)
        ):
            self.register_buffer(name, value.float(), persistent=False)
        self.size = bins if target == "log_spectrum" else len(matrix)

    def scaled(self, power: Tensor) -> Tensor:
        """Return n(P) of powers relative to the largest bin of the mixture."""
        return torch.log1p(power / self.softness) / math.log1p(1 / self.softness)

    def power(self, scaled: Tensor) -> Tensor:
        """Return the power P of n(P)."""
        return self.softness * torch.expm1(scaled * math.log1p(1 / self.softness))

    def forward(self, power: Tensor) -> Tensor:
        """Return the features (..., size, frames) of powers (..., bins, frames)."""
        if self.target == "log_spectrum":
            return self.scaled(power)
        return self.transform @ self.scaled(self.bands @ power)

    def estimated_power(self, features: Tensor, mixture: Tensor) -> Tensor:
        """Return powers (..., bins, frames) that have the features (..., size, frames).

        Args:
            features: estimates for a source.
            mixture: powers of the mixture, (..., bins, frames), which the change begins from.
        """
        if self.target == "log_spectrum":
            return self.power(features.clamp(0, 1))
        change = self.inverse @ (features - self(mixture))
        return self.power((self.scaled(mixture) + change).clamp(0, 1))


def mel_triangles(bands: int, bins: int, sample_rate: int) -> Tensor:
    """Return triangles between 0 Hz and half the rate as rows, evenly spaced in mel, float64.

    m = 2595 log10(1 + f / 700). Each triangle reaches from its neighbours' centres, at least one
    bin wide, and its sum over the bins is 1.

    Raises:
        UsageError: there are more bands than bins.
    """
    require(1 <= bands <= bins, f"bands is {bands}; with {bins} bins it can be 1 to {bins}.")
    highest_hz = sample_rate / 2
    mels = torch.linspace(0, 2595 * math.log10(1 + highest_hz / 700), bands + 2).double()
    centres_hz = 700 * (10 ** (mels / 2595) - 1)
    width_hz = highest_hz / max(bins - 1, 1)
    bins_hz = torch.linspace(0, highest_hz, bins).double()
    before = (centres_hz[1:-1] - centres_hz[:-2]).clamp(min=width_hz)[:, None]
    after = (centres_hz[2:] - centres_hz[1:-1]).clamp(min=width_hz)[:, None]
    distance = bins_hz - centres_hz[1:-1, None]  # (bands, bins)
    triangles = torch.minimum(1 + distance / before, 1 - distance / after).clamp(min=0)
    return triangles / triangles.sum(1, keepdim=True)


def cosine_transform(size: int) -> Tensor:
    """Return the orthonormal DCT-II as a matrix (size, size), float64."""
    k, m = torch.arange(size).double()[:, None], torch.arange(size).double()
    matrix = math.sqrt(2 / size) * torch.cos(math.pi * k * (m + 0.5) / size)
    matrix[0] /= math.sqrt(2)
    return matrix
