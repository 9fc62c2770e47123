"""Stock Scaper beside this project: the same scenes from exported JAMS, sample by sample.

    python benchmarks/scaper_parity.py [--scenes 50] [--sources STARTER/sources.csv]

Scenes are two talkers over a repeated or cut background. They are rendered once at the sources' own
rate (no resampling) and once at half of it, with the talkers as they are, shifted in pitch,
stretched in time, and both. What is shifted or stretched is resampled by sox on either side; all
else is resampled by soxr on ours. Where that goes beyond full scale, sox clips it before Scaper
sets its level; such signals have rows of their own.
"""

import argparse
import itertools
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from speech_scenes import corpus, two_talkers_and_noise

from mixgen.audio.read import read_excerpt, resample, to_channels
from mixgen.corpora.roots import Roots, locate
from mixgen.corpora.sources import SourceRow
from mixgen.draw.mixtures import draw_mixtures
from mixgen.export.jams import write_jams
from mixgen.manifest.mixture import Event, Mixture
from mixgen.render.mixture import SourceRenderer
from mixgen.scenes.scene import load_scaper

SAME_RATE = 16000
HALF_RATE = 8000
DURATION_S = 4.0
CLIPPED = " (clipped by sox)"
SHIFT = {"pitch_shift": ["uniform", -3, 3]}
STRETCH = {"time_stretch": ["uniform", 0.8, 1.25]}
TALKERS = {"as they are": {}, "shifted": SHIFT, "stretched": STRETCH, "both": SHIFT | STRETCH}


@dataclass(frozen=True)
class Pair:
    """One signal of a scene as both render it, shape (channels, time)."""

    ours: np.ndarray
    scapers: np.ndarray

    @property
    def difference(self) -> float:
        """Largest difference of a sample, full scale 1.0."""
        return float(np.abs(self.ours - self.scapers).max())

    @property
    def snr_db(self) -> float:
        """Scaper's signal over the difference."""
        noise = float(np.sum((self.ours - self.scapers) ** 2))
        return float("inf") if noise == 0 else 10 * np.log10(np.sum(self.scapers**2) / noise)


def pairs(mixture: Mixture, roots: Roots, folder: Path) -> Iterator[tuple[str, Pair]]:
    """Yield every source by its role, and the mixture, as both render them."""
    path = folder / "scene.jams"
    write_jams(path, mixture, roots)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        soundscape, jam, _, events = load_scaper().generate_from_jams(str(path))
    # JAMS keeps events in the order of time: they are matched by file.
    files = [observation.value["source_file"] for observation in jam.annotations[0].data]
    scapers = {file: event.T for file, event in zip(files, events, strict=True)}
    total = np.zeros((mixture.channels, mixture.frames))
    clipped = ""
    for source in mixture.sources:
        ours = SourceRenderer(mixture, source, roots).signals()[source.name]
        total += ours
        event = source.events[0]
        theirs = scapers[str(locate(roots, event.corpus, event.path))]
        padded = np.zeros_like(ours)
        padded[:, : theirs.shape[1]] = theirs
        mark = CLIPPED if _exceeds_full_scale(mixture, event, roots) else ""
        clipped = clipped or mark
        yield source.role + mark, Pair(ours, padded)
    yield "mixture" + clipped, Pair(total, soundscape.T)


def _exceeds_full_scale(mixture: Mixture, event: Event, roots: Roots) -> bool:
    """Tell whether sox clips an event for Scaper that we resample without it."""
    if event.pitch_shift is not None or event.time_stretch is not None:
        return False
    path = locate(roots, event.corpus, event.path)
    times = (event.source_time, event.event_duration)
    samples, rate = read_excerpt(path, *times, to_end=True)
    samples = resample(to_channels(samples, mixture.channels), rate, mixture.sample_rate)
    return bool(np.abs(samples).max() > 1.0)


def compare(
    rows: list[SourceRow], roots: Roots, rate: int, scenes: int, talkers: dict[str, Any]
) -> dict[str, list[Pair]]:
    """Return all pairs of the scenes by role; `talkers` are more keys of the talkers' group."""
    recipe = two_talkers_and_noise(DURATION_S, rate, scenes, **talkers)
    found: dict[str, list[Pair]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for mixture in draw_mixtures(recipe, rows, roots):
            for role, pair in pairs(mixture, roots, Path(folder)):
                found.setdefault(role, []).append(pair)
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=50)
    parser.add_argument("--sources", type=Path, help="a sources.csv instead of the real audio")
    options = parser.parse_args()
    rows, roots = corpus(options.sources)
    rows = [row for row in rows if row.sample_rate == SAME_RATE]
    print(
        f"{'rate':>6} {'talkers':<12} {'signal':<28} {'count':>6} {'largest difference':>19} "
        f"{'lowest SNR':>11}"
    )
    for rate, (name, talkers) in itertools.product((SAME_RATE, HALF_RATE), TALKERS.items()):
        for role, found in compare(rows, roots, rate, options.scenes, talkers).items():
            difference = max(pair.difference for pair in found)
            snr_db = min(pair.snr_db for pair in found)
            print(
                f"{rate:>6} {name:<12} {role:<28} {len(found):>6} {difference:>19.2e} "
                f"{snr_db:>8.1f} dB"
            )


if __name__ == "__main__":
    main()
