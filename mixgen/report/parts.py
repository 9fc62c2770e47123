"""The files that a mixture is made from, and what the files are that it is rendered to."""

from collections.abc import Iterator
from dataclasses import dataclass

from mixgen.manifest import ENROLMENT, Event, Mixture, Response, Source


@dataclass(frozen=True)
class Part:
    """One use of one file; a response has no length of its own in the mixture."""

    kind: str
    corpus: str
    path: str
    sha256: str
    licence: str
    duration_s: float = 0.0

    @property
    def name(self) -> str:
        """The file's name among those of all corpora."""
        return f"{self.corpus}/{self.path}"


def parts_of(mixture: Mixture) -> Iterator[Part]:
    """Yield every use of a file in a mixture; those of enrolments are a kind of their own."""
    for source in mixture.sources:
        for event in source.events:
            yield _part(source.kind, event, event.event_duration)
        if source.enrolment:
            yield _part(ENROLMENT, source.enrolment, source.enrolment.event_duration)
        if isinstance(source.room, Response):
            yield _part("rir", source.room)


def files_of(source: Source) -> dict[str, str]:
    """Return what each rendered file of a source is, by its name: "target", "target, early"."""
    files: dict[str, str] = {source.name: "echo" if source.echo else source.role}
    files |= {f"{source.name}_{part}": f"{source.role}, {part}" for part in source.references}
    if source.far_end_name is not None:
        files[source.far_end_name] = "far-end signal"
    if source.enrolment_name is not None:
        files[source.enrolment_name] = ENROLMENT
    return files


def _part(kind: str, file: Event | Response, duration_s: float = 0.0) -> Part:
    return Part(kind, file.corpus, file.path, file.sha256, file.licence, duration_s)
