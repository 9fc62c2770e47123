"""The optimizers of a training run, and their state in its checkpoint."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

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


def make_optimizers(
    config: TrainingConfig, weights: Iterable[nn.Parameter]
) -> list[torch.optim.Optimizer]:
    """Return the optimizers that together update parameters by the gradient of one loss.

    With `muon`, AdamW updates what is no matrix: biases, gains, kernels of single channels.
    """
    parameters, rate = list(weights), config.learning_rate
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


class Updates:
    """The updates of a separator: each of its losses has its own parameters and optimizers."""

    def __init__(self, config: TrainingConfig, separator: Separator) -> None:
        self.separator = separator
        self.clip_norm = config.clip_norm
        self.parameters = separator.parameter_groups()
        self.optimizers = {
            group: make_optimizers(config, parameters)
            for group, parameters in self.parameters.items()
        }

    @property
    def all_optimizers(self) -> list[torch.optim.Optimizer]:
        """Those of all groups, the separator's own first."""
        return [optimizer for group in self.optimizers.values() for optimizer in group]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next updates."""
        for optimizer in self.all_optimizers:
            for parameters in optimizer.param_groups:
                parameters["lr"] = rate

    def apply(self, group: str, loss: Tensor) -> bool:
        """Update the parameters of a group by the clipped gradient of a loss.

        Returns:
            Whether the gradient was finite; the parameters stay as they are if it was not.
        """
        self.separator.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.parameters[group], self.clip_norm)
        finite = bool(torch.isfinite(norm))
        if finite:
            for optimizer in self.optimizers[group]:
                optimizer.step()
        return finite


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
