"""What the steps of rendering cost: CPU times of each, and of soundfile and soxr alone.

`render_speed.py` runs it and writes benchmarks/results/render_steps.csv.
"""

import functools
import itertools
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from mixgen.audio.formats import SampleFormat, file_samples, samples_sha256, write_samples
from mixgen.audio.levels import LEVEL_RULES
from mixgen.core.files import sha256_file
from mixgen.corpora.roots import Roots, locate
from mixgen.manifest.file import read_manifest
from mixgen.manifest.mixture import Mixture
from mixgen.render.measure import measure
from mixgen.render.mixture import render

hash_once = functools.cache(sha256_file)


def step_seconds(
    mixture: Mixture, roots: Roots, sample_format: SampleFormat, folder: Path
) -> dict[str, float]:
    """Return the CPU seconds of every step of one mixture, and of the bare libraries under them."""
    started = time.process_time()
    steps: dict[str, float] = {}

    def lap(name: str) -> None:
        nonlocal started
        steps[name] = steps.get(name, 0.0) + time.process_time() - started
        started = time.process_time()

    for source in mixture.sources:
        event, rule = source.events[0], LEVEL_RULES[source.gain.rule]
        path = locate(roots, event.corpus, event.path)
        lap("(not counted)")
        hash_once(path)
        lap("hash of sources")
        with soundfile.SoundFile(path) as file:
            file.seek(int(event.source_time * file.samplerate))
            samples = file.read(int(event.event_duration * file.samplerate), always_2d=True)
        lap("read: soundfile alone")
        if file.samplerate != mixture.sample_rate:
            samples = soxr.resample(samples, file.samplerate, mixture.sample_rate, quality="HQ")
        lap("resample: soxr alone")
        rule(np.ascontiguousarray(samples.T[: mixture.channels]), mixture.sample_rate)
        lap("level")
    rendering = render(mixture, roots, sample_format)
    lap("render: all of it")
    measure(mixture, rendering, roots)
    lap("measure")
    for name, grid in rendering.steps.items():
        samples = file_samples(grid, sample_format)
        lap("sample format")
        samples_sha256(samples)
        lap("hash of samples")
        write_samples(
            folder / f"{name}.{sample_format.extension}",
            samples,
            mixture.sample_rate,
            sample_format,
        )
        lap("write: encode, hash, write")
        soundfile.write(
            folder / f"bare.{sample_format.extension}",
            samples,
            mixture.sample_rate,
            sample_format.subtype,
        )
        lap("write: soundfile alone")
    return steps


def step_rows(
    manifests: Sequence[Path], roots: Roots, work: Path, sample_format: SampleFormat
) -> list[list[str]]:
    """Return the CPU time of each step per mixture, and its share; the first manifest warms up."""
    drawn = [read_manifest(path).mixtures for path in manifests]
    hash_once.cache_clear()
    work.mkdir(parents=True)
    mixtures = itertools.chain(*drawn)
    laps = [step_seconds(mixture, roots, sample_format, work) for mixture in mixtures]
    laps = laps[len(drawn[0]) :]
    mean = {name: statistics.fmean(lap[name] for lap in laps) for name in laps[0]}
    read, resampled, level = (
        mean.pop(name) for name in ("read: soundfile alone", "resample: soxr alone", "level")
    )
    bare_write = mean.pop("write: soundfile alone")
    del mean["(not counted)"]
    whole = mean.pop("render: all of it")
    steps = {
        "read (soundfile)": read,
        "resample (soxr)": resampled,
        "level": level,
        "checks, fades, sum, grid": max(0.0, whole - read - resampled - level),
        **mean,
    }
    total = sum(steps.values())
    floor = read + resampled + bare_write
    lines = [(name, seconds) for name, seconds in steps.items()]
    lines += [("sum of the steps", total), ("floor: soundfile and soxr alone", floor)]
    return [
        [sample_format.name, name, f"{1e3 * s:.2f}", f"{100 * s / total:.0f}"] for name, s in lines
    ]
