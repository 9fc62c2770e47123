"""The samples of an event, from its file or from the cache of decoded files."""

from typing import Any

from numpy.typing import NDArray

from mixgen.audio.cache import DecodedCache
from mixgen.audio.read import read_excerpt
from mixgen.corpora.roots import Roots, drawn_file, locate_file
from mixgen.manifest.mixture import Event
from mixgen.manifest.published import NumberFormat


def read_event(
    event: Event,
    roots: Roots,
    cache: DecodedCache | None = None,
    *,
    to_end: bool = False,
    numbers: NumberFormat = "float64",
) -> tuple[NDArray[Any], int]:
    """Read an event at the rate of its file: samples (channels, time), and that rate in Hz.

    With `to_end`, the excerpt may end early with its file. The samples are in the format `numbers`.

    Raises:
        InputError: the file is missing, unreadable, too short or not the one that was drawn.
    """
    times = (event.source_time, event.event_duration)
    if cache is None:
        return read_excerpt(drawn_file(roots, event), *times, to_end=to_end, dtype=numbers)
    path = locate_file(roots, event.corpus, event.path)
    known = cache.excerpt_of_unchanged(path, event.sha256, *times, to_end=to_end)
    if known is None:
        path = drawn_file(roots, event)
        known = cache.read_excerpt(path, event.sha256, *times, to_end=to_end)
    return known[0].astype(numbers, copy=False), known[1]
