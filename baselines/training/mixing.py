"""Training mixtures made on the fly: a manifest's records with their excerpts drawn anew.

Each item takes one record's levels and puts new excerpts of the split's own source files under
them. Fades, pitch shifts, time stretches and the clip rule of the records are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from baselines.compatibility import stem_names
from baselines.training.data import Item, Signal, item_rng
from mixgen.audio.levels import LEVEL_RULES
from mixgen.audio.read import audio_info, read_audio, resample, to_channels
from mixgen.core.errors import InputError, MachineError
from mixgen.core.progress import track
from mixgen.corpora.roots import Roots, locate
from mixgen.manifest.mixture import Event, Mixture, Source

# A start is drawn again this often while the excerpt is quieter than its recording by the margin.
_START_DRAWS = 8
_QUIET_MARGIN_DB = 10.0
_BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class Recording:
    """One source file in memory: samples (channels, time) at its own rate, its label and level."""

    samples: Signal
    sample_rate: int
    label: str
    level_db: float
    power: float

    @property
    def frames(self) -> int:
        """Length in samples."""
        return self.samples.shape[1]


FileKey = tuple[str, str, str]  # corpus, path, level rule


class DynamicItems:
    """Fresh mixtures from the source files that the records of a split use.

    Sources that have no names of their own (talkers) get recordings of distinct labels from all
    that play their role, each at its own random speed. Named stems come from one record's files at
    one time with probability `coherent`, else each from a record of its own.

    `speed_range` holds the slowest and fastest speed. `gain_spread_db` is added to every source's
    level, uniform from minus to plus.

    Raises:
        InputError: the records differ in their sources, or a file cannot be read.
        MachineError: the recordings need more than `memory_gb`.
    """

    def __init__(
        self,
        mixtures: Sequence[Mixture],
        roots: Roots,
        *,
        segment_s: float,
        seed: int,
        speed_range: tuple[float, float] = (1.0, 1.0),
        gain_spread_db: float = 0.0,
        coherent: float = 0.5,
        memory_gb: float = 4.0,
    ) -> None:
        self.mixtures = mixtures
        self.sample_rate = mixtures[0].sample_rate
        self.frames = round(segment_s * self.sample_rate)
        self.seed = seed
        self.speed_range = speed_range
        self.gain_spread_db = gain_spread_db
        self.coherent = coherent
        self.named = stem_names(mixtures) is not None
        _check_kind(mixtures)
        # Slowed down, a recording at this rate still fills the set's band.
        kept_rate = math.ceil(self.sample_rate / speed_range[0])
        self.recordings = _load_all(mixtures, roots, kept_rate, memory_gb)
        self.pools = self._pools()

    def _pools(self) -> dict[str, dict[str, list[Recording]]]:
        """Recordings by the role that they play, then by label."""
        pools: dict[str, dict[str, dict[FileKey, Recording]]] = {}
        for source in (source for mixture in self.mixtures for source in mixture.sources):
            labels = pools.setdefault(_part(source), {})
            for event in source.events:
                key = _key(source, event)
                labels.setdefault(source.label, {})[key] = self.recordings[key]
        return {
            part: {label: list(found.values()) for label, found in labels.items()}
            for part, labels in pools.items()
        }

    def item(self, index: int) -> Item:
        """A mixture (channels, time) and its references (n_src, channels, time), float32."""
        rng = item_rng(self.seed, index)
        record = self._any_record(rng)
        excerpts = self._stems(rng, record) if self.named else self._talkers(rng, record)
        signals = {
            source.name: excerpt * self._gain(rng, record, source, recording)
            for source, (recording, excerpt) in zip(record.sources, excerpts, strict=True)
        }
        mixture = np.sum(list(signals.values()), axis=0, dtype=np.float32)
        return mixture, np.stack([signals[name] for name in record.targets])

    def _any_record(self, rng: np.random.Generator) -> Mixture:
        return self.mixtures[rng.integers(len(self.mixtures))]

    def _gain(
        self, rng: np.random.Generator, record: Mixture, source: Source, recording: Recording
    ) -> np.float32:
        spread_db = rng.uniform(-self.gain_spread_db, self.gain_spread_db)
        wanted_db = record.level.reference_db + source.events[0].snr + spread_db
        return np.float32(10 ** ((wanted_db - recording.level_db) / 20))

    def _talkers(self, rng: np.random.Generator, record: Mixture) -> list[tuple[Recording, Signal]]:
        """One recording and its excerpt for each source, labels distinct within a role."""
        chosen = {
            part: _distinct(rng, pool, sum(_part(source) == part for source in record.sources))
            for part, pool in self.pools.items()
        }
        excerpts = []
        for source in record.sources:
            recording = chosen[_part(source)].pop()
            if source.role == "background":
                excerpts.append((recording, self._tiled(rng, recording)))
            else:
                excerpts.append((recording, self._excerpt(rng, recording, self._speed(rng))))
        return excerpts

    def _stems(self, rng: np.random.Generator, record: Mixture) -> list[tuple[Recording, Signal]]:
        """One recording and its excerpt for each stem, all of one record or each of another."""
        if rng.random() >= self.coherent:
            records = [self._any_record(rng) for _ in record.sources]
            recordings = self._recordings_of(records)
            return [(r, self._excerpt(rng, r, self._speed(rng))) for r in recordings]
        recordings = self._recordings_of([record] * len(record.sources))
        speed = self._speed(rng)
        shortest_s = min(r.frames / r.sample_rate for r in recordings)
        latest_s = max(shortest_s - self.frames * speed / self.sample_rate, 0.0)
        start_s = rng.uniform(0.0, latest_s)
        return [(r, self._cut(r, int(start_s * r.sample_rate), speed)) for r in recordings]

    def _recordings_of(self, records: list[Mixture]) -> list[Recording]:
        sources = [record.sources[i] for i, record in enumerate(records)]
        return [self.recordings[_key(source, source.events[0])] for source in sources]

    def _speed(self, rng: np.random.Generator) -> float:
        slowest, fastest = self.speed_range
        return math.exp(rng.uniform(math.log(slowest), math.log(fastest)))

    def _excerpt(self, rng: np.random.Generator, recording: Recording, speed: float) -> Signal:
        """A random excerpt that sounds, or the whole short recording at a random place."""
        wanted = self._wanted(recording, speed)
        start = _sounding_start(rng, recording, wanted)
        samples = self._cut(recording, start, speed)
        missing = max(self.frames - math.ceil(recording.frames * self.frames / wanted), 0)
        return np.roll(samples, int(rng.integers(missing + 1)), axis=1)

    def _wanted(self, recording: Recording, speed: float) -> int:
        """Samples of the recording that a segment needs at a speed."""
        return math.ceil(self.frames * recording.sample_rate * speed / self.sample_rate)

    def _cut(self, recording: Recording, start: int, speed: float) -> Signal:
        """A segment (channels, time) from `start` on, followed by silence where it is short."""
        stop = start + self._wanted(recording, speed)
        return self._at_rate(recording.samples[:, start:stop], recording.sample_rate * speed)

    def _tiled(self, rng: np.random.Generator, recording: Recording) -> Signal:
        """A segment (channels, time) of a background, which starts again where it ends."""
        wanted = self._wanted(recording, 1.0)
        start = int(rng.integers(recording.frames))
        samples = recording.samples.take(np.arange(start, start + wanted), axis=1, mode="wrap")
        return self._at_rate(samples, recording.sample_rate)

    def _at_rate(self, samples: Signal, rate: float) -> Signal:
        if rate != self.sample_rate:
            samples = soxr.resample(samples.T, rate, self.sample_rate, quality="MQ").T
        samples = samples[:, : self.frames]
        return np.pad(samples, ((0, 0), (0, self.frames - samples.shape[1])))


def _part(source: Source) -> str:
    """The part that a source plays: sources of one part may exchange their recordings."""
    return f"{source.role} {source.kind}"


def _key(source: Source, event: Event) -> FileKey:
    return event.corpus, event.path, source.gain.rule


def can_be_mixed_afresh(mixtures: Sequence[Mixture]) -> bool:
    """Tell whether fresh mixtures of the recordings would be of the records' kind.

    That takes the same sources in all, each one excerpt of one file as it is, and nothing done to
    it or to the mixture: no room, echo or degradation.
    """
    expected = [source.name for source in mixtures[0].sources]
    return all(
        [source.name for source in mixture.sources] == expected
        and not mixture.degradations
        and all(_is_plain(source) for source in mixture.sources)
        for mixture in mixtures
    )


def _is_plain(source: Source) -> bool:
    if len(source.events) != 1 or source.room is not None or source.echo is not None:
        return False
    return source.events[0].pitch_shift is None and source.events[0].time_stretch is None


def _check_kind(mixtures: Sequence[Mixture]) -> None:
    if not can_be_mixed_afresh(mixtures):
        raise InputError(
            "These mixtures cannot be mixed afresh: their sources differ from record to record, "
            "have several events, or are changed by a room, an echo or an effect."
        )


def _distinct(
    rng: np.random.Generator, pool: dict[str, list[Recording]], count: int
) -> list[Recording]:
    """`count` recordings of distinct labels, as far as there are as many labels."""
    labels = list(pool)
    drawn = rng.choice(len(labels), size=count, replace=len(labels) < count)
    return [pool[labels[i]][rng.integers(len(pool[labels[i]]))] for i in drawn]


def _sounding_start(rng: np.random.Generator, recording: Recording, wanted: int) -> int:
    """A random start of `wanted` samples that are not far quieter than the whole recording."""
    latest = max(recording.frames - wanted, 0)
    quiet = recording.power * 10 ** (-_QUIET_MARGIN_DB / 10)
    for _ in range(_START_DRAWS):
        start = int(rng.integers(latest + 1))
        if np.square(recording.samples[:, start : start + wanted]).mean() >= quiet:
            break
    return start


def _load_all(
    mixtures: Sequence[Mixture], roots: Roots, kept_rate: int, memory_gb: float
) -> dict[FileKey, Recording]:
    channels = mixtures[0].channels
    labels = {
        _key(source, event): source.label
        for mixture in mixtures
        for source in mixture.sources
        for event in source.events
    }
    files = {key: locate(roots, key[0], key[1]) for key in labels}
    rates = {key: min(audio_info(path).sample_rate, kept_rate) for key, path in files.items()}
    seconds = sum(audio_info(path).duration_s * rates[key] for key, path in files.items())
    needed_gb = seconds * channels * np.dtype(np.float32).itemsize / _BYTES_PER_GB
    if needed_gb > memory_gb:
        raise MachineError(
            f"The {len(files)} source files need {needed_gb:.1f} GB of memory, more than the "
            f"{memory_gb:g} allowed: raise --memory-gb, or render the set and train with --set."
        )
    return {
        key: _load(files[key], rates[key], channels, label, key[2])
        for key, label in track(labels.items(), "load sources", total=len(labels))
    }


def _load(path: Path, rate: int, channels: int, label: str, rule: str) -> Recording:
    """Read a file and convert it to `rate` and `channels`."""
    samples, own_rate = read_audio(path)
    samples = resample(to_channels(samples, channels), own_rate, rate)
    level_db = LEVEL_RULES[rule](samples, rate)
    power = float(np.square(samples).mean())
    return Recording(samples.astype(np.float32), rate, label, level_db, power)
