"""Log-spectral features: their definitions, and the way back to powers."""

import math
from typing import Any

import pytest
import torch
from scipy.fft import dct
from torch import Tensor

from baselines.layers.log_spectra import TARGETS, LogSpectra, cosine_transform, mel_triangles
from mixgen.core.errors import UsageError

BINS, BANDS, RATE = 257, 20, 16000


def spectra(target: str, **changes: Any) -> LogSpectra:
    sizes = {"bins": BINS, "bands": BANDS, "coefficients": 8, "range_db": 60.0}
    return LogSpectra(target, sample_rate=RATE, **{**sizes, **changes}).double()


def powers() -> Tensor:
    """Powers over 60 dB, (BINS, 5), of which the largest is 1."""
    power = 10 ** (-6 * torch.rand(BINS, 5, dtype=torch.float64))
    return power / power.max()


def test_the_scale_has_its_ends_and_its_middle() -> None:
    features = spectra("log_spectrum")
    power = torch.tensor([0, 1e-6, 1e-3, 1.0], dtype=torch.float64)
    expected = [0, math.log(2) / math.log(1e6), 0.5, 1]
    assert features.scaled(power).tolist() == pytest.approx(expected, abs=1e-4)
    torch.testing.assert_close(features.power(features.scaled(power)), power)


def test_bands_are_weighted_means_of_bins() -> None:
    triangles = mel_triangles(BANDS, BINS, RATE)
    torch.testing.assert_close(triangles.sum(1), torch.ones(BANDS, dtype=torch.float64))
    centre_mel = 2595 * math.log10(1 + RATE / 1400) * 10 / (BANDS + 1)
    centre_hz = 700 * (10 ** (centre_mel / 2595) - 1)
    assert int(triangles[9].argmax()) * RATE / 512 == pytest.approx(centre_hz, abs=RATE / 1024)


def test_no_band_is_empty_where_bins_are_wide() -> None:
    assert (mel_triangles(40, 41, 8000).amax(1) > 0).all()


def test_the_cosine_transform_is_orthonormal_dct_2() -> None:
    matrix = cosine_transform(12)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(12, dtype=torch.float64))
    x = torch.randn(12, dtype=torch.float64)
    expected = torch.from_numpy(dct(x.numpy(), type=2, norm="ortho"))
    torch.testing.assert_close(matrix @ x, expected)


def test_mfcc_are_the_cosine_transform_of_the_filterbank() -> None:
    power = powers()
    bands = spectra("log_filterbank")(power)
    expected = torch.from_numpy(dct(bands.numpy(), type=2, norm="ortho", axis=0)[:8])
    torch.testing.assert_close(spectra("mfcc")(power), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("target", TARGETS)
def test_the_mixtures_own_features_give_the_mixture(target: str) -> None:
    features, power = spectra(target), powers()
    torch.testing.assert_close(features.estimated_power(features(power), power), power)


def test_log_spectra_give_their_own_powers_whatever_the_mixture() -> None:
    features, power = spectra("log_spectrum"), powers()
    torch.testing.assert_close(features.estimated_power(features(power), powers()), power)


@pytest.mark.parametrize("target", ["log_filterbank", "mfcc"])
def test_the_change_of_the_log_spectrum_has_the_wanted_features(target: str) -> None:
    """Mean changes under the triangles are those of the bands, and the change is smooth."""
    features = spectra(target)
    middle = torch.full((BINS, 3), 1e-3, dtype=torch.float64)
    wanted = 0.05 * torch.randn(features.size, 3, dtype=torch.float64)
    estimated = features.estimated_power(features(middle) + wanted, middle)
    change = features.scaled(estimated) - features.scaled(middle)  # (BINS, 3)
    bands = features.bands @ change
    found = bands if target == "log_filterbank" else cosine_transform(BANDS)[:8] @ bands
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("target", "tolerance"), [("log_filterbank", 0.01), ("mfcc", 0.1)])
def test_a_louder_spectrum_is_louder_everywhere(target: str, tolerance: float) -> None:
    """One change of all bands is the same change of the bins, away from both ends."""
    features = spectra(target)
    middle = torch.full((BINS, 1), 1e-3, dtype=torch.float64)
    louder = features.estimated_power(features(2 * middle), middle)[20:140]
    torch.testing.assert_close(louder, 2 * middle[20:140], rtol=tolerance, atol=0)


@pytest.mark.parametrize(
    ("target", "changes", "words"),
    [
        ("cepstrum", {}, "it can be log_spectrum or log_filterbank or mfcc"),
        ("mfcc", {"coefficients": 21}, "of 20 bands it can be 1 to 20"),
        ("log_filterbank", {"bands": 300}, "with 257 bins it can be 1 to 257"),
    ],
)
def test_wrong_features_are_refused(target: str, changes: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        spectra(target, **changes)
