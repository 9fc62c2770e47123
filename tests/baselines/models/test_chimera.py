"""Chimera++: its two heads, the targets of its masks and its options."""

from typing import Any

import pytest
import torch

from baselines.inference.macs import macs_per_second
from baselines.models.chimera import Chimera, ChimeraHyperparameters, truncated_phase_sensitive
from baselines.models.mask_inference import MaskInference, MaskInferenceHyperparameters
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TrainOnTones

SIZES = {"n_fft": 64, "hop_length": 16, "hidden_size": 8, "n_layers": 1}


def tiny(**changes: Any) -> Chimera:
    return Chimera(ChimeraHyperparameters(**{**SIZES, "D": 5, **changes})).eval()


def test_softmax_masks_sum_to_one() -> None:
    masks = tiny(mask="softmax", n_src=3).masks(torch.rand(2, 1, 33, 9))
    torch.testing.assert_close(masks.sum(1), torch.ones(2, 1, 33, 9))


def test_separation_costs_as_much_as_mask_inference() -> None:
    masking = MaskInference(MaskInferenceHyperparameters(**SIZES))
    assert macs_per_second(tiny()) == macs_per_second(masking)


def test_targets_are_the_best_masked_magnitudes() -> None:
    """No magnitude between zero and the mixture's is nearer to the reference."""
    references = torch.randn(1, 2, 1, 33, 9, dtype=torch.complex64)
    mixture = references.sum(1) + torch.randn(1, 1, 33, 9, dtype=torch.complex64)
    phase = mixture / mixture.abs()
    targets = truncated_phase_sensitive(references, mixture)
    distance = (targets * phase[:, None] - references).abs()
    for share in torch.linspace(0, 1, 21):
        other = (share * mixture[:, None] - references).abs()
        assert (distance <= other + 1e-5).all()


def test_targets_of_silence_are_zero() -> None:
    silence = torch.zeros(1, 1, 33, 9, dtype=torch.complex64)
    references = torch.randn(1, 2, 1, 33, 9, dtype=torch.complex64)
    assert (truncated_phase_sensitive(references, silence) == 0).all()


def test_training_separates_two_tones(train_on_tones: TrainOnTones) -> None:
    """Both parts of the loss fall; the least of the embeddings' loss is D - n_src = 3."""
    tones_hz = [torch.tensor([[400, 2400]])] * 60
    losses = train_on_tones(tiny(alpha=0.5).train(), tones_hz, learning_rate=1e-2)
    assert losses[-1] - 1.5 < 0.4 * (losses[0] - 1.5)


@pytest.mark.parametrize(
    "wrong", [{"activation": "relu"}, {"mask": "tanh"}, {"D": 0}, {"alpha": 1.0}]
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)
