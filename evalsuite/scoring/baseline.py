"""Scores of the unprocessed mixtures, computed once per set and cached in its folder.

They depend on the set and the metrics alone, so all systems share them.
"""

import contextlib
from dataclasses import asdict
from pathlib import Path
from typing import Any

from evalsuite.metrics import ReferenceScores
from evalsuite.scoring.mixture import Baseline
from mixgen.core.errors import SuiteError
from mixgen.core.files import canonical_json, read_jsonl, sha256_bytes, write_jsonl
from mixgen.sets.rendered import RenderedSet, set_sha256

FOLDER = ".baseline"


def cache_path(rendered: RenderedSet, *, spec_sha256: str) -> Path:
    """Return the cache file for the baseline of a set under these metric definitions.

    Its name depends on the record of rendered files: a set that is rendered again from another
    manifest or with other samples gets another file.

    Raises:
        InputError: the set is not fully rendered.
    """
    key = canonical_json([set_sha256(rendered), spec_sha256])
    return rendered.folder / FOLDER / f"{sha256_bytes(key.encode())[:16]}.jsonl"


def read_cache(path: Path) -> dict[str, Baseline]:
    """Return the baselines by mixture id; an empty mapping without a readable file."""
    try:
        return {line["id"]: from_plain(line["references"]) for line in read_jsonl(path)}
    except (SuiteError, KeyError, TypeError):
        return {}


def write_cache(path: Path, baselines: dict[str, Baseline]) -> None:
    """Write the baselines; a set folder without write permission stays without a cache."""
    lines = [{"id": i, "references": to_plain(base)} for i, base in sorted(baselines.items())]
    with contextlib.suppress(SuiteError):
        write_jsonl(path, lines)


def to_plain(baseline: Baseline) -> list[dict[str, Any]]:
    """Return a baseline as JSON-able data."""
    return [asdict(scores) for scores in baseline]


def from_plain(data: list[dict[str, Any]]) -> Baseline:
    """Return the baseline that `to_plain` wrote."""
    return tuple(ReferenceScores(**scores) for scores in data)
