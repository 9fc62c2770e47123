"""WaveNet: the mu-law, cached generation, conditions, the parallel form and context stacks."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from baselines.inference.macs import count_macs
from baselines.models.wavenet import (
    AutoregressiveWaveNet,
    WaveNet,
    WaveNetHyperparameters,
    mu_law_levels,
    mu_law_values,
)
from mixgen.core.errors import UsageError

TINY = {"levels": 16, "stacks": 2, "layers": 3, "residual": 6, "gate": 5, "skip": 8}


def sizes(**changes: Any) -> WaveNetHyperparameters:
    return WaveNetHyperparameters(**{**TINY, **changes})


def tiny(**changes: Any) -> WaveNet:
    return WaveNet(sizes(**changes)).eval()


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": 1},
        {"levels": -1},
        {"frame": 0},
        {"frame": 2},
        {"levels": 0, "causal": False},
        {"kernel": 3, "causal": False},
    ],
)
def test_unknown_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=rf"\b({'|'.join(wrong)})\b"):
        tiny(**wrong)


def test_the_generative_model_is_mono_and_has_levels() -> None:
    for wrong in ({"channels": 2}, {"levels": 0}):
        with pytest.raises(UsageError, match="autoregressive model"):
            AutoregressiveWaveNet(sizes(**wrong))


def test_the_generative_model_has_the_published_size_and_receptive_field() -> None:
    h = WaveNetHyperparameters()
    model = AutoregressiveWaveNet(h)
    assert sum(parameter.numel() for parameter in model.parameters()) == 1_515_968
    assert WaveNet(h).receptive_field == 5117


def test_mu_law_is_that_of_the_standard() -> None:
    """Level 128 of 256 is the first at or above zero; every level is that of its value."""
    signal = torch.tensor([-2.0, -1.0, 0.0, 1e-4, 0.01, 1.0, 2.0])
    assert mu_law_levels(signal, 256).tolist() == [0, 0, 128, 128, 157, 255, 255]
    levels = torch.arange(256)
    values = mu_law_values(levels, 256)
    assert torch.equal(mu_law_levels(values, 256), levels)
    torch.testing.assert_close(values, -values.flip(0))
    signal = torch.linspace(-1, 1, 10_001)
    error = (mu_law_values(mu_law_levels(signal, 256), 256) - signal).abs()
    assert (error <= 0.022 * signal.abs() + 1e-4).all()  # half a step


def naive(model: AutoregressiveWaveNet, levels: Tensor) -> Tensor:
    """Return the scores (levels, time) of one signal (time,), sample by sample."""
    stack, h = model.network.stack, model.h
    hot = functional.one_hot(levels, h.levels).double()  # (time, levels)
    table = model.network.levels.table  # (kernel, levels, residual)
    x = [hot[t] @ table[1] + (hot[t - 1] @ table[0] if t else 0) for t in range(len(levels))]
    total = [torch.zeros(h.skip, dtype=torch.float64) for _ in x]
    skips = stack.skip.weight[..., 0].split(h.gate, 1)
    for index, layer in enumerate(stack.layers):
        dilation = 2 ** (index % h.layers)
        after = []
        for t, now in enumerate(x):
            w, before = (
                layer.gates.weight,
                x[t - dilation] if t >= dilation else torch.zeros_like(now),
            )
            y = w[..., 0] @ before + w[..., 1] @ now + layer.gates.bias
            gated = y[: h.gate].tanh() * y[h.gate :].sigmoid()
            after.append(now + layer.residual.weight[..., 0] @ gated + layer.residual.bias)
            total[t] = total[t] + skips[index] @ gated + stack.skip_biases[index]
        x = after
    first, last = model.network.post[1], model.network.post[3]
    hidden = [(first.weight[..., 0] @ t.relu() + first.bias).relu() for t in total]
    return torch.stack([last.weight[..., 0] @ t + last.bias for t in hidden], -1)


def randomised(model: AutoregressiveWaveNet) -> AutoregressiveWaveNet:
    for parameter in model.parameters():
        parameter.data.copy_(0.5 * torch.randn_like(parameter))
    return model.double()


def test_the_scores_are_the_papers_sum() -> None:
    model = randomised(AutoregressiveWaveNet(sizes()))
    levels = torch.randint(16, (20,))
    torch.testing.assert_close(model(levels[None])[0], naive(model, levels), rtol=0, atol=1e-10)


@pytest.mark.parametrize("kernel", [2, 3])
def test_cached_generation_equals_uncached(kernel: int) -> None:
    h = sizes(kernel=kernel)
    model = randomised(AutoregressiveWaveNet(h, local=3, constant=2))
    levels = torch.randint(16, (2, 5))
    conditions = {
        "local": torch.randn(2, 3, 40, dtype=torch.float64),
        "constant": torch.randn(2, 2, dtype=torch.float64),
    }
    drawn = [
        model.generate(
            levels, 30, **conditions, cached=cached, generator=torch.Generator().manual_seed(1)
        )
        for cached in (True, False)
    ]
    assert drawn[0].shape == (2, 35)
    assert torch.equal(drawn[0], drawn[1])
    assert torch.equal(drawn[0][:, :5], levels)


def test_the_published_model_generates_the_same_samples_cached_and_uncached() -> None:
    """After more samples than its widest layer reaches back, so that all layers remember."""
    model = AutoregressiveWaveNet(WaveNetHyperparameters()).double()
    levels = torch.randint(256, (1, 530))
    drawn = [
        model.generate(levels, 4, cached=cached, generator=torch.Generator().manual_seed(1))
        for cached in (True, False)
    ]
    assert drawn[0].shape == (1, 534)
    assert torch.equal(drawn[0], drawn[1])


def test_pieces_of_any_length_equal_the_whole() -> None:
    network = randomised(AutoregressiveWaveNet(sizes())).network
    levels = torch.randint(16, (2, 1, 30))
    whole = network(levels)[0]
    pasts, pieces = None, []
    for piece in levels.split([1, 12, 2, 15], -1):
        scores, pasts = network(piece, pasts=pasts)
        pieces.append(scores)
    torch.testing.assert_close(torch.cat(pieces, -1), whole, rtol=0, atol=1e-10)


def test_conditions_change_what_they_should() -> None:
    """A local condition changes its sample and later ones, a constant one all of them."""
    model = AutoregressiveWaveNet(sizes(), local=3, constant=2)
    levels, local, constant = torch.randint(16, (1, 20)), torch.randn(1, 3, 20), torch.randn(1, 2)
    before = model(levels, local, constant)
    altered = local.clone()
    altered[..., 8] += 1
    changed = (model(levels, altered, constant) != before).any(1)[0]
    assert not changed[:8].any()
    assert changed[8]
    assert (model(levels, local, constant + 1) != before).any(1).all()


def test_the_generative_model_learns_a_period() -> None:
    model = AutoregressiveWaveNet(sizes(levels=32, residual=16, gate=16, skip=16))
    signal = torch.sin(torch.arange(100) * torch.pi / 4)[None]
    optimizer = torch.optim.Adam(model.parameters(), 2e-2)
    for _ in range(30):
        optimizer.zero_grad()
        loss = model.loss(signal)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    levels = mu_law_levels(signal, 32)
    drawn = model.generate(levels[:, :50], 20)
    assert (drawn[:, 50:] == levels[:, 50:70]).float().mean() > 0.9


@pytest.mark.parametrize("options", [{}, {"levels": 0, "frame": 4, "kernel": 3, "causal": False}])
def test_estimates_add_up_to_the_mixture(options: dict[str, Any]) -> None:
    separator = tiny(n_src=3, channels=2, **options)
    mixture = 0.1 * torch.randn(2, 2, 333)
    torch.testing.assert_close(separator(mixture).sum(1), mixture, rtol=0, atol=1e-6)


def test_a_single_source_is_estimated_rather_than_the_rest() -> None:
    separator = tiny(n_src=1)
    mixture = 0.1 * torch.randn(1, 1, 100)
    assert not torch.equal(separator(mixture)[:, 0], mixture)


def test_a_certain_distribution_has_the_mean_of_its_level() -> None:
    separator = tiny(n_src=2)
    scores = 100 * functional.one_hot(torch.arange(16), 16).float().T[None]  # (b, levels, time)
    torch.testing.assert_close(
        separator.means(scores)[0, 0, 0], mu_law_values(torch.arange(16), 16)
    )


@pytest.mark.parametrize(
    "options",
    [
        {"kernel": 3},
        {"levels": 0, "frame": 4},
        {"levels": 0, "frame": 4, "kernel": 3, "causal": False},
        {"context_layers": 2, "context_stride": 8, "context": 4},
        {
            "levels": 0,
            "frame": 4,
            "kernel": 3,
            "causal": False,
            "context_layers": 2,
            "context_stride": 8,
            "context": 4,
        },
    ],
)
def test_the_reach_is_what_is_declared(options: dict[str, Any]) -> None:
    """No sample outside it changes, and at both of its ends some sample does.

    With a context stack, more samples change than without.
    """
    separator = tiny(**options)
    assert separator.look_ahead is not None
    assert separator.receptive_field is not None
    time = 2 * separator.receptive_field + 50
    mixture = 0.1 * torch.randn(1, 1, time)
    before = separator(mixture)
    reached = []
    for t in range(time // 2, time // 2 + 8):
        altered = mixture.clone()
        altered[..., t] += 1
        changed = (separator(altered) != before).any(1).any(1)[0].nonzero()
        reached.append((t - int(changed[0]), int(changed[-1]) - t))
    past = separator.receptive_field - separator.look_ahead - 1
    ahead_reached, past_reached = (max(ends) for ends in zip(*reached, strict=True))
    if separator.h.context_layers:
        without = tiny(**{**options, "context_layers": 0})
        assert without.receptive_field is not None
        assert 1 + ahead_reached + past_reached > without.receptive_field
        assert ahead_reached <= separator.look_ahead
        assert past_reached <= past
    else:
        assert (ahead_reached, past_reached) == (separator.look_ahead, past)


def test_multiplications_are_every_kernel_at_every_step() -> None:
    """The table of levels is looked up; each layer has 2 * 6 * 10 + 5 * 6 + 5 * 8."""
    network = tiny().network
    macs = count_macs(network, torch.randint(16, (1, 1, 100)))
    assert macs == 100 * (6 * (120 + 30 + 40) + 8 * 8 + 8 * 16)
