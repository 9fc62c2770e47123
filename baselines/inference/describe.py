"""Facts about a separator or a checkpoint, as plain data."""

from pathlib import Path
from typing import Any

import baselines
from baselines.checkpoint import checkpoint_sha256, count_parameters, load, read_meta
from baselines.fake_tensors import without_data
from baselines.inference.macs import macs_per_second
from baselines.registry import build, model_spec
from baselines.separator import Separator

ANY_TASK = "any"
SYSTEMS_FILE = Path(baselines.__file__).with_name("systems.json")
"""`describe` of every variant, written by `docs/tables.py`: listing them needs no torch."""


def describe(name: str) -> dict[str, Any]:
    """Return the facts of a registered variant, without memory for its weights.

    Raises:
        UsageError: the name is unknown.
    """
    with without_data():
        return {"name": name, **_facts(name, build(name))}


def describe_checkpoint(folder: Path) -> dict[str, Any]:
    """Return the facts of a checkpoint, after checking its files; raises InputError as `load`."""
    meta = read_meta(folder)
    load(folder)
    # Where the number of sources varies, the score that a run keeps the best of is another one.
    score = "valid_p_si_snr_db" if "fewest" in meta.config else "valid_si_sdr_db"
    with without_data():
        facts = _facts(meta.model, model_spec(meta.model).separator.from_config(meta.config))
    return {
        "name": meta.model,
        "checkpoint_sha256": checkpoint_sha256(folder),
        "manifest_sha256": meta.manifest_sha256,
        "step": meta.step,
        score: meta.progress.get("best_db"),
        **facts,
        "training": meta.training,
        "versions": meta.versions,
    }


def _facts(name: str, separator: Separator) -> dict[str, Any]:
    spec = model_spec(name)
    return {
        "title": spec.title,
        "task": spec.task or ANY_TASK,
        "inputs": list(separator.inputs),
        "parameters": count_parameters(separator),
        "parameters_per_source": separator.parameters_per_source,
        "macs_per_second": macs_per_second(separator),
        "causal": separator.causal,
        "latency_s": separator.latency_s,
        "look_ahead_samples": separator.look_ahead,
        "receptive_field_samples": separator.receptive_field,
        "paper": spec.paper,
        "reference_licence": spec.reference_licence,
        "not_reproduced": spec.not_reproduced,
        "config": separator.config,
    }
