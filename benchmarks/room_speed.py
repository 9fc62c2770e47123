"""What rooms cost: the same noisy scenes rendered dry and reverberant, from a bank of responses.

    OMP_NUM_THREADS=1 python benchmarks/room_speed.py [--sources STARTER/sources.csv]

Two talkers over a noise at 16 kHz; in the reverberant set each talker has its own response of a
room with a reverberation time of 0.2 to 0.5 s, without and with early references. Both are all of
`mixgen render`, in one process, taking turns; wall times per mixture, medians over the rounds. A
speed of 1 is that of the dry set. Writes benchmarks/results/room_speed.csv.
"""

import argparse
import csv
import statistics
import tempfile
import time
from pathlib import Path

from speech_scenes import REPOSITORY, corpus, two_talkers_and_noise

from mixgen.acoustics.room import RoomRecipe
from mixgen.corpora.rir_bank import make_bank
from mixgen.corpora.roots import Roots
from mixgen.corpora.sources import SourceRow, read_sources
from mixgen.draw.manifest import draw_manifest
from mixgen.recipe.schema import Rooms
from mixgen.render.set import render_set

ROUNDS = 7
SCENES = 24
DURATIONS_S = (4.0, 10.0)
SAMPLE_RATE = 16000
REFERENCES = {"dry": None, "rooms": ["image"], "rooms, early references": ["early", "image"]}
BANK = RoomRecipe.model_validate(
    {
        "name": "bank",
        "rooms": 12,
        "responses": 2,
        "sample_rate": SAMPLE_RATE,
        "size_m": [["uniform", 3, 8], ["uniform", 3, 6], ["const", 3]],
        "t60_s": ["uniform", 0.2, 0.5],
        "splits": {"train": 1},
    }
)


def median_seconds(
    duration_s: float, rows: list[SourceRow], roots: Roots, work: Path
) -> dict[str, float]:
    """Return the median time per mixture of every kind of set."""
    dry = two_talkers_and_noise(duration_s, SAMPLE_RATE, SCENES)
    paths = {name: work / f"{number}.jsonl" for number, name in enumerate(REFERENCES)}
    for name, references in REFERENCES.items():
        rooms = None if references is None else Rooms.model_validate({"references": references})
        recipe = dry.model_copy(update={"rooms": rooms})
        draw_manifest(recipe, rows, paths[name], roots=roots)
    taken: dict[str, list[float]] = {name: [] for name in REFERENCES}
    for round_number in range(ROUNDS + 1):
        for name, manifest in paths.items():
            started = time.perf_counter()
            outcome = render_set(manifest, work / name / str(round_number), roots=roots)
            taken[name].append((time.perf_counter() - started) / SCENES)
            if outcome.failures:
                raise SystemExit(f"A scene was not rendered: {outcome.failures[0]}")
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def main() -> None:
    """Render, print the table, write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path)
    rows, roots = corpus(parser.parse_args().sources)
    table = []
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        make_bank(BANK, work / "bank", workers=2)
        rows += read_sources([work / "bank" / "sources.csv"])
        roots = roots | {"bank": work / "bank"}
        for duration_s in DURATIONS_S:
            seconds = median_seconds(duration_s, rows, roots, work / str(duration_s))
            for kind, value in seconds.items():
                table.append(
                    {
                        "scenes": f"{duration_s:g} s, 16 kHz",
                        "set": kind,
                        "ms_per_mixture": round(1000 * value, 1),
                        "speed_of_dry": round(seconds["dry"] / value, 2),
                    }
                )
                print("  ".join(str(cell) for cell in table[-1].values()))
    path = REPOSITORY / "benchmarks" / "results" / "room_speed.csv"
    with open(path, "w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, table[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


if __name__ == "__main__":
    main()
