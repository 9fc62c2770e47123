"""Stand-in corpora for the official lists that ship: noise with pauses under the official names."""

import csv
import json
from collections.abc import Callable, Iterable
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


@pytest.fixture(scope="session")
def wham(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The list of WHAM! that ships, with talkers of 0.5 to 0.9 s in noise of two channels.

    Talkers begin with the noise, or at an odd sample of it; one noise ends with its talkers. The
    gains are those of no published set; the first talker of the second mixture exceeds full scale.
    """
    folder = tmp_path_factory.mktemp("wham")
    made = StandIn(
        sorted((shipped_folder() / "wham").glob("*.csv")),
        {"wsj0": folder, "noise": folder / "wham_noise"},
    )
    rows, random = made.rows(), np.random.default_rng(3)
    _write_all(folder, [row[f"{name}_path"] for row in rows for name in ("s1", "s2")], (0.5, 0.9))
    starts = [0, 4003, 6000]
    for row, start, after in zip(rows, starts, (1000, 0, 2000), strict=True):
        frames = start + after
        frames += max(soundfile.info(folder / row[f"s{k}_path"]).frames for k in (1, 2))
        sides = [speech(f"{row['output_filename']}{side}", 3.0)[:frames] for side in "lr"]
        write(made.roots["noise"] / "tt" / row["output_filename"], np.stack(sides, axis=1))
    scales = {
        "utterance_id": np.array([row["output_filename"] for row in rows], dtype=object),
        "speech_start_sample_16k": np.array(starts),
    }
    for variant in ("16k_max", "16k_min", "8k_max", "8k_min"):
        scales[f"scaling_wsjmix_{variant}"] = random.uniform(0.5, 1.2, (3, 2))
        scales[f"scaling_wsjmix_{variant}"][1, 0] = 30.0
        scales[f"scaling_wham_speech_{variant}"] = random.uniform(0.3, 1.0, 3)
        scales[f"scaling_wham_noise_{variant}"] = random.uniform(0.1, 1.0, 3)
    (made.roots["noise"] / "metadata").mkdir()
    np.savez(made.roots["noise"] / "metadata/scaling_tt.npz", **scales)
    return made


@pytest.fixture(scope="session")
def vctk2mix(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The list of VCTK-2mix that ships, with talkers of 0.5 s and noise of 0.4 s."""
    folder = tmp_path_factory.mktemp("vctk2mix")
    made = StandIn(
        [shipped_folder() / "vctk2mix/VCTK2mix_VCTK_md.csv"],
        {"vctk": folder / "VCTK", "noise": folder / "wham_noise"},
    )
    for row in made.rows():
        _write_all(made.roots["vctk"], [row["source_1_path"], row["source_2_path"]], (0.5,))
        _write_all(made.roots["noise"], [row["noise_path"]], (0.4,))
    return made


@pytest.fixture(scope="session")
def librispeechmix(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The lists of LibriSpeechMix that ship, with talkers of 0.5 s."""
    folder = tmp_path_factory.mktemp("librispeechmix")
    lists = sorted((shipped_folder() / "librispeechmix").glob("*.jsonl"))
    for path in lists:
        for line in path.read_text().splitlines():
            for wav in json.loads(line)["wavs"]:
                write((folder / wav).with_suffix(".flac"), speech(wav, 0.5))
    return StandIn(lists, {"librispeech": folder})


def write_song(folder: Path, frames: int, *, loudest: int = 12000) -> None:
    """Write stems of 16 bits, whose sum may be beyond full scale, and the mixture cut off there."""
    rng, names = np.random.default_rng(frames), ("vocals", "bass", "drums", "other")
    stems = {name: rng.integers(-loudest, loudest, (frames, 2)) for name in names}
    total = np.clip(sum(stems.values()) + rng.integers(-1, 2, (frames, 2)), -32768, 32767)
    folder.mkdir(parents=True)
    for name, samples in {**stems, "mixture": total}.items():
        soundfile.write(folder / f"{name}.wav", samples.astype(np.int16), 44100)


@pytest.fixture(scope="session")
def musdb(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """Three songs in the folders of MUSDB18-HQ, none of which is for validation."""
    folder = tmp_path_factory.mktemp("musdb") / "musdb18hq"
    for name, frames in (("train/A - B (Live!)", 5000), ("train/C - D", 4000), ("test/Ä", 3000)):
        write_song(folder / name, frames)
    return StandIn([], {"musdb": folder})


@pytest.fixture(scope="session")
def dnr(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The table of Divide and Remaster that ships, with sounds of 4 s at 16 kHz called 44.1 kHz."""
    folder = tmp_path_factory.mktemp("dnr")
    classes = ("music", "speech", "sfx", "background")
    made = StandIn([shipped_folder() / "dnr/tt"], {name: folder / name for name in classes})
    for line in (made.lists[0] / "1002/annots.csv").read_text().splitlines()[1:]:
        file, kind = line.split(",")[1:3]
        path = made.roots[kind] / file.partition("/")[2]
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, speech(file, 4.0), 44100)
    return made


@pytest.fixture(scope="session")
def fuss(tmp_path_factory: pytest.TempPathFactory) -> StandIn:
    """The example list of FUSS that ships, with sounds of 10 s and responses of 0.1 s."""
    folder, shipped = tmp_path_factory.mktemp("fuss"), shipped_folder() / "fuss"
    made = StandIn(
        [shipped / "eval_example_list.txt"],
        {"ssdata": folder / "ssdata", "rir_data": folder / "rir_data"},
    )
    for name in made.lists[0].read_text().split():
        write(made.roots["ssdata"] / name, speech(name, 10.1)[:160000])
    for name in (shipped / "rir_list.txt").read_text().split():
        if name.endswith(".wav"):
            write(made.roots["rir_data"] / name, speech(name, 0.1))
    return made


@dataclass(frozen=True)
class SmsWsj:
    """The database of SMS-WSJ that ships, and the folders of its utterances and responses."""

    database: Path
    wsj: Path
    rirs: Path


def write_smswsj(root: Path, speech: Callable[[str, int], np.ndarray]) -> SmsWsj:
    """Write utterances at 8 kHz from a function of name and length, and noise that decays.

    The first arrivals of the responses are between 20 and 60 samples late, other at every
    microphone, after quieter samples.
    """
    given = SmsWsj(
        shipped_folder() / "smswsj/sms_wsj.json", root / "wsj_8k_zeromean", root / "rirs"
    )
    database = json.loads(given.database.read_text())["datasets"]
    for entry in (entry for subset in database.values() for entry in subset.values()):
        paths = entry["audio_path"]
        lengths = entry["num_samples"]["original_source"]
        for name, frames in zip(paths["original_source"], lengths, strict=True):
            path = given.wsj / name.split("wsj_8k_zeromean/")[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, speech(name, frames), 8000, subtype="FLOAT")
        for name in paths["rir"]:
            random = np.random.default_rng(crc32(name.encode()))
            taps = random.standard_normal((8192, 6)) * np.exp(-np.arange(8192) / 500)[:, None]
            for channel in range(6):
                first = int(random.integers(20, 60))
                taps[:first, channel] *= 1e-3
                taps[first, channel] = 4.0
            path = given.rirs / name.split("rirs/")[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, 0.01 * taps, 8000, subtype="DOUBLE")
    return given


@pytest.fixture(scope="session")
def smswsj(tmp_path_factory: pytest.TempPathFactory) -> SmsWsj:
    """The database of SMS-WSJ that ships, with stand-ins for its utterances and responses."""

    def talker(name: str, frames: int) -> np.ndarray:
        return speech(name, frames / RATE)[:frames] / 2.0**15

    return write_smswsj(tmp_path_factory.mktemp("smswsj"), talker)
