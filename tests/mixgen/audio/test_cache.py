"""The cache of decoded files: the samples of decoding, whatever happens to its folder."""

import os
import pickle
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import soundfile

import mixgen.audio.cache
from mixgen.audio import decoded
from mixgen.audio.cache import DecodedCache, open_cache
from mixgen.audio.decoded import SourceStatus
from mixgen.audio.read import Samples, read_audio, read_excerpt
from mixgen.core.errors import InputError, MachineError, UsageError
from mixgen.core.files import sha256_file

RATE = 16_000
FRAMES = 150_000  # several blocks, also in one channel of 16 bits
LIMIT = 100_000_000
# As soundfile writes them, and how each is kept.
ENCODINGS = {
    ("wav", "PCM_U8"): "i",
    ("wav", "PCM_16"): "i",
    ("wav", "PCM_24"): "f",
    ("wav", "PCM_32"): None,
    ("wav", "FLOAT"): "f",
    ("wav", "DOUBLE"): None,
    ("wav", "ULAW"): "i",
    ("wav", "ALAW"): "i",
    ("wav", "IMA_ADPCM"): "i",
    ("wav", "MS_ADPCM"): "i",
    ("aiff", "PCM_S8"): "i",
    ("aiff", "PCM_16"): "i",
    ("flac", "PCM_S8"): "i",
    ("flac", "PCM_16"): "i",
    ("flac", "PCM_24"): "f",
    ("ogg", "VORBIS"): "f",
    ("ogg", "OPUS"): "f",
    ("mp3", "MPEG_LAYER_III"): "f",
}
Encoding = tuple[str, str]


def forget() -> None:
    """Forget what is in memory."""
    decoded.read_header.cache_clear()
    decoded._block.cache_clear()


@pytest.fixture(autouse=True)
def nothing_in_memory() -> None:
    """Forget what earlier tests have read."""
    forget()
    mixgen.audio.cache._cache_of_process.cache_clear()


@pytest.fixture
def cache(tmp_path: Path) -> DecodedCache:
    """An empty cache."""
    return DecodedCache(tmp_path / "cache", LIMIT)


def write_source(folder: Path, encoding: Encoding = ("flac", "PCM_16"), seed: int = 0) -> Path:
    """Write a stereo file of noise whose level changes, and return its path."""
    extension, subtype = encoding
    rng = np.random.default_rng(seed)
    level = np.abs(np.sin(np.arange(FRAMES) / 3000))[:, None]
    samples = 0.3 * level * rng.standard_normal((FRAMES, 2)).clip(-3, 3)
    path = folder / f"{subtype}-{seed}.{extension}"
    with soundfile.SoundFile(path, "w", RATE, 2, subtype) as file:
        for start in range(0, FRAMES, 4096):  # libsndfile's Vorbis writer fails on long arrays
            file.write(samples[start : start + 4096])
    return path


def excerpt(cache: DecodedCache, path: Path, start_s: float, duration_s: float) -> Samples:
    """Read an excerpt that may end with its file."""
    samples, rate = cache.read_excerpt(path, sha256_file(path), start_s, duration_s, to_end=True)
    assert rate == RATE
    return samples


def stored(cache: DecodedCache) -> list[Path]:
    """Return the files of a cache."""
    return sorted(path for path in cache.folder.glob("*/*/*") if path.is_file())


def total(cache: DecodedCache) -> int:
    """Return the bytes of everything in a cache but its ledger."""
    return sum(path.stat().st_size for path in stored(cache))


def assert_same_bits(samples: Samples, expected: Samples) -> None:
    assert samples.dtype == np.float64
    assert samples.flags.c_contiguous
    assert samples.flags.writeable
    np.testing.assert_array_equal(samples, expected, strict=True)
    np.testing.assert_array_equal(np.signbit(samples), np.signbit(expected))


@pytest.mark.parametrize("encoding", ENCODINGS, ids="-".join)
def test_every_excerpt_is_that_part_of_the_decoded_file(
    encoding: Encoding, cache: DecodedCache, tmp_path: Path
) -> None:
    path = write_source(tmp_path, encoding)
    whole = soundfile.read(path, always_2d=True)[0].T
    rng = random.Random(0)
    times = [(rng.uniform(0, 9.3), rng.choice([0.001, 0.5, 4.0, 20.0])) for _ in range(12)]
    for start_s, duration_s in [*times, (0.0, 20.0), (0.0, 0.0), (9.0, 20.0), *times]:
        start, stop = int(start_s * RATE), int((start_s + duration_s) * RATE)
        for samples in (
            excerpt(cache, path, start_s, duration_s),
            read_excerpt(path, start_s, duration_s, to_end=True)[0],
        ):
            assert_same_bits(samples, whole[:, start:stop])
    kept = [file.read_bytes()[8:9].decode() for file in stored(cache)]
    assert kept == ([ENCODINGS[encoding]] if ENCODINGS[encoding] else [])


def test_a_file_is_decoded_once(
    cache: DecodedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_source(tmp_path)
    expected = read_excerpt(path, 1.0, 2.0)[0]
    excerpt(cache, path, 0.0, 0.1)
    for name in ("read_audio", "read_excerpt", "audio_info"):
        monkeypatch.setattr(mixgen.audio.cache, name, None)
    assert_same_bits(excerpt(cache, path, 1.0, 2.0), expected)
    another = DecodedCache(cache.folder, LIMIT)
    assert_same_bits(excerpt(another, path, 1.0, 2.0), expected)


def test_a_file_that_cannot_be_stored_is_decoded_in_parts(
    cache: DecodedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_source(tmp_path, ("wav", "DOUBLE"))
    excerpt(cache, path, 0.0, 0.1)
    monkeypatch.setattr(mixgen.audio.cache, "read_audio", None)
    assert_same_bits(excerpt(cache, path, 1.0, 2.0), read_excerpt(path, 1.0, 2.0)[0])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.5, -1.0, 1 - 2**-15], "i"),
        ([0.5, 1.0], "f"),
        ([0.5, -0.0], "f"),
        ([2.0**-140, 999.0], "f"),
        ([0.1], None),
    ],
)
def test_the_narrowest_type_without_loss_is_kept(
    values: Sequence[float], kind: str | None, cache: DecodedCache, tmp_path: Path
) -> None:
    path = tmp_path / "few.wav"
    soundfile.write(path, np.array(values), RATE, subtype="DOUBLE")
    samples, rate = read_audio(path)
    done = cache.store(path, sha256_file(path), SourceStatus.of(path), samples, rate)
    assert done == (kind is not None)
    assert [file.read_bytes()[8:9].decode() for file in stored(cache)] == ([kind] if kind else [])
    assert_same_bits(excerpt(cache, path, 0.0, 1.0), samples)


def test_too_loud_a_file_is_not_stored(cache: DecodedCache, tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, np.array([0.5, 0.5, 1001.0]), RATE, subtype="FLOAT")
    samples, rate = read_audio(path)
    assert not cache.store(path, sha256_file(path), SourceStatus.of(path), samples, rate)
    with pytest.raises(InputError, match=r"has a peak of 1e\+03"):
        excerpt(cache, path, 0.0, 1.0)
    assert_same_bits(excerpt(cache, path, 0.0, 2 / RATE), samples[:, :2])  # as without a cache
    assert stored(cache) == []


def test_too_long_a_file_is_not_stored(
    cache: DecodedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixgen.audio.cache, "_MOST_SAMPLES", 2 * FRAMES - 1)
    path = write_source(tmp_path)
    assert_same_bits(excerpt(cache, path, 1.0, 2.0), read_excerpt(path, 1.0, 2.0)[0])
    assert not cache.store(path, sha256_file(path), SourceStatus.of(path), *read_audio(path))
    assert stored(cache) == []


def test_errors_are_those_without_a_cache(cache: DecodedCache, tmp_path: Path) -> None:
    path = write_source(tmp_path)
    sha256 = sha256_file(path)
    for _ in range(2):
        with pytest.raises(InputError, match="samples 144000 to 160000 are requested"):
            cache.read_excerpt(path, sha256, 9.0, 1.0)
    broken = tmp_path / "nan.wav"
    soundfile.write(broken, np.array([0.0] * RATE + [np.nan]), RATE, subtype="FLOAT")
    for _ in range(2):
        assert excerpt(cache, broken, 0.0, 1.0).shape == (1, RATE)
        with pytest.raises(InputError, match="NaN or infinite"):
            excerpt(cache, broken, 0.5, 1.0)
    with pytest.raises(InputError, match="does not exist"):
        cache.read_excerpt(tmp_path / "none.wav", "0" * 64, 0.0, 1.0)
    assert len(stored(cache)) == 1


def test_a_source_that_changes_while_it_is_decoded_is_not_stored(
    cache: DecodedCache, tmp_path: Path
) -> None:
    path, other = (write_source(tmp_path, seed=seed) for seed in (0, 1))
    source, sha256 = SourceStatus.of(path), sha256_file(path)
    samples, rate = read_audio(path)
    shutil.copy(other, path)
    assert not cache.store(path, sha256, source, samples, rate)
    cache.read_excerpt(path, sha256, 0.0, 1.0)  # its content is not that of the hash
    assert stored(cache) == []


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut in the header": lambda content: content[:20],
    "cut in the checksums": lambda content: content[:45],
    "cut by a sample": lambda content: content[:-2],
    "longer": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
    "other magic": lambda content: b"mixgen 0" + content[8:],
    "other kind": lambda content: content[:8] + b"x" + content[9:],
    "other rate": lambda content: content[:12] + b"\1" + content[13:],
    "endless": lambda content: content[:16] + b"\xff" * 8 + content[24:],
    "other checksum": lambda content: content[:46] + b"\1\2\3\4" + content[50:],
    "other sample": lambda content: content[:-500] + b"\1\2" + content[-498:],
    "text": lambda _: b"This is no audio." * 10,
}


@pytest.mark.parametrize("in_memory", [False, True])
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_file_is_decoded_again(
    damage: str, in_memory: bool, cache: DecodedCache, tmp_path: Path
) -> None:
    path = write_source(tmp_path)
    expected = read_audio(path)[0]
    excerpt(cache, path, 0.0, 0.1)
    (file,) = stored(cache)
    intact = file.read_bytes()
    file.write_bytes(DAMAGE[damage](intact))
    if not in_memory:
        forget()
    for _ in range(2):
        assert_same_bits(excerpt(cache, path, 0.0, 20.0), expected)
    forget()
    assert_same_bits(excerpt(cache, path, 0.0, 20.0), expected)
    assert file.read_bytes() == intact


@pytest.mark.parametrize("what", ["folder", "file", "ledger"])
def test_the_folder_may_be_removed_at_any_time(
    what: str, cache: DecodedCache, tmp_path: Path
) -> None:
    path = write_source(tmp_path)
    expected = read_audio(path)[0]
    for duration_s, remembered in ((0.1, True), (20.0, True), (20.0, True), (20.0, False)):
        if not remembered:
            forget()
        samples = excerpt(cache, path, 0.0, duration_s)
        assert_same_bits(samples, expected[:, : samples.shape[1]])
        if what == "folder":
            shutil.rmtree(cache.folder, ignore_errors=True)
        else:
            for gone in stored(cache) if what == "file" else [cache.folder / "bytes"]:
                gone.unlink(missing_ok=True)
    excerpt(cache, write_source(tmp_path, seed=1), 0.0, 0.1)
    assert int((cache.folder / "bytes").read_text()) >= total(cache) > 0


def test_only_files_that_nobody_uses_make_room(cache: DecodedCache, tmp_path: Path) -> None:
    paths = [write_source(tmp_path, seed=seed) for seed in range(5)]
    excerpt(cache, paths[0], 0.0, 0.1)
    size = total(cache)
    small = DecodedCache(cache.folder, 3 * size + size // 2)
    for path in paths:
        assert_same_bits(excerpt(small, path, 0.0, 1.0), read_excerpt(path, 0.0, 1.0)[0])
    assert [small.holds(sha256_file(path)) for path in paths] == [True] * 3 + [False] * 2
    two_days_ago = time.time() - 2 * 24 * 3600
    idle = Path(small._path(sha256_file(paths[1])))
    os.utime(idle, (two_days_ago, two_days_ago))
    small._paused_until_s = 0.0
    for path in paths:
        excerpt(small, path, 0.0, 1.0)
    assert not idle.exists()
    assert small.holds(sha256_file(paths[3]))
    assert total(small) == 3 * size


def test_reading_marks_a_file_as_in_use(cache: DecodedCache, tmp_path: Path) -> None:
    path = write_source(tmp_path)
    excerpt(cache, path, 0.0, 0.1)
    (file,) = stored(cache)
    os.utime(file, (1, 1))
    forget()
    excerpt(cache, path, 0.0, 0.1)
    assert file.stat().st_mtime > time.time() - 60


@pytest.mark.parametrize("ledger", ["", "many", "-1"])
def test_a_lost_total_is_counted_again(ledger: str, cache: DecodedCache, tmp_path: Path) -> None:
    excerpt(cache, write_source(tmp_path), 0.0, 0.1)
    (cache.folder / "bytes").write_text(ledger)
    left_behind = stored(cache)[0].with_name(".tmp.1234.abc")
    left_behind.write_bytes(bytes(1000))
    (cache.folder / "mine.txt").write_text("not of the cache")
    excerpt(cache, write_source(tmp_path, seed=1), 0.0, 0.1)
    assert not left_behind.exists()
    assert (cache.folder / "mine.txt").exists()
    assert int((cache.folder / "bytes").read_text()) == total(cache)
    assert len(stored(cache)) == 2


def test_the_last_of_a_disk_is_left_free(
    cache: DecodedCache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixgen.audio.cache, "_FREE_BYTES", 1 << 60)
    path = write_source(tmp_path)
    assert_same_bits(excerpt(cache, path, 1.0, 2.0), read_excerpt(path, 1.0, 2.0)[0])
    assert stored(cache) == []
    assert (cache.folder / "bytes").read_bytes() == b""


_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from mixgen.audio.cache import DecodedCache
from mixgen.audio.read import read_excerpt
from mixgen.core.files import sha256_file
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
cache, path = DecodedCache(Path(sys.argv[1]), 10**9), Path(sys.argv[2])
for start_s in (0.0, 1.0):
    samples, rate = cache.read_excerpt(path, sha256_file(path), start_s, 2.0)
    assert (samples == read_excerpt(path, start_s, 2.0)[0]).all()
"""


def test_a_full_disk_costs_only_time(cache: DecodedCache, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _ON_A_FULL_DISK, cache.folder, write_source(tmp_path)]
    subprocess.run(words, check=True)
    assert stored(cache) == []


@pytest.mark.parametrize("where", ["", "bytes", "libsndfile"])
def test_a_folder_that_cannot_be_written_costs_only_time(
    where: str, cache: DecodedCache, tmp_path: Path
) -> None:
    if where == "bytes":
        (cache.folder / where).mkdir(parents=True)
    else:
        blocked = Path(cache._path("0" * 64)).parents[1] if where else cache.folder
        blocked.parent.mkdir(exist_ok=True)
        blocked.write_text("a file where the folder should be")
    path = write_source(tmp_path)
    for _ in range(2):
        assert_same_bits(excerpt(cache, path, 1.0, 2.0), read_excerpt(path, 1.0, 2.0)[0])


def test_nobody_waits_long_for_a_writer_that_stopped(cache: DecodedCache, tmp_path: Path) -> None:
    path = write_source(tmp_path)
    with cache._locked():
        started = time.monotonic()
        assert_same_bits(excerpt(cache, path, 1.0, 2.0), read_excerpt(path, 1.0, 2.0)[0])
        assert excerpt(cache, path, 0.0, 1.0).shape == (2, RATE)
    assert time.monotonic() - started < 30
    assert stored(cache) == []


def test_threads_share_a_cache(cache: DecodedCache, tmp_path: Path) -> None:
    paths = [write_source(tmp_path, seed=seed) for seed in range(4)]
    expected = [read_audio(path)[0] for path in paths]
    same: list[bool] = []

    def read(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(20):
            which = rng.randrange(4)
            same.append(np.array_equal(excerpt(cache, paths[which], 0.0, 20.0), expected[which]))

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 80
    assert len(stored(cache)) == 4


_READER = """
import random, sys, time
from pathlib import Path
import numpy as np
from mixgen.audio import cache as module, decoded
from mixgen.core.files import sha256_file
module._PAUSE_S = module._IDLE_S = 0.0  # every file is removed and stored again and again
folder, limit, seconds, *paths = sys.argv[1:]
cache = module.DecodedCache(Path(folder), int(limit))
expected = {path: module.read_audio(Path(path))[0] for path in paths}
hashes = {path: sha256_file(Path(path)) for path in paths}
until = time.monotonic() + float(seconds)
print("reading", flush=True)
while time.monotonic() < until:
    path = random.choice(paths)
    if random.random() < 0.3:
        decoded.read_header.cache_clear()
        decoded._block.cache_clear()
    samples = cache.read_excerpt(Path(path), hashes[path], 0.0, 20.0, to_end=True)[0]
    assert np.array_equal(samples, expected[path]), path
"""


def test_processes_share_a_cache_while_some_are_killed_and_files_vanish(
    cache: DecodedCache, tmp_path: Path
) -> None:
    paths = [write_source(tmp_path, seed=seed) for seed in range(5)]
    excerpt(cache, paths[0], 0.0, 0.1)
    limit = 3 * total(cache) + 1000

    def start(seconds: float) -> subprocess.Popen[str]:
        words = [cache.folder, limit, seconds, *paths]
        process = subprocess.Popen(
            [sys.executable, "-c", _READER, *map(str, words)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "reading\n"
        return process

    survivors, victims = [start(6), start(6)], [start(60), start(60), start(60)]
    rng = random.Random(0)
    most = 0
    for victim in victims:
        for _ in range(20):
            time.sleep(rng.uniform(0, 0.05))
            most = max(most, *(_size(path) for path in [*stored(cache), cache.folder / "bytes"]))
            present = sum(_size(path) for path in stored(cache))
            assert present <= limit
            if rng.random() < 0.3 and (files := stored(cache)):
                files[0].unlink(missing_ok=True)
        victim.kill()
        victim.communicate()
    for survivor in survivors:
        survivor.communicate()
        assert survivor.returncode == 0
    assert most > 0
    assert total(cache) <= limit
    forget()
    for path in paths:
        assert_same_bits(excerpt(cache, path, 0.0, 20.0), read_audio(path)[0])


def _size(path: Path) -> int:
    """Return the size of a file, 0 once it is gone."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def test_copies_in_a_process_are_one(tmp_path: Path) -> None:
    cache = open_cache(tmp_path / "cache")
    assert cache is not None
    assert pickle.loads(pickle.dumps(cache)) is cache
    assert open_cache(tmp_path / "cache") is cache


def test_the_environment_names_a_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIXGEN_CACHE", raising=False)
    assert open_cache() is None
    monkeypatch.setenv("MIXGEN_CACHE", str(tmp_path / "named"))
    monkeypatch.setenv("MIXGEN_CACHE_GB", "0.5")
    cache = open_cache()
    assert cache is not None
    assert (cache.folder, cache.limit_bytes) == (tmp_path / "named", 500_000_000)
    given = open_cache(tmp_path / "given")
    assert given is not None
    assert given.folder == tmp_path / "given"


@pytest.mark.parametrize("word", ["", "many", "0", "-1", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(
    word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIXGEN_CACHE_GB", word)
    with pytest.raises(UsageError, match=r"MIXGEN_CACHE_GB is a number of gigabytes above 0, not"):
        open_cache(tmp_path)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MachineError, match="a file is where a folder should be"):
        open_cache(tmp_path / "file" / "cache")
