"""The optimizers that a configuration names, and their state."""

import torch
from torch import nn

from baselines.registry import build
from baselines.training.config import training_config
from baselines.training.optimizer import (
    ITERATIONS,
    Muon,
    make_optimizers,
    optimizer_tensors,
    restore_optimizers,
)


def test_muon_updates_a_kernel_as_the_matrix_of_its_outputs() -> None:
    torch.manual_seed(0)
    kernel = nn.Parameter(torch.randn(6, 4, 3))
    matrix = nn.Parameter(kernel.detach().flatten(1).clone())
    ours = Muon([kernel], 0.1, 0.01)
    theirs = torch.optim.Muon(
        [matrix], 0.1, 0.01, ns_steps=ITERATIONS, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(3):
        gradient = torch.randn(6, 4, 3)
        kernel.grad, matrix.grad = gradient, gradient.flatten(1)
        ours.step()
        theirs.step()
    assert torch.equal(kernel.flatten(1), matrix)


def test_muon_takes_what_mixes_features_and_adamw_the_rest() -> None:
    config = training_config("conv_tasnet:tiny", rendered="set", steps=1, optimizer="muon")
    separator = build("conv_tasnet:tiny")
    before = {name: value.clone() for name, value in separator.named_parameters()}
    muon, adamw = make_optimizers(config, separator.parameters())
    assert isinstance(muon, Muon)
    assert isinstance(adamw, torch.optim.AdamW)
    for value in separator.parameters():
        value.grad = torch.ones_like(value)
    muon.step()
    names = {n for n, value in separator.named_parameters() if not torch.equal(value, before[n])}
    assert "separation.bottleneck.weight" in names
    assert "separation.blocks.0.depthwise.weight" not in names
    assert not any(name.endswith("bias") for name in names)
    adamw.step()
    changed = {n for n, value in separator.named_parameters() if not torch.equal(value, before[n])}
    assert changed == before.keys()


def test_restored_optimizers_continue_as_if_never_stopped() -> None:
    def optimizers(layer: nn.Linear) -> list[torch.optim.Optimizer]:
        return [torch.optim.SGD([layer.weight], 0.1, 0.9), torch.optim.AdamW([layer.bias], 0.1)]

    def steps(layer: nn.Linear, optimizers: list[torch.optim.Optimizer], count: int) -> None:
        for _ in range(count):
            layer.zero_grad()
            layer(torch.ones(1, 3)).square().sum().backward()
            for optimizer in optimizers:
                optimizer.step()

    torch.manual_seed(0)
    layer, twin = nn.Linear(3, 2), nn.Linear(3, 2)
    first, restored = optimizers(layer), optimizers(twin)
    steps(layer, first, 3)
    twin.load_state_dict(layer.state_dict())
    state = {name: tensor.clone() for name, tensor in optimizer_tensors(first).items()}
    restore_optimizers(restored, state)
    steps(layer, first, 3)
    steps(twin, restored, 3)
    assert torch.equal(layer.bias, twin.bias)
    assert torch.equal(layer.weight, twin.weight)
