"""Sounds and spectrograms of examples: one gain, time axis and scale for all files of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from evalsuite.report.examples import Example
from evalsuite.report.excerpts import EstimateFolder, ExampleFiles
from evalsuite.report.inputs import Audio
from evalsuite.report.sets import Key
from mixgen.audio.read import Samples, peak
from mixgen.core.files import sha256_bytes, write_bytes
from mixgen.core.progress import track
from mixgen.report.examples import LONGEST_S, PLAYED_CHANNELS, Excerpt, to_wav
from mixgen.report.pictures import level_picture, paint_spectrogram
from mixgen.report.players import as_long

MEDIA = "media"
LOUDEST_RMS = 10 ** (-12 / 20)
_MOST_BYTES = 300e6


@dataclass(frozen=True)
class Player:
    """One file: paths relative to the page, or the problem that prevents them."""

    name: str
    sound: str = ""
    picture: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Players:
    """The players of an example.

    Attributes:
        files: by what they are and their name; empty where the set is not known.
        seconds: length of players and spectrograms.
        highest_khz: upper end of the spectrograms.
        gain_db: of all files, 0 or below.
        loudest: the file because of which all were turned down.
    """

    files: Mapping[Key, Player] = field(default_factory=dict)
    seconds: float = 0.0
    highest_khz: float = 0.0
    gain_db: float = 0.0
    loudest: str = ""


def make_players(examples: Sequence[Example], audio: Audio, page_folder: Path) -> list[Players]:
    """Write the sounds and pictures of examples to the folder of a page.

    Players are WAV with 16 bits, at most 10 s long, and shorter where all of them together would
    need more than 300 MB.
    """
    found = _files_of(examples, audio)
    needed = sum(_bytes_per_second(files) for files in found if files is not None)
    seconds = round(min(LONGEST_S, _MOST_BYTES / max(needed, 1)), 1)
    media = _Media(page_folder)
    return [
        Players() if files is None else _players(files.load(seconds), files, media)
        for files in track(found, "examples")
    ]


def _files_of(examples: Sequence[Example], audio: Audio) -> list[ExampleFiles | None]:
    """Return the files of each example; None where its set is not known or lacks it."""
    folders: dict[Path, EstimateFolder] = {}
    found: list[ExampleFiles | None] = []
    for example in examples:
        scores = example.system.scores
        played, folder = audio.set_of(scores), audio.estimates.get(scores.path)
        references = [row.reference or "" for row in example.rows]
        of_set = None if played is None else played.files_of(scores, example.id, references)
        if of_set is None:
            found.append(None)
            continue
        if folder is not None and folder not in folders:
            folders[folder] = EstimateFolder(folder, {row.id for row in scores.items})
        estimates = None if folder is None else folders[folder]
        found.append(ExampleFiles(example, of_set, estimates))
    return found


def _bytes_per_second(files: ExampleFiles) -> int:
    """Return how much the players of an example need at most for one second."""
    number = 1 + 2 * len(files.example.rows) + len(files.example.extra)
    info = files.of_set.info
    return 2 * info.sample_rate * min(info.channels, PLAYED_CHANNELS) * number


def _players(loaded: Mapping[Key, Excerpt], files: ExampleFiles, media: "_Media") -> Players:
    rate = files.of_set.info.sample_rate
    sounds = {key: file.samples for key, file in loaded.items() if file.samples is not None}
    frames = max((samples.shape[1] for samples in sounds.values()), default=0)
    gains = {key: _gain(samples) for key, samples in sounds.items()}
    loudest = min(gains, key=lambda key: gains[key], default=None)
    gain = 1.0 if loudest is None else gains[loudest]
    pictures = {key: level_picture(as_long(s, frames), rate) for key, s in sounds.items()}
    top_db = max((float(picture.max()) for picture in pictures.values()), default=0.0)
    players = {}
    for key, file in loaded.items():
        sound = picture = ""
        if key in sounds:
            sound = media.add(to_wav(gain * sounds[key], rate), "wav")
            picture = media.add(paint_spectrogram(pictures[key], top_db, rate), "webp")
        players[key] = Player(file.name, sound, picture, file.problem)
    return Players(
        files=players,
        seconds=frames / rate,
        highest_khz=rate / 2000,
        gain_db=20 * float(np.log10(gain)),
        loudest="" if loudest is None or gain == 1.0 else " ".join(dict.fromkeys(loudest)),
    )


def _gain(samples: Samples) -> float:
    """Return the gain that keeps samples within full scale, and their RMS below -12 dB of it."""
    if not samples.any():
        return 1.0
    largest = peak(samples)
    rms = largest * float(np.sqrt(np.mean((samples / largest) ** 2)))  # no square overflows
    return min(1.0, 1.0 / largest, LOUDEST_RMS / rms)


class _Media:
    """The folder with the sounds and pictures of a page; equal files are written once."""

    def __init__(self, page_folder: Path) -> None:
        self._folder = page_folder

    def add(self, content: bytes, suffix: str) -> str:
        """Write a file; return its path relative to the page."""
        path = f"{MEDIA}/{sha256_bytes(content)[:20]}.{suffix}"
        if not (self._folder / path).exists():
            write_bytes(self._folder / path, content, flush=False)
        return path
