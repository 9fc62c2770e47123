"""The spectrogram U-Net: its sizes, Spleeter's layout, the second task, patches and rates."""

from typing import Any

import pytest
import torch

from baselines.fake_tensors import without_data
from baselines.models.unet import JanssonUNet, UNetHyperparameters, from_spleeter
from baselines.registry import build
from mixgen.core.errors import UsageError

TINY = {
    "n_fft": 128,
    "hop_length": 64,
    "bins": 64,
    "frames": 16,
    "widths": (4, 8),
    "dropout": 0.0,
}


def tiny(**changes: Any) -> JanssonUNet:
    torch.manual_seed(1)
    return JanssonUNet(UNetHyperparameters(**{**TINY, **changes})).eval()


@pytest.mark.parametrize(
    ("name", "size"),
    [("unet", 9_823_313), ("unet:spleeter", 9_823_749), ("unet:spleeter_2stems", 9_823_749)],
)
def test_each_stem_has_the_published_size(name: str, size: int) -> None:
    with without_data():
        assert build(name).parameters_per_source == size


@pytest.mark.parametrize(
    "wrong",
    [
        {"source_names": None},
        {"layout": "waves"},
        {"joint": "lyrics"},
        {"joint": "pitch", "loss": "si_sdr"},
        {"features": "cepstrum"},
        {"mask": "tanh"},
        {"bins": 62},
        {"frames": 6},
        {"hop_length": 127},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_spleeter_skips_what_precedes_norm_and_activation() -> None:
    """The deepest norm changes nothing; one above changes what follows it, but not its skip."""
    separator = tiny(layout="spleeter")
    mixture = torch.randn(1, 1, 3000)
    before = separator(mixture)
    network = separator.networks[0]
    network.down[1].norm.weight.data += 1
    assert torch.equal(separator(mixture), before)
    x = torch.rand(1, 1, 64, 16)
    skip, deepest = network.encode(x)
    network.down[0].norm.weight.data += 1
    assert torch.equal(network.encode(x)[0], skip)
    assert not torch.equal(network.encode(x)[1], deepest)


def test_spleeter_trains_all_but_its_idle_parameters() -> None:
    separator = tiny(layout="spleeter").train()
    references = torch.randn(2, 2, 1, 3000)
    separator.training_loss({"mixture": references.sum(1), "references": references}).backward()
    untouched = {name for name, value in separator.named_parameters() if value.grad is None}
    assert untouched == set(separator.idle_parameters)


@pytest.mark.parametrize("options", [{"ratio_exponent": 2.0}, {"mask": "softmax"}])
def test_estimates_add_up_to_the_mixture(options: dict[str, Any]) -> None:
    mixture = torch.randn(1, 1, 3000)
    torch.testing.assert_close(tiny(**options)(mixture).sum(1), mixture, rtol=0, atol=1e-3)


@pytest.mark.parametrize("joint", ["activity", "instruments", "pitch"])
def test_the_second_task_trains_detectors_and_networks(joint: str) -> None:
    separator = tiny(joint=joint).train()
    references = torch.randn(2, 2, 1, 3000)
    references[:, 1, :, 1500:] = 0
    batch = {"mixture": references.sum(1), "references": references}
    optimizer = torch.optim.Adam(separator.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = separator.training_loss(batch)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert all(value.grad is not None for value in separator.parameters())


def test_labels_follow_the_references() -> None:
    """A tone of 220 Hz, 21 semitones above C2, in the first half of its stem alone."""
    separator = tiny(joint="pitch", n_fft=1024, hop_length=256, bins=512, frames=16)
    time_s = torch.arange(8192) / 8192
    harmonics = range(1, 6)
    tone = sum(torch.sin(2 * torch.pi * 220 * n * time_s) / n for n in harmonics)
    references = torch.stack([tone * (time_s < 0.5), torch.zeros(8192)])[None, :, None]
    batch = {"mixture": references.sum(1), "references": references}
    patches, parts = separator.training_patches(batch)
    sounding = separator.sounding(patches, parts)
    assert sounding[0, 0, 1:15].all()
    assert not sounding[1, 0, 4:].any()
    assert not sounding[:, 1].any()
    assert (separator.pitch(parts)[0, 0, 1:15] == 21).all()


def test_patches_are_separated_one_by_one() -> None:
    """A click changes nothing in the next patch but one."""
    separator = tiny()
    mixture = torch.randn(1, 1, 64 * 16 * 4)
    altered = mixture.clone()
    altered[..., 200] += 1
    changed = (separator(altered) != separator(mixture)).any(1)[0, 0].nonzero()
    assert changed.max() <= 64 * 16 + 64


def test_at_another_rate_the_network_reads_the_same_band() -> None:
    """The estimate of a slow signal does not depend on the rate that it is sampled at."""
    separator = tiny(n_fft=256, hop_length=128, bins=64)
    faster = tiny(n_fft=256, hop_length=128, bins=64, sample_rate=16384)
    faster.load_state_dict(separator.state_dict())
    assert faster.stft.n_fft == 512
    slow, fast = (
        torch.sin(2 * torch.pi * 440 * torch.arange(2 * rate) / rate)[None, None]
        for rate in (8192, 16384)
    )
    estimate, expected = faster(fast)[..., ::2], separator(slow)
    middle = slice(2000, -2000)
    torch.testing.assert_close(estimate[..., middle], expected[..., middle], rtol=0, atol=0.02)


def test_short_spectra_are_completed_with_zeros() -> None:
    """At 4 kHz the spectrogram has fewer bins than the network."""
    separator = build("unet:tiny", sample_rate=4096).eval()
    assert separator.stft.bins < separator.hyperparameters.bins
    assert separator(torch.randn(1, 1, 1000)).shape == (1, 2, 1, 1000)


def test_patches_that_lead_the_signal_see_zeros_first() -> None:
    """What two more frames of zeros in front of a mixture do to the estimates behind them."""
    plain, leading = tiny(), tiny(lead=2)
    leading.load_state_dict(plain.state_dict())
    mixture = torch.randn(1, 1, 3000)
    shifted = torch.nn.functional.pad(mixture, (2 * 64, 0))
    torch.testing.assert_close(leading(mixture), plain(shifted)[..., 2 * 64 :])
    assert (leading(mixture) - plain(mixture)).abs().max() > 1e-4


def test_layers_of_spleeter_are_numbered_through_all_networks() -> None:
    """Each weight holds where it is from: kind of layer and number, as Keras numbers them."""
    weights = {}
    shapes = {
        "conv2d": (14, ("kernel", "bias")),
        "conv2d_transpose": (12, ("kernel", "bias")),
        "batch_normalization": (24, ("gamma", "beta", "moving_mean", "moving_variance")),
    }
    for kind, (count, parts) in shapes.items():
        for number in range(count):
            name = f"{kind}_{number}" if number else kind
            for part in parts:
                value = torch.full((1,) * 4 if part == "kernel" else (1,), float(number))
                weights[f"{name}/{part}"] = value
    hyperparameters, ours = from_spleeter(weights, {})
    assert hyperparameters.source_names == ("vocals", "accompaniment")
    numbers = {
        "networks.0.down.0.conv.weight": 0,
        "networks.0.down.5.norm.running_mean": 5,
        "networks.0.up.0.2.weight": 6,
        "networks.0.up.5.0.bias": 5,
        "networks.0.mask.weight": 6,
        "networks.1.down.0.conv.weight": 7,
        "networks.1.down.0.norm.bias": 12,
        "networks.1.up.5.2.running_var": 23,
        "networks.1.up.0.0.weight": 6,
        "networks.1.mask.bias": 13,
    }
    assert {name: int(ours[name].item()) for name in numbers} == numbers
    with pytest.raises(UsageError, match="3 stems"):
        from_spleeter(weights, {"instrument_list": ["vocals", "drums", "other"]})
