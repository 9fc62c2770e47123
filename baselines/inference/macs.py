"""Multiply-accumulates of a forward pass, counted by hooks while it runs.

Convolutions, linear and recurrent layers are counted; norms, activations, biases and Fourier
transforms are not. One MAC is one multiplication with its addition (many papers print it as one
FLOP, some as two).
"""

from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from baselines.separator import Separator


def count_macs(module: nn.Module, *inputs: Tensor) -> int:
    """Multiply-accumulates that `module(*inputs)` makes in evaluation mode."""
    total = 0

    def add(layer: nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += _RULES[type(layer)](layer, given[0], output)

    layers = [layer for layer in module.modules() if type(layer) in _RULES]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    was_training = module.training
    try:
        with torch.no_grad():
            module.eval()(*inputs)
    finally:
        module.train(was_training)
        for hook in hooks:
            hook.remove()
    return total


def macs_per_second(separator: Separator) -> float:
    """Multiply-accumulates per second of audio, measured on one second at the model's rate."""
    parameter = next(separator.parameters(), None)
    if parameter is None:
        return 0.0
    shape = (1, separator.channels, separator.sample_rate)
    return float(count_macs(separator, torch.zeros(shape, device=parameter.device)))


def _convolution(layer: nn.Module, _input: Tensor, output: Tensor) -> int:
    return output.numel() * layer.in_channels // layer.groups * prod(layer.kernel_size)


def _transposed_convolution(layer: nn.Module, given: Tensor, _output: Tensor) -> int:
    return given.numel() * layer.out_channels // layer.groups * prod(layer.kernel_size)


def _linear(layer: nn.Module, _input: Tensor, output: Tensor) -> int:
    return output.numel() * layer.in_features


def _recurrent(layer: nn.RNNBase, given: Tensor, _output: object) -> int:
    """Each time step multiplies every weight matrix once."""
    steps = given.numel() // layer.input_size
    weights = (weight for name, weight in layer.named_parameters() if name.startswith("weight"))
    return steps * sum(weight.numel() for weight in weights)


_RULES: dict[type[nn.Module], Callable[..., int]] = {
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.ConvTranspose1d: _transposed_convolution,
    nn.ConvTranspose2d: _transposed_convolution,
    nn.Linear: _linear,
    nn.LSTM: _recurrent,
    nn.GRU: _recurrent,
}
