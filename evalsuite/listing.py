"""The command `evalsuite metrics`: every metric and column, judges included, installed or not."""

import json
from typing import Annotated, Any

import typer


def metric_rows() -> list[dict[str, Any]]:
    """Return every metric: its definition, whether it is a judge, and whether it is installed."""
    from evalsuite.metrics.table import judges, table

    return [
        {
            **metric.spec(),
            "tasks": sorted(metric.tasks),
            "judge": name in judges(),
            "installed": not metric.lacks,
            "lacks": metric.lacks,
            "install": metric.how_to_install if metric.lacks else "",
        }
        for name, metric in table().items()
    ]


def metrics_command(
    as_json: Annotated[bool, typer.Option("--json", help="Print all definitions as JSON.")] = False,
) -> None:
    """List every metric with its columns, judges included, and what is not installed.

    A metric is on by default for its tasks, else by its name in --metrics. The pages
    docs/metrics.md and docs/judges.md define the columns.

    Example: evalsuite metrics --json
    """
    from mixgen.core.console import aligned

    rows = metric_rows()
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, allow_nan=False, indent=2))
        return
    cells = [
        [
            row["name"],
            row["scope"],
            row["unit"],
            "yes" if row["installed"] else "no",
            ", ".join([*row["columns"], *row["improvements"], *row["diagnostics"]]),
        ]
        for row in rows
    ]
    header = ("metric", "of a", "unit", "installed", "columns")
    print(aligned(header, cells, left=header))
    for row in rows:
        if not row["installed"]:
            print(f"{row['name']} is not installed: {row['install']}")
