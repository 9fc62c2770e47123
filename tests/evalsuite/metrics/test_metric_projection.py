"""Projections on delayed references: energies against explicit ones."""

from dataclasses import astuple

import numpy as np
import pytest
from scipy import signal

from evalsuite.metrics.projection import (
    GROUP,
    HOP,
    TAPS,
    DelaySpans,
    correlations,
    filtered_blocks,
    spectra,
)
from tests.evalsuite.metrics.conftest import Array

LONG = GROUP * HOP + 777  # more than one group of blocks


def basis(channels: Array) -> Array:
    """Return an orthonormal basis of channels (n, time) at every delay, (time + TAPS - 1, rank)."""
    rows = [np.pad(x, (d, TAPS - 1 - d)) for x in channels for d in range(TAPS)]
    return np.linalg.qr(np.array(rows).T)[0]


def explicit(reference: Array, estimate: Array, own: Array, every: Array) -> Array:
    """Return the energies in the order of `Energies`, from bases of both spans."""
    tail = ((0, 0), (0, TAPS - 1))
    s, e = np.pad(reference, tail), np.pad(estimate, tail)
    p, a = e @ own @ own.T, e @ every @ every.T
    return np.array([np.sum(part**2) for part in (s, p, a, e - s, e - p, e - a, a - p, p - s)])


@pytest.fixture
def stereo() -> Array:
    """Two stereo references (2, 2, time) of coloured noise."""
    noise = np.random.default_rng(5).standard_normal((2, 2, 3000))
    return np.asarray(signal.lfilter([1.0], [1.0, -0.7], noise))


def test_energies_equal_those_of_orthogonal_projections(stereo: Array) -> None:
    """Near-perfect estimates need the signals themselves: inner products lose their residuals."""
    noise = np.random.default_rng(6).standard_normal(stereo.shape)
    every, owns = basis(stereo.reshape(4, -1)), [basis(reference) for reference in stereo]
    for error in (1.0, 1e-3, 1e-6):
        estimates = stereo + error * (stereo[::-1] + noise)
        found = DelaySpans(stereo).energies(dict(enumerate(estimates)))
        for index, estimate in enumerate(estimates):
            expected = explicit(stereo[index], estimate, owns[index], every)
            np.testing.assert_allclose(astuple(found[index]), expected, rtol=1e-7)


def test_levels_do_not_matter(stereo: Array) -> None:
    """References and estimates at the ends of the range of numbers give the same ratios."""
    estimates = stereo + 0.3 * stereo[::-1]
    plain = DelaySpans(stereo).energies(dict(enumerate(estimates)))
    scaled = DelaySpans(stereo * 1e-150).energies({i: e * 1e150 for i, e in enumerate(estimates)})
    for own in (0, 1):
        for name in ("own", "every", "estimate_minus_own", "estimate_minus_every"):
            ratios = [getattr(e[own], name) / e[own].every for e in (plain, scaled)]
            assert ratios[0] == pytest.approx(ratios[1], rel=1e-9)


def test_silent_and_repeated_channels_add_nothing_to_a_span(stereo: Array) -> None:
    mono, estimate = stereo[:, :1], stereo[0, :1] + 0.3 * stereo[1, 1:]
    alone = DelaySpans(mono).energies({0: estimate})[0]
    gains = np.array([[1.0], [-0.5], [0.0]])
    spans = DelaySpans(gains * mono)
    more = spans.energies({0: gains * estimate})
    assert spans.routes == {"recursion"}
    np.testing.assert_allclose(astuple(more[0]), 1.25 * np.array(astuple(alone)), rtol=1e-9)


def test_nearly_singular_equations_leave_what_orthogonal_projections_leave(stereo: Array) -> None:
    """Low-pass noise, equal on both channels of a reference but for a hundred thousandth."""
    mono = signal.fftconvolve(stereo[:, :1], signal.firwin(301, 0.25)[None, None], "same", axes=-1)
    references = mono + 1e-5 * stereo
    estimates = references + 0.3 * references[::-1] + 0.1 * stereo
    spans = DelaySpans(references)
    found = spans.energies(dict(enumerate(estimates)))
    assert spans.routes - {"recursion"}
    every = basis(references.reshape(4, -1))
    for index, estimate in enumerate(estimates):
        padded = np.pad(estimate, ((0, 0), (0, TAPS - 1)))
        left = np.sum((padded - padded @ every @ every.T) ** 2)
        assert found[index].estimate_minus_every == pytest.approx(left, rel=1e-7)


def test_frames_of_a_projection_are_projected_alone(stereo: Array) -> None:
    """The filters are those of all samples, the signals those of the frame, with silence around."""
    estimates = stereo + 0.3 * stereo[::-1]
    projection = DelaySpans(stereo).project(dict(enumerate(estimates)))
    start, stop = 700, 1900
    found = projection.energies_of_frame(start, stop)
    frame = projection.signals[:, start:stop]
    for number in (0, 1):
        own = np.zeros(())
        for filters in projection.own[number]:
            parts = [np.convolve(h, x) for h, x in zip(filters, frame, strict=True)]
            own = own + np.sum(np.sum(parts, axis=0) ** 2)
        assert found.own[number] == pytest.approx(own, rel=1e-10)


def test_blocks_join_to_correlations_and_filtered_signals() -> None:
    rng = np.random.default_rng(7)
    x, y = rng.standard_normal((2, 2, LONG))
    lags = [0, 1, 17, TAPS - 1]
    expected = [[[a[: LONG - lag] @ b[lag:] for lag in lags] for b in y] for a in x]
    np.testing.assert_allclose(correlations(x, y)[..., lags], expected, atol=1e-8)
    filters = rng.standard_normal((1, 2, TAPS))
    blocks = list(filtered_blocks(x, spectra(filters)))
    assert [first for first, _ in blocks] == [0, GROUP * HOP]
    joined = np.concatenate([block for _, block in blocks], axis=-1)
    whole = signal.fftconvolve(x, filters[0], axes=-1).sum(axis=0)
    np.testing.assert_allclose(joined[0], whole, atol=1e-9)
