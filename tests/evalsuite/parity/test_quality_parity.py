"""Metrics of quality beside packages that live in an environment of their own."""

import numpy as np
import pytest

from evalsuite.metrics.log_wmse import impulse_response, log_wmse
from evalsuite.metrics.spectral_distance import (
    DYNAMIC_RANGE_DB,
    N_BANDS,
    N_COEFFICIENTS,
    mfcc_distance,
)
from tests.evalsuite.metrics.test_metric_log_wmse import scene

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

WHY = "the peer lives in an environment of its own: `make parity`"


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
def test_log_wmse_equals_the_package(rate: int, silent: bool) -> None:
    """The package computes in float32."""
    peer = pytest.importorskip("log_wmse_audio_quality", reason=WHY)
    signals = scene(rate, silent=silent)
    names = ("mixture", "estimate", "reference")
    expected = peer.calculate_log_wmse(*(signals[name] for name in names), rate)
    assert log_wmse(**signals, sample_rate=rate) == pytest.approx(expected, abs=1e-4)


def test_the_weighting_equals_that_of_the_package() -> None:
    peer = pytest.importorskip("log_wmse_audio_quality.freq_weighting_filter", reason=WHY)
    stored = peer.HumanHearingSensitivityFilter().impulse_response
    np.testing.assert_allclose(impulse_response(), stored, atol=3e-8)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_mfcc_distance_is_that_of_the_coefficients_of_librosa(rate: int) -> None:
    librosa = pytest.importorskip("librosa", reason=WHY)
    signals = scene(rate, silent=False)
    frame, hop = round(0.032 * rate), round(0.008 * rate)
    cepstra = []
    for samples in (signals["reference"], signals["estimate"]):
        mel = librosa.feature.melspectrogram(
            y=samples,
            sr=rate,
            n_fft=frame,
            hop_length=hop,
            center=False,
            n_mels=N_BANDS,
            htk=True,
            norm=None,
            dtype=np.float64,
        )
        bands_db = librosa.power_to_db(mel, amin=1e-300, top_db=DYNAMIC_RANGE_DB)
        cepstra.append(librosa.feature.mfcc(S=bands_db, n_mfcc=N_COEFFICIENTS + 1)[1:])
    expected = np.sqrt(np.square(cepstra[0] - cepstra[1]).sum(axis=0) / N_BANDS).mean()
    found = mfcc_distance(
        reference=signals["reference"], estimate=signals["estimate"], sample_rate=rate
    )
    assert found == pytest.approx(expected, rel=1e-6)
