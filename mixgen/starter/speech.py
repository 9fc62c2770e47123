"""Synthesise utterances with espeak-ng, which is run as a program and never linked."""

import functools
import io
import re
import subprocess

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray
from scipy.signal import lfilter

from mixgen.core.errors import MachineError
from mixgen.starter.items import SPEECH_RATE, Speaker, Utterance

ESPEAK = "espeak-ng"
TIMEOUT_S = 60.0
LEVEL_DB = -26.0
_PEAK = 0.9
_SILENCE_DB = -45.0
_MARGIN_S = 0.03
_FADE_S = 0.005

Samples = NDArray[np.float64]


@functools.cache
def espeak_version() -> str:
    """Return the version of espeak-ng, for example `1.51`.

    Raises:
        MachineError: the program is missing or does not print its version.
    """
    answer = _run("--version").decode(errors="replace")
    match = re.search(r"\d+(\.\d+)+", answer)
    if match is None:
        raise MachineError(f"{ESPEAK} --version answered {answer[:80]!r}: install it again.")
    return match[0]


def speak(utterance: Utterance) -> Samples:
    """Return one trimmed utterance (time,) at 16 kHz, at -26 dBFS or a peak of 0.9 if quieter.

    Raises:
        MachineError: espeak-ng is missing, fails, hangs or gives silence.
    """
    samples, sample_rate = soundfile.read(
        io.BytesIO(_synthesise(utterance.speaker, utterance.text))
    )
    if not np.any(samples):
        raise MachineError(f"{ESPEAK} gave silence for {utterance.name}: install it again.")
    return _trim_and_level(_shape_voice(samples, sample_rate, utterance.speaker))


def _synthesise(speaker: Speaker, text: str) -> bytes:
    """Return a WAV file of the sentence, spoken by the speaker before `_shape_voice`."""
    voice = f"{speaker.accent}+{speaker.variant}" if speaker.variant else speaker.accent
    words_per_minute = round(speaker.words_per_minute / speaker.formant_scale)
    options = ["-v", voice, "-p", str(speaker.pitch), "-s", str(words_per_minute), "--stdout"]
    return _run(*options, "--", text)


def _run(*arguments: str) -> bytes:
    """Run espeak-ng and return what it writes to standard output."""
    try:
        done = subprocess.run(
            [ESPEAK, *arguments],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=TIMEOUT_S,
            check=True,
        )
    except FileNotFoundError:
        raise MachineError(
            f"The program {ESPEAK} is missing: install it with `sudo apt-get install espeak-ng` "
            "(Debian, Ubuntu) or `brew install espeak-ng` (macOS)."
        ) from None
    except subprocess.TimeoutExpired:
        raise MachineError(
            f"{ESPEAK} did not answer within {TIMEOUT_S:.0f} s: check that it runs in a terminal."
        ) from None
    except subprocess.CalledProcessError as error:
        reason = error.stderr.decode(errors="replace").strip() or f"exit code {error.returncode}"
        raise MachineError(f"{ESPEAK} failed ({reason}): install a version from 1.50.") from None
    return done.stdout


def _shape_voice(samples: Samples, sample_rate: int, speaker: Speaker) -> Samples:
    """Change the vocal tract and the timbre of a voice, for which espeak-ng has no options.

    A voice played faster by `formant_scale` has a shorter vocal tract (higher formants and pitch);
    `_synthesise` asks for fewer words per minute, so that the speaking rate stays.
    """
    scaled: Samples = soxr.resample(samples, sample_rate * speaker.formant_scale, SPEECH_RATE)
    tilted: Samples = lfilter([1.0, -speaker.tilt], [1.0], scaled)
    return tilted


def _trim_and_level(samples: Samples) -> Samples:
    """Trim the silence at both ends, fade the edges and set the level."""
    loud = np.flatnonzero(np.abs(samples) > np.abs(samples).max() * 10 ** (_SILENCE_DB / 20))
    margin = round(_MARGIN_S * SPEECH_RATE)
    kept = samples[max(loud[0] - margin, 0) : loud[-1] + margin].copy()
    ramp = np.linspace(0.0, 1.0, round(_FADE_S * SPEECH_RATE))
    kept[: ramp.size] *= ramp
    kept[-ramp.size :] *= ramp[::-1]
    gain = 10 ** (LEVEL_DB / 20) / np.sqrt(np.mean(kept**2))
    levelled: Samples = kept * min(gain, _PEAK / np.abs(kept).max())
    return levelled
