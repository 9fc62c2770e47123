"""How fast sets are drawn: beside Scaper's own class, and from small and large corpora.

    OMP_NUM_THREADS=1 python benchmarks/draw_speed.py [--sources STARTER/sources.csv]

The peer is `Scaper._instantiate` of the same scenes (two talkers over a noise, every file given);
ours chooses the files, draws the events as Scaper does, and makes the record. A `cpu_ratio` above 1
says that ours is faster. The large corpora are many rows for the same few real files. CPU times,
medians over rounds that take turns. Writes benchmarks/results/draw_speed.csv.
"""

import argparse
import csv
import itertools
import statistics
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from speech_scenes import REPOSITORY, corpus, two_talkers_and_noise

from mixgen.corpora.roots import Roots, locate
from mixgen.corpora.sources import SourceRow
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.mixture import Mixture
from mixgen.recipe.schema import Recipe
from mixgen.scenes.scene import load_scaper

ROUNDS = 7
SCENES = 20  # per round
DURATION_S = 10.0
CORPUS_SIZES = (100, 100_000)
RESULT = REPOSITORY / "benchmarks" / "results" / "draw_speed.csv"


def drawing(recipe: Recipe, rows: Sequence[SourceRow], roots: Roots) -> Iterator[Mixture]:
    """Return an endless draw that is set up already: its first mixture is drawn."""
    mixtures = draw_mixtures(recipe, rows, roots)
    next(mixtures)
    return mixtures


def grown(rows: Sequence[SourceRow], kind: str, count: int) -> list[SourceRow]:
    """Return `count` rows of a kind, each a source and label of its own, for the same files."""
    files = itertools.cycle(row for row in rows if row.kind == kind)
    return [
        row.model_copy(update={"source_id": f"{kind}{number}", "label": str(number)})
        for number, row in zip(range(count), files, strict=False)
    ]


def corpus_of(rows: Sequence[SourceRow], size: int) -> list[SourceRow]:
    """Return a corpus of `size` rows, a fifth of them noises."""
    return [*grown(rows, "speech", size - size // 5), *grown(rows, "noise", size // 5)]


def scaper_alone(recipe: Recipe, rows: Sequence[SourceRow], roots: Roots) -> Callable[[], object]:
    """Return what lets Scaper instantiate one scene after another, with its own plain calls."""
    scaper = load_scaper()
    paths = {
        kind: itertools.cycle(
            locate(roots, row.corpus, row.path) for row in rows if row.kind == kind
        )
        for kind in ("speech", "noise")
    }
    speech, noise = recipe.sources

    def scene() -> object:
        """Return a Scaper scene with the events of a mixture."""
        scene = scaper.Scaper(DURATION_S, str(REPOSITORY), str(REPOSITORY), random_state=0)
        background, *talkers = next(paths["noise"]), next(paths["speech"]), next(paths["speech"])
        scene.bg_labels = [background.parent.name]
        scene.fg_labels = [path.parent.name for path in talkers]
        scene.add_background(
            ("const", background.parent.name),
            ("const", str(background)),
            tuple(noise.source_time),
        )
        for path in talkers:
            scene.add_event(
                label=("const", path.parent.name),
                source_file=("const", str(path)),
                source_time=tuple(speech.source_time),
                event_time=tuple(speech.event_time),
                event_duration=("const", DURATION_S),
                snr=tuple(speech.snr),
                pitch_shift=None,
                time_stretch=None,
            )
        return scene._instantiate(disable_instantiation_warnings=True)

    return scene


def cpu_ms(call: Callable[[], object]) -> float:
    """Return the CPU time of one scene in ms."""
    started = time.process_time()
    for _ in range(SCENES):
        call()
    return 1e3 * (time.process_time() - started) / SCENES


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description="Drawing speed beside Scaper's instantiation.")
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    rows, roots = corpus(parser.parse_args().sources)
    recipe = two_talkers_and_noise(DURATION_S, 16_000, SCENES * (ROUNDS + 1))
    calls: dict[str, Callable[[], object]] = {
        "Scaper alone": scaper_alone(recipe, rows, roots),
        f"ours, {len(rows)} files": drawing(recipe, rows, roots).__next__,
    }
    for size in CORPUS_SIZES:
        many = corpus_of(rows, size)
        calls[f"ours, {size} files"] = drawing(recipe, many, roots).__next__
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rounds = [{name: cpu_ms(call) for name, call in calls.items()} for _ in range(ROUNDS)]
    medians = {name: statistics.median(taken[name] for taken in rounds) for name in calls}
    base = medians["Scaper alone"]
    table = [[name, f"{ms:.2f}", f"{base / ms:.1f}"] for name, ms in medians.items()]
    for row in table:
        print("{:<24} {:>8} ms a scene {:>6} times as fast as Scaper alone".format(*row))
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        columns = ["what", "cpu_ms", "cpu_ratio"]
        csv.writer(file, lineterminator="\n").writerows([columns, *table])


if __name__ == "__main__":
    main()
