"""Reports on a set, as a page and as JSON: checks, sizes, levels, uses, licences, examples."""

from pathlib import Path

from mixgen.core.files import write_json, write_text
from mixgen.report.checks import Checks
from mixgen.report.examples import EvenlySpaced, choose, describe, excerpt_seconds, load
from mixgen.report.facts import gather
from mixgen.report.file_checks import file_check
from mixgen.report.findings import find
from mixgen.report.recipe_text import recipe_text
from mixgen.report.rows import open_source
from mixgen.report.value_checks import VALUE_CHECKS

PAGE_FILE = "report.html"
FACTS_FILE = "report.json"


def make_report(
    source: Path,
    out: Path,
    *,
    examples: int = 3,
    hashes: bool = True,
    recipe: str | Path | None = None,
) -> Path:
    """Write report.html and report.json about a rendered set, or about a manifest alone.

    The same set gives the same bytes.

    Args:
        source: folder of a rendered set, or a manifest.jsonl.
        out: folder of the report.
        examples: number of mixtures of each split to show, beside the worst of each check; with 0,
            and for a manifest alone, none is shown.
        hashes: whether to read all files of the set and compare their hashes.
        recipe: the recipe to show, by file or name; by default it is looked for beside the manifest
            and among the shipped sets.

    Returns:
        The path of the page, which needs no other file.

    Raises:
        InputError: the set is missing or not completely rendered, one of its records is not valid,
            or the recipe is that of another set.
        MachineError: the folder cannot be written or the disk is full.
    """
    from mixgen.report.page import render_page  # matplotlib and jinja2 take a while to load

    report_source = open_source(Path(source))
    text = recipe_text(report_source, recipe)
    folder = report_source.root
    on_disk = [] if folder is None else [file_check(folder, hashes=hashes)]
    checks = Checks([*on_disk, *VALUE_CHECKS])
    selection = EvenlySpaced(examples if folder else 0)
    facts = gather(report_source, selection, checks)
    chosen = choose(selection, checks)
    seconds = excerpt_seconds([example.mixture for example in chosen])
    files_in = folder or report_source.manifest.path.parent
    excerpts = [load(files_in, e.mixture, e.rows, seconds) for e in chosen]
    facts |= {"hashes_checked": hashes and folder is not None}
    facts = {
        "findings": find(facts),
        **facts,
        "recipe": text,
        "excerpt_s": seconds,
        "examples": [
            {**describe(example.mixture, example.rows, files), "worst": example.worst}
            for example, files in zip(chosen, excerpts, strict=True)
        ],
    }
    shown = [(e.mixture, files) for e, files in zip(chosen, excerpts, strict=True)]
    write_json(Path(out) / FACTS_FILE, facts)
    write_text(Path(out) / PAGE_FILE, render_page(facts, shown))
    return Path(out) / PAGE_FILE
