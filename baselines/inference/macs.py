"""Multiply-accumulates (MACs) of a forward pass, counted by hooks while it runs.

Convolutions, linear and recurrent layers and attention are counted; norms, activations, biases and
Fourier transforms are not. One MAC is one multiplication with its addition (many papers call it one
FLOP, some two).
"""

from collections.abc import Iterator
from functools import singledispatch
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from baselines.inference.device import device_of
from baselines.inputs import silent_inputs
from baselines.separator import Separator


def count_macs(module: nn.Module, *inputs: Tensor, **named: Tensor) -> int:
    """Return the MACs of `module(*inputs, **named)` in evaluation mode."""
    total = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], output: Any) -> None:
        nonlocal total
        total += layer_macs(layer, given[0], output) or 0

    hooks = [layer.register_forward_hook(add) for layer in dict.fromkeys(_layers(module))]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(*inputs, **named)
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return total


def _layers(module: nn.Module) -> Iterator[nn.Module]:
    """Yield a module and its children, but no children of a layer that counts itself."""
    yield module
    if not hasattr(module, "macs"):
        for child in module.children():
            yield from _layers(child)


def macs_per_second(separator: Separator) -> float:
    """Return the MACs per second of audio, measured on one second at the model's rate.

    A separator that finds the number of sources gets the largest.
    """
    shape = (1, separator.channels, separator.sample_rate)
    mixture = torch.zeros(shape, device=device_of(separator))
    count, separator.count = separator.count, separator.n_src
    try:
        return float(count_macs(separator, mixture, **silent_inputs(separator, mixture)))
    finally:
        separator.count = count


@singledispatch
def layer_macs(layer: nn.Module, given: Tensor, output: Any) -> int | None:
    """Return the MACs of one call of a layer; None for a kind of layer that is not counted.

    A layer that a model's module defines can count itself: `macs(given, output) -> int`.
    """
    count = getattr(layer, "macs", None)
    return None if count is None else int(count(given, output))


@layer_macs.register(nn.Conv1d)
@layer_macs.register(nn.Conv2d)
def _(layer: nn.Conv1d | nn.Conv2d, _given: Tensor, output: Tensor) -> int:
    return output.numel() * layer.in_channels // layer.groups * prod(layer.kernel_size)


@layer_macs.register(nn.ConvTranspose1d)
@layer_macs.register(nn.ConvTranspose2d)
def _(layer: nn.ConvTranspose1d | nn.ConvTranspose2d, given: Tensor, _output: Tensor) -> int:
    return given.numel() * layer.out_channels // layer.groups * prod(layer.kernel_size)


@layer_macs.register
def _(layer: nn.Linear, _given: Tensor, output: Tensor) -> int:
    return output.numel() * layer.in_features


@layer_macs.register
def _(layer: nn.MultiheadAttention, given: Tensor, _output: tuple[Tensor, Any]) -> int:
    # Self-attention: four projections, and two products of each position with each.
    positions = given.shape[1 if layer.batch_first else 0]
    return given.numel() * (4 * int(layer.embed_dim) + 2 * positions)


@layer_macs.register(nn.LSTM)
@layer_macs.register(nn.GRU)
def _(layer: nn.RNNBase, given: Tensor, _output: Any) -> int:
    # Each time step multiplies every weight matrix once.
    steps = given.numel() // layer.input_size
    weights = (weight for name, weight in layer.named_parameters() if name.startswith("weight"))
    return steps * sum(weight.numel() for weight in weights)
