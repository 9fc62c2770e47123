"""Dereverberation of real speech in measured rooms: one leaderboard of systems trained for minutes.

    python benchmarks/dereverberation.py --work WORK

The recipe `speech_dereverb_early` over LibriSpeech (in SEPARATION_DATA, or ../shared/data beside
the repository). Talkers of train-clean-100 in simulated rooms to learn from; test-other talkers in
the three measured rooms of that folder to dereverberate: `MEASURED`. Every system trains for the
same number of steps from the training that its file declares; nothing is tuned on the test split.
`dwer` is among the columns where the recogniser is installed. The script can be stopped and started
again: it keeps finished checkpoints in WORK. Writes dereverberation.csv in benchmarks/results.
"""

import argparse
import json
import shutil
from pathlib import Path

from small_models import RESULTS, command
from speech_scenes import LIBRISPEECH, REPOSITORY, recordings

from baselines.checkpoint import is_checkpoint, read_meta
from evalsuite.metrics.table import table
from evalsuite.run import run

MEASURED = {
    "arthur_sykes_auditorium": "openair-toobamp/Arthur Sykes Rymer Auditorium.wav",
    "genesis_6_live_room": "openair-toobamp/Genesis 6 Studio Live Room.wav",
    "seminar_room": "spatialaudio-clap/rir_clap.wav",
}
SIMULATED = {
    "name": "simulated_rooms",
    "rooms": 150,
    "responses": 1,
    "sample_rate": 16000,
    "size_m": [["uniform", 3, 9], ["uniform", 3, 8], ["uniform", 2.5, 4]],
    "t60_s": ["uniform", 0.2, 0.8],
    "microphones": 1,
    "distance_m": ["uniform", 0.6, 3],
    "splits": {"train": 0.9, "valid": 0.1},
}
MIXTURES = {"train": 2000, "valid": 30}
SOURCES = {"train": "train-clean-100,train", "valid": "train-clean-100,valid", "test": "test-other"}
TRAINED = (
    "spectral_mapping:small",
    "gan_dereverb:small",
    "gan_dereverb:small_unconditioned",
    "conv_tasnet:small",
    "spectral_mapping:small_mfcc",
    "spectral_mapping:small_filterbank",
    "spectral_mapping:small_dnn",
)
UNTRAINED = ("mixture", "wpe", "oracle:irm")
METRICS = ("pesq_wb16k", "srmr", "stoi", "si_sdr", "lsd")
RECOGNISER = "dwer"


def prepare(work: Path, test_mixtures: int) -> tuple[Path, Path]:
    """Make rooms, manifests and rendered sets, unless they are there.

    Returns:
        The set to learn from, and the set to dereverberate.
    """
    test = work / f"test_{test_mixtures}.jsonl"
    manifests = {("train", "valid"): work / "train.jsonl", ("test",): test}
    mixtures = {**MIXTURES, "test": test_mixtures}
    if not all(manifest.is_file() for manifest in manifests.values()):
        sources = make_sources(work)
        for splits, manifest in manifests.items():
            chosen = [word for table in sources for word in ("--sources", table)]
            for split in splits:
                chosen += ["--split", split, "--mixtures", f"{split}={mixtures[split]}"]
                chosen += ["--splits", f"{split}={SOURCES[split]}"]
            command("mixgen", "draw", "speech_dereverb_early", *chosen, "--out", manifest)
    for manifest in manifests.values():
        command("mixgen", "render", manifest, "--out", manifest.with_suffix(""))
    return work / "train", test.with_suffix("")


def make_sources(work: Path) -> list[Path]:
    """Index the speech, simulate rooms, index the measured ones; return the tables of sources."""
    speech, rooms, recipe = work / "speech.csv", work / "simulated_rooms", work / "rooms.yaml"
    root = recordings(LIBRISPEECH)
    command("mixgen", "index", "librispeech", root, "--corpus", "librispeech", "--out", speech)
    recipe.write_text(json.dumps(SIMULATED), encoding="utf-8")
    command("mixgen", "rooms", recipe, "--out", rooms)
    return [speech, rooms / "sources.csv", index_measured(work)]


def index_measured(work: Path) -> Path:
    """Copy each measured response to a folder with the name of its room, and list them."""
    root = work / "measured_rooms"
    for room, path in MEASURED.items():
        (root / room).mkdir(parents=True, exist_ok=True)
        shutil.copy(recordings("rir") / path, root / room / "response.wav")
    sources = work / "measured_rooms.csv"
    options = ["--kind", "rir", "--split", "test-other", "--out", sources]
    command("mixgen", "index", "folder", root, *options)
    return sources


def train(name: str, work: Path, rendered: Path, steps: int, threads: int) -> Path:
    """Train a system unless its checkpoint is finished; return the checkpoint."""
    checkpoint = work / "checkpoints" / name.replace(":", "_")
    if is_checkpoint(checkpoint) and read_meta(checkpoint).progress["step"] >= steps:
        return checkpoint
    print(f"== {name}", flush=True)
    options = ["--set", rendered, "--steps", steps, "--threads", threads]
    options += ["--out", checkpoint, "--overwrite"]
    command("baselines", "train", name, *options, threads=threads)
    return checkpoint


def main() -> None:
    """Train all systems, separate and score the test split, and keep the leaderboard."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of data and checkpoints.")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--test-mixtures", type=int, default=60)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="*", default=TRAINED, help="Names of systems to train.")
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    rendered, test = prepare(work, options.test_mixtures)
    steps, threads = options.steps, options.threads
    checkpoints = [train(name, work, rendered, steps, threads) for name in options.only]
    metrics = [*METRICS, *[RECOGNISER] * (RECOGNISER in table())]
    systems = [*UNTRAINED, *map(str, checkpoints)]
    run(sets=[test], systems=systems, out=work / "results", metrics=metrics, workers=threads)
    result = RESULTS / "dereverberation.csv"
    shutil.copy(work / "results" / "leaderboard.csv", result)
    print(f"wrote {result.relative_to(REPOSITORY)}")


if __name__ == "__main__":
    main()
