"""Stand-in corpora for the official lists that ship: noise with pauses under the official names."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
import soundfile

from mixgen.recipe.read import shipped_folder

RATE = 16000


def speech(name: str, seconds: float) -> np.ndarray:
    """Return a signal that sounds on and off, other for every name: (time,), 16-bit integers."""
    random = np.random.default_rng(crc32(name.encode()))
    frames = round(seconds * RATE) + int(random.integers(97))
    swell = np.clip(np.sin(np.arange(frames) * random.uniform(1e-4, 1e-3)) + 0.3, 0, 1)
    return np.int16(np.rint(1500 * swell * random.standard_normal(frames).clip(-3, 3)))


def write(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit samples (time,) or (time, channels)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE, subtype="PCM_16")


@dataclass(frozen=True)
class StandIn:
    """Official lists, and the corpora of their files."""

    lists: list[Path]
    roots: dict[str, Path]

    def rows(self, number: int = 0) -> list[dict[str, str]]:
        """Return the rows of a list in CSV."""
        with open(self.lists[number], newline="") as stream:
            return list(csv.DictReader(stream))


def _write_all(root: Path, paths: Iterable[str], lengths_s: tuple[float, ...]) -> None:
    for index, path in enumerate(sorted(set(paths))):
        write(root / path, speech(path, lengths_s[index % len(lengths_s)]))


@pytest.fixture(scope="session")
def librimix(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The lists of LibriMix that ship, with talkers of 1 to 1.5 s and noise of 0.6 to 2 s."""
    folder = tmp_path_factory.mktemp("librimix")
    lists = sorted((shipped_folder() / "librimix").glob("*.csv"))
    made = StandIn(lists, {"speech": folder / "LibriSpeech", "noise": folder / "wham_noise"})
    for number in range(len(lists)):
        for row in made.rows(number):
            talkers = [row[k] for k in row if k.startswith("source") and k.endswith("path")]
            _write_all(made.roots["speech"], talkers, (1.2, 1.0, 1.5))
    noises = {row["noise_path"] for number in range(len(lists)) for row in made.rows(number)}
    for index, path in enumerate(sorted(noises)):
        pair = [speech(f"{path}{side}", (0.6, 2.0, 1.1)[index % 3]) for side in "lr"]
        frames = min(map(len, pair))
        write(made.roots["noise"] / path, np.stack([side[:frames] for side in pair], axis=1))
    return made


@pytest.fixture(scope="session")
def wsj0mix(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The lists of wsj0-mix that ship, with talkers of 0.5 to 0.9 s."""
    folder = tmp_path_factory.mktemp("wsj0mix")
    shipped = shipped_folder() / "wsj0mix"
    lists = sorted(shipped.glob("mix_*.txt"))
    paths = [word for path in lists for word in path.read_text().split()[::2]]
    _write_all(folder, paths, (0.5, 0.9, 0.7))
    return StandIn(lists, {"wsj0": folder, "activlev": shipped / "activlev"})
