"""Training losses, with or without the search for the best permutation.

Costs are computed for all pairs: `cost[b, i, j]` compares reference i with estimate j.
Axes: batch, n_src, channels, time.
"""

from collections.abc import Callable
from functools import wraps

import torch
from torch import Tensor

from baselines.layers.permutation import assigned_cost, best_permutation

# Keeps logarithms and divisions finite; 60 dB below a one-second signal at -80 dB full scale.
EPSILON = 1e-10
# Energy of an error that the SNR ignores, relative to the reference: -30 dB.
TOLERATED = 1e-3
# Of FUSS's loss: what an estimate without a source may keep of the mixture's energy (-20 dB), the
# energy that keeps its logarithms finite, and the RMS up to which a reference is silent.
TOLERATED_OF_MIXTURE = 1e-2
FUSS_EPSILON = 1e-8
FUSS_SILENT_RMS = 1e-8


def in_full_precision(loss: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Decorate a loss of tensors given by keyword: autocast is off in it, and half is float."""

    @wraps(loss)
    def computed(**arguments: object) -> Tensor:
        """Call `loss` with full precision."""
        full = {
            name: value.float()
            if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16)
            else value
            for name, value in arguments.items()
        }
        devices = [value.device for value in full.values() if isinstance(value, Tensor)]
        with torch.autocast(devices[0].type if devices else "cpu", enabled=False):
            return loss(**full)

    return computed


def pairwise_si_sdr_db(*, references: Tensor, estimates: Tensor, zero_mean: bool = True) -> Tensor:
    """Return the scale-invariant SDR in dB of each estimate against each reference.

    Le Roux et al., "SDR - half-baked or well done?", ICASSP 2019. All channels are compared at
    once.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        zero_mean: whether the mean of each channel is removed first.

    Returns:
        Shape (batch, n_src references, n_src estimates).
    """
    if zero_mean:
        references, estimates = _centred(references), _centred(estimates)
    references = references.flatten(start_dim=2)  # (batch, n_src, channels * time)
    estimates = estimates.flatten(start_dim=2)
    reference_energy = references.square().sum(-1)[:, :, None]  # (batch, n_src, 1)
    estimate_energy = estimates.square().sum(-1)[:, None, :]  # (batch, 1, n_src)
    product = torch.einsum("bit,bjt->bij", references, estimates)
    target_energy = product.square() / (reference_energy + EPSILON)
    error_energy = (estimate_energy - target_energy).clamp(min=0)
    return 10 * torch.log10((target_energy + EPSILON) / (error_energy + EPSILON))


def _centred(signals: Tensor) -> Tensor:
    return signals - signals.mean(-1, keepdim=True)


@in_full_precision
def si_sdr_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the negative SI-SDR in dB, mean over the references that are not silent; scalar.

    A reference that is silent in the segment has no SI-SDR: it is assigned the estimate that the
    others leave over and adds neither loss nor gradient.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        named: whether estimate i is of reference i; otherwise the best permutation counts.
    """
    sounding = references.square().flatten(start_dim=2).sum(-1) > EPSILON  # (batch, n_src)
    cost = -pairwise_si_sdr_db(references=references, estimates=estimates)
    cost = torch.where(sounding[:, :, None], cost, torch.zeros_like(cost))
    chosen = assigned_cost(cost, named=named)
    return chosen.sum() / sounding.sum().clamp(min=1)


@in_full_precision
def snr_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the negative SNR in dB, softly limited to 30 dB, over sounding references; scalar.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        named: whether estimate i is of reference i; otherwise the best permutation counts.
    """
    energy = references.square().sum((-1, -2))[:, :, None]  # (batch, n_src, 1)
    difference = references[:, :, None] - estimates[:, None]
    error = difference.square().sum((-1, -2)) + TOLERATED * energy
    cost = 10 * torch.log10((error + EPSILON) / (energy + EPSILON))
    sounding = energy > EPSILON
    chosen = assigned_cost(torch.where(sounding, cost, torch.zeros_like(cost)), named=named)
    return chosen.sum() / sounding.sum().clamp(min=1)


@in_full_precision
def fuss_loss(
    *, references: Tensor, estimates: Tensor, mixture: Tensor, named: bool = False
) -> Tensor:
    """Return the loss in dB of FUSS's baseline, for mixtures of up to n_src sources; scalar.

    Wisdom et al., "What's all the FUSS about free universal sound separation data?", ICASSP 2021
    (arXiv 2011.00803). The estimates are assigned so that the log energies of the errors have the
    least sum. Then an estimate y of a source s costs 10 log10(|s - y|^2 + 10^-3 |s|^2), and one
    without a source, of the mixture x, 10 log10(|y|^2 + 10^-2 |x|^2). The energies are sums, so
    the value depends on length and level.

    Args:
        references: shape (batch, n_src, channels, time), zeros where there are fewer sources.
        estimates: shape (batch, n_src, channels, time).
        mixture: shape (batch, channels, time).
        named: whether estimate i is of reference i; otherwise they are assigned.
    """
    error = (references[:, :, None] - estimates[:, None]).square().sum((-1, -2))
    if named:
        chosen = error.diagonal(dim1=1, dim2=2)
    else:
        order = best_permutation((error.detach() + FUSS_EPSILON).log10())  # (batch, n_src)
        chosen = error.gather(2, order[:, :, None])[:, :, 0]
    return fuss_costs(chosen, references=references, mixture=mixture).mean()


def fuss_costs(error: Tensor, *, references: Tensor, mixture: Tensor) -> Tensor:
    """Return the costs in dB of estimates by FUSS's loss, (batch, n_src).

    Args:
        error: energies of the errors, shape (batch, n_src).
        references: of the same estimates, shape (batch, n_src, channels, time).
        mixture: shape (batch, channels, time).
    """
    sounding = references.square().mean((-1, -2)).sqrt() > FUSS_SILENT_RMS
    tolerated = torch.where(
        sounding,
        TOLERATED * references.square().sum((-1, -2)),
        TOLERATED_OF_MIXTURE * mixture.square().sum((-1, -2))[:, None],
    )
    return 10 * torch.log10(error + tolerated + FUSS_EPSILON)


@in_full_precision
def magnitude_l1_loss(*, references: Tensor, estimates: Tensor, named: bool) -> Tensor:
    """Return the mean absolute difference of magnitudes (batch, n_src, ...); scalar.

    Unless the sources are `named`, the best permutation counts.
    """
    difference = (references[:, :, None] - estimates[:, None, :]).abs()
    return assigned_cost(difference.flatten(start_dim=3).mean(-1), named=named).mean()


@in_full_precision
def multi_resolution_l1_loss(
    *, references: Tensor, estimates: Tensor, windows: tuple[int, ...], hop: int, n_fft: int
) -> Tensor:
    """Return the L1 loss of the waveforms plus those of the complex spectrograms; scalar.

    The spectrogram of the error is the error of the spectrograms.

    Args:
        references: shape (batch, n_src, channels, time).
        estimates: shape (batch, n_src, channels, time).
        windows: lengths of Hann windows in samples, of one spectrogram each.
        hop: of all spectrograms in samples.
        n_fft: length of the Fourier transforms of windows that are not longer.
    """
    error = estimates - references
    loss = error.abs().mean()
    for window in windows:
        spectrum = hann_spectrogram(error, n_fft=max(window, n_fft), hop=hop, window=window)
        loss = loss + spectrum.abs().mean()
    return loss


def hann_spectrogram(signal: Tensor, *, n_fft: int, hop: int, window: int) -> Tensor:
    """Return the complex spectrogram (..., bins, frames) of a signal (..., time).

    Args:
        signal: padded with zeros, so that frames are centred on multiples of the hop.
        n_fft: length of the Fourier transforms in samples.
        hop: in samples.
        window: length of the Hann window in samples, at most `n_fft`.
    """
    spectrum = torch.stft(
        signal.flatten(0, -2),
        n_fft,
        hop,
        window,
        torch.hann_window(window, dtype=signal.dtype, device=signal.device),
        pad_mode="constant",
        return_complex=True,
    )
    unflattened: Tensor = spectrum.unflatten(0, signal.shape[:-1])
    return unflattened
