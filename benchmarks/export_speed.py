"""What the exports that write tables take of a mixture: CPU time, bytes, and memory.

    OMP_NUM_THREADS=1 python benchmarks/export_speed.py [--sources STARTER/sources.csv]

Two talkers over a noise, four files each. Eight mixtures are rendered, and their records are copied
under other ids: these exports open no audio. Every export is a process of its own, on a short and
on a long set; CPU time and memory of a mixture are what one more adds, so starting up is not in
them. Writes benchmarks/results/export_speed.csv.
"""

import argparse
import csv
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
FEW, MANY = 5_000, 50_000
RENDERED = 8
FORMATS = ("asteroid", "huggingface", "lhotse", "speechbrain")
RESULT = REPOSITORY / "benchmarks" / "results" / "export_speed.csv"


def export(folder: Path, to: str, out: Path) -> tuple[float, float]:
    """Export a set; return CPU seconds, and the bytes of memory at the peak."""
    words = ["export", folder, "--to", to, "--out", out]
    process = subprocess.Popen(
        [sys.executable, "-m", "mixgen.cli", *map(str, words)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "OMP_NUM_THREADS": "1"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"mixgen export --to {to} ended with {process.returncode}.")
    unit = 1 if sys.platform == "darwin" else 1024
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * unit


def make_sets(work: Path, sources: Path | None) -> None:
    """Render a few mixtures, and write their records under other ids as larger sets.

    It runs in a process of its own: a child counts what its parent has in memory when it starts.
    """
    from speech_scenes import corpus, two_talkers_and_noise

    from mixgen.draw.manifest import draw_header
    from mixgen.draw.mixtures import draw_mixtures
    from mixgen.manifest.file import write_manifest
    from mixgen.render.set import render_set

    rows, roots = corpus(sources)
    recipe = two_talkers_and_noise(4.0, 8_000, RENDERED)
    mixtures = draw_mixtures(recipe, rows, roots)
    write_manifest(work / "m.jsonl", draw_header(recipe, rows), mixtures)
    render_set(work / "m.jsonl", work / "set", roots=roots)
    for count in (FEW, MANY):
        write_copies(work / "set", work / str(count), count)


def write_copies(rendered: Path, folder: Path, count: int) -> None:
    """Write manifest and records of so many mixtures, each a copy of a rendered one."""
    from mixgen.core.files import read_jsonl, write_jsonl
    from mixgen.manifest.file import open_manifest, read_manifest, write_manifest

    manifest = read_manifest(rendered / "manifest.jsonl")
    first, *rows = read_jsonl(rendered / "rendered.jsonl")
    ids = [f"{number:08d}" for number in range(count)]
    originals = list(itertools.islice(itertools.cycle(manifest.mixtures), count))
    named = (m.model_copy(update={"id": name}) for m, name in zip(originals, ids, strict=True))
    header = manifest.header.model_copy(update={"mixtures": count})
    write_manifest(folder / "manifest.jsonl", header, named)
    by_id: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        by_id.setdefault(row["id"], []).append(row)

    def records() -> Iterator[dict[str, Any]]:
        yield {**first, "manifest_sha256": open_manifest(folder / "manifest.jsonl").sha256}
        for original, name in zip(originals, ids, strict=True):
            for row in by_id[original.id]:
                yield {**row, "id": name, "path": row["path"].replace(original.id, name)}

    write_jsonl(folder / "rendered.jsonl", records())


def measure(work: Path, to: str) -> tuple[float, ...]:
    """Return CPU ms and bytes of a mixture, MB at the peak, and what a mixture adds to that."""
    spent = {count: export(work / str(count), to, work / f"{to}{count}") for count in (FEW, MANY)}
    more_s, more_bytes = (many - few for few, many in zip(spent[FEW], spent[MANY], strict=True))
    written = (path for path in (work / f"{to}{MANY}").rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in written)
    more = MANY - FEW
    return 1e3 * more_s / more, size / MANY, spent[MANY][1] / 1e6, more_bytes / more


def main() -> None:
    """Print the table and write it as CSV."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sources", type=Path, help="sources.csv of a starter corpus")
    sources = parser.parse_args().sources
    lines = []
    with tempfile.TemporaryDirectory() as name:
        with ProcessPoolExecutor(1) as pool:
            pool.submit(make_sets, Path(name), sources).result()
        for to in FORMATS:
            lines.append([to, *(f"{number:.4g}" for number in measure(Path(name), to))])
            print(*lines[-1], flush=True)
    columns = ["format", "cpu_ms", "bytes", "peak_mb", "more_bytes_of_memory"]
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    with open(RESULT, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *lines])


if __name__ == "__main__":
    main()
