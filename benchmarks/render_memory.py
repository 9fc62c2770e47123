"""How much memory sets take to draw, render and verify: a small one, and one ten times as big.

    OMP_NUM_THREADS=1 python benchmarks/render_memory.py [--sources STARTER/sources.csv]

Two talkers of 0.25 s at 8 kHz, so that records weigh more than sound; without --sources they are
cut from a few seconds of noise made here. Every command is a process of its own with one worker,
and its peak is the resident memory that the system counted when it ended. `kb_per_mixture` is what
one more mixture adds to the peak. Writes benchmarks/results/render_memory.csv.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

MIXTURES = (5_000, 50_000)
SAMPLE_RATE = 8000
REPOSITORY = Path(__file__).resolve().parents[1]
RESULT = REPOSITORY / "benchmarks" / "results" / "render_memory.csv"
RECIPE = {
    "name": "benchmark",
    "task": "speech_separation",
    "sample_rate": SAMPLE_RATE,
    "format": "wav16",
    "duration": {"mode": "fixed", "seconds": 0.25},
    "sources": [{"name": "s", "kind": "speech", "count": 2, "snr": ["uniform", 0, 5]}],
}


def peak_bytes(*words: Any) -> int:
    """Run a command of mixgen in a process of its own and return its peak resident memory."""
    command = [sys.executable, "-m", "mixgen.cli", *map(str, words)]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"mixgen {words[0]} ended with {process.returncode}.")
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def make_corpus(folder: Path) -> Path:
    """Write a second of noise for each of four talkers, and return its sources.csv."""
    rng = np.random.default_rng(0)
    for talker in range(4):
        path = folder / "talkers" / str(talker) / "noise.wav"
        path.parent.mkdir(parents=True)
        soundfile.write(path, rng.uniform(-0.3, 0.3, SAMPLE_RATE), SAMPLE_RATE)
    sources = folder / "sources.csv"
    peak_bytes("index", "folder", folder / "talkers", "--out", sources, "--workers", 1)
    return sources


def peaks(sources: Path, mixtures: int, work: Path) -> Iterator[tuple[str, int]]:
    """Make a set of so many mixtures; yield each step and the memory it took."""
    recipe, manifest, folder = work / "recipe.yaml", work / "manifest.jsonl", work / "set"
    splits = {"any": {"mixtures": mixtures, "sources": {}}}
    recipe.write_text(json.dumps(RECIPE | {"splits": splits}))
    yield "draw", peak_bytes("draw", recipe, "--sources", sources, "--out", manifest)
    rendering = ("render", manifest, "--out", folder, "--workers", 1)
    yield "render", peak_bytes(*rendering)
    yield "render again", peak_bytes(*rendering)
    yield "verify", peak_bytes("verify", folder, "--workers", 1, "--tolerance", "level_db=100")


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    parser.add_argument("--mixtures", type=int, nargs=2, default=MIXTURES, help="of the two sets")
    arguments = parser.parse_args()
    few, many = arguments.mixtures
    with tempfile.TemporaryDirectory() as name:
        sources = arguments.sources or make_corpus(Path(name))
        taken = []
        for mixtures in (few, many):
            work = Path(name) / str(mixtures)
            work.mkdir()
            taken.append(dict(peaks(sources, mixtures, work)))
    rows = [
        {
            "command": step,
            f"peak_mb_of_{few}": round(small / 1e6, 1),
            f"peak_mb_of_{many}": round(taken[1][step] / 1e6, 1),
            "kb_per_mixture": round((taken[1][step] - small) / (many - few) / 1e3, 3),
        }
        for step, small in taken[0].items()
    ]
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, rows[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
