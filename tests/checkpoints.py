"""Checkpoints of separators that no training made, for tests of what reads them."""

from pathlib import Path

from baselines.checkpoint import Meta, count_parameters, save_checkpoint
from baselines.separator import Separator


def save(folder: Path, separator: Separator, model: str) -> Path:
    """Write the weights of a separator of the variant `model` as a checkpoint; return `folder`."""
    meta = Meta(
        model=model,
        config=separator.config,
        parameters=count_parameters(separator),
        manifest_sha256=None,
        step=0,
        training={},
        progress={},
        versions={},
    )
    save_checkpoint(folder, meta, separator.state_dict())
    return folder
