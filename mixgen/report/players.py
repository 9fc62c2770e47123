"""What a page needs to show and play the files of a mixture on one time axis and one scale."""

import base64
from dataclasses import dataclass, field

import numpy as np

from mixgen.audio.read import Samples, peak
from mixgen.manifest.mixture import MIXTURE, Mixture
from mixgen.report.axis import axis_over
from mixgen.report.examples import Excerpt, to_wav
from mixgen.report.pictures import (
    frequency_ticks,
    level_picture,
    paint_spectrogram,
    waveform_outline,
)


@dataclass(frozen=True)
class Player:
    """The beginning of one file: its sound and pictures, or the problem that prevents them.

    Attributes:
        sound: a WAV as a data address.
        picture: a spectrogram as a data address.
        wave: the outline of the waveform, an SVG path.
        muted: whether it is silent until somebody wants to hear it.
        problem: empty if there is none.
    """

    sound: str = ""
    picture: str = ""
    wave: str = ""
    muted: bool = True
    problem: str = ""


@dataclass(frozen=True)
class Players:
    """The players of a mixture.

    Attributes:
        files: in the order of the mixture's files.
        seconds: length of the longest.
        frequencies: round frequencies in kHz and their height in the pictures in percent.
        times: round seconds, and their place from the left in percent.
    """

    files: list[Player] = field(default_factory=list)
    seconds: float = 0.0
    frequencies: list[tuple[str, str]] = field(default_factory=list)
    times: list[tuple[str, str]] = field(default_factory=list)


def make_players(mixture: Mixture, files: list[Excerpt]) -> Players:
    """Return the players of a mixture: at first the sources play, or the mixture alone.

    The mixture plays where it is not the sum of the sources, or one of these cannot be played.
    """
    rate = mixture.sample_rate
    sounds = {f.name: f.samples for f in files if f.samples is not None and f.sample_rate == rate}
    frames = max((samples.shape[1] for samples in sounds.values()), default=0)
    levels = {name: level_picture(as_long(s, frames), rate) for name, s in sounds.items()}
    top_db = max((float(picture.max()) for picture in levels.values()), default=0.0)
    loudest = max((peak(samples) for samples in sounds.values()), default=0.0)
    images = {file.name for file in mixture.source_files if file.is_in_sum}
    sources_play = bool(images) and images <= sounds.keys() and mixture.sum_name == MIXTURE
    playing = images if sources_play else {MIXTURE}
    made = []
    for file in files:
        samples = sounds.get(file.name)
        if samples is None:
            problem = file.problem or f"It has {file.sample_rate} Hz, and the mixture {rate} Hz."
            made.append(Player(problem=problem))
            continue
        made.append(
            Player(
                sound=data_address("audio/wav", to_wav(samples, rate)),
                picture=data_address(
                    "image/webp", paint_spectrogram(levels[file.name], top_db, rate)
                ),
                wave=waveform_outline(as_long(samples, frames), loudest or 1.0),
                muted=file.name not in playing,
            )
        )
    seconds = frames / rate
    ticks = axis_over([0.0, seconds], most_ticks=10).ticks if seconds else ()
    times = [(f"{tick:g}", f"{100 * tick / seconds:.1f}") for tick in ticks if tick <= seconds]
    return Players(made, seconds, frequency_ticks(rate), times)


def as_long(samples: Samples, frames: int) -> Samples:
    """Return (channels, time) samples, with silence up to a number of frames."""
    return np.pad(samples, ((0, 0), (0, frames - samples.shape[1])))


def data_address(media_type: str, content: bytes) -> str:
    """Return an address that holds its content."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"
