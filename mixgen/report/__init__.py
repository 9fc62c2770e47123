"""Reports on a set, as a page and as JSON: sizes, levels, uses, leakage, licences, examples."""

from pathlib import Path

from mixgen.core.files import write_json, write_text
from mixgen.report.examples import EvenlySpaced, describe, excerpt_seconds, load
from mixgen.report.facts import gather
from mixgen.report.findings import find
from mixgen.report.rows import open_source

PAGE_FILE = "report.html"
FACTS_FILE = "report.json"


def make_report(source: Path, out: Path, *, examples: int = 3) -> Path:
    """Write report.html and report.json about a rendered set, or about a manifest alone.

    The same set gives the same bytes.

    Args:
        source: folder of a rendered set, or a manifest.jsonl.
        out: folder of the report.
        examples: number of mixtures of each split to show; a manifest alone shows none.

    Returns:
        The path of the page, which needs no other file.

    Raises:
        InputError: the set is missing or not completely rendered, or one of its records is not
            valid.
        MachineError: the folder cannot be written or the disk is full.
    """
    from mixgen.report.page import render_page  # matplotlib and jinja2 take a while to load

    report_source = open_source(Path(source))
    selection = EvenlySpaced(examples if report_source.folder else 0)
    facts = gather(report_source, selection)
    chosen = selection.chosen()
    seconds = excerpt_seconds([mixture for mixture, _ in chosen])
    folder = report_source.manifest.path.parent
    excerpts = [load(folder, mixture, rows, seconds) for mixture, rows in chosen]
    facts = {
        "findings": find(facts),
        **facts,
        "excerpt_s": seconds,
        "examples": [
            describe(mixture, rows, files)
            for (mixture, rows), files in zip(chosen, excerpts, strict=True)
        ],
    }
    write_json(Path(out) / FACTS_FILE, facts)
    write_text(Path(out) / PAGE_FILE, render_page(facts, excerpts))
    return Path(out) / PAGE_FILE
