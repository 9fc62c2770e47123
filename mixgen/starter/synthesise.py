"""Synthesise the items of a plan into files, with several workers; existing files are kept."""

import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mixgen.audio.formats import FORMATS, to_grid, write_samples
from mixgen.audio.read import read_audio
from mixgen.core.progress import track
from mixgen.core.workers import bounded_map
from mixgen.starter.items import SONG_RATE, SPEECH_RATE, Item, Noise, Plan, Song, Utterance
from mixgen.starter.noise import make_noise
from mixgen.starter.songs import play
from mixgen.starter.speech import speak

_SAMPLE_FORMAT = FORMATS["flac16"]

VoicePaths = dict[str, tuple[str, ...]]  # split -> files of the utterances in its babble


def render_missing(out: Path, plan: Plan, workers: int) -> None:
    """Make every sound of the plan that is not in `out`; noise comes last, as babble needs speech.

    Raises:
        MachineError: espeak-ng is missing or fails, a worker dies, or `out` cannot be written.
    """
    voice_paths = {
        noise.split: tuple(u.paths[0] for u in plan.utterances if u.speaker.split == noise.split)
        for noise in plan.noises
    }
    render = functools.partial(_render, out, voice_paths)
    batches: dict[str, tuple[Item, ...]] = {
        "songs and speech": (*plan.songs, *plan.utterances),
        "noise": plan.noises,
    }
    for description, items in batches.items():
        missing = [item for item in items if not all((out / p).exists() for p in item.paths)]
        rendered = bounded_map(render, missing, workers=min(workers, len(missing)))
        for _ in track(rendered, description, len(missing)):
            pass


def _render(out: Path, voice_paths: VoicePaths, item: Item) -> None:
    """Synthesise one item and write its files below `out`."""
    match item:
        case Utterance():
            _write(out / item.paths[0], _quantised(speak(item)), SPEECH_RATE)
        case Noise():
            needed = voice_paths[item.split] if item.label == "babble" else ()
            voices = [read_audio(out / path)[0][0] for path in needed]
            _write(out / item.paths[0], _quantised(make_noise(item, voices)), SPEECH_RATE)
        case Song():
            stems = [_quantised(stem) for stem in play(item).values()]
            # Summed after rounding, the mixture is exactly the sum of its stems.
            mixture: NDArray[np.int16] = np.sum(stems, axis=0, dtype=np.int16)
            for path, samples in zip(item.paths, (mixture, *stems), strict=True):
                _write(out / path, samples, SONG_RATE)


def _quantised(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    return to_grid(samples, _SAMPLE_FORMAT).astype(np.int16)


def _write(path: Path, samples: NDArray[np.int16], sample_rate: int) -> None:
    """Write (time,) or (channels, time) as 16-bit FLAC."""
    write_samples(path, np.ascontiguousarray(samples.T), sample_rate, _SAMPLE_FORMAT)
