"""What a record of a published set says beside the rest: its official name, and its arithmetic.

The scripts of a set read a source file, bring it to its level and rate, cut it, add it to the
others and round the result. Their order and number formats decide on the last bit of a sample, so
a record has them all: `steps` of every event, and the `arithmetic` of the mixture.
"""

import functools
from typing import Annotated, Literal

from pydantic import Field, Strict, model_validator

from mixgen.acoustics.room import Point
from mixgen.core.records import ExactRecord, RelativePath

NumberFormat = Literal["float32", "float64"]

_MOST_ORDER = 200
_MOST_TAPS = 10 * 48000


class Extension(ExactRecord):
    """A recording that is too short is repeated up to `frames` samples.

    Its last `crossfade` samples and its first ones overlap, under the halves of a Hann window of
    2 `crossfade` - 1 samples.
    """

    frames: int = Field(ge=1)
    crossfade: int = Field(ge=1)


class Reverberation(ExactRecord):
    """The response of a shoebox room from a source to a microphone, computed at rendering.

    Attributes:
        engine: that computes it: `mixgen.acoustics.shoebox`, as pyroomacoustics 0.3.1 did.
        size_m: of the room.
        absorption: of the amplitude by each wall; above 1, reflections change their sign.
        source_m: position of the source.
        microphone_m: position of the microphone.
        order: the highest number of reflections.
        taps: after which the response is cut.
    """

    engine: Literal["shoebox/1"]
    size_m: Point
    absorption: float = Field(gt=0)
    source_m: Point
    microphone_m: Point
    order: int = Field(ge=0, le=_MOST_ORDER)
    taps: int = Field(ge=1, le=_MOST_TAPS)


class Match(ExactRecord):
    """A gain that gives samples the energy of others, all of the same excerpt.

    It is the root of the energy after the steps `of` over that after the steps `to`, which are
    those before this one where `to` is empty.
    """

    of: Annotated[tuple["Step", ...], Strict(False)]
    to: Annotated[tuple["Step", ...], Strict(False)] = ()


class Convolution(ExactRecord):
    """The room response that samples are convolved with, and the part of the result that is kept.

    Attributes:
        corpus, path, sha256, licence: of the file of the response; its first channel is used.
        gain: that the response is multiplied by first.
        frames: length that the samples are padded to first.
        start: the first sample that is kept: the `begin` of the result, so that the response stays
            causal; the delay of the response's `peak`; or as in numpy's mode `same`, which keeps
            the `middle`. Where it is not the latter, `frames` samples are kept.
    """

    corpus: str
    path: RelativePath
    sha256: str
    frames: int = Field(ge=1)
    gain: float = 1.0
    start: Literal["begin", "peak", "middle"] = "begin"
    licence: str = ""


class Spatialisation(ExactRecord):
    """The responses from a source to several microphones, which one channel is convolved with.

    It becomes as many channels as the file has, by scipy's fast convolution, and all of the result
    is kept.

    Attributes:
        corpus, path, sha256, licence: of the file of the responses.
        first, end: taps before `first`, and those from `end` on, are 0: the early or the late part.
        engine: that computed the responses, where they are not the published ones:
            `mixgen.acoustics.rir_generator`.
    """

    corpus: str
    path: RelativePath
    sha256: str
    first: int = Field(default=0, ge=0)
    end: int | None = Field(default=None, ge=1)
    engine: Literal["", "rir_generator/1"] = ""
    licence: str = ""


class Placement(ExactRecord):
    """Samples are moved by `shift` and then cut or padded to `frames`, the length of the mixture.

    With a shift below 0 their start is cut off. The time of the event only says when it sounds.
    """

    shift: int
    frames: int = Field(ge=1)


class Rescaling(ExactRecord):
    """A gain that gives samples a standard deviation, over all channels.

    It is `deviation` over the standard deviation after the steps `of`, which are those before this
    one where `of` is empty, and then over `divisor`.
    """

    deviation: float = Field(gt=0)
    divisor: float = Field(default=1.0, gt=0)
    of: Annotated[tuple["Step", ...], Strict(False)] = ()


class WhiteNoise(ExactRecord):
    """White noise that is different at every microphone.

    It is what numpy's `RandomState(seed).normal` draws, `snr_db` below the sum of all other sources
    over all channels.
    """

    seed: int = Field(ge=0, lt=1 << 32)
    snr_db: float = Field(ge=-300, le=300)


class Step(ExactRecord):
    """One operation on the samples of an event: the only key of these that is set.

    - `channel`: take this channel alone, counted from 0.
    - `skip`: drop so many samples at the start.
    - `extend`: repeat what is too short.
    - `multiply`, `divide`: by a number.
    - `convert`: to another number format.
    - `resample_poly`: to this rate in Hz by scipy's polyphase filter of that name.
    - `round_bits`: round to integers of so many bits, halves to the even one; beyond full scale
      they wrap round.
    - `pad`: append zeros up to so many samples.
    - `reverberate`: convolve with the response of a simulated room.
    - `convolve`: with a recorded room response, as numpy's convolve does.
    - `match`: multiply so that the energy is that of other samples.
    - `spatialise`: convolve one channel with the responses at several microphones.
    - `place`: move, then cut or pad to the mixture.
    - `rescale`: multiply so that the standard deviation is a given one.
    """

    channel: int | None = Field(default=None, ge=0)
    skip: int | None = Field(default=None, ge=0)
    extend: Extension | None = None
    multiply: float | None = None
    divide: float | None = None
    convert: NumberFormat | None = None
    resample_poly: int | None = Field(default=None, ge=1000, le=768_000)
    round_bits: int | None = Field(default=None, ge=8, le=24)
    convolve: Convolution | None = None
    pad: int | None = Field(default=None, ge=1)
    reverberate: Reverberation | None = None
    match: Match | None = None
    spatialise: Spatialisation | None = None
    place: Placement | None = None
    rescale: Rescaling | None = None

    @model_validator(mode="after")
    def _is_one_operation(self) -> "Step":
        if len(self.model_fields_set) != 1 or self.operation is None:
            raise ValueError(f"a step is one of {', '.join(Step.model_fields)}")
        if self.divide == 0:
            raise ValueError("a step cannot divide by 0")
        return self

    @property
    def name(self) -> str:
        """The name of the operation."""
        (name,) = self.model_fields_set
        return name

    @property
    def operation(self) -> object:
        """The value of the key that is set."""
        return getattr(self, self.name)

    @functools.cached_property
    def spelling(self) -> str:
        """The step in one line, by which equal steps are known."""
        return self.model_dump_json(exclude_unset=True)


class Arithmetic(ExactRecord):
    """How the mixture and its files are computed from sources that went through their steps.

    Attributes:
        numbers: format in which the samples of source files are read.
        sum_of: what is added up: the `signals` of the sources before they are rounded, or the
            rounded `files`. With `corrected`, the mixture is the sum of the signals (or what is
            `recorded`), unless one of its samples is off the sum x of the files by more than
            1e-5 + 1e-4 |x|; it is then that of the files, cut off at full scale. Only with `files`
            do the stems on disk always sum to the mixture.
        order: names of the sources as they are added up; their order in the record if it is empty.
        rounding: to the integers of a file: to the nearest, halves to the even one, as MATLAB's
            wavwrite (`nearest`), or downwards, as libsndfile with clipping (`down`).
    """

    numbers: NumberFormat
    sum_of: Literal["signals", "files", "corrected"]
    order: list[str] = Field(default_factory=list)
    rounding: Literal["nearest", "down"] = "nearest"


class Published(ExactRecord):
    """The place of a mixture in the official tree of its set.

    Attributes:
        name: official name of the mixture.
        folder: what its files are in, relative to the root of the tree.
        type: official name of the type of mixture, where the set has several.
        files: official names of the files that are called otherwise here.
    """

    name: RelativePath
    folder: RelativePath
    type: str = ""
    files: dict[str, str] = Field(default_factory=dict)
