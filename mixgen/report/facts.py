"""The numbers of a report: one pass over the mixtures fills every table."""

from collections.abc import Iterator
from typing import Any

from mixgen.core.progress import track
from mixgen.corpora.layout import layouts
from mixgen.report.checks import Checks
from mixgen.report.examples import EvenlySpaced
from mixgen.report.leakage import Leakage
from mixgen.report.licences import Licences
from mixgen.report.quantities import Quantities
from mixgen.report.rooms import Rooms
from mixgen.report.rows import ReportSource, mixtures_with_rows
from mixgen.report.splits import Splits
from mixgen.report.usage import Usage

SCHEMA = "report/1"


def gather(source: ReportSource, selection: EvenlySpaced, checks: Checks) -> dict[str, Any]:
    """Return what is in a set as plain data; pass every mixture to `selection` and `checks`.

    Raises:
        InputError: a line of the manifest or of rendered.jsonl is not valid.
    """
    splits, leakage, licences = Splits(), Leakage(), Licences()
    quantities, usage, rooms = Quantities(), Usage(), Rooms()
    total = source.manifest.count()
    for mixture, rows in track(mixtures_with_rows(source), "reading mixtures", total):
        for table in (splits, rooms, leakage, licences, quantities, usage, selection, checks):
            table.add(mixture, rows)
    return {
        "schema": SCHEMA,
        "set": {
            "manifest_sha256": source.sha256,
            "rendered": source.record is not None,
            **source.header.as_dict(),
        },
        **splits.as_data(),
        "checks": checks.as_data(),
        "rooms": rooms.as_data(),
        "leakage": leakage.as_data(),
        "quantities": quantities.as_data(),
        "usage": usage.as_data(),
        **licences.as_data(),
        "citations": list(_citations(source)),
    }


def _citations(source: ReportSource) -> Iterator[dict[str, str]]:
    """Yield what to cite for each corpus whose layout is registered and belongs to one corpus."""
    for corpus, name in sorted(source.header.layouts.items()):
        layout = layouts().get(name)
        if layout is not None and layout.citation:
            yield {"corpus": corpus, "citation": layout.citation, "home": layout.home}
