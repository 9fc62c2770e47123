"""The GAN: its losses, which parameters each of them trains, and exact resumption."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from baselines.models.gan_dereverb import (
    DISCRIMINATOR,
    GanDereverb,
    GanHyperparameters,
    cross_entropy,
    least_squares,
)
from baselines.models.spectral_mapping import SpectralMapping
from baselines.separator import SEPARATOR
from baselines.training.config import training_config
from baselines.training.data import Batch
from baselines.training.train import Trainer, load_feed, train
from mixgen.core.errors import UsageError
from tests.baselines.conftest import TinySet
from tests.baselines.training.test_train import assert_equal_tensors, train_in_parts

TINY = {
    "sample_rate": 8000,
    "context": 0,
    "layers": 1,
    "hidden_size": 8,
    "phase_iterations": 0,
    "discriminator_size": 4,
}


def tiny(**changes: Any) -> GanDereverb:
    return GanDereverb(GanHyperparameters(**{**TINY, **changes})).train()


@pytest.fixture
def batch() -> Batch:
    references = torch.randn(2, 1, 1, 1600)
    return {"mixture": references.sum(1) + torch.randn(2, 1, 1600), "references": references}


def trained_by(separator: GanDereverb, loss: Tensor) -> set[str]:
    """Return the groups of parameters that a loss has gradients for."""
    separator.zero_grad()
    loss.backward()
    return {
        group
        for group, parameters in separator.parameter_groups().items()
        if any(parameter.grad is not None for parameter in parameters)
    }


@pytest.mark.parametrize("conditional", [True, False])
def test_each_loss_trains_its_own_parameters(batch: Batch, conditional: bool) -> None:
    separator = tiny(conditional=conditional)
    groups = []
    for group, loss in separator.training_losses(batch):
        groups.append(group)
        assert trained_by(separator, loss) == {group}
    assert groups == [DISCRIMINATOR, SEPARATOR]
    sizes = {name: len(group) for name, group in separator.parameter_groups().items()}
    assert sizes[DISCRIMINATOR] == len(list(separator.discriminator.parameters()))
    assert sum(sizes.values()) == len(list(separator.parameters()))


def test_losses_of_least_squares_and_cross_entropy() -> None:
    scores = torch.tensor([0.5, -1.0])
    assert float(least_squares(scores=scores, real=True)) == pytest.approx((0.25 + 4) / 4)
    assert float(least_squares(scores=scores, real=False)) == pytest.approx((0.25 + 1) / 4)
    for real in (True, False):
        expected = torch.nn.functional.binary_cross_entropy_with_logits(
            scores, torch.full((2,), float(real))
        )
        torch.testing.assert_close(cross_entropy(scores=scores, real=real), expected)


@pytest.mark.parametrize("loss", ["least_squares", "cross_entropy"])
def test_the_generator_is_judged_by_the_updated_discriminator(batch: Batch, loss: str) -> None:
    """Its loss is computed after the discriminator's update, on the same minibatch."""
    separator = tiny(loss=loss)
    losses = separator.training_losses(batch)
    next(losses)
    with torch.no_grad():
        for weights in separator.discriminator.parameters():
            weights.zero_()
        separator.discriminator.last.bias.fill_(3.0)
    _, found = next(losses)
    error = SpectralMapping.training_loss(separator, batch)
    judged = {"least_squares": 0.5 * (3 - 1) ** 2, "cross_entropy": 0.04858735}[loss]
    torch.testing.assert_close(found, error + 0.01 * judged)


def test_the_gradient_of_the_sum_is_that_of_each_loss(batch: Batch) -> None:
    separator = tiny()
    separator.training_loss(batch).backward()
    summed = [parameter.grad for parameter in separator.parameters()]
    alone: dict[int, Tensor | None] = {}
    for group, loss in separator.training_losses(batch):
        separator.zero_grad()
        loss.backward()
        for parameter in separator.parameter_groups()[group]:
            alone[id(parameter)] = parameter.grad
    for parameter, gradient in zip(separator.parameters(), summed, strict=True):
        torch.testing.assert_close(gradient, alone[id(parameter)])


def test_a_condition_changes_the_scores() -> None:
    clean, mixture, other = torch.rand(3, 2, 1, 81, 40).unbind(0)
    for conditional in (True, False):
        discriminator = tiny(conditional=conditional).discriminator
        scores = [discriminator(clean[:, None], heard) for heard in (mixture, other)]
        assert scores[0].shape == (2, 1, 10)
        assert torch.equal(scores[0], scores[1]) != conditional


def test_estimates_are_those_of_the_generator_alone(batch: Batch) -> None:
    gan = tiny()
    mapping = SpectralMapping(gan.h).train()
    mapping.load_state_dict(
        {name: v for name, v in gan.state_dict().items() if not name.startswith(DISCRIMINATOR)}
    )
    assert torch.equal(gan(batch["mixture"]), mapping(batch["mixture"]))


def test_a_discriminator_learns_to_tell(batch: Batch) -> None:
    separator = tiny()
    optimizer = torch.optim.Adam(separator.discriminator.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        _, loss = next(separator.training_losses(batch))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_both_optimizers_resume_exactly(speech: TinySet, tmp_path: Path) -> None:
    config = training_config(
        "gan_dereverb:tiny",
        rendered=str(speech.rendered),
        steps=4,
        batch_size=2,
        segment_s=0.25,
        device="cpu",
    )
    train(config, tmp_path / "whole")
    train_in_parts(config, tmp_path / "parts", interrupted_step=1)
    assert_equal_tensors(tmp_path / "whole", tmp_path / "parts")


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_a_step_updates_generator_and_discriminator(
    speech: TinySet, tmp_path: Path, optimizer: str
) -> None:
    config = training_config(
        "gan_dereverb:tiny",
        rendered=str(speech.rendered),
        steps=10,
        batch_size=2,
        segment_s=0.25,
        warmup=0.0,
        optimizer=optimizer,
        device="cpu",
    )
    trainer = Trainer(config, load_feed(config), tmp_path)
    before = {name: value.clone() for name, value in trainer.separator.named_parameters()}
    trainer.step(next(trainer._batches()))
    for name, value in trainer.separator.named_parameters():
        assert not torch.equal(value, before[name]), name
    assert len(trainer.updates.all_optimizers) == (4 if optimizer == "muon" else 2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"loss": "wasserstein"}, "it can be least_squares or cross_entropy"),
        ({"adversarial_weight": 0.0}, "use spectral_mapping"),
        ({"discriminator_size": 0}, "must be 1 or more"),
    ],
)
def test_wrong_values_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        tiny(**wrong)
