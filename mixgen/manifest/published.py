"""What a record of a published set says beside the rest: its official name, and its arithmetic.

The scripts of a set read a source file, bring it to its level and rate, cut it, add it to the
others and round the result. Their order and number formats decide on the last bit of a sample, so
a record has them all: `steps` of every event, and the `arithmetic` of the mixture.
"""

from typing import Literal

from pydantic import Field, model_validator

from mixgen.core.records import ExactRecord, RelativePath

NumberFormat = Literal["float32", "float64"]


class Extension(ExactRecord):
    """A recording that is too short is repeated up to `frames` samples.

    Its last `crossfade` samples and its first ones overlap, under the halves of a Hann window of
    2 `crossfade` - 1 samples.
    """

    frames: int = Field(ge=1)
    crossfade: int = Field(ge=1)


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


class Step(ExactRecord):
    """One operation on the samples of an event: the only key of these that is set.

    - `channel`: take this channel alone, counted from 0.
    - `skip`: drop so many samples at the start.
    - `extend`: repeat what is too short.
    - `multiply`, `divide`: by a number.
    - `convert`: to another number format.
    - `resample_poly`: to this rate in Hz by scipy's polyphase filter of that name.
    - `round_bits`: round to whole steps of so many bits, halves to the even step.
    - `convolve`: with a room response, as numpy's convolve does.
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
    """

    name: RelativePath
    folder: RelativePath
    type: str = ""
