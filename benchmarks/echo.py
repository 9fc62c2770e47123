"""Echo cancellers on real speech: ERLE and the near end, on linear and nonlinear paths.

    python benchmarks/echo.py --work WORK --minutes 30
    python benchmarks/echo.py --work WORK --peers .venv-rows/bin/python

Near and far ends are LibriSpeech talkers of SEPARATION_DATA (or ../shared/data beside the
repository), the noise is real. Training: the recipe `echo` over talkers of train-clean-100 in the
simulated rooms of `rooms_small`, `--minutes` on `--threads` cores for the learned row. Test: unseen
talkers of test-other behind measured responses of seven places, delays of 0 to 100 ms more, once
with linear and once with nonlinear loudspeakers; in one half both ends talk, in the other only the
far end. ERLE is the energy of the microphone over that of the output, while only the far end talks,
from the first sample on; the near end is measured in double talk, as SI-SDR. With `--peers`, the
python of an environment that has pyaec and pywebrtc-audio, Speex and WebRTC AEC3 get rows.
The script can be stopped and started again. Writes echo.csv in benchmarks/results.
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from small_models import RESULTS, command
from speech_scenes import LIBRISPEECH, recordings

from baselines.checkpoint import is_checkpoint, read_meta
from evalsuite.run import run
from mixgen.core.files import write_csv
from mixgen.corpora.sources import SourceRow, read_sources, write_sources
from mixgen.recipe.read import find_recipe

LEARNED = "residual_echo:small"
UNTRAINED = ("mixture", "nlms", "pbfdaf", "echo_postfilter")
# Their lags, measured by the cross-correlation of what they let through with its source.
PEERS = {"speex@0.000625s": "speex_aec.py", "webrtc_aec3@0.008s": "webrtc_aec3.py"}
METRICS = ("erle", "si_sdr_dt")
COLUMNS = {
    "erle_db": "erle_db_mean",
    "si_sdr_dt": "si_sdr_dt_mean",
    "si_sdr_dti": "si_sdr_dti_mean",
    "n": "n",
    "real_time_factor": "real_time_factor",
    "latency_s": "latency_s",
    "parameters": "parameters",
}
NOISE_PARTS = "train=0.6,valid=0.2,test=0.2"
TEST = {"far": {"near": 0, "echo": 1}, "double": {"near": 1, "echo": 1}}


def sources_of(work: Path) -> list[Path]:
    """Index speech, responses and noise, and simulate rooms; return tables of common splits."""
    folders = {"speech": LIBRISPEECH, "rir": "rir", "noise": "noise"}
    layouts = {
        "speech": ["librispeech"],
        "rir": ["folder", "--kind", "rir", "--split", "test"],
        "noise": ["folder", "--kind", "noise", "--by", "group", "--parts", NOISE_PARTS],
    }
    tables = [work / f"{name}.csv" for name in folders]
    for (name, folder), table in zip(folders.items(), tables, strict=True):
        if not table.is_file():
            layout, *options = layouts[name]
            options += ["--corpus", name, "--out", str(table)]
            command("mixgen", "index", layout, recordings(folder), *options)
            write_sources(table, map(prepared, read_sources([table])))
    rooms = work / "rooms" / "sources.csv"
    if not rooms.is_file():
        command("mixgen", "rooms", "rooms_small", "--out", work / "rooms")
        write_sources(rooms, [row for row in read_sources([rooms]) if row.split != "test"])
    return [*tables, rooms]


def prepared(row: SourceRow) -> SourceRow:
    """Return a row with one of the splits train, valid and test.

    Every tenth talker is for validation. All measured responses are of one place, so that each
    source of a mixture gets one of its own.
    """
    if row.kind == "speech" and row.split != "test-other":
        return row.model_copy(update={"split": "train" if int(row.label) % 10 else "valid"})
    if row.kind == "rir":
        return row.model_copy(update={"label": "measured", "group": "measured"})
    return row.model_copy(update={"split": row.split.partition("-")[0]})


def recipe(nonlinear: float, splits: dict[str, Any]) -> dict[str, Any]:
    """Return the shipped recipe `echo` with a share of nonlinear paths and these splits."""
    plan: dict[str, Any] = yaml.safe_load(find_recipe("echo").read_text(encoding="utf-8"))
    for group in plan["sources"]:
        if group["name"] == "echo":
            group["echo"]["nonlinear"] = nonlinear
    return plan | {"name": "echo", "splits": splits}


def make_set(name: str, plan: dict[str, Any], tables: list[Path], work: Path) -> Path:
    """Draw the manifest of a recipe, unless it is there; return it."""
    folder = work / name
    folder.mkdir(exist_ok=True)
    manifest = folder / "manifest.jsonl"
    if not manifest.is_file():
        path = folder / "recipe.yaml"
        path.write_text(yaml.safe_dump({**plan, "name": name}), encoding="utf-8")
        sources = [word for table in tables for word in ("--sources", table)]
        command("mixgen", "draw", path, *sources, "--out", manifest)
    return manifest


def train(manifest: Path, work: Path, minutes: float, threads: int) -> Path:
    """Train the learned row for these minutes, unless it is; return its checkpoint."""
    checkpoint = work / "checkpoints" / "residual_echo"
    if is_checkpoint(checkpoint):
        if read_meta(checkpoint).progress["elapsed_s"] < 60 * minutes:
            options = ["--out", checkpoint, "--resume", "--minutes", minutes]
            command("baselines", "train", *options, threads=threads)
        return checkpoint
    options = ["--minutes", minutes, "--threads", threads, "--manifest", manifest]
    command("baselines", "train", LEARNED, *options, "--out", checkpoint, threads=threads)
    return checkpoint


def sets(work: Path, mixtures: int) -> tuple[Path, dict[str, Path]]:
    """Make the manifest to train on and the rendered sets to test on; return them by their path."""
    tables = sources_of(work)
    training = {
        "train": {"mixtures": 1000, "sources": "train"},
        "valid": {"mixtures": 30, "sources": "valid"},
    }
    testing = {
        name: {"mixtures": mixtures, "sources": "test", "counts": counts}
        for name, counts in TEST.items()
    }
    manifest = make_set("train", recipe(0.8, training), tables, work)
    rendered = {}
    for path, share in (("linear", 0.0), ("nonlinear", 1.0)):
        drawn = make_set(path, recipe(share, testing), tables, work)
        rendered[path] = work / path / "set"
        command("mixgen", "render", drawn, "--out", rendered[path])
    return manifest, rendered


def rows(rendered: dict[str, Path], systems: list[str], work: Path) -> list[dict[str, Any]]:
    """Separate and score every system on every path and kind of talk; return the results."""
    found = []
    for path, folder in rendered.items():
        for talk in TEST:
            out = work / "results" / path / talk
            result = run(sets=[folder], systems=systems, out=out, split=talk, metrics=METRICS)
            for row in result.rows:
                values = {column: row.get(source) for column, source in COLUMNS.items()}
                values |= {k: f"{v:.3g}" for k, v in values.items() if isinstance(v, float)}
                found.append({"path": path, "talk": talk, "system": row["model"], **values})
    return found


def main() -> None:
    """Make the sets, train the learned row, and measure all of them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of data and results.")
    parser.add_argument("--minutes", type=float, default=30.0, help="Training; 0 leaves it out.")
    parser.add_argument("--mixtures", type=int, default=40, help="Of each kind of talk.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--peers", type=Path, help="Python that has pyaec and pywebrtc-audio.")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    manifest, rendered = sets(work, options.mixtures)
    systems = list(UNTRAINED)
    if options.minutes:
        systems.append(str(train(manifest, work, options.minutes, options.threads)))
    if options.peers:
        scripts = Path(__file__).with_name("rows")
        systems += [
            f"{name}={options.peers} {scripts / script} {{mixture}} {{far_end}} {{out}}"
            for name, script in PEERS.items()
        ]
    results = rows(rendered, systems, work)
    write_csv(RESULTS / "echo.csv", list(results[0]), results)


if __name__ == "__main__":
    main()
