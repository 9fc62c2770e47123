"""Multichannel Wiener filtering between sources, refined by expectation-maximisation.

The local Gaussian model of Duong, Vincent and Gribonval (IEEE TASLP 18(7), 2010) with the weighted
covariance update of Nugraha, Liutkus and Vincent (IEEE/ACM TASLP 24(9), 2016).
Axes: batch, n_src, channels (c, d), bins (f), frames (t). Computed in double precision: in single
precision the determinant of the covariance of nearly equal channels cancels to zero.
"""

import torch
from torch import Tensor

EPSILON = 1e-10
# Louder mixtures are first scaled down to this peak magnitude, so that EPSILON is small beside it.
PEAK_MAGNITUDE = 10.0
# Bins do not depend on each other: a few at a time need little memory in double precision.
BINS_AT_ONCE = 256


def wiener_filter(magnitudes: Tensor, mixture: Tensor, *, iterations: int = 1) -> Tensor:
    """Return complex estimates from estimated magnitudes and the mixture's spectrogram.

    Args:
        magnitudes: shape (batch, n_src, channels, bins, frames).
        mixture: complex, shape (batch, channels, bins, frames).
        iterations: of expectation-maximisation; it starts from the magnitudes with the mixture's
            phase, which are returned for 0.

    Returns:
        Complex, shape (batch, n_src, channels, bins, frames).
    """
    peak = mixture.abs().amax(dim=(1, 2, 3)) / PEAK_MAGNITUDE
    scale = peak.clamp(min=1.0)[:, None, None, None]  # (batch, 1, 1, 1)
    filtered = []
    for stretch, mix in zip(
        magnitudes.split(BINS_AT_ONCE, dim=-2), mixture.split(BINS_AT_ONCE, dim=-2), strict=True
    ):
        estimates = torch.polar(stretch, mix.angle()[:, None].expand_as(stretch))
        if iterations:
            scaled = estimates / scale[:, None], mix / scale
            estimates = expectation_maximisation(*scaled, iterations=iterations) * scale[:, None]
        filtered.append(estimates)
    return torch.cat(filtered, dim=-2)


def expectation_maximisation(estimates: Tensor, mixture: Tensor, *, iterations: int) -> Tensor:
    """Refine complex estimates (batch, n_src, channels, bins, frames) of the mixture.

    Each iteration computes the power and the spatial covariance of every source from the estimates,
    then filters the mixture (batch, channels, bins, frames) with them.
    """
    given, double = estimates.dtype, torch.complex128
    estimates, mixture = estimates.to(double), mixture.to(double)
    for _ in range(iterations):
        power = estimates.abs().square().mean(2)  # (batch, n_src, bins, frames)
        products = torch.einsum("bncft,bndft->bncdf", estimates, estimates.conj())
        spatial = products / (power.sum(-1) + EPSILON)[:, :, None, None]  # covariances
        estimates = _filter(mixture, power, spatial)
    return estimates.to(given)


def _filter(mixture: Tensor, power: Tensor, spatial: Tensor) -> Tensor:
    """Apply the Wiener gain v_n R_n (sum v R + eps I)^-1 to the mixture."""
    covariance = torch.einsum("bnft,bncdf->bcdft", power.to(spatial.dtype), spatial)
    eye = torch.eye(mixture.shape[1], dtype=spatial.dtype, device=spatial.device)
    covariance = covariance + EPSILON**0.5 * eye[:, :, None, None]
    whitened = _solve(covariance, mixture)  # (batch, c, bins, frames)
    return torch.einsum("bncdf,bdft->bncft", spatial, whitened) * power[:, :, None]


def _solve(covariance: Tensor, mixture: Tensor) -> Tensor:
    """Return the inverse of covariance (batch, c, d, bins, frames) times mixture (batch, d, ...).

    One and two channels have a closed form, which is many times faster than a solver.
    """
    if covariance.shape[1] == 1:
        return mixture / covariance[:, 0]
    if covariance.shape[1] == 2:
        (a, b), (c, d) = (row.unbind(1) for row in covariance.unbind(1))
        left, right = mixture.unbind(1)
        solved = torch.stack([d * left - b * right, a * right - c * left], dim=1)
        return solved / (a * d - b * c)[:, None]
    matrices = covariance.permute(0, 3, 4, 1, 2)  # (batch, bins, frames, c, d)
    vectors = mixture.permute(0, 2, 3, 1)[..., None]  # (batch, bins, frames, d, 1)
    solution: Tensor = torch.linalg.solve(matrices, vectors)  # (batch, bins, frames, c, 1)
    return solution[..., 0].permute(0, 3, 1, 2)
