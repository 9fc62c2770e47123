"""Writes what is generated from the registries: tables in the docs, and `baselines/systems.json`.

    python docs/tables.py            writes them
    python docs/tables.py --check    exits with 1 where one is not up to date

A table in a page stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from baselines.inference.describe import SYSTEMS_FILE, describe
from baselines.registry import models, names
from mixgen.corpora.layout import layouts

REPOSITORY = Path(__file__).parents[1]

facts_of = cache(describe)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def systems_table() -> str:
    """Return every system with its paper, and the size and cost of its first variant."""
    facts = {name: facts_of(name) for name in names()}
    rows = []
    for model in models().values():
        first = facts[next(iter(model.variants))]
        macs = f"{first['macs_per_second'] / 1e9:.2f} G"
        size = f"{first['parameters']:,}"
        rows.append((f"`{model.name}`", model.title, first["task"], size, macs, model.paper))
    return table(("system", "what", "task", "parameters", "MACs/s", "paper"), rows)


def variants_table() -> str:
    """Return every trained variant with its size, cost, context and licence of the reference."""
    rows = []
    for name in names():
        facts = facts_of(name)
        if facts["parameters"]:
            size = f"{facts['parameters']:,}"
            if facts["parameters_per_source"]:
                size += f" ({facts['parameters_per_source']:,} per source)"
            macs = f"{facts['macs_per_second'] / 1e9:.2f} G"
            field, ahead = facts["receptive_field_samples"], facts["look_ahead_samples"]
            context = ("all" if samples is None else f"{samples:,}" for samples in (field, ahead))
            rows.append((f"`{name}`", facts["task"], size, macs, *context))
    header = ("variant", "task", "parameters", "MACs/s", "receptive field", "look-ahead")
    return table(header, rows)


def layouts_table() -> str:
    """Return every corpus layout with its licence, citation and home page."""
    rows = (
        (
            f"`{layout.name}`",
            layout.licence or "by file, or `--licence`",
            layout.citation or "-",
            f"<{layout.home}>" if layout.home else "-",
        )
        for layout in layouts().values()
    )
    return table(("layout", "licence", "cite", "home page"), rows)


TABLES = {
    "README.md": {"systems": systems_table},
    "docs/baselines.md": {"variants": variants_table},
    "docs/corpora.md": {"layouts": layouts_table},
}


def generated() -> dict[Path, str]:
    """Return the content of every file that holds something generated, as it should be."""
    files = {}
    for name, makers in TABLES.items():
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        for mark, make in makers.items():
            begin, end = f"<!-- begin {mark} -->\n", f"<!-- end {mark} -->"
            pattern = f"{begin}.*?{end}"
            filled = f"{begin}{make()}{end}"
            text, found = re.subn(pattern, lambda _, new=filled: new, text, flags=re.DOTALL)
            assert found == 1, f"{name} has no place for the table {mark!r}"
        files[REPOSITORY / name] = text
    facts = [json.dumps(facts_of(name)) for name in names()]
    files[SYSTEMS_FILE] = "[\n" + ",\n".join(facts) + "\n]\n"
    return files


def main() -> int:
    """Write the files, or with --check only compare them."""
    stale = [
        path
        for path, text in generated().items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv:
        print("\n".join(f"{path} is not up to date: run `make tables`." for path in stale))
        return bool(stale)
    files = generated()
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
        print(f"wrote {path}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
