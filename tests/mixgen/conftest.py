"""A tiny corpus of tones and noise bursts, and short ways to draw and render from it."""

import builtins
import copy
import errno
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import soundfile

from mixgen.cli import app
from mixgen.core.console import run
from mixgen.corpora.index import SplitPlan, index_corpus
from mixgen.corpora.layout import get_layout
from mixgen.corpora.roots import Roots, write_roots
from mixgen.corpora.sources import SourceRow, read_sources, write_sources
from mixgen.draw.manifest import draw_header
from mixgen.draw.mixtures import draw_mixtures
from mixgen.manifest.file import Manifest, read_manifest, write_manifest
from mixgen.recipe.schema import Recipe
from mixgen.render.set import Outcome, render_set

SPEECH_RATE = 16000
ROOM_RATE = 16000
ROOM_T60_S = 0.08
SPEECH_RECIPE: dict[str, Any] = {
    "name": "tiny",
    "task": "speech_separation",
    "sample_rate": 8000,
    "duration": {"mode": "fixed", "seconds": 0.8},
    "reference_db": ["const", -32],
    "sources": [
        {
            "name": "s",
            "kind": "speech",
            "count": 2,
            "snr": ["normal", 6, 2],
            "event_time": ["uniform", 0, 0.3],
        },
        {
            "name": "noise",
            "role": "background",
            "kind": "noise",
            "use": "independently",
            "source_time": ["uniform", 0, 100],
        },
    ],
    "splits": {
        "train": {"mixtures": 5, "sources": {"speech": "train"}},
        "test": {"mixtures": 2, "sources": {"speech": "test"}},
    },
}
MUSIC_RECIPE: dict[str, Any] = {
    "name": "songs",
    "task": "music_separation",
    "sample_rate": 16000,
    "channels": 2,
    "duration": {"mode": "fixed", "seconds": 0.6},
    "sources": [
        {"name": stem, "kind": "music", "source_time": ["uniform", 0, 100]}
        for stem in ("vocals", "drums", "bass", "other")
    ],
    "splits": {"test": {"mixtures": 6, "sources": {}}},
}


@dataclass(frozen=True)
class Corpus:
    """Three small corpora (speech, noise, songs), indexed."""

    folder: Path
    rows: list[SourceRow]
    roots: Roots

    @property
    def sources(self) -> list[Path]:
        """The sources.csv of each."""
        return [self.folder / f"{name}.csv" for name in self.roots]


class MakeRecipe(Protocol):
    """Makes the tiny recipe of a kind, with the given keys replaced."""

    def __call__(self, **changes: Any) -> Recipe: ...


class DrawTo(Protocol):
    """Draws a recipe from the tiny corpora into a manifest file, and reads it back."""

    def __call__(self, path: Path, recipe: Recipe) -> Manifest: ...


class RenderTo(Protocol):
    """Renders the tiny speech set into a folder, with the options of `render_set`."""

    def __call__(self, folder: Path, **options: Any) -> Outcome: ...


class DecayingNoise(Protocol):
    """Makes a room response of decaying noise, shape (channels, taps)."""

    def __call__(
        self, t60_s: float, rate: int, *, channels: int = 1, seed: int = 0
    ) -> np.ndarray: ...


class Contents(Protocol):
    """Reads every file below a folder, by its path relative to it."""

    def __call__(self, folder: Path) -> dict[str, bytes]: ...


@dataclass(frozen=True)
class Answer:
    """What a command gave back."""

    exit_code: int
    out: str
    err: str


class RunMixgen(Protocol):
    """Runs the command `mixgen` in this process, as a user would."""

    def __call__(self, *words: object) -> Answer: ...


def forbid(monkeypatch: pytest.MonkeyPatch, call: str, *paths: Path) -> None:
    """Make `open` or `os.scandir` fail at some paths, as for a user without the permission.

    The tests may run as root, who may read everything.
    """
    module = builtins if call == "open" else os
    allowed = getattr(module, call)

    def checked(path: Any, *rest: Any, **options: Any) -> Any:
        if path in paths or path in map(str, paths):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return allowed(path, *rest, **options)

    monkeypatch.setattr(module, call, checked)


def flac_that_claims(path: Path, frames: int) -> Path:
    """Write a FLAC file of a second whose header claims another length."""
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, 8000)
    soundfile.write(path, noise, 8000)
    content = bytearray(path.read_bytes())
    # The length is the last 36 of the 64 bits at byte 18 (RFC 9639, 8.2).
    bits = int.from_bytes(content[18:26], "big") >> 36 << 36 | frames
    content[18:26] = bits.to_bytes(8, "big")
    path.write_bytes(content)
    return path


def tone(frequency: float, seconds: float, rate: int, seed: int) -> np.ndarray:
    """Return a tone with overtones, a slow swell and a little noise, shape (time,)."""
    time = np.arange(round(seconds * rate)) / rate
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * 3 * time + seed)
    overtones = sum(np.sin(2 * np.pi * k * frequency * time) / k for k in (1, 2, 3))
    hiss = np.random.default_rng(seed).standard_normal(time.size)
    return 0.15 * swell * overtones + 0.01 * hiss


def _write(path: Path, samples: np.ndarray, rate: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate, subtype="PCM_16")


def _write_speech(root: Path) -> None:
    for speaker in range(6):
        for utterance in range(3):
            seconds = 0.5 + 0.15 * utterance + 0.05 * speaker
            signal = tone(110 + 40 * speaker, seconds, SPEECH_RATE, 10 * speaker + utterance)
            _write(root / f"spk{speaker}" / f"utt{utterance}.wav", signal, SPEECH_RATE)


def _write_noise(root: Path) -> None:
    random = np.random.default_rng(5)
    for label, seconds in (("fan", 2.0), ("rain", 1.5), ("click", 0.3)):
        _write(root / label / "0.wav", 0.1 * random.standard_normal(round(seconds * 8000)), 8000)


def _write_songs(root: Path) -> None:
    for song in range(3):
        for place, stem in enumerate(("vocals", "drums", "bass", "other")):
            pair = [tone(90 * (place + 1) + 17 * song, 2.0, 16000, s + song) for s in (0, 50)]
            _write(root / f"song{song}" / f"{stem}.wav", np.stack(pair, axis=1), 16000)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Three small corpora on disk with their sources.csv and roots.json."""
    folder = tmp_path_factory.mktemp("corpus")
    roots = {name: folder / name for name in ("speech", "noise", "songs")}
    _write_speech(roots["speech"])
    _write_noise(roots["noise"])
    _write_songs(roots["songs"])
    plan = SplitPlan(by="label", parts={"train": 0.6, "test": 0.4})
    indexes = {
        "speech": index_corpus(
            get_layout("folder"), roots["speech"], corpus="speech", licence="CC0", splits=plan
        ),
        "noise": index_corpus(get_layout("folder"), roots["noise"], corpus="noise", kind="noise"),
        "songs": index_corpus(get_layout("stems"), roots["songs"], corpus="songs"),
    }
    for name, index in indexes.items():
        write_sources(folder / f"{name}.csv", index.rows)
    write_roots(folder, roots)
    return Corpus(folder, read_sources(folder / f"{name}.csv" for name in roots), roots)


def errors_in(stderr: str) -> list[str]:
    """Return the lines of stderr, without those on progress and on the licences of sources."""
    others = ("checking", "indexing", "rendering", "licences: ")
    return [line for line in stderr.splitlines() if not line.startswith(others)]


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(base) | changes


def noise_response(t60_s: float, rate: int, *, channels: int = 1, seed: int = 0) -> np.ndarray:
    """Noise that loses 60 dB in t60_s, after a direct sound 5 ms in: (channels, taps).

    The direct sound reaches every further channel a sample later.
    """
    time_s = np.arange(round(1.2 * t60_s * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((channels, time_s.size))
    response = 0.05 * noise * 10 ** (-3 * time_s / t60_s)
    start = round(0.005 * rate)
    response[:, :start] = 0
    for channel in range(channels):
        response[channel, start + channel] = 0.5
    return response


@pytest.fixture(scope="session")
def decaying() -> DecayingNoise:
    """A response of decaying noise."""
    return noise_response


@pytest.fixture(scope="session")
def roomy(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """The tiny corpora, and two rooms per split of four responses to three microphones each."""
    root = tmp_path_factory.mktemp("rooms")
    for room in range(4):
        for place in range(4):
            path = root / f"room{room}" / f"{place}.wav"
            path.parent.mkdir(exist_ok=True)
            response = noise_response(ROOM_T60_S, ROOM_RATE, channels=3, seed=10 * room + place)
            soundfile.write(path, response.T, ROOM_RATE, subtype="FLOAT")
    plan = SplitPlan(by="label", parts={"train": 0.5, "test": 0.5})
    index = index_corpus(get_layout("folder"), root, corpus="rooms", kind="rir", splits=plan)
    rows = [row.model_copy(update={"text": f"t60_s={ROOM_T60_S}"}) for row in index.rows]
    return replace(corpus, rows=[*corpus.rows, *rows], roots=corpus.roots | {"rooms": root})


@pytest.fixture(scope="session")
def speech_recipe() -> MakeRecipe:
    """The speech recipe, with the given keys replaced."""
    return lambda **changes: Recipe.model_validate(_merged(SPEECH_RECIPE, changes))


@pytest.fixture(scope="session")
def music_recipe() -> MakeRecipe:
    """The music recipe, with the given keys replaced."""
    return lambda **changes: Recipe.model_validate(_merged(MUSIC_RECIPE, changes))


@pytest.fixture(scope="session")
def draw_to(corpus: Corpus) -> DrawTo:
    """Draw a recipe from the tiny corpus into a manifest file and read it back."""

    def draw(path: Path, recipe: Recipe) -> Manifest:
        mixtures = draw_mixtures(recipe, corpus.rows, corpus.roots)
        write_manifest(path, draw_header(recipe, corpus.rows), mixtures)
        write_roots(path.parent, corpus.roots)
        return read_manifest(path)

    return draw


@pytest.fixture(scope="session")
def drawn(
    tmp_path_factory: pytest.TempPathFactory,
    speech_recipe: MakeRecipe,
    draw_to: DrawTo,
) -> tuple[Path, Manifest]:
    """The path and content of the tiny speech manifest."""
    path = tmp_path_factory.mktemp("drawn") / "manifest.jsonl"
    return path, draw_to(path, speech_recipe())


@pytest.fixture
def render_to(corpus: Corpus, drawn: tuple[Path, Manifest]) -> RenderTo:
    """Render the tiny speech set."""
    path, _ = drawn
    return lambda folder, **options: render_set(path, folder, roots=corpus.roots, **options)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of two mixtures, so that the tiny set of seven has four."""
    monkeypatch.setattr("mixgen.render.journal.BLOCK", 2)


@pytest.fixture
def mixgen(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunMixgen:
    """Run the command `mixgen` in this process, as a user would."""

    def command(*words: object) -> Answer:
        monkeypatch.setattr(sys, "argv", ["mixgen", *map(str, words)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            run(app)
        captured = capsys.readouterr()
        return Answer(int(stop.value.code or 0), captured.out, captured.err)

    return command


def files_of(folder: Path) -> dict[str, bytes]:
    """Return the content of every file below a folder, by its path relative to it."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="session")
def contents() -> Contents:
    """The content of every file below a folder."""
    return files_of
