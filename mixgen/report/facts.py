"""The numbers of a report: one pass over the mixtures, every table fed at once."""

from collections.abc import Iterator
from typing import Any

from mixgen.core.progress import track
from mixgen.corpora.layout import layouts
from mixgen.report.examples import EvenlySpaced
from mixgen.report.leakage import Leakage
from mixgen.report.licences import Licences
from mixgen.report.quantities import Quantities
from mixgen.report.rooms import Rooms
from mixgen.report.rows import Given, mixtures_with_rows
from mixgen.report.splits import Splits
from mixgen.report.usage import Usage

SCHEMA = "report/1"


def gather(given: Given, chosen: EvenlySpaced) -> dict[str, Any]:
    """Return what is in a set as plain data, and let `chosen` see every mixture on the way.

    Raises:
        InputError: a line of the manifest or of rendered.jsonl is not valid.
    """
    splits, leakage, licences = Splits(), Leakage(), Licences()
    quantities, usage, rooms = Quantities(), Usage(), Rooms()
    total = given.manifest.count()
    for mixture, rows in track(mixtures_with_rows(given), "reading mixtures", total):
        for table in (splits, rooms, leakage, licences, quantities, usage, chosen):
            table.add(mixture, rows)
    return {
        "schema": SCHEMA,
        "set": _identity(given),
        **splits.as_data(),
        "rooms": rooms.as_data(),
        "leakage": leakage.as_data(),
        "quantities": quantities.as_data(),
        "usage": usage.as_data(),
        **licences.as_data(),
        "citations": list(_citations(given)),
    }


def _citations(given: Given) -> Iterator[dict[str, str]]:
    """Yield what to cite for each corpus whose layout is known and is of one corpus."""
    for corpus, name in sorted(given.header.layouts.items()):
        layout = layouts().get(name)
        if layout is not None and layout.citation:
            yield {"corpus": corpus, "citation": layout.citation, "home": layout.home}


def _identity(given: Given) -> dict[str, Any]:
    header = given.header.as_dict()
    return {"manifest_sha256": given.sha256, "rendered": given.folder is not None, **header}
