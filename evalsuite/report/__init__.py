"""Reports on scores: a folder with one page, its sounds and pictures, and the tables as CSV."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mixgen.core.errors import UsageError
from mixgen.core.files import atomic_folder

if TYPE_CHECKING:
    from evalsuite.scoring.folder import SystemScores

PAGE_FILE = "index.html"
_MARK = '<meta name="generator" content="evalsuite report">'
_BEGINNING = 1000  # characters of a page in which the mark is


def make_report(
    scores: "Iterable[str | Path | SystemScores]",
    out: Path,
    *,
    sets: Iterable[Path] = (),
    references: Path | None = None,
    mixtures: Path | None = None,
    estimates: Iterable[str] = (),
    examples: int = 1,
) -> Path:
    """Write a page about scores, which needs no network; an earlier report in `out` is replaced.

    Args:
        scores: folders and pinned files of scores, and folders that `evalsuite run` wrote.
        out: folder of the report.
        sets: the rendered sets that were scored, for players.
        references: the folder of references that were scored without a manifest, for players.
        mixtures: the folder of their mixtures, if it is another one.
        estimates: folders of estimates that are not beside their scores, each as `NAME=FOLDER`
            with the name of a system, or alone if it has a run.json.
        examples: number of mixtures to show of the best, of the median and of the worst of each
            system.

    Returns:
        The path of the page.

    Raises:
        InputError: scores, a set or estimates cannot be read or do not belong together.
        UsageError: `out` holds other files, `estimates` name no system, or there are mixtures
            without references.
        MachineError: the folder cannot be written or the disk is full.
    """
    # matplotlib and jinja2 take a while to load, and the command line asks for neither.
    from evalsuite.report.inputs import find_audio, find_scores
    from evalsuite.report.page import write_page

    opened = find_scores(scores)
    audio = find_audio(
        opened, sets=sets, references=references, mixtures=mixtures, estimates=estimates
    )
    out = Path(out)
    _check_destination(out)
    with atomic_folder(out) as folder:
        write_page(folder, opened, audio, examples)
    return out / PAGE_FILE


def _check_destination(out: Path) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    page = out / PAGE_FILE
    if page.is_file() and _MARK in page.read_text(errors="replace")[:_BEGINNING]:
        return
    raise UsageError(f"{out} is in use and holds no report: give another --out.")
