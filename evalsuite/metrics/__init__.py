"""Metrics of source separation in float64; `docs/metrics.md` defines every column."""

from evalsuite.metrics.evaluation import ItemScores, ReferenceScores, evaluate, evaluate_mixture
from evalsuite.metrics.metric import Metric, MixtureMetric, ReferenceMetric, SetMetric
from evalsuite.metrics.outcome import Reason, reason_of
from evalsuite.metrics.table import select, spec, spec_sha256, table

__all__ = [
    "ItemScores",
    "Metric",
    "MixtureMetric",
    "Reason",
    "ReferenceMetric",
    "ReferenceScores",
    "SetMetric",
    "evaluate",
    "evaluate_mixture",
    "reason_of",
    "select",
    "spec",
    "spec_sha256",
    "table",
]
