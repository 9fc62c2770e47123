"""Echo paths: how amplifier, loudspeaker and delay turn a far-end signal into sound.

The nonlinearities have no memory, as in Zhang and Wang, "Deep Learning for Acoustic Echo
Cancellation in Noisy and Double-Talk Scenarios", Interspeech 2018, and Zhang, Tan and Wang,
Interspeech 2019, whose constants are the defaults of the rule: the amplifier clips at 0.8 of the
peak, and the loudspeaker is a sigmoid that is steeper on one side. The gain that follows in these
papers is skipped, because the echo is scaled to its level. The sigmoid turns speech into a slow
swell that no loudspeaker radiates, so a closed box follows: a high-pass of second order (Small,
J. Audio Eng. Soc. 20(10), 1972).
"""

import numpy as np
from pydantic import Field, ValidationError
from scipy.signal import butter, sosfilt

from mixgen.audio.read import Samples, peak
from mixgen.core.errors import InputError
from mixgen.core.records import ExactRecord, Record, explain
from mixgen.scenes.distributions import Distribution, constant
from mixgen.scenes.draws import Draws

_STEEPEST = 100.0


class Loudspeaker(ExactRecord):
    """2 / (1 + exp(-slope b)) - 1 of b = linear x + quadratic x^2, one slope for each sign of b."""

    linear: float = Field(ge=-_STEEPEST, le=_STEEPEST)
    quadratic: float = Field(ge=-_STEEPEST, le=_STEEPEST)
    positive_slope: float = Field(gt=0, le=_STEEPEST)
    negative_slope: float = Field(gt=0, le=_STEEPEST)

    def apply(self, samples: Samples) -> Samples:
        """Return the sound for samples of any shape; both are between -1 and 1."""
        bent = self.linear * samples + self.quadratic * np.square(samples)
        slope = np.where(bent > 0, self.positive_slope, self.negative_slope)
        # In this form the sigmoid cannot overflow, whatever its slope.
        return np.asarray(np.tanh(slope * bent / 2))


class Echo(ExactRecord):
    """The path of an echo up to the room, linear without `amplifier_clip` and `loudspeaker`.

    Below `low_hz` the sound falls by 12 dB per octave. `far_end_db` is the level of the file with
    the far-end signal, by the level rule of the source.
    """

    delay_s: float = Field(ge=0, le=1)
    far_end_db: float = Field(ge=-70, le=0)
    low_hz: float | None = Field(default=None, gt=0, le=2000)
    amplifier_clip: float | None = Field(default=None, gt=0, le=1)
    loudspeaker: Loudspeaker | None = None

    def sound_of(self, far_end: Samples, sample_rate: int) -> Samples:
        """Return the sound of the loudspeaker for a far-end signal of any level, before the delay.

        Args:
            far_end: shape (channels, time); the amplifier counts its peak as 1.
            sample_rate: in Hz.
        """
        highest = peak(far_end)
        if highest == 0:
            return far_end
        samples = far_end / highest
        if self.amplifier_clip is not None:
            samples = np.clip(samples, -self.amplifier_clip, self.amplifier_clip)
        if self.loudspeaker is not None:
            samples = self.loudspeaker.apply(samples)
        if self.low_hz is not None:
            box = butter(2, self.low_hz, "highpass", fs=sample_rate, output="sos")
            samples = np.asarray(sosfilt(box, samples, axis=1))
        return samples

    def delay(self, sample_rate: int) -> int:
        """Return the delay in samples."""
        return round(self.delay_s * sample_rate)


class LoudspeakerRule(Record):
    """How the sigmoid of a loudspeaker is drawn."""

    linear: Distribution = constant(1.5)
    quadratic: Distribution = constant(-0.3)
    positive_slope: Distribution = constant(4.0)
    negative_slope: Distribution = constant(0.5)

    def draw(self, draws: Draws) -> Loudspeaker:
        """Draw every parameter."""
        return Loudspeaker(
            linear=draws.number("linear", self.linear),
            quadratic=draws.number("quadratic", self.quadratic),
            positive_slope=draws.number("positive_slope", self.positive_slope),
            negative_slope=draws.number("negative_slope", self.negative_slope),
        )


class EchoRule(Record):
    """How the path of an echo is drawn; `nonlinear` is the share of nonlinear ones."""

    delay_s: Distribution = constant(0.0)
    far_end_db: Distribution = constant(-25.0)
    low_hz: Distribution | None = constant(100.0)
    nonlinear: float = Field(default=1.0, ge=0, le=1)
    amplifier_clip: Distribution | None = constant(0.8)
    loudspeaker: LoudspeakerRule | None = LoudspeakerRule()

    def draw(self, seed: int) -> Echo:
        """Draw every parameter from `seed`.

        Raises:
            InputError: a distribution gave a value that an echo does not allow.
        """
        draws = Draws(seed)
        nonlinear = draws.happens(self.nonlinear)
        clip = self.amplifier_clip if nonlinear else None
        loudspeaker = self.loudspeaker if nonlinear else None
        try:
            return Echo(
                delay_s=draws.number("delay_s", self.delay_s),
                far_end_db=draws.number("far_end_db", self.far_end_db),
                low_hz=draws.optional("low_hz", self.low_hz),
                amplifier_clip=draws.optional("clip", clip),
                loudspeaker=loudspeaker.draw(draws) if loudspeaker else None,
            )
        except ValidationError as error:
            raise InputError(
                f"A draw for an echo is not allowed ({explain(error)}): change its distributions "
                "in the recipe."
            ) from None
