"""Writes what is generated from registries and results: tables in docs, `baselines/systems.json`.

    python docs/tables.py            writes them
    python docs/tables.py --check    exits with 1 where one is not up to date

A table in a page stands between `<!-- begin NAME -->` and `<!-- end NAME -->`.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path

import yaml

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


def results_table(path: str, columns: Mapping[str, str], *, split: str = "test") -> str:
    """Return a leaderboard's rows of a split: the headline with its interval, and columns."""
    with open(REPOSITORY / path, encoding="utf-8", newline="") as file:
        leaderboard = [row for row in csv.DictReader(file) if row["split"] == split]
    headline = leaderboard[0]["headline"]
    bounds = [f"{headline.removesuffix('_mean')}_ci_{end}" for end in ("lo", "hi")]
    rows = []
    for row in leaderboard:
        value, low, high = (f"{float(row[column]):z.2f}" for column in (headline, *bounds))
        more = (f"{float(row[column]):z.2f}" if row[column] else "-" for column in columns)
        rows.append((f"`{row['model']}`", value, f"{low} to {high}", *more))
    return table(("system", f"`{headline}`", "95 %", *columns.values()), rows)


SPEECH_COLUMNS = {"sdr_bss512i_mean": "SDRi", "pesq_nb8k_mean": "PESQ", "stoi_mean": "STOI"}
SONG_COLUMNS = {f"sdr_v4_med_median_{stem}": stem for stem in ("vocals", "drums", "bass", "other")}
COUNT_COLUMNS = {
    "count_right_mean": "counts right",
    "n_found_mean": "found",
    "n_missed_mean": "missed",
    "n_extra_mean": "extra",
}
MEETING_COLUMNS = {
    "si_sdr_utt_stream_mean": "on the talker's stream",
    "sa_sdr_mean": "SA-SDR",
    "der_collar0ms": "diarisation error",
}
REVERBERANT_COLUMNS = {
    "srmr_mean": "SRMR",
    "stoi_mean": "STOI",
    "dwer_mean": "dWER",
    "si_sdr_mean": "SI-SDR",
}


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


def costs_table() -> str:
    """Return what mixtures cost, from benchmarks/results/scale_speed.csv."""
    path = REPOSITORY / "benchmarks" / "results" / "scale_speed.csv"
    with open(path, encoding="utf-8", newline="") as file:
        measured = list(csv.DictReader(file))
    rows = [
        (
            row["what"],
            f"{float(row['cpu_ms']):.2f}",
            f"{float(row['core_hours_1e6']):.2f}",
            f"{float(row['core_hours_1e7']):.1f}",
            *(f"{float(row[name]):,.0f}" if float(row[name]) else "" for name in SIZE_COLUMNS),
        )
        for row in measured
    ]
    times = ("ms a mixture", "core-hours for 10^6", "for 10^7")
    return table(("command", *times, "bytes a mixture", "GB for 10^6", "for 10^7"), rows)


def judges_table() -> str:
    """Return what each judge costs and what it can tell, from benchmarks/results/judges.csv."""
    conditions = ("clean", "mask", "mixture")
    header = ("column", "judge", "CPU s", *conditions, "clean > mask", "mask > mixture")
    rows = [
        (
            f"`{row['column']}`",
            f"`{row['judge']}`",
            row["cpu_s"],
            *(row[condition] for condition in conditions),
            *(f"{float(row[name]):.0%}" for name in ("clean_above_mask", "mask_above_mixture")),
        )
        for row in result_rows("judges")
    ]
    return table(header, rows)


def emotion_table() -> str:
    """Return the UAR of classifiers of emotion, from benchmarks/results/emotion.csv."""
    rows = [tuple(row.values()) for row in result_rows("emotion")]
    header = ("hears", "clean", "mixture", "separated", "ideal mask", "CPU s of a training")
    return table(header, rows)


def boards_table() -> str:
    """Return the best rows of each shipped leaderboard by its headline, in its first split."""
    header = ("leaderboard", "mean of", "mixture", "best of ours", "best of others", "ideal mask")
    folder = REPOSITORY / "evalsuite" / "leaderboards"
    found = yaml.safe_load((REPOSITORY / "benchmarks/rows/rows.yaml").read_text(encoding="utf-8"))
    others = {*found["programs"], *found["weights"]}
    lines = []
    for page in sorted(folder.glob("*.md")):
        title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
        with open(page.with_suffix(".csv"), encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        best: dict[str, str] = {}
        for row in rows:
            if row["split"] == rows[0]["split"] and not row["model"].startswith("count:"):
                name, value = row["model"], f"{float(row[row['headline']]):z.2f}"
                best.setdefault(role_of(name, others), f"{value} `{name}`")
        for role in ("mixture", "ideal mask"):
            best[role] = best.get(role, "-").partition(" ")[0]
        link = f"[{title}](evalsuite/leaderboards/{page.name})"
        cells = (best.get(role, "-") for role in header[2:])
        lines.append((link, f"`{rows[0]['headline'].removesuffix('_mean')}`", *cells))
    return table(header, lines)


def role_of(name: str, others: Collection[str]) -> str:
    """Return the column of a system in the table of leaderboards."""
    if name == "mixture":
        return "mixture"
    if name in others:
        return "best of others"
    return "ideal mask" if name.startswith("oracle:") else "best of ours"


def result_rows(name: str) -> list[dict[str, str]]:
    """Return the rows of benchmarks/results/NAME.csv; none where it was not measured."""
    path = REPOSITORY / "benchmarks" / "results" / f"{name}.csv"
    if not path.is_file():
        return []
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


SIZE_COLUMNS = ("bytes", "gb_1e6", "gb_1e7")

TABLES: dict[str, dict[str, Callable[[], str]]] = {
    "README.md": {"leaderboards": boards_table, "systems": systems_table},
    "docs/baselines.md": {
        "variants": variants_table,
        "speech results": partial(
            results_table, "benchmarks/results/small_models_speech.csv", SPEECH_COLUMNS
        ),
        "music results": partial(
            results_table, "benchmarks/results/small_models_music.csv", SONG_COLUMNS
        ),
    },
    "docs/corpora.md": {"layouts": layouts_table},
    "docs/dereverberation.md": {
        "board": partial(
            results_table, "evalsuite/leaderboards/dereverberation.csv", REVERBERANT_COLUMNS
        )
    },
    "docs/meetings.md": {
        "board": partial(results_table, "evalsuite/leaderboards/meetings.csv", MEETING_COLUMNS)
    },
    "docs/unknown_counts.md": {
        f"board {split}": partial(
            results_table, "evalsuite/leaderboards/unknown_counts.csv", COUNT_COLUMNS, split=split
        )
        for split in ("test", "test_more")
    },
    "docs/judges.md": {"judges": judges_table, "emotion": emotion_table},
    "docs/scale.md": {"costs": costs_table},
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
            found = re.findall(pattern, text, flags=re.DOTALL)
            assert len(found) == 1, f"{name} has no place for the table {mark!r}"
            text = text.replace(found[0], filled)
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
