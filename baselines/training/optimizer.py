"""The optimizers of a training run, and their state in its checkpoint."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from baselines.separator import Separator
from baselines.training.config import TrainingConfig

# Of the orthogonalisation. With 3 a network learns as much in a step as with torch's 5, and a step
# of complex_mask:small takes an eighth less time.
ITERATIONS = 3


class Muon(torch.optim.Muon):
    """torch's Muon, which takes matrices alone, also for the kernels of convolutions.

    Keller Jordan et al., "Muon: an optimizer for hidden layers in neural networks", 2024: updates
    are orthogonalised, here at the step size that AdamW would take (Liu et al., arXiv 2502.16982).
    A kernel is a matrix of one row per output.
    """

    def __init__(self, weights: Sequence[Tensor], rate: float, weight_decay: float) -> None:
        self.weights = weights
        matrices = [weight.detach().flatten(1) for weight in weights]  # share their memory
        super().__init__(
            matrices,
            rate,
            weight_decay=weight_decay,
            ns_steps=ITERATIONS,
            adjust_lr_fn="match_rms_adamw",
        )

    def step(self, closure: Any = None) -> Any:
        """Update the weights by their gradients."""
        for weight, matrix in zip(self.weights, self.param_groups[0]["params"], strict=True):
            matrix.grad = None if weight.grad is None else weight.grad.flatten(1)
        return super().step(closure)  # type: ignore[no-untyped-call]


def make_optimizers(config: TrainingConfig, separator: Separator) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together update all parameters of a separator.

    With `muon`, AdamW updates what is no matrix: biases, gains, kernels of single channels.
    """
    parameters, rate = list(separator.parameters()), config.learning_rate
    decay = config.weight_decay
    if config.optimizer == "sgd":
        return [torch.optim.SGD(parameters, rate, momentum=config.beta1, weight_decay=decay)]
    if config.optimizer == "rmsprop":
        return [torch.optim.RMSprop(parameters, rate, weight_decay=decay)]
    optimizers: list[torch.optim.Optimizer] = []
    if config.optimizer == "muon":
        matrices = [weight for weight in parameters if weight.ndim > 1 and weight.shape[1] > 1]
        parameters = [weight for weight in parameters if weight.ndim < 2 or weight.shape[1] < 2]
        optimizers.append(Muon(matrices, rate, decay))
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    betas = (config.beta1, config.beta2)
    return [*optimizers, kind(parameters, rate, betas=betas, weight_decay=decay, fused=True)]


def optimizer_tensors(optimizers: Sequence[torch.optim.Optimizer]) -> dict[str, Tensor]:
    """Return the state of optimizers as tensors named `<parameter number>/<quantity>`.

    Numbers count on from one optimizer to the next.
    """
    return {
        f"{numbers[number]}/{name}": torch.as_tensor(value)
        for numbers, optimizer in _numbered(optimizers)
        for number, values in optimizer.state_dict()["state"].items()
        for name, value in values.items()
    }


def restore_optimizers(
    optimizers: Sequence[torch.optim.Optimizer], tensors: Mapping[str, Tensor]
) -> None:
    """Restore the state that `optimizer_tensors` returned for equal optimizers."""
    states: dict[int, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        number, name = key.split("/", 1)
        states.setdefault(int(number), {})[name] = tensor
    for numbers, optimizer in _numbered(optimizers):
        state = {i: states[number] for i, number in enumerate(numbers) if number in states}
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": state, "param_groups": groups})


def _numbered(
    optimizers: Sequence[torch.optim.Optimizer],
) -> Iterator[tuple[range, torch.optim.Optimizer]]:
    """Yield each optimizer with the numbers of its parameters among those of all."""
    first = 0
    for optimizer in optimizers:
        count = sum(len(group["params"]) for group in optimizer.param_groups)
        yield range(first, first + count), optimizer
        first += count
