"""Metrics of batches of torch tensors that have a gradient, for training and validation.

Each function has the value of the metric of its name in `evalsuite.metrics`, where that is finite.
Where the metric has a reason in place of a value, there is no gradient, and the value is:

- NaN for a silent reference: average with `nanmean`;
- the limit of the metric for a perfect estimate: 280 dB, in float32 120 dB, in `sdr_bss512` 150 dB;
- minus the limit for an estimate that is silent or holds nothing of its reference.

NaN and infinity in a signal give NaN.

Signals are (..., channels, time), or (..., time) with `mono`. The other axes broadcast, so that one
call compares all pairs. The tensors decide on the precision; bfloat16 and half tensors, also under
autocast, are computed and returned in float32.
"""

from collections.abc import Sequence

import torch
from scipy.fft import next_fast_len
from torch import Tensor
from torch.nn.functional import pad

from baselines.layers.permutation import assigned_cost
from baselines.losses import in_full_precision
from evalsuite.metrics.bss_eval import LIMIT_DB as BSS_LIMIT_DB
from evalsuite.metrics.framewise import WINDOW_S
from evalsuite.metrics.projection import TAPS
from evalsuite.metrics.si_sdr import CONSTANT_EPS, LIMIT_DB
from mixgen.core.errors import InputError

# In float32, a residual of rounding errors alone lies at least 130 dB below the signal.
FLOAT32_LIMIT_DB = 120.0

_SIGNAL = (-2, -1)  # the axes of one signal: channels, time


@in_full_precision
def si_sdr(
    *, references: Tensor, estimates: Tensor, zero_mean: bool = True, mono: bool = False
) -> Tensor:
    """Return the scale-invariant SDR in dB of every pair, shape (...).

    Args:
        references: shape (..., channels, time), or (..., time) if `mono`.
        estimates: as the references; the other axes broadcast with theirs.
        zero_mean: whether the mean of each channel is removed first.
        mono: whether the signals have no axis of channels.

    Raises:
        InputError: a tensor is not of floating point, or the shapes do not fit.
    """
    signals = _checked(references, estimates, mono)
    s, e = (samples / _peak(samples) for samples in signals)
    if zero_mean:
        s, e = _centred(s), _centred(e)
    target = _projected(e, s)
    return _ratio_db(s, target=_energy(target), residual=_energy(e - target))


def si_sdr_nozm(*, references: Tensor, estimates: Tensor, mono: bool = False) -> Tensor:
    """Return the SI-SDR in dB with means kept; shapes and errors as in `si_sdr`."""
    return si_sdr(references=references, estimates=estimates, zero_mean=False, mono=mono)


@in_full_precision
def snr(*, references: Tensor, estimates: Tensor, mono: bool = False) -> Tensor:
    """Return the SNR in dB of every pair; shapes and errors as in `si_sdr`."""
    s, e = _full_scale(*_checked(references, estimates, mono))
    return _ratio_db(s, target=_energy(s), residual=_energy(s - e))


@in_full_precision
def sd_sdr(*, references: Tensor, estimates: Tensor, mono: bool = False) -> Tensor:
    """Return the scale-dependent SDR in dB of every pair; shapes and errors as in `si_sdr`."""
    s, e = _full_scale(*_checked(references, estimates, mono))
    return _ratio_db(s, target=_energy(_projected(e, s)), residual=_energy(s - e))


@in_full_precision
def sdr_v4(
    *, references: Tensor, estimates: Tensor, sample_rate: int, mono: bool = False
) -> Tensor:
    """Return the SDR of BSS Eval 4 in dB of every frame of 1 s, shape (..., frames).

    A last partial frame is dropped; a shorter signal is one frame.

    Args:
        references: shape (..., channels, time), or (..., time) if `mono`.
        estimates: as the references; the other axes broadcast with theirs.
        sample_rate: in Hz.
        mono: whether the signals have no axis of channels.

    Raises:
        InputError: a tensor is not of floating point, or the shapes do not fit.
    """
    signals = _checked(references, estimates, mono)
    window = min(round(WINDOW_S * sample_rate), references.shape[-1])
    # (..., channels, frames, window) to (..., frames, channels, window)
    s, e = (samples.unfold(-1, window, window).transpose(-3, -2) for samples in signals)
    return snr(references=s, estimates=e)


@in_full_precision
def sa_sdr(
    *, references: Tensor, estimates: Tensor, named: bool = False, mono: bool = False
) -> Tensor:
    """Return the source-aggregated SDR in dB of every mixture, shape (...).

    Args:
        references: shape (..., n_ref, channels, time), or (..., n_ref, time) if `mono`.
        estimates: shape (..., n_est, channels, time), or (..., n_est, time) if `mono`.
        named: whether estimate i is of reference i; otherwise the best permutation counts.
        mono: whether the signals have no axis of channels.

    Raises:
        InputError: a tensor is not of floating point, or the shapes do not fit.
    """
    s, e = _checked(references, estimates, mono, of_sources=True)  # (..., n, channels, time)
    n_src = max(s.shape[-3], e.shape[-3])
    s, e = torch.broadcast_tensors(*(pad(x, (0, 0, 0, 0, 0, n_src - x.shape[-3])) for x in (s, e)))
    all_s, all_e = _full_scale(s.flatten(-3, -2), e.flatten(-3, -2))  # one signal per mixture
    s, e = all_s.reshape(s.shape), all_e.reshape(e.shape)
    errors = _energy(s.unsqueeze(-3) - e.unsqueeze(-4))  # (..., n_ref, n_est)
    chosen = assigned_cost(errors.reshape(-1, n_src, n_src), named=named).sum(-1)
    return _ratio_db(all_s, target=_energy(all_s), residual=chosen.reshape(all_s.shape[:-2]))


@in_full_precision
def sdr_bss512(*, references: Tensor, estimates: Tensor, mono: bool = False) -> Tensor:
    """Return the SDR of BSS Eval 3, sources, in dB of every pair, shape (...).

    The mean over channels. The arithmetic is in float64 whatever the tensors are, because the
    matrix of delayed references is near singular in bands without sound; each reference takes
    4 MiB.

    Args:
        references: shape (..., channels, time), or (..., time) if `mono`; at least 512 samples.
        estimates: as the references; the other axes broadcast with theirs.
        mono: whether the signals have no axis of channels.

    Raises:
        InputError: a tensor is not of floating point, the shapes do not fit, or the signals are
            shorter than the filter.
    """
    signals = _checked(references, estimates, mono)
    time = references.shape[-1]
    if time < TAPS:
        raise InputError(
            f"The signals have {time} samples, and the filter of sdr_bss512 has {TAPS}: "
            "give longer signals."
        )
    # Every channel is a signal of its own: (..., channels, 1, time).
    s, e = (samples.double().unsqueeze(-2) for samples in signals)
    s, e = s / _peak(s), e / _peak(e)
    n_fft = next_fast_len(time + TAPS - 1, real=True)
    spectra = torch.fft.rfft(s, n_fft)
    # The filter of least error: its own gradient is that of a minimum, zero.
    with torch.no_grad():
        filters = _filters(spectra, torch.fft.rfft(e, n_fft), n_fft)
    own = torch.fft.irfft(torch.fft.rfft(filters, n_fft) * spectra, n_fft)
    e = pad(e, (0, n_fft - time))
    # |own|^2, written so that its gradient is right with the filter held: that of |e|^2 - error.
    target = 2 * (e * own).sum(_SIGNAL) - _energy(own)
    scores = _ratio_db(s, target=target, residual=_energy(e - own), limit_db=BSS_LIMIT_DB)
    return scores.mean(-1).to(torch.promote_types(references.dtype, estimates.dtype))


def _filters(references: Tensor, estimates: Tensor, n_fft: int) -> Tensor:
    """Return the filters (..., TAPS) that bring references nearest to estimates.

    Args:
        references: spectra, shape (..., bins).
        estimates: spectra, shape (..., bins), that broadcast with the references.
        n_fft: of the transforms.
    """
    taps = torch.arange(TAPS, device=references.device)
    lags = torch.fft.irfft(references.abs().square(), n_fft)[..., :TAPS]
    gram = lags[..., (taps[:, None] - taps).abs()]  # (..., TAPS, TAPS)
    products = torch.fft.irfft(references.conj() * estimates, n_fft)[..., :TAPS, None]
    factors, failed = torch.linalg.cholesky_ex(gram)
    if failed.any():
        # As in `block_toeplitz.Factor`; a silent reference gets any matrix that has a factor.
        load = torch.finfo(gram.dtype).eps * TAPS * lags[..., :1]
        load = torch.where(lags[..., :1] > 0, load, 1.0) * (failed > 0)[..., None]
        loaded = gram + torch.diag_embed(load.expand_as(lags))
        factors, failed = torch.linalg.cholesky_ex(loaded)
        factors = torch.where((failed > 0)[..., None, None], torch.nan, factors)
    return torch.cholesky_solve(products, factors)[..., 0]


def _checked(
    references: Tensor, estimates: Tensor, mono: bool, *, of_sources: bool = False
) -> tuple[Tensor, Tensor]:
    """Return both as (..., channels, time), with an axis of sources before if there is one.

    Raises:
        InputError: see `si_sdr`.
    """
    for signals in (references, estimates):
        if not (isinstance(signals, Tensor) and signals.is_floating_point()):
            kind = getattr(signals, "dtype", "no array")
            raise InputError(
                f"Signals are given as {type(signals).__name__} ({kind}); allowed are torch "
                "tensors of floating-point numbers: convert them."
            )
    axes = ["n_src"] * of_sources + ["channels"] * (not mono) + ["time"]
    if not _fit(references.shape, estimates.shape, axes):
        raise InputError(
            f"The references have shape {tuple(references.shape)} and the estimates "
            f"{tuple(estimates.shape)}; allowed is (..., {', '.join(axes)}), with the same "
            f"{'time' if mono else 'channels and time'} and other axes that broadcast: cut or "
            "reshape them."
        )
    if mono:
        return references.unsqueeze(-2), estimates.unsqueeze(-2)
    return references, estimates


def _fit(references: torch.Size, estimates: torch.Size, axes: Sequence[str]) -> bool:
    """Return whether shapes that end with these axes belong together; only `n_src` may differ."""
    signal = len(axes) - ("n_src" in axes)
    if min(len(references), len(estimates)) < len(axes):
        return False
    if references[-signal:] != estimates[-signal:] or 0 in references[-signal:]:
        return False
    try:
        torch.broadcast_shapes(references[: -len(axes)], estimates[: -len(axes)])
    except RuntimeError:
        return False
    return True


def _peak(*signals: Tensor) -> Tensor:
    """Return the largest magnitude in signals, (..., 1, 1), and 1 for silence; a constant."""
    peaks = [samples.detach().abs().amax(_SIGNAL, keepdim=True) for samples in signals]
    peak = peaks[0] if len(peaks) == 1 else torch.maximum(*peaks)
    return torch.where(peak > 0, peak, 1.0)


def _full_scale(references: Tensor, estimates: Tensor) -> tuple[Tensor, Tensor]:
    """Divide both signals of a pair by their largest magnitude: no energy overflows or vanishes."""
    peak = _peak(references, estimates)
    return references / peak, estimates / peak


def _centred(signals: Tensor) -> Tensor:
    """Remove the mean of each channel; what remains of a constant signal becomes exactly zero."""
    centred = signals - signals.mean(-1, keepdim=True)
    rounding = CONSTANT_EPS * torch.finfo(signals.dtype).eps
    constant = _energy(centred) <= rounding**2 * _energy(signals)
    return torch.where(constant[..., None, None], 0.0, centred)


def _energy(signals: Tensor) -> Tensor:
    return signals.square().sum(_SIGNAL)


def _projected(estimates: Tensor, references: Tensor) -> Tensor:
    """Return the multiple of each reference that is nearest to its estimate."""
    energy = _energy(references)
    scale = (estimates * references).sum(_SIGNAL) / torch.where(energy > 0, energy, 1.0)
    return scale[..., None, None] * references


def _ratio_db(
    references: Tensor, *, target: Tensor, residual: Tensor, limit_db: float = LIMIT_DB
) -> Tensor:
    """Return 10 log10(target / residual) within the limit, and NaN for silent references.

    Where there is no ratio the gradient is zero, because no logarithm is taken there.
    """
    if target.dtype != torch.float64:
        limit_db = FLOAT32_LIMIT_DB
    limit = 10.0 ** (limit_db / 10)
    perfect, nothing = target >= residual * limit, residual >= target * limit
    defined = ~(perfect | nothing)
    ratio = torch.where(defined, target, 1.0) / torch.where(defined, residual, 1.0)
    score = torch.where(defined, 10 * torch.log10(ratio), torch.where(nothing, -limit_db, limit_db))
    silent = references.detach().abs().amax(_SIGNAL) == 0
    return torch.where(silent, torch.nan, score)
