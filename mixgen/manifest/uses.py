"""The uses of source files in mixtures, and what their licences allow."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from mixgen.core.progress import print_status
from mixgen.manifest.finished import FinishedFile
from mixgen.manifest.mixture import Event, Mixture, Response
from mixgen.manifest.published import Convolution, Spatialisation

Terms = Literal["free", "not_commercial", "not_known", "not_stated"]
"""What a licence says of commercial use; `not_known` has words that are not known here."""

_NOT_COMMERCIAL = re.compile(
    r"\bnc\b|non\W*commercial|research\W+(use|purposes?)?\W*only|(only|solely) for research"
    r"|academic use|personal use"
)
_NO_DERIVATIVES = re.compile(r"\bnd\b|no\W*deriv")  # a mixture is a derivative
_FREE = re.compile(
    r"\bcc\W?0\b|public\W?domain|\bcc\W?by\b|licenses/by\b|creative commons attribution"
    r"|\bmit\b|\bapache\b|\bbsd\b|\bisc\b|\bodc\b|\bodbl\b|\bpddl\b|unlicense"
)
_NAMED = 4  # licences in one line


@dataclass(frozen=True)
class FileUse:
    """One use of one file; a response adds no duration to the mixture."""

    kind: str
    corpus: str
    path: str
    sha256: str
    licence: str
    duration_s: float = 0.0

    @property
    def name(self) -> str:
        """The name of the file, unique among all corpora."""
        return f"{self.corpus}/{self.path}"


def file_uses(mixture: Mixture) -> Iterator[FileUse]:
    """Yield every use of a file in a mixture; enrolments and responses count as separate kinds."""
    for source in mixture.sources:
        for event in source.events:
            yield _file_use(source.kind, event, event.event_duration)
            for step in event.steps:
                if response := step.convolve or step.spatialise:
                    yield _file_use("rir", response)
        if source.enrolment:
            yield _file_use("enrolment", source.enrolment, source.enrolment.event_duration)
        if isinstance(source.room, Response):
            yield _file_use("rir", source.room)
        if mixture.finished:
            for own in source.files:
                file = mixture.finished.files[own.name]
                yield _file_use(source.kind, file, mixture.duration_s)


def _file_use(
    kind: str,
    file: Event | Response | Convolution | Spatialisation | FinishedFile,
    duration_s: float = 0.0,
) -> FileUse:
    return FileUse(kind, file.corpus, file.path, file.sha256, file.licence, duration_s)


def terms_of(licence: str) -> Terms:
    """Return what a licence says of commercial use, from its name or address alone."""
    words = licence.lower().replace("_", " ")
    if not words.strip():
        return "not_stated"
    if _NOT_COMMERCIAL.search(words):
        return "not_commercial"
    return "free" if _FREE.search(words) and not _NO_DERIVATIVES.search(words) else "not_known"


def with_licence_warning(mixtures: Iterable[Mixture]) -> Iterator[Mixture]:
    """Yield mixtures; after the last, print one line if licences in them restrict their use."""
    licences: set[str] = set()
    for mixture in mixtures:
        licences.update(use.licence for use in file_uses(mixture))
        yield mixture
    sentence = licence_warning(licences)
    if sentence:
        print_status(f"licences: {sentence}")


def licence_warning(licences: Iterable[str]) -> str | None:
    """Return one sentence about licences that forbid commercial use, or may; None without any."""
    of_terms: dict[Terms, list[str]] = {}
    for licence in sorted(set(licences)):
        of_terms.setdefault(terms_of(licence), []).append(licence)
    parts = []
    if forbidden := of_terms.get("not_commercial"):
        parts.append(f"commercial use is forbidden by {_listed(forbidden)}")
    if unknown := of_terms.get("not_known"):
        parts.append(f"the terms of {_listed(unknown)} are not known here")
    if "not_stated" in of_terms:
        parts.append("some sources state no licence")
    return f"{'; '.join(parts)}. `mixgen report` lists them." if parts else None


def _listed(names: list[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
