"""Dynamic mixing: a manifest's records with their excerpts drawn anew for every example.

An example takes the levels of one record and applies them to new excerpts of the split's source
files. Fades and the clip rule of the records are not applied.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soxr

from baselines.compatibility import stem_names
from baselines.inputs import looped
from baselines.training.data import ENROLMENT_STREAM, Signal, TrainingExample, example_rng
from mixgen.audio.levels import LEVEL_RULES
from mixgen.audio.read import audio_info, read_audio, resample, to_channels
from mixgen.core.errors import InputError, MachineError
from mixgen.core.progress import track
from mixgen.corpora.roots import Roots, locate
from mixgen.manifest.mixture import Event, Mixture, Source

# A start is drawn up to this many times while the excerpt is quieter than its recording by the
# margin.
_START_DRAWS = 8
_QUIET_MARGIN_DB = 10.0
_BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class Recording:
    """One source file in memory: samples (channels, time), their rate, label and level."""

    samples: Signal
    sample_rate: int
    label: str
    level_db: float
    power: float

    @property
    def frames(self) -> int:
        """Length in samples."""
        return int(self.samples.shape[1])


@dataclass(frozen=True)
class Excerpt:
    """A segment (channels, time) of a recording, at a speed."""

    recording: Recording
    speed: float
    samples: Signal

    def at_level(self, level_db: float) -> Signal:
        """Return the samples where the whole recording has a level."""
        return self.samples * np.float32(10 ** ((level_db - self.recording.level_db) / 20))


FileKey = tuple[str, str, str]  # corpus, path, level rule


class DynamicMixing:
    """Fresh mixtures of the source files that the records of a split use.

    Sources without stem names (talkers) get recordings of distinct labels from all that have their
    role and kind, each at a random speed. A target is enrolled with another recording of its label,
    at the same speed. Named stems come from one record's files at one time with probability
    `coherent`, else each from a record drawn for it alone.

    Args:
        mixtures: the records.
        roots: folder of each corpus.
        segment_s: length of an example in seconds.
        seed: of the draws.
        inputs: what a separator gets beside the mixture: nothing, or an enrolment.
        speed_range: lowest and highest speed.
        gain_spread_db: largest random gain that is added to each source's level, up or down.
        coherent: probability that all stems are of one song.
        memory_gb: limit for the recordings.

    Raises:
        InputError: the records do not allow dynamic mixing, or a file cannot be read.
        MachineError: the recordings need more than `memory_gb`.
    """

    def __init__(
        self,
        mixtures: Sequence[Mixture],
        roots: Roots,
        *,
        segment_s: float,
        seed: int,
        inputs: Sequence[str] = (),
        speed_range: tuple[float, float] = (1.0, 1.0),
        gain_spread_db: float = 0.0,
        coherent: float = 0.5,
        memory_gb: float = 4.0,
    ) -> None:
        self.mixtures = mixtures
        self.sample_rate = mixtures[0].sample_rate
        self.frames = round(segment_s * self.sample_rate)
        self.seed = seed
        self.enrols = "enrolment" in inputs
        self.speed_range = speed_range
        self.gain_spread_db = gain_spread_db
        self.coherent = coherent
        self.named = stem_names(mixtures) is not None
        _require_dynamic_mixing(mixtures)
        # A recording that is slowed down from this rate still fills the set's band.
        kept_rate = math.ceil(self.sample_rate / speed_range[0])
        labels = {key: source.label for source in self._sources() for key in self._files(source)}
        channels = mixtures[0].channels
        self.recordings = _load_all(labels, roots, channels, kept_rate, memory_gb)
        self.pools = self._pools()

    def _pools(self) -> dict[str, dict[str, list[Recording]]]:
        """Return the recordings by the pool that a source draws from, then by label."""
        pools: dict[str, dict[str, dict[FileKey, Recording]]] = {}
        for source in self._sources():
            labels = pools.setdefault(_pool_of(source), {})
            for key in self._files(source):
                labels.setdefault(source.label, {})[key] = self.recordings[key]
        return {
            pool: {label: list(found.values()) for label, found in labels.items()}
            for pool, labels in pools.items()
        }

    def _sources(self) -> Iterator[Source]:
        """Yield every source of every record."""
        for mixture in self.mixtures:
            yield from mixture.sources

    def _files(self, source: Source) -> list[FileKey]:
        """Return the files that a source uses, and the one it is enrolled with where that is."""
        enrolment = [source.enrolment] if self.enrols and source.enrolment else []
        return [_file_key(source, event) for event in (*source.events, *enrolment)]

    def example(self, index: int) -> TrainingExample:
        """Return the signals of a new mixture, float32."""
        rng = example_rng(self.seed, index)
        record = self._random_record(rng)
        excerpts = self._stems(rng, record) if self.named else self._talkers(rng, record)
        signals = []
        for source, excerpt in zip(record.sources, excerpts, strict=True):
            spread_db = rng.uniform(-self.gain_spread_db, self.gain_spread_db)
            level_db = record.level.reference_db + source.events[0].snr + spread_db
            signals.append(excerpt.at_level(level_db))
        shape = (len(signals), record.channels, self.frames)
        stacked = np.reshape(signals, shape).astype(np.float32)
        names = [source.name for source in record.sources]
        targets = [names.index(name) for name in record.targets]
        mixture: Signal = stacked.sum(axis=0, dtype=np.float32)
        example = {"mixture": mixture, "references": stacked[targets]}
        if self.enrols:
            rng = example_rng(self.seed, index, ENROLMENT_STREAM)
            example["enrolment"] = np.stack(
                [self._enrolment(rng, record, record.sources[i], excerpts[i]) for i in targets]
            )
        return example

    def _enrolment(
        self, rng: np.random.Generator, record: Mixture, source: Source, drawn: Excerpt
    ) -> Signal:
        """Return a segment of another recording of a talker, which it fills, at the same speed.

        It is of the same recording where the talker has no other.
        """
        recordings = self.pools[_pool_of(source)][drawn.recording.label]
        others = [other for other in recordings if other is not drawn.recording] or recordings
        other = others[int(rng.integers(len(others)))]
        start = _sounding_start(rng, other, self._frames_needed(other, drawn.speed))
        snr = source.enrolment.snr if source.enrolment else 0.0
        level_db = record.level.reference_db + snr
        return self._looped(other, start, drawn.speed).at_level(level_db)

    def _random_record(self, rng: np.random.Generator) -> Mixture:
        return self.mixtures[int(rng.integers(len(self.mixtures)))]

    def _talkers(self, rng: np.random.Generator, record: Mixture) -> list[Excerpt]:
        """Return an excerpt for each source, labels distinct within a pool."""
        pool_of_sources = [_pool_of(source) for source in record.sources]
        chosen = {
            name: _distinct(rng, pool, pool_of_sources.count(name))
            for name, pool in self.pools.items()
        }
        excerpts = []
        for source, pool_name in zip(record.sources, pool_of_sources, strict=True):
            recording = chosen[pool_name].pop()
            if source.role == "background":
                start = int(rng.integers(recording.frames))
                excerpts.append(self._looped(recording, start, speed=1.0))
            else:
                excerpts.append(self._excerpt(rng, recording, self._speed(rng)))
        return excerpts

    def _stems(self, rng: np.random.Generator, record: Mixture) -> list[Excerpt]:
        """Return an excerpt for each stem, all of one song or independent."""
        if rng.random() >= self.coherent:
            records = [self._random_record(rng) for _ in record.sources]
            recordings = self._recordings_of(records)
            return [self._excerpt(rng, r, self._speed(rng)) for r in recordings]
        recordings = self._recordings_of([record] * len(record.sources))
        speed = self._speed(rng)
        shortest_s = min(r.frames / r.sample_rate for r in recordings)
        latest_s = max(shortest_s - self.frames * speed / self.sample_rate, 0.0)
        start_s = rng.uniform(0.0, latest_s)
        return [self._cut(r, int(start_s * r.sample_rate), speed) for r in recordings]

    def _recordings_of(self, records: list[Mixture]) -> list[Recording]:
        """Return the recording of stem i in record i."""
        sources = [record.sources[i] for i, record in enumerate(records)]
        return [self.recordings[_file_key(source, source.events[0])] for source in sources]

    def _speed(self, rng: np.random.Generator) -> float:
        slowest, fastest = self.speed_range
        return math.exp(rng.uniform(math.log(slowest), math.log(fastest)))

    def _excerpt(self, rng: np.random.Generator, recording: Recording, speed: float) -> Excerpt:
        """Return a random excerpt that is not silent, or a short recording at a random offset."""
        needed = self._frames_needed(recording, speed)
        start = _sounding_start(rng, recording, needed)
        excerpt = self._cut(recording, start, speed)
        missing = max(self.frames - math.ceil(recording.frames * self.frames / needed), 0)
        samples = np.roll(excerpt.samples, int(rng.integers(missing + 1)), axis=1)
        return replace(excerpt, samples=samples)

    def _frames_needed(self, recording: Recording, speed: float) -> int:
        """Return how many samples of the recording fill a segment at a speed."""
        return math.ceil(self.frames * recording.sample_rate * speed / self.sample_rate)

    def _cut(self, recording: Recording, start: int, speed: float) -> Excerpt:
        """Return a segment from `start` on, followed by silence if it is short."""
        stop = start + self._frames_needed(recording, speed)
        samples = recording.samples[:, start:stop]
        return Excerpt(recording, speed, self._at_set_rate(samples, recording.sample_rate * speed))

    def _looped(self, recording: Recording, start: int, speed: float) -> Excerpt:
        """Return a segment from `start` on of a recording that starts again at its end."""
        samples = looped(recording.samples, start, self._frames_needed(recording, speed))
        return Excerpt(recording, speed, self._at_set_rate(samples, recording.sample_rate * speed))

    def _at_set_rate(self, samples: Signal, rate: float) -> Signal:
        if rate != self.sample_rate:
            samples = soxr.resample(samples.T, rate, self.sample_rate, quality="MQ").T
        samples = samples[:, : self.frames]
        return np.pad(samples, ((0, 0), (0, self.frames - samples.shape[1])))


def _pool_of(source: Source) -> str:
    """Return the name of the pool that a source draws its recording from."""
    return f"{source.role} {source.kind}"


def _file_key(source: Source, event: Event) -> FileKey:
    return event.corpus, event.path, source.gain.rule


def allows_dynamic_mixing(mixtures: Sequence[Mixture]) -> bool:
    """Return whether new excerpts would give mixtures of the records' kind.

    Every source must be one unaltered excerpt of one file, without room, echo or degradation, and
    have a level, which those of published sets do not have. Records may differ in the number of
    their talkers, and in nothing else.
    """
    kinds = {(source.name, source.role, source.kind) for m in mixtures for source in m.sources}
    same_pools = len({name for name, _, _ in kinds}) == len(kinds)
    others = [[s.name for s in m.sources if s.name not in m.targets] for m in mixtures]
    varies = len({len(mixture.targets) for mixture in mixtures}) > 1
    return (
        all(
            (varies or mixture.targets == mixtures[0].targets)
            and other == others[0]
            and not mixture.degradations
            and mixture.arithmetic is None
            for mixture, other in zip(mixtures, others, strict=True)
        )
        and same_pools
        and all(
            source.room is None
            and source.echo is None
            and len(source.events) == 1
            and source.events[0].pitch_shift is None
            and source.events[0].time_stretch is None
            for mixture in mixtures
            for source in mixture.sources
        )
    )


def _require_dynamic_mixing(mixtures: Sequence[Mixture]) -> None:
    if not allows_dynamic_mixing(mixtures):
        raise InputError(
            "These records do not allow dynamic mixing, because their sources differ from record "
            "to record in more than the number of talkers, have several events, or have a room, an "
            "echo or a degradation, or because they are of a published set: use RecordExamples."
        )


def _distinct(
    rng: np.random.Generator, pool: dict[str, list[Recording]], count: int
) -> list[Recording]:
    """Return `count` recordings, of distinct labels if the pool has enough of them."""
    labels = list(pool)
    drawn = rng.choice(len(labels), size=count, replace=len(labels) < count)
    return [pool[labels[i]][rng.integers(len(pool[labels[i]]))] for i in drawn]


def _sounding_start(rng: np.random.Generator, recording: Recording, frames: int) -> int:
    """Return a random start of an excerpt that is not far quieter than the whole recording."""
    latest = max(recording.frames - frames, 0)
    quiet = recording.power * 10 ** (-_QUIET_MARGIN_DB / 10)
    for _ in range(_START_DRAWS):
        start = int(rng.integers(latest + 1))
        if np.square(recording.samples[:, start : start + frames]).mean() >= quiet:
            break
    return start


def _load_all(
    labels: dict[FileKey, str], roots: Roots, channels: int, kept_rate: int, memory_gb: float
) -> dict[FileKey, Recording]:
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
    samples, file_rate = read_audio(path)
    samples = resample(to_channels(samples, channels), file_rate, rate)
    level_db = LEVEL_RULES[rule](samples, rate)
    power = float(np.square(samples).mean())
    return Recording(samples.astype(np.float32), rate, label, level_db, power)
