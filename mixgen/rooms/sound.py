"""The sound of a source in its room: the file of its response, and the parts that are wanted."""

import functools
from pathlib import Path

import numpy as np

from mixgen.audio import Samples, read_audio, resample
from mixgen.errors import InputError
from mixgen.manifest import Mixture, Response, Source
from mixgen.rooms.response import along, convolve
from mixgen.sources import Roots, drawn_file


def through_room(mixture: Mixture, source: Source, samples: Samples, roots: Roots) -> list[Samples]:
    """Return samples (1, time) of a source in its room: its image, then its references in order.

    Each has shape (channels, time + taps - 1); references stop earlier.

    Raises:
        InputError: the mixture has no room, or the response is missing, altered or has too few
            channels.
    """
    if mixture.room is None or source.room is None:
        raise InputError(f"Source {source.name!r} of mixture {mixture.id} is in no room.")
    rate = mixture.sample_rate
    response = load_response(source.room, mixture.channels, rate, roots)
    early_s = mixture.room.early_s
    parts = [response, *(along(part, response, rate, early_s) for part in source.references)]
    return [convolve(samples, part) for part in parts]


def load_response(room: Response, channels: int, sample_rate: int, roots: Roots) -> Samples:
    """Return a response (channels, taps) at a sample rate, from its first channels.

    Raises:
        InputError: its file is missing, altered or has too few channels.
    """
    path = drawn_file(roots, room)
    response = _read(path, sample_rate, path.stat().st_mtime_ns)
    if len(response) < channels:
        raise InputError(
            f"{path} has {len(response)} channel(s), and the mixture {channels}: choose responses "
            "of as many microphones, or fewer channels."
        )
    return response[:channels]


@functools.lru_cache(maxsize=64)
def _read(path: Path, sample_rate: int, _mtime_ns: int) -> Samples:
    response, rate = read_audio(path)
    # A sample stands for a stretch of time, so fewer of them weigh more.
    response = resample(response, rate, sample_rate) * (rate / sample_rate)
    if not np.any(response):
        raise InputError(f"{path} is silent: it is no room response.")
    return response
