"""Make the starter corpus in a folder, or complete, repair or check an existing one."""

import dataclasses
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

from mixgen.audio.read import audio_info
from mixgen.core.errors import InputError
from mixgen.core.files import (
    canonical_json,
    read_json,
    read_text,
    sha256_bytes,
    sha256_file,
    write_json,
    write_text,
)
from mixgen.core.workers import default_workers
from mixgen.starter.items import Plan
from mixgen.starter.listing import SOURCES_FILE, index_starter, is_listed
from mixgen.starter.plan import full_plan
from mixgen.starter.sentences import transcript
from mixgen.starter.speech import espeak_version
from mixgen.starter.synthesise import render_missing

GENERATOR = 1  # increase it with every change to the sounds
SUMMARY_FILE = "starter.json"
SUMS_FILE = "SHA256SUMS"
LICENCE_FILE = "LICENSE.txt"
_UNFINISHED_FILE = "starter.unfinished.json"
_SOUND_FOLDERS = ("speech", "songs", "noise")
_DISTRIBUTIONS = ("numpy", "scipy", "soundfile", "soxr")

LICENCE_TEXT = """\
Starter corpus for audio source separation

Every sound in this folder was computed on the machine it lies on: speech by the program espeak-ng
from sentences written for this corpus, songs and noise by arithmetic. No recording of anyone went
into it. It is dedicated to the public domain under CC0 1.0 Universal:
https://creativecommons.org/publicdomain/zero/1.0/

What it is for: learning the suite, trying its plumbing, and catching regressions. What it is not
for: ranking models. Synthetic voices and instruments are easier and stranger than real ones, and
an order of models found here need not hold on real recordings.
"""


@dataclasses.dataclass(frozen=True)
class StarterSummary:
    """The content of a starter corpus, as written to `starter.json`."""

    identity: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    seconds: dict[str, float]
    corpus_sha256: str


def make_starter(
    out: Path, *, workers: int | None = None, plan: Plan | None = None
) -> StarterSummary:
    """Make the starter corpus in `out`, or complete and repair an existing one.

    The same plan gives the same bytes on one machine, whatever the number of workers (default: the
    number of cores). A finished corpus is only checked against its hashes, and an outdated
    sources.csv is written again. A corpus of another plan, or of another version of the generator
    or of espeak-ng, is replaced.

    Raises:
        InputError: `out` holds something other than a starter corpus.
        MachineError: espeak-ng is missing or fails, or the folder cannot be written.
    """
    plan = plan or full_plan()
    identity = _identity(plan)
    summary = _prepare(out, identity)
    if summary is not None and _is_complete(out, plan):
        return summary
    write_text(out / LICENCE_FILE, LICENCE_TEXT)
    render_missing(out, plan, workers or default_workers())
    for path, text in _transcripts(plan).items():
        write_text(out / path, text)
    return _finish(out, plan, identity)


def _identity(plan: Plan) -> dict[str, Any]:
    """Return what determines every sample: corpora of equal identity hold the same sounds."""
    plan_json = canonical_json(dataclasses.asdict(plan))
    return {
        "generator": GENERATOR,
        "espeak_ng": espeak_version(),
        "plan_sha256": sha256_bytes(plan_json.encode()),
    }


def _prepare(out: Path, identity: dict[str, Any]) -> StarterSummary | None:
    """Make `out` a folder with nothing but the corpus of this identity, or a part of it.

    Returns:
        The summary of a finished corpus, else None.
    """
    summary = _read_own_json(out / SUMMARY_FILE)
    unfinished = _read_own_json(out / _UNFINISHED_FILE)
    is_new = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    if summary is None and unfinished is None and not is_new:
        raise InputError(
            f"{out} exists and holds no starter corpus: give a new or an empty folder."
        )
    if summary is not None and _is_current(out, summary, identity):
        fields = dataclasses.fields(StarterSummary)
        return StarterSummary(**{field.name: summary[field.name] for field in fields})
    if summary is not None or (unfinished is not None and unfinished["identity"] != identity):
        _clear(out)
    write_json(out / _UNFINISHED_FILE, {"identity": identity})
    return None


def _read_own_json(path: Path) -> dict[str, Any] | None:
    """Return the content of a JSON file of the corpus, or None if it does not exist.

    Raises:
        InputError: the file is not JSON or holds no identity.
    """
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or "identity" not in content:
        raise InputError(f"{path} was not written by this program: give another folder.")
    return content


def _is_current(out: Path, summary: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Return whether a summary has this identity and matches the list of hashes beside it."""
    sums_path = out / SUMS_FILE
    return (
        summary["identity"] == identity
        and sums_path.is_file()
        and sha256_file(sums_path) == summary["corpus_sha256"]
    )


def _clear(out: Path) -> None:
    """Remove an older corpus, its summary last, so that the next run removes what is left."""
    for folder in _SOUND_FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in (SOURCES_FILE, SUMS_FILE, SUMMARY_FILE):
        (out / name).unlink(missing_ok=True)


def _is_complete(out: Path, plan: Plan) -> bool:
    """Return whether sources.csv is current and every file has its hash.

    Altered files are removed, so that they are made again.
    """
    complete = is_listed(out, plan)
    for line in read_text(out / SUMS_FILE).splitlines():
        sha256, _, path = line.partition("  ")
        if not (out / path).is_file() or sha256_file(out / path) != sha256:
            (out / path).unlink(missing_ok=True)
            complete = False
    return complete


def _transcripts(plan: Plan) -> dict[str, str]:
    """Return one file per speaker in LibriSpeech's format: a line is a name and its words."""
    texts: dict[str, str] = {}
    for utterance in plan.utterances:
        speaker = utterance.speaker
        path = f"speech/{speaker.split}/{speaker.name}/{speaker.name}.trans.txt"
        line = f"{utterance.name} {transcript(utterance.text)}\n"
        texts[path] = texts.get(path, "") + line
    return texts


def _finish(out: Path, plan: Plan, identity: dict[str, Any]) -> StarterSummary:
    """Write sources.csv, the hashes and, last, starter.json."""
    index_starter(out, plan)
    sounds = [path for item in plan.items for path in item.paths]
    paths = sorted([*sounds, *_transcripts(plan), LICENCE_FILE])
    sums = "".join(f"{sha256_file(out / path)}  {path}\n" for path in paths)
    write_text(out / SUMS_FILE, sums)
    summary = StarterSummary(
        identity=identity,
        versions={name: version(name) for name in _DISTRIBUTIONS},
        counts=_counts(plan),
        seconds=_seconds(out, plan),
        corpus_sha256=sha256_bytes(sums.encode()),
    )
    write_json(out / SUMMARY_FILE, {"schema": "starter/1", **dataclasses.asdict(summary)})
    (out / _UNFINISHED_FILE).unlink(missing_ok=True)
    return summary


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "speakers": len(plan.speakers),
        "utterances": len(plan.utterances),
        "songs": len(plan.songs),
        "noises": len(plan.noises),
    }


def _seconds(out: Path, plan: Plan) -> dict[str, float]:
    """Return the seconds of speech, songs and noise; all files of an item have one length."""
    seconds = dict.fromkeys(_SOUND_FOLDERS, 0.0)
    for item in plan.items:
        path = item.paths[0]
        seconds[path.partition("/")[0]] += audio_info(out / path).duration_s
    return {folder: round(total, 2) for folder, total in seconds.items()}
