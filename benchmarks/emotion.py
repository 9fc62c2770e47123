"""Which emotion is still heard in speech that was mixed and separated: talkers left out.

    OMP_NUM_THREADS=1 SEPARATION_DATA=data python benchmarks/emotion.py --separator CHECKPOINT

Clips of EmoDB with four emotions and eight actors; a talker of LibriSpeech test-other beside each
at equal energy makes the mixture. A separator of two talkers takes it apart, and so does the ideal
ratio mask. A classifier is trained on the clean clips of six actors and asked about the other two,
four times. UAR is the mean recall of the emotions, over all actors. Chance is 0.25. `cpu_s` is the
time of one training. Writes benchmarks/results/emotion.csv after each row.

The separator of the shipped table knows none of these talkers. The recipe is
`librispeech_2mix_clean` with `sample_rate: 16000`, over LibriSpeech train-clean-100:

    mixgen draw recipe_16k.yaml --sources sources.csv --split train --split valid --out train.jsonl
    baselines train complex_mask:small --manifest train.jsonl --minutes 15 --precision bfloat16 \
        --threads 1 --out complex_mask_16k
"""

import argparse
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import soundfile
import torch
from speech_scenes import LIBRISPEECH, recordings

import baselines
from baselines.separator import Separator
from evalsuite.metrics.permutation import best_permutation
from evalsuite.probes._signals import JUDGE_RATE, Signal, judged
from evalsuite.probes.emotion.features import KINDS, prepared
from evalsuite.probes.emotion.network import EmotionNetwork
from evalsuite.probes.emotion.training import (
    Clip,
    Described,
    Fusion,
    describe,
    leave_talkers_out,
    train,
)
from mixgen.core.files import write_csv
from mixgen.corpora.layout import get_layout

EMOTIONS = ["anger", "happiness", "neutral", "sadness"]
SYSTEMS: tuple[tuple[str, list[str], Fusion], ...] = (
    ("encoder", ["encoder"], "joint"),
    ("acoustic", ["acoustic"], "joint"),
    ("text", ["text"], "joint"),
    ("acoustic + text, frozen", ["acoustic", "text"], "frozen"),
    ("all three, frozen", list(KINDS), "frozen"),
    ("acoustic + text, joint", ["acoustic", "text"], "joint"),
    ("all three, joint", list(KINDS), "joint"),
)
FOLDS = 4
CONDITIONS = ("clean", "mixture", "separated", "ideal mask")
RESULT = Path(__file__).with_name("results") / "emotion.csv"


def clips(root: Path) -> Iterator[Clip]:
    """Yield the clips of the four emotions, sorted."""
    layout = get_layout("emodb")
    assert layout.emotion is not None
    for found in sorted(layout.find(root, "speech"), key=lambda item: item.path):
        emotion = layout.emotion(Path(found.path).stem)
        if emotion in EMOTIONS:
            samples, rate = soundfile.read(root / found.path)
            yield Clip(emotion, found.label, prepared(judged(samples, rate)), found.text)


def mixed(
    speech: list[Clip], others: list[Path], separator: Separator
) -> Iterator[tuple[Signal, Signal, Signal]]:
    """Yield each clip with another talker, and the clip as separator and ideal mask return it."""
    oracle = baselines.build("oracle:irm", n_src=2, sample_rate=JUDGE_RATE)
    generator = np.random.default_rng(0)
    for clip in speech:
        own = clip.samples
        other, rate = soundfile.read(others[generator.integers(len(others))])
        assert rate == JUDGE_RATE
        other = np.resize(other, max(len(other), len(own) + 1))  # a few are shorter
        begin = generator.integers(len(other) - len(own))
        other = other[begin : begin + len(own)]
        other *= np.sqrt(np.sum(np.square(own)) / np.sum(np.square(other)))
        pair = torch.from_numpy(np.stack([own, other.astype(np.float32)]))[None, :, None]
        mixture = pair.sum(1)
        with torch.no_grad():
            masked = oracle(mixture, pair)[0, 0, 0].numpy()
        heard = mixture[0, 0].numpy()
        estimates = baselines.separate(separator, heard, sample_rate=JUDGE_RATE)
        order = best_permutation(references=pair[0].numpy(), estimates=list(estimates))
        yield heard, estimates[order.estimate_of[0], 0], masked


def main() -> None:
    """Train and ask; print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--separator", required=True, help="Checkpoint that separates two talkers.")
    separator = baselines.load(parser.parse_args().separator)
    torch.set_num_threads(1)
    clean = list(clips(recordings("speech/emodb-voice-emotion-analysis")))
    others = sorted(recordings(f"{LIBRISPEECH}/test-other").rglob("*.flac"))
    pairs = list(mixed(clean, others, separator))
    asked = {"clean": clean}
    for number, condition in enumerate(CONDITIONS[1:]):
        asked[condition] = [
            Clip(clip.emotion, clip.talker, pair[number], clip.text)
            for clip, pair in zip(clean, pairs, strict=True)
        ]
    described = {name: [describe(clip, KINDS) for clip in found] for name, found in asked.items()}
    print(f"{len(clean)} clips of {len({clip.talker for clip in clean})} talkers", file=sys.stderr)
    known: dict[tuple[str, ...], dict[str, EmotionNetwork]] = {}  # talkers -> kind -> network
    rows = []
    for name, kinds, fusion in SYSTEMS:
        seconds: list[float] = []
        found = leave_talkers_out(
            described["clean"],
            described,
            partial(trained, kinds=kinds, fusion=fusion, known=known, seconds=seconds),
            EMOTIONS,
            FOLDS,
        )
        uar = {condition: f"{found[condition]:.3f}" for condition in CONDITIONS}
        rows.append({"hears": name, **uar, "cpu_s": f"{statistics.median(seconds):.1f}"})
        print(rows[-1], flush=True)
        write_csv(RESULT, list(rows[0]), rows)


def trained(
    part: Sequence[Described],
    kinds: list[str],
    fusion: Fusion,
    known: dict[tuple[str, ...], dict[str, EmotionNetwork]],
    seconds: list[float],
) -> EmotionNetwork:
    """Train on some clips; networks of one kind are kept for the fusions of frozen branches."""
    singles = known.setdefault(tuple(sorted({clip.talker for clip in part})), {})
    begin = time.process_time()
    network = train(part, EMOTIONS, kinds, fusion=fusion, singles=singles)
    seconds.append(time.process_time() - begin)
    if len(kinds) == 1:
        singles[kinds[0]] = network
    return network


if __name__ == "__main__":
    main()
