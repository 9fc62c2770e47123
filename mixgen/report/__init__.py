"""What is in a set, as a page and as JSON: sizes, levels, uses, leakage, licences, examples."""

from pathlib import Path

from mixgen.core.files import write_json, write_text
from mixgen.report.examples import EvenlySpaced, describe, excerpt_seconds, load
from mixgen.report.facts import gather
from mixgen.report.findings import find
from mixgen.report.rows import open_source

PAGE_FILE = "report.html"
FACTS_FILE = "report.json"


def make_report(source: Path, out: Path, *, examples: int = 3) -> Path:
    """Write report.html and report.json of a rendered set, or of a manifest alone.

    The same set gives the same bytes.

    Args:
        source: folder of a rendered set, or a manifest.jsonl.
        out: folder of the report.
        examples: how many mixtures of each split to show; a manifest alone has none.

    Returns:
        The page, which needs no other file.

    Raises:
        InputError: the set is missing or not rendered to its end, or one of its records is not
            valid.
        MachineError: the folder cannot be written or the disk is full.
    """
    from mixgen.report.page import render_page  # matplotlib and jinja2 take a while to load

    given = open_source(Path(source))
    chosen = EvenlySpaced(examples if given.folder else 0)
    facts = gather(given, chosen)
    mixtures = chosen.chosen()
    seconds = excerpt_seconds([mixture for mixture, _ in mixtures])
    excerpts = [load(given.manifest.path.parent, *pair, seconds) for pair in mixtures]
    facts = {
        "findings": find(facts),
        **facts,
        "excerpt_s": seconds,
        "examples": [
            describe(*pair, files) for pair, files in zip(mixtures, excerpts, strict=True)
        ],
    }
    write_json(Path(out) / FACTS_FILE, facts)
    write_text(Path(out) / PAGE_FILE, render_page(facts, excerpts))
    return Path(out) / PAGE_FILE
