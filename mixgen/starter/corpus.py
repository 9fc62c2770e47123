"""Makes the starter corpus in a folder, or completes, repairs or checks the one that is there."""

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

GENERATOR = 1  # raise it with every change that can be heard
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
    """What a starter corpus holds, as written to `starter.json`."""

    identity: dict[str, Any]
    versions: dict[str, str]
    counts: dict[str, int]
    seconds: dict[str, float]
    corpus_sha256: str


def make_starter(
    out: Path, *, workers: int | None = None, plan: Plan | None = None
) -> StarterSummary:
    """Make the starter corpus in `out`, or complete and repair the one that is there.

    The same plan gives the same bytes on one machine, whatever the number of workers (all cores
    by default). A finished corpus is only checked against its hashes, and listed again where the
    list is an older one; one of another version of the generator, of espeak-ng or of the plan is
    replaced.

    Raises:
        InputError: `out` holds something that is no starter corpus.
        MachineError: espeak-ng is missing or fails, or the folder cannot be written.
    """
    plan = plan or full_plan()
    identity = _identity(plan)
    summary = _claim(out, identity)
    if summary is not None and _is_whole(out, plan):
        return summary
    write_text(out / LICENCE_FILE, LICENCE_TEXT)
    render_missing(out, plan, workers or default_workers())
    for path, text in _transcripts(plan).items():
        write_text(out / path, text)
    return _seal(out, plan, identity)


def _identity(plan: Plan) -> dict[str, Any]:
    """Return what decides every sample: corpora of equal identity hold the same sounds."""
    plan_json = canonical_json(dataclasses.asdict(plan))
    return {
        "generator": GENERATOR,
        "espeak_ng": espeak_version(),
        "plan_sha256": sha256_bytes(plan_json.encode()),
    }


def _claim(out: Path, identity: dict[str, Any]) -> StarterSummary | None:
    """Make `out` a folder that holds nothing but (a part of) the corpus of this identity.

    Returns:
        The summary, if the corpus was once complete.
    """
    summary = _note(out / SUMMARY_FILE)
    unfinished = _note(out / _UNFINISHED_FILE)
    if summary is None and unfinished is None and out.exists() and _is_foreign(out):
        raise InputError(
            f"{out} exists and holds no starter corpus: give a new or an empty folder."
        )
    if summary is not None and _fits(out, summary, identity):
        return _as_summary(summary)
    if summary is not None or (unfinished is not None and unfinished["identity"] != identity):
        _clear(out)
    write_json(out / _UNFINISHED_FILE, {"identity": identity})
    return None


def _note(path: Path) -> dict[str, Any] | None:
    """Return what one of the corpus' own JSON files says, or None where there is no such file.

    Raises:
        InputError: the file is not JSON or says nothing about identity.
    """
    if not path.exists():
        return None
    content = read_json(path)
    if not isinstance(content, dict) or "identity" not in content:
        raise InputError(f"{path} was not written by this program: give another folder.")
    return content


def _is_foreign(out: Path) -> bool:
    return not out.is_dir() or any(out.iterdir())


def _fits(out: Path, summary: dict[str, Any], identity: dict[str, Any]) -> bool:
    """Tell whether a summary is of this identity and of the list of hashes beside it."""
    sums_path = out / SUMS_FILE
    return (
        summary["identity"] == identity
        and sums_path.is_file()
        and sha256_file(sums_path) == summary["corpus_sha256"]
    )


def _as_summary(content: dict[str, Any]) -> StarterSummary:
    return StarterSummary(**{f.name: content[f.name] for f in dataclasses.fields(StarterSummary)})


def _clear(out: Path) -> None:
    """Remove an older corpus, its summary last so that a stop in between is not taken for whole."""
    for folder in _SOUND_FOLDERS:
        shutil.rmtree(out / folder, ignore_errors=True)
    for name in (SOURCES_FILE, SUMS_FILE, SUMMARY_FILE):
        (out / name).unlink(missing_ok=True)


def _is_whole(out: Path, plan: Plan) -> bool:
    """Check the list, and every file's hash; remove altered ones, so that they are made again."""
    whole = is_listed(out, plan)
    for line in read_text(out / SUMS_FILE).splitlines():
        sha256, _, path = line.partition("  ")
        if not (out / path).is_file() or sha256_file(out / path) != sha256:
            (out / path).unlink(missing_ok=True)
            whole = False
    return whole


def _transcripts(plan: Plan) -> dict[str, str]:
    """Return one file per speaker, in the form of LibriSpeech: a name and its words per line."""
    texts: dict[str, str] = {}
    for utterance in plan.utterances:
        speaker = utterance.speaker
        path = f"speech/{speaker.split}/{speaker.name}/{speaker.name}.trans.txt"
        line = f"{utterance.name} {transcript(utterance.text)}\n"
        texts[path] = texts.get(path, "") + line
    return texts


def _seal(out: Path, plan: Plan, identity: dict[str, Any]) -> StarterSummary:
    """Write sources.csv, the hashes and, last of all, starter.json."""
    index_starter(out, plan)
    paths = sorted([*_sounds(plan), *_transcripts(plan), LICENCE_FILE])
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


def _sounds(plan: Plan) -> list[str]:
    return [path for item in plan.items for path in item.paths]


def _counts(plan: Plan) -> dict[str, int]:
    return {
        "speakers": len(plan.speakers),
        "utterances": len(plan.utterances),
        "songs": len(plan.songs),
        "noises": len(plan.noises),
    }


def _seconds(out: Path, plan: Plan) -> dict[str, float]:
    """Return the length of all speech, songs and noise; an item's files are equally long."""
    seconds = dict.fromkeys(_SOUND_FOLDERS, 0.0)
    for item in plan.items:
        path = item.paths[0]
        seconds[path.partition("/")[0]] += audio_info(out / path).duration_s
    return {folder: round(total, 2) for folder, total in seconds.items()}
