"""Weights of other implementations, as weights of the separators here.

Each model's module registers an importer for every peer whose weights it reads
(`ModelSpec.imports`). Importers rename and reshape; none of them holds a peer's code.
"""

import re
from collections.abc import Mapping
from typing import Any

from baselines.model import ModelSpec, Weights
from baselines.separator import Separator
from mixgen.core.errors import InputError
from mixgen.core.registry import choose


def renamed(weights: Weights, patterns: Mapping[str, str]) -> Weights:
    """Return weights under other names.

    Args:
        weights: by the peer's names.
        patterns: regular expressions, applied in order to every name, and what replaces a match.
    """
    result = {}
    for name, tensor in weights.items():
        for pattern, replacement in patterns.items():
            name = re.sub(pattern, replacement, name)
        result[name] = tensor
    return result


def separator_from(
    spec: ModelSpec, peer: str, weights: Weights, arguments: Mapping[str, Any]
) -> Separator:
    """Build the separator that a peer's weights describe, in evaluation mode.

    Args:
        spec: the system.
        peer: name of the implementation that the weights come from.
        weights: state dict of the peer's model.
        arguments: of the peer's constructor, by name; those that are missing have its defaults.

    Raises:
        UsageError: the system reads no weights of this peer, or refuses an argument.
        InputError: the weights are not those of the peer's model.
    """
    importer = choose(spec.importers, peer, f"peer of {spec.name}")
    try:
        hyperparameters, ours = importer(weights, arguments)
        separator = spec.separator(hyperparameters).to(next(iter(ours.values())).dtype)
        separator.load_state_dict(ours)
    except (KeyError, RuntimeError) as error:
        raise InputError(
            f"The weights do not fit {spec.name} as {peer} configures it: "
            f"{' '.join(str(error).split())}"
        ) from None
    return separator.eval()
