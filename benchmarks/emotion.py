"""Which emotion is still heard in speech that was mixed and separated: talkers left out.

    OMP_NUM_THREADS=1 SEPARATION_DATA=data python benchmarks/emotion.py

Clips of EmoDB with four emotions and eight actors; a talker of LibriSpeech train-clean-100 beside
each at equal energy makes the mixture, and the ideal ratio mask the separated speech. A classifier
is trained on the clean clips of six actors and asked about the other two, four times. UAR is the
mean recall of the emotions, over all actors. Chance is 0.25. `cpu_s` is the time of one training.
Writes benchmarks/results/emotion.csv after each row.
"""

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

from baselines import build
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
CONDITIONS = ("clean", "mixture", "ideal mask")
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


def mixed(speech: list[Clip], others: list[Path]) -> Iterator[tuple[Signal, Signal]]:
    """Yield each clip with another talker, and what the ideal ratio mask takes out of it."""
    oracle = build("oracle:irm", n_src=2, sample_rate=JUDGE_RATE)
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
            separated = oracle(mixture, pair)
        yield mixture[0, 0].numpy(), separated[0, 0, 0].numpy()


def main() -> None:
    """Train and ask; print and write the table."""
    torch.set_num_threads(1)
    clean = list(clips(recordings("speech/emodb-voice-emotion-analysis")))
    others = sorted(recordings(f"{LIBRISPEECH}/train-clean-100").rglob("*.flac"))
    pairs = list(mixed(clean, others))
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
