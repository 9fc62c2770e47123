"""Stock Scaper as a server: renders JAMS files to audio files and tells how long it took.

    python scaper_render.py sox|soxbindings

Every line of standard input is a JSON object {"scenes": [JAMS files], "folder": where to go}; the
answer is one JSON object with the wall and CPU seconds of that round, child processes included.
"""

import json
import logging
import os
import sys
import time
import warnings
from pathlib import Path

import numpy as np

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
np.Inf = np.inf  # Scaper 1.6.5 is older than numpy 2
if sys.argv[1] == "sox":
    sys.modules["soxbindings"] = None

import scaper  # noqa: E402 - after the choice of its back-end
import scaper.core  # noqa: E402


def render(scenes: list[str], folder: Path) -> None:
    """Render every scene to its mixture and one file per event."""
    for jams in scenes:
        mixture = folder / f"{Path(jams).stem}.wav"
        scaper.generate_from_jams(jams, audio_outfile=str(mixture), save_isolated_events=True)


def main() -> None:
    """Answer rounds until standard input ends."""
    if scaper.core.sox.__name__ != {"sox": "sox"}.get(sys.argv[1], "soxbindings"):
        raise SystemExit(f"Scaper did not load the back-end {sys.argv[1]}.")
    for line in sys.stdin:
        job = json.loads(line)
        folder = Path(job["folder"])
        folder.mkdir(parents=True)
        cpu, wall = sum(os.times()[:4]), time.perf_counter()
        render(job["scenes"], folder)
        seconds = {"wall": time.perf_counter() - wall, "cpu": sum(os.times()[:4]) - cpu}
        print(json.dumps(seconds), flush=True)


if __name__ == "__main__":
    main()
