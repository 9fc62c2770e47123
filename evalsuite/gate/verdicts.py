"""The gate's verdicts as text for the terminal, Markdown, and JUnit XML for CI systems."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from evalsuite.boards.show import first_lines, interval_text, markdown_table, number_text, plain
from evalsuite.gate.check import CheckResult, MetricCheck
from mixgen.core.console import aligned
from mixgen.core.files import write_text
from mixgen.core.progress import printable

HEADER = ("metric", "verdict", "difference", "95 %", "tolerance", "p (Holm)", "n", "why")


def check_text(result: CheckResult) -> str:
    """Return the verdict per metric, the items that failed or lost most, the overall verdict."""
    cells = [_check_cells(check) for check in result.metrics]
    parts = [aligned(HEADER, cells, left=["metric", "verdict", "why"])]
    if result.slices:
        shown = [check for check in result.slices if check.verdict == "fail"]
        parts.append(f"slices: {_tally(result.slices)}")
        parts += first_lines([f"fail in {_name(check)}: {check.why}" for check in shown])
    failures = dict.fromkeys(line for check in result.metrics for line in check.new_failures)
    parts += first_lines([f"new failure: {line}" for line in failures])
    parts += _worst_lines(result)
    if result.left_out:
        parts.append(f"not compared, no values in either folder: {', '.join(result.left_out)}")
    parts += [*_power_line(result), f"verdict: {result.verdict}"]
    return "\n".join(parts)


def check_markdown(result: CheckResult) -> str:
    """Return the verdicts on all metrics and slices in Markdown."""
    title = f"# {result.question}: {result.verdict}"
    about = f"{result.candidate} against {result.base} on {result.set}, {result.split or 'all'}."
    tables = [markdown_table(HEADER, [_check_cells(check) for check in result.metrics])]
    if result.slices:
        tables.append(f"Slices: {_tally(result.slices)}.")
        tables.append(markdown_table(HEADER, [_check_cells(check) for check in result.slices]))
    return "\n\n".join([title, plain(about), *tables, *_power_line(result)]) + "\n"


def write_junit(path: Path, result: CheckResult) -> None:
    """Write one test case per metric and slice as JUnit XML; what is inconclusive is skipped."""
    checks = [*result.metrics, *result.slices]
    verdicts = Counter(check.verdict for check in checks)
    suite = ElementTree.Element(
        "testsuite",
        name=f"evalsuite check: {result.question}",
        tests=str(len(checks)),
        failures=str(verdicts["fail"]),
        skipped=str(verdicts["inconclusive"]),
    )
    for check in checks:
        case = ElementTree.SubElement(suite, "testcase", classname=result.set, name=_name(check))
        if check.verdict != "pass":
            kind = "failure" if check.verdict == "fail" else "skipped"
            outcome = ElementTree.SubElement(case, kind, message=printable(check.why))
            worst = (item.text for item in check.worst)
            outcome.text = printable("; ".join([*check.new_failures, *worst]))
    ElementTree.indent(suite)
    write_text(path, ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n")


def _name(check: MetricCheck) -> str:
    return printable(check.metric if check.slice is None else f"{check.metric}, {check.slice}")


def _tally(checks: Sequence[MetricCheck]) -> str:
    """Return how many verdicts are of each kind."""
    verdicts = Counter(check.verdict for check in checks)
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))


def _power_line(result: CheckResult) -> list[str]:
    """Return what difference the set could have shown, for the first metric."""
    first = next((check for check in result.metrics if check.detectable is not None), None)
    if first is None:
        return []
    return [
        f"{first.n} mixtures with this spread show a difference of {first.detectable:.2f} "
        f"{first.unit} in {first.metric} four times in five."
    ]


def _check_cells(check: MetricCheck) -> list[str]:
    difference = check.mean_difference
    return [
        _name(check),
        check.verdict,
        "-" if difference is None else f"{difference:+.3f}",
        interval_text(check.ci_lo, check.ci_hi, digits=3),
        "-" if check.tolerance is None else f"{check.tolerance:g}",
        number_text(check.p_holm, digits=4),
        str(check.n),
        check.why,
    ]


def _worst_lines(result: CheckResult) -> list[str]:
    """Return the items that lost most in the first metric that did not pass."""
    for check in result.metrics:
        if check.verdict != "pass" and check.worst:
            return [f"worst in {check.metric}: {item.text}" for item in check.worst]
    return []
