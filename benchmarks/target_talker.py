"""Whether forty minutes of training teach an extractor whom to follow, on real speech.

    python benchmarks/target_talker.py --work WORK

The recipe `librispeech_2mix_enrolment` over the excerpts of LibriSpeech in SEPARATION_DATA (or
../shared/data beside the repository). Its training talkers have one recording of about 14 s each,
which is cut into pieces of 4 s or more that stand for utterances; the six test talkers, of
test-other, have ten utterances each and are in no training mixture. `speakerbeam:small` trains for
`--steps` on one thread (4000 took 38 minutes) and is scored beside the same
network without training, the mixture and the ideal ratio mask. The script can be stopped and
started again. Writes target_talker.csv in benchmarks/results.
"""

import argparse
import shutil
from pathlib import Path

import soundfile
from small_models import RESULTS, command
from speech_scenes import LIBRISPEECH, recordings

from baselines.checkpoint import is_checkpoint, read_meta
from evalsuite.run import run

RECIPE = "librispeech_2mix_enrolment"
SYSTEM = "speakerbeam:small"
METRICS = ("si_sdr", "snr", "wrong_talker")
PIECE_S = 4.0


def cut_recordings(root: Path, out: Path) -> None:
    """Write every recording of LibriSpeech's layout to `out`, in equal pieces of 4 s or more."""
    for path in sorted(root.glob("*/*/*.flac")):
        samples, rate = soundfile.read(path, dtype="int16")
        pieces = max(1, int(len(samples) / rate / PIECE_S)) if "train" in path.parts[-3] else 1
        length = len(samples) // pieces
        for number in range(pieces):
            speaker, chapter, utterance = path.stem.split("-")
            name = f"{speaker}-{chapter}-{int(utterance) * 100 + number:04d}.flac"
            file = out / path.parent.relative_to(root) / name
            file.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(file, samples[number * length : (number + 1) * length], rate)


def prepare(work: Path) -> Path:
    """Make the set, unless it is there; return its folder."""
    manifest, rendered, sources = work / "manifest.jsonl", work / RECIPE, work / "sources.csv"
    if not manifest.is_file():
        cut_recordings(recordings(LIBRISPEECH), work / "pieces")
        pieces = ("librispeech", work / "pieces", "--corpus", "librispeech")
        command("mixgen", "index", *pieces, "--out", sources)
        command("mixgen", "draw", RECIPE, "--sources", sources, "--out", manifest)
    command("mixgen", "render", manifest, "--out", rendered)
    return rendered


def train(work: Path, name: str, steps: int, *options: object) -> Path:
    """Train unless it is done already; return the checkpoint."""
    checkpoint = work / "checkpoints" / name
    if is_checkpoint(checkpoint) and read_meta(checkpoint).progress["step"] >= steps:
        return checkpoint
    paths = ["--manifest", work / "manifest.jsonl", "--out", checkpoint, "--overwrite"]
    length = ["--steps", steps, "--threads", 1]
    command("baselines", "train", SYSTEM, *length, *paths, *options, threads=1)
    return checkpoint


def main() -> None:
    """Train, rank, and copy the leaderboard."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="Folder of data and checkpoints.")
    parser.add_argument("--steps", type=int, default=4000)
    options = parser.parse_args()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    rendered = prepare(work)
    trained = train(work, "speakerbeam", options.steps)
    untrained = train(work, "untrained", 1, "--lr", 1e-12)
    systems = ["mixture", "oracle:irm", str(untrained), str(trained)]
    run(sets=[rendered], systems=systems, out=work / "results", metrics=METRICS)
    result = RESULTS / "target_talker.csv"
    shutil.copy(work / "results" / "leaderboard.csv", result)
    print(f"wrote {result}")


if __name__ == "__main__":
    main()
