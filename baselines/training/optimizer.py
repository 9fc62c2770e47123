"""The optimizer of a training run."""

import torch

from baselines.separator import Separator
from baselines.training.config import TrainingConfig


def make_optimizer(config: TrainingConfig, separator: Separator) -> torch.optim.Optimizer:
    """Return the optimizer that a configuration names, for all parameters of a separator."""
    parameters, rate = separator.parameters(), config.learning_rate
    if config.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, rate, momentum=config.beta1, weight_decay=config.weight_decay
        )
    if config.optimizer == "rmsprop":
        return torch.optim.RMSprop(parameters, rate, weight_decay=config.weight_decay)
    kind = torch.optim.AdamW if config.optimizer == "adamw" else torch.optim.Adam
    betas = (config.beta1, config.beta2)
    return kind(parameters, rate, betas=betas, weight_decay=config.weight_decay, fused=True)
