"""Lossy codecs, encoded and decoded by libsndfile.

`quality` goes from 0 to 1 and sets the bit rate in kbit/s:

- mp3 (average bit rate): 8 to 64 below 16 kHz, 8 to 160 below 32 kHz, 32 to 320 from 32 kHz on
- opus: 6 to 256 for each channel
- vorbis: the scale of the encoder from 0 to 10, which has no fixed bit rate

`mulaw` and `alaw` are ITU-T G.711, the 64 kbit/s of a telephone line at 8 kHz, and have no quality.

The result has no delay: libsndfile removes that of the codec at the rates of the codec, and the
resampler adds none at other rates. Below some 20 kbit/s Opus codes by linear prediction and may lag
by up to 0.1 ms. Samples beyond full scale are clipped first, as any encoder of integers would clip
them.

The same libsndfile gives the same samples; other versions may hold other encoders.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import Field, model_validator

from mixgen.audio.read import Samples, resample
from mixgen.core.errors import MachineError
from mixgen.core.files import scratch_file
from mixgen.degradations.degradation import BaseDegradation, BaseRule, DegradationKind, Options
from mixgen.scenes.distributions import Distribution, constant
from mixgen.scenes.draws import Draws

CodecName = Literal["mp3", "vorbis", "opus", "mulaw", "alaw"]

_TAIL_S = 0.1
# At 1.0 libsndfile would ask LAME for the quality step 10, which it does not have.
_STRONGEST_COMPRESSION = 0.999


@dataclass(frozen=True)
class _Coder:
    """The parameters of libsndfile for a codec; without `rates` in Hz it takes any rate."""

    container: str
    subtype: str
    rates: tuple[int, ...] = ()
    bitrate_mode: str | None = None
    has_quality: bool = True

    def rate_for(self, sample_rate: int) -> int:
        """Return the codec's lowest rate that keeps the whole band, or its highest."""
        enough = [rate for rate in self.rates if rate >= sample_rate]
        return min(enough, default=max(self.rates, default=sample_rate))


_MPEG_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)

_CODERS: dict[CodecName, _Coder] = {
    # At constant bit rates of 24 kbit/s and less, LAME has no space to note its delay.
    "mp3": _Coder("MP3", "MPEG_LAYER_III", _MPEG_RATES, bitrate_mode="AVERAGE"),
    "vorbis": _Coder("OGG", "VORBIS"),
    "opus": _Coder("OGG", "OPUS", (8000, 12000, 16000, 24000, 48000)),
    "mulaw": _Coder("WAV", "ULAW", (8000,), has_quality=False),
    "alaw": _Coder("WAV", "ALAW", (8000,), has_quality=False),
}


class Codec(BaseDegradation):
    """Encode and decode; `quality` from 0 (smallest) to 1 (best) where the codec has one."""

    name: Literal["codec"]
    codec: CodecName
    quality: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="after")
    def _quality_fits_the_codec(self) -> "Codec":
        if (self.quality is not None) != _CODERS[self.codec].has_quality:
            need = "needs a" if self.quality is None else "has no"
            raise ValueError(f"the codec {self.codec} {need} quality")
        return self

    def apply(self, samples: Samples, sample_rate: int) -> Samples:
        """Return the decoded samples.

        Raises:
            MachineError: the installed libsndfile does not have the codec.
        """
        coder = _CODERS[self.codec]
        coder_rate = coder.rate_for(sample_rate)
        # A tail of silence: encoders may cut their last frame short.
        padded = np.pad(samples, ((0, 0), (0, round(_TAIL_S * sample_rate))))
        coded = np.clip(resample(padded, sample_rate, coder_rate), -1.0, 1.0)
        decoded = self._round_trip(coded, coder_rate)
        restored = resample(decoded, coder_rate, sample_rate)
        return np.ascontiguousarray(restored[:, : samples.shape[1]])

    def _round_trip(self, samples: Samples, sample_rate: int) -> Samples:
        coder = _CODERS[self.codec]
        if coder.subtype not in soundfile.available_subtypes(coder.container):
            raise MachineError(
                f"libsndfile {soundfile.__libsndfile_version__} has no {self.codec}: "
                "install soundfile 0.13 or later from PyPI, which brings it."
            )
        compression = None
        if self.quality is not None:
            compression = min(1.0 - self.quality, _STRONGEST_COMPRESSION)
        with scratch_file() as stream:
            file = stream.fileno()
            soundfile.write(
                file,
                _as_encoded(samples, coder),
                sample_rate,
                coder.subtype,
                format=coder.container,
                closefd=False,
                compression_level=compression,
                bitrate_mode=coder.bitrate_mode,
            )
            stream.seek(0)
            # (time, channels)
            decoded, _ = soundfile.read(file, dtype="float64", always_2d=True, closefd=False)
        return np.asarray(decoded.T)


def _as_encoded(samples: Samples, coder: _Coder) -> NDArray[Any]:
    """Return samples for the encoder, shape (time, channels): 16-bit words for G.711."""
    if coder.has_quality:
        return samples.T
    # libsndfile would round floats to 12 bits before A-law, which the standard does not.
    return np.clip(np.rint(samples.T * 32768), -32768, 32767).astype(np.int16)


class CodecRule(BaseRule):
    """How codecs are drawn: one codec or a list to choose from; some have no `quality`."""

    name: Literal["codec"]
    codec: Options[CodecName]
    quality: Distribution = constant(0.5)

    def _drawn(self, draws: Draws) -> Codec:
        codec = draws.choice("codec", self.codec)
        has_quality = _CODERS[codec].has_quality
        quality = draws.number("quality", self.quality) if has_quality else None
        return Codec(name="codec", codec=codec, quality=quality)


DEGRADATION = DegradationKind(record=Codec, rule=CodecRule)
